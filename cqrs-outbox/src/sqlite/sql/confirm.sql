-- cqrs-outbox: confirm
-- ?1 is [[id, message_id], ...]. A cross join is done in the order written.
delete from cqrs_outbox
where id in (
    select row.id
    from json_each(?1) as named
    cross join cqrs_outbox as row
        on row.id = named.value ->> 0 and row.message_id = named.value ->> 1
)

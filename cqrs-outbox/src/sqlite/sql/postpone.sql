-- cqrs-outbox: postpone
-- Only under a held slot, ?6 is [[slot, epoch], ...]: see the contract of settle.
update cqrs_outbox
set attempts = ?3,
    next_attempt_at = cast(round(unixepoch('subsec') * 1000) as integer) * 1000 + ?4,
    last_error = ?5
where id = ?1 and message_id = ?2
    and exists (
        select 1
        from cqrs_relay_lease as lease
        join json_each(?6) as held
            on lease.slot = held.value ->> 0 and lease.epoch = held.value ->> 1
        where lease.slot = cqrs_outbox.slot
    )

-- cqrs-outbox: command_keep
--
-- Keeps a command's result, and what its transaction has recorded for every replica, by whatever way:
-- all rows after its mark are its own.
update cqrs_command
set output = ?2,
    token = (
        select json_group_array(json_array(cqrs_id, instance_pk, revision))
        from cqrs_outbox
        where id > ?3 and queue is null
    )
where id = ?1
returning token

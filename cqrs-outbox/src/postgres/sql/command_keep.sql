-- cqrs-outbox: command_keep
--
-- Keeps a command's result, and what its transaction has recorded for every replica, by whatever way
-- (record, the SQL function, a trigger).
update cqrs_command
set output = $2,
    token = (
        select coalesce(json_agg(json_build_array(cqrs_id, instance_pk, revision)), '[]')::text
        from cqrs_outbox
        where xid = pg_current_xact_id() and queue is null
    )
where id = $1
returning token

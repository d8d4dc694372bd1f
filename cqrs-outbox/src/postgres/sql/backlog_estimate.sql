-- cqrs-outbox: backlog_estimate
-- As backlog.sql, without a look at the rows to send: what the server's statistics know of their number.
select
    greatest(pg_stat_get_live_tuples('cqrs_outbox'::regclass), 0),
    (
        select count(*)
        from (select from cqrs_outbox where next_attempt_at is not null limit $1 + 1) as retrying
    ),
    null::double precision,
    (select count(*) from (select from cqrs_outbox_dead where not superseded limit $1 + 1) as dead)

-- cqrs-outbox: session
-- A relay's statements find rows by index, always. A plan made while the table was small would scan
-- it whole once it is large, or large with rows that a held snapshot keeps; plans made for the
-- values of one call would change with statistics that are stale in any queue. So: one plan per
-- statement, without table scans. (The penalty by which PostgreSQL avoids them looks expensive
-- enough to compile, hence jit.)
select
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false),
    set_config('jit', 'off', false),
    -- What was published may be deleted only once, and what make_durable commits is to be on the disk.
    set_config(
        'synchronous_commit',
        case when current_setting('synchronous_commit') = 'off' then 'on' else current_setting('synchronous_commit') end,
        false
    )

-- cqrs-replica: reconcile_session
-- Readers of tables see values in the wire's zone and styles, and find rows by the key's index: a
-- plan that sorts the table anew for each page would be quadratic.
select
    set_config('timezone', 'UTC', false),
    set_config('datestyle', 'ISO, YMD', false),
    set_config('intervalstyle', 'postgres', false),
    set_config('bytea_output', 'hex', false),
    set_config('enable_seqscan', 'off', false),
    set_config('jit', 'off', false)

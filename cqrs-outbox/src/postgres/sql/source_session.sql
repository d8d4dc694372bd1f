-- cqrs-outbox: source_session
-- Readers of tables take their time, in the wire's zone and styles, and find rows by the key's
-- index: a plan that sorts the table anew for each page would be quadratic.
select
    set_config('statement_timeout', '0', false),
    set_config('idle_in_transaction_session_timeout', '0', false),
    set_config('lock_timeout', $1, false),
    set_config('timezone', 'UTC', false),
    set_config('datestyle', 'ISO, YMD', false),
    set_config('intervalstyle', 'postgres', false),
    set_config('bytea_output', 'hex', false),
    set_config('plan_cache_mode', 'force_custom_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('jit', 'off', false)

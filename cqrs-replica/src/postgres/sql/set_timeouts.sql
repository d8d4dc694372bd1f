-- cqrs-replica: set_timeouts
-- Until the transaction ends, or the savepoint in which it is said is rolled back.
select set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)

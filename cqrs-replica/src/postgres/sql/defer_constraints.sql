-- cqrs-replica: defer_constraints
-- What can be judged at the end of the transaction is judged there.
set constraints all deferred

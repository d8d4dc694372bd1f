-- cqrs-replica: losses
select worker::text, losses from cqrs_replica_worker where queue = $1 and needs_reconcile

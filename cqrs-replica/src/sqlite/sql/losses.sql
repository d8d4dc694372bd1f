-- cqrs-replica: losses
select worker, losses from cqrs_replica_worker where queue = ?1 and needs_reconcile

-- cqrs-replica: retire
delete from cqrs_replica_worker where worker = $1 and not needs_reconcile

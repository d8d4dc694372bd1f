-- cqrs-replica: make_good
-- Not if there has been another loss meanwhile.
update cqrs_replica_worker set needs_reconcile = false
where worker = $1::uuid and losses = $2

-- cqrs-replica: make_good
-- Not if there has been another loss meanwhile.
update cqrs_replica_worker set needs_reconcile = 0
where worker = ?1 and losses = ?2

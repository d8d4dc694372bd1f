-- cqrs-outbox: acquire
-- One slot a call: its holder must still have the heartbeat of the census, or none. Unlike in
-- PostgreSQL nothing has to be locked for it, since a beat is one write transaction.
update cqrs_relay_lease
set owner = ?1, epoch = epoch + 1
where slot = ?2 and epoch = ?3
    and not exists (
        select 1 from cqrs_relay as holder
        where holder.owner = cqrs_relay_lease.owner
            and (?4 is null or holder.owner <> ?4 or holder.beat <> ?5)
    )
returning epoch

-- cqrs-outbox: lapse
-- Runs before the renewal, in its transaction: peers may have judged this owner dead, so all it held
-- is free, and no judgement of theirs fits the new epochs.
update cqrs_relay_lease
set owner = null, epoch = epoch + 1
where owner = ?1
    and not exists (
        select 1 from cqrs_relay
        where cqrs_relay.owner = ?1
            and cqrs_relay.expires_at > cast(round(unixepoch('subsec') * 1000) as integer) * 1000
    )

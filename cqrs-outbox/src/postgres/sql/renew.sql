-- cqrs-outbox: renew
-- A statement of its own: the census is taken with a snapshot later than this commit, so it shows
-- every take-over that came before. One that comes after finds the beat changed; see acquire.sql.
-- The heartbeat is locked before the leases, there as well as here.
with renewed as (
    insert into cqrs_relay as relay (owner, beat, expires_at, publishing)
    values ($1, 1, clock_timestamp() + make_interval(secs => $2), $3)
    on conflict (owner) do update
        set beat = relay.beat + 1, expires_at = excluded.expires_at, publishing = excluded.publishing
    returning relay.owner
),
lapsed as (
    -- Sees the heartbeat as it was before. Peers may have judged its owner dead, so all it held is
    -- free, and no judgement of theirs fits the new epochs.
    update cqrs_relay_lease as lease
    set owner = null, epoch = lease.epoch + 1
    from renewed
    where lease.owner = renewed.owner
        and not exists (
            select from cqrs_relay
            where cqrs_relay.owner = $1 and cqrs_relay.expires_at > clock_timestamp()
        )
)
delete from cqrs_relay
where owner <> $1 and expires_at < clock_timestamp() - interval '1 hour'

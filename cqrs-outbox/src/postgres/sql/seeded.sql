-- cqrs-outbox: seeded
-- Of instances that this reader has not given a revision those that another reader has (another dump, say):
-- no event of theirs is on its way. Whatever records one says in which transaction.
select instance_pk, revision, (extract(epoch from updated) * 1000000)::bigint
from unnest($2::text[], $3::bigint[]) as named (pk, given)
join cqrs_revision as known
    on known.cqrs_id = $1 and known.instance_pk = named.pk and known.revision = named.given
where not known.deleted and known.xid is null

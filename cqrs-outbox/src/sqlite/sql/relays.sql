-- cqrs-outbox: relays
select
    owner, beat, expires_at > cast(round(unixepoch('subsec') * 1000) as integer) * 1000, publishing
from cqrs_relay
order by owner

-- cqrs-outbox: next_due
select
    next_attempt_at - cast(round(unixepoch('subsec') * 1000) as integer) * 1000
from cqrs_outbox indexed by cqrs_outbox_due
where next_attempt_at > cast(round(unixepoch('subsec') * 1000) as integer) * 1000
    and slot in (select value from json_each(?1))
order by next_attempt_at
limit 1

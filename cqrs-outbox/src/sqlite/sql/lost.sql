-- cqrs-outbox: lost
-- ?1 is [[slot, epoch], ...].
select held.value ->> 0
from json_each(?1) as held
left join cqrs_relay_lease as lease on lease.slot = held.value ->> 0
where lease.epoch is not held.value ->> 1
order by 1

-- cqrs-outbox: revive
-- A new life for instances that are there though they were recorded as deleted.
update cqrs_revision
set revision = cqrs_revision.revision + 1, updated = max(?3, updated + 1), deleted = 0, began = 1
from (select value ->> 0 as instance_pk, value ->> 1 as revision from json_each(?2)) as named
where cqrs_revision.cqrs_id = ?1 and cqrs_revision.instance_pk = named.instance_pk
  and cqrs_revision.revision = named.revision and cqrs_revision.deleted = 1

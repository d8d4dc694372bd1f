-- cqrs-outbox: dead_ids
-- Lets the ids of dead rows go on behind those that are there: logical replication, the usual way to
-- another server, carries no sequences. A role without the rights leaves it as it is.
select
    case
        when has_sequence_privilege(ids, 'USAGE') and has_sequence_privilege(ids, 'UPDATE') then
            case when newest > coalesce(pg_sequence_last_value(ids), 0) then setval(ids, newest) end
    end
from (
    select
        pg_get_serial_sequence('cqrs_outbox_dead', 'id')::regclass as ids,
        (select max(id) from cqrs_outbox_dead) as newest
) as dead

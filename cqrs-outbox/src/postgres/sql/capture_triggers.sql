-- cqrs-outbox: capture_triggers
-- The triggers that call a function of the outbox's schema, by its name: their tables and names, whether
-- they are switched on, and the function's text. A row without a trigger: there is only the function.
select case when t.oid is not null then format('%I.%I', n.nspname, c.relname) end, t.tgname::text, t.tgenabled in ('O', 'A'), p.prosrc
from pg_proc p
left join pg_trigger t on t.tgfoid = p.oid
left join pg_class c on c.oid = t.tgrelid
left join pg_namespace n on n.oid = c.relnamespace
where p.proname = $1
  and p.pronamespace = (select relnamespace from pg_class where oid = to_regclass('cqrs_outbox'))
order by 1, 2

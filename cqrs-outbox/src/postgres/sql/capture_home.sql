-- cqrs-outbox: capture_home
-- The schema of the outbox, quoted.
select quote_ident(n.nspname)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.oid = to_regclass('cqrs_outbox')

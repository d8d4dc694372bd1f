-- cqrs-outbox: record_raise
--
-- Raises an instance's revision, or carries it (a sync of an instance that is live).
-- Differs from PostgreSQL: there is one writer, so there is no lock order to keep, and statements
-- cannot be joined by `with`. The clock is the caller's: SQLite's has no microseconds.
insert into cqrs_revision as known (cqrs_id, instance_pk, revision, updated, deleted, began)
values (?1, ?2, 0, ?3, ?4, not ?4)
on conflict (cqrs_id, instance_pk) do update set
    revision = revision + iif(?5 or known.deleted, 1, 0),
    updated = iif(?5 or known.deleted, max(?3, known.updated + 1), known.updated),
    began = iif(?5 or known.deleted, known.deleted and not excluded.deleted, known.began),
    deleted = excluded.deleted
returning revision, updated

-- cqrs-core: lock
-- The write lock at once: a transaction that reads first and writes later fails, without waiting, when
-- another process wrote in between.
BEGIN IMMEDIATE

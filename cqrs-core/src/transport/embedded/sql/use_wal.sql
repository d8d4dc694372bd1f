-- cqrs-core: use_wal
-- Readers and the writer do not wait for each other. Lasts in the file; switching needs the file for
-- itself for a moment. Answers with the mode that is now in force.
PRAGMA journal_mode = WAL

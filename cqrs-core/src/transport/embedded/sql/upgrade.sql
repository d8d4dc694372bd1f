-- cqrs-core: upgrade
-- From version 1, whose messages had no `forced`.
ALTER TABLE message ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 2;

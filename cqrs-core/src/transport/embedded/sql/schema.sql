-- cqrs-core: schema
-- No foreign keys: they are off by default for whoever opens the file with sqlite3, and the trigger
-- below is not.

CREATE TABLE exchange (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- Ids are never used again: a queue deleted and declared anew is another queue to its subscribers.
CREATE TABLE queue (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE binding (
    exchange_id INTEGER NOT NULL,
    routing_key TEXT NOT NULL,
    queue_id    INTEGER NOT NULL,
    PRIMARY KEY (exchange_id, routing_key, queue_id)
) STRICT, WITHOUT ROWID;

-- A message is stored once, however many queues it is in. Ids rise in the order of commits, since
-- there is one writer at a time, and are the order of every queue.
CREATE TABLE message (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id  TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    traceparent TEXT,
    counted     INTEGER NOT NULL,
    forced      INTEGER NOT NULL,
    body        BLOB NOT NULL
) STRICT;

-- A message's place in a queue, and who holds it.
CREATE TABLE entry (
    queue_id    INTEGER NOT NULL,
    message     INTEGER NOT NULL,
    consumer_id INTEGER,
    redelivered INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (queue_id, message)
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_held ON entry (consumer_id) WHERE consumer_id IS NOT NULL;

-- One row is the lease on everything its consumer holds. `beat` counts renewals, so that peers can
-- tell a dead consumer by their own monotonic clock when the wall clock has jumped.
CREATE TABLE consumer (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id   INTEGER NOT NULL,
    beat       INTEGER NOT NULL DEFAULT 0,
    expires_at REAL NOT NULL
) STRICT;

CREATE INDEX consumer_queue ON consumer (queue_id);

CREATE TRIGGER queue_deleted AFTER DELETE ON queue
BEGIN
    DELETE FROM message
    WHERE id IN (SELECT message FROM entry WHERE queue_id = OLD.id)
      AND NOT EXISTS (
        SELECT 1 FROM queue CROSS JOIN entry
        WHERE entry.queue_id = queue.id AND entry.message = message.id
      );
    DELETE FROM entry WHERE queue_id = OLD.id;
    DELETE FROM consumer WHERE queue_id = OLD.id;
    DELETE FROM binding WHERE queue_id = OLD.id;
END;

-- 'cqrs': tells the file from any other database.
PRAGMA application_id = 1668379251;
PRAGMA user_version = 2;

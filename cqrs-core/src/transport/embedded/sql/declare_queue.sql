-- cqrs-core: declare_queue
INSERT INTO queue (name) VALUES (?1) ON CONFLICT (name) DO NOTHING

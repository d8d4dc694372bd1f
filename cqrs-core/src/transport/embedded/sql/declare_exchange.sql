-- cqrs-core: declare_exchange
INSERT INTO exchange (name) VALUES (?1) ON CONFLICT (name) DO NOTHING

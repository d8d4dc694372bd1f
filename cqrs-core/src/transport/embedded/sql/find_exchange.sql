-- cqrs-core: find_exchange
SELECT id FROM exchange WHERE name = ?1

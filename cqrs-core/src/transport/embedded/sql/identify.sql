-- cqrs-core: identify
-- Whose file it is, in which version of the schema, and whether it is still empty.
SELECT application_id, user_version, NOT EXISTS (SELECT 1 FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version

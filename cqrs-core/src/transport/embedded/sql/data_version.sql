-- cqrs-core: data_version
-- Changes when another connection, of any process, has committed. Reads shared memory only: this is
-- what makes an idle poll cheap.
PRAGMA data_version

//! The tables of both sides. Each row says which transaction (`turn`) wrote it last.

/// `turn_done` is the ledger's: a transaction that commits leaves its name there.
pub(super) const MASTER: [&str; 4] = [
    "create table turn_done (turn text primary key)",
    "create table parent (id bigint primary key, name text, counter bigint not null, turn text not null)",
    "create table child (id bigint primary key,
        parent_id bigint not null references parent on delete cascade on update cascade,
        note text, turn text not null)",
    "create table item (tenant text not null, number integer not null, payload text, turn text not null,
        primary key (tenant, number))",
];

/// The journals are written by triggers, and by the handler for `step`.
pub(super) const REPLICA: [&str; 15] = [
    "create table parent_copy (id bigint primary key, name text, counter bigint not null, turn text not null)",
    "create table child_copy (id bigint primary key, parent_id bigint not null references parent_copy,
        note text, turn text not null)",
    "create table item_copy (tenant text not null, number integer not null, payload text, turn text not null,
        primary key (tenant, number))",
    "create table step_journal (entry bigint generated always as identity primary key,
        instance text not null, revision bigint not null, signal text not null, turn text)",
    "create table row_journal (entry bigint generated always as identity primary key,
        turn text not null)",
    "create table state_journal (entry bigint generated always as identity primary key,
        cqrs_id text not null, instance text not null, revision bigint not null,
        raised boolean not null)",
    "create function note_row() returns trigger language plpgsql as
        $$ begin insert into row_journal (turn) values (new.turn); return null; end $$",
    "create trigger noted after insert or update on parent_copy for each row execute function note_row()",
    "create trigger noted after insert or update on child_copy for each row execute function note_row()",
    "create trigger noted after insert or update on item_copy for each row execute function note_row()",
    // Raised: the delete of what is deleted already, which is no more than a later revision.
    "create function note_first() returns trigger language plpgsql as
        $$ begin insert into state_journal (cqrs_id, instance, revision, raised)
           values (new.cqrs_id, new.instance_pk, new.revision, false); return null; end $$",
    "create function note_next() returns trigger language plpgsql as
        $$ begin insert into state_journal (cqrs_id, instance, revision, raised)
           values (new.cqrs_id, new.instance_pk, new.revision, old.deleted and new.deleted);
           return null; end $$",
    "create trigger noted_first after insert on cqrs_replica_state for each row
        when (new.revision >= 0) execute function note_first()",
    "create trigger noted_next after update on cqrs_replica_state for each row
        when (new.revision is distinct from old.revision or new.deleted_at is distinct from old.deleted_at)
        execute function note_next()",
    "create index on state_journal (cqrs_id, instance, entry)",
];

/// The models of both sides: three captured tables. `step` is recorded by the writers and has a handler.
pub(super) const MODELS: &str = r#"
[[master.model]]
cqrs_id = "parent"
table = "parent"
key = "id"

[[master.model]]
cqrs_id = "child"
table = "child"
key = "id"

[[master.model]]
cqrs_id = "item"
table = "item"
key = ["tenant", "number"]

[[replica.model]]
cqrs_id = "parent"
table = "parent_copy"
key = "id"
columns = { id = "id", name = "name", counter = "counter", turn = "turn" }

[[replica.model]]
cqrs_id = "child"
table = "child_copy"
key = "id"
columns = { id = "id", parent_id = "parent_id", note = "note", turn = "turn" }

[[replica.model]]
cqrs_id = "item"
table = "item_copy"
key = ["tenant", "number"]
columns = { tenant = "tenant", number = "number", payload = "payload", turn = "turn" }
"#;

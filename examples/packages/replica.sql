-- The replica's own names, and only what it wants to know. For SQLite and PostgreSQL.
create table package_copy (
    name     text not null,
    version  text not null,
    section  text,
    priority text,
    size     bigint,
    contact  text,
    summary  text,
    primary key (name, version)
);

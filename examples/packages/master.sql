-- A plain table, which knows nothing of events. For SQLite and PostgreSQL.
create table packages (
    package        text not null,
    version        text not null,
    architecture   text not null,
    section        text,
    priority       text,
    installed_size bigint,
    maintainer     text,
    homepage       text,
    depends        text,
    description    text,
    primary key (package, version)
);

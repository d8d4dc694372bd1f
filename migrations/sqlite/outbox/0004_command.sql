-- The commands that have been executed, each noted by the transaction that executed it.

create table cqrs_command (
    id          text primary key,
    name        text not null,
    -- Of the command's content, so that a repetition is told from another command.
    fingerprint blob not null,
    -- JSON. Both are null only while the command is being executed.
    output      text,
    token       text,
    executed_at integer not null
) strict, without rowid;

create index cqrs_command_age on cqrs_command (executed_at);

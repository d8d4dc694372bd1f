-- The commands that have been executed, each noted by the transaction that executed it.

create table cqrs_command (
    id          uuid primary key,
    name        text not null,
    -- Of the command's content, so that a repetition is told from another command.
    fingerprint bytea not null,
    -- JSON. Both are null only while the command is being executed.
    output      text,
    token       text,
    executed_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);

create index cqrs_command_age on cqrs_command (executed_at);

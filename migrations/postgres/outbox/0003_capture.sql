-- Capture: which models' tables are captured, and by what.
create table cqrs_capture (
    cqrs_id      text collate "C" primary key,
    -- What the model said.
    model        text not null,
    -- The number of the form of the triggers.
    form         bigint not null,
    -- The statements that made them.
    statements   text not null,
    installed_at timestamptz not null default clock_timestamp()
);

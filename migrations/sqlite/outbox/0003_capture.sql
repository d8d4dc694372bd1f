-- Recording without Rust: from any language, and from triggers on the tables of models. It works with
-- SQLite 3.38 and later, whatever program holds the connection.

-- SQLite has no SHA-256, so what is recorded in SQL has no slot: the relay finds it when it reads
-- the row, and writes it down only if the row has to be kept. The table is made anew, since a column
-- cannot be made nullable; its ids go on where they were.
create table cqrs_outbox_next (
    -- Without autoincrement, the id of the last row would be given again once it is deleted.
    id              integer primary key autoincrement,
    message_id      text not null,
    slot            integer check (slot between 0 and 63),
    cqrs_id         text not null,
    instance_pk     text not null,
    signal          text not null check (signal in ('SAVE', 'DELETE', 'SYNC')),
    queue           text,
    revision        integer not null check (revision >= 0),
    body            text not null,
    traceparent     text,
    forced          integer not null default 0 check (forced in (0, 1)),
    created_at      integer not null,
    expires_at      integer,
    attempts        integer not null default 0 check (attempts >= 0),
    next_attempt_at integer,
    last_error      text,
    check (next_attempt_at is null or attempts > 0),
    -- What waits for its next attempt is found by its slot.
    check (next_attempt_at is null or slot is not null)
) strict;

insert into sqlite_sequence (name, seq)
select 'cqrs_outbox_next', seq from sqlite_sequence where name = 'cqrs_outbox';

insert into cqrs_outbox_next (
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, expires_at, attempts, next_attempt_at, last_error
)
select
    id, message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
    created_at, expires_at, attempts, next_attempt_at, last_error
from cqrs_outbox
order by id;

drop table cqrs_outbox;
alter table cqrs_outbox_next rename to cqrs_outbox;

create index cqrs_outbox_instance on cqrs_outbox (cqrs_id, instance_pk, id);
create index cqrs_outbox_due on cqrs_outbox (next_attempt_at) where next_attempt_at is not null;
create index cqrs_outbox_unassigned on cqrs_outbox (id) where slot is null;

-- Capture: which models' tables are captured, and by what.
create table cqrs_capture (
    cqrs_id      text primary key,
    -- What the model said.
    model        text not null,
    -- The number of the form of the triggers.
    form         integer not null,
    -- The statements that made them.
    statements   text not null,
    installed_at integer not null
) strict, without rowid;

-- Rows that a REPLACE is about to take away because of another unique index than that of their key: no
-- trigger of a deletion fires for these. Empty but for the length of a statement. The keys' columns are
-- kept as they are, to look the rows up.
create table cqrs_capture_replaced (
    cqrs_id text, instance_pk text, key_json text, filtered integer, key_1, key_2, key_3
);

-- `insert into cqrs_record (cqrs_id, key, data) values ('account', 42, '{"id":42}')` records a change
-- in the transaction it stands in, by the rules of `outbox::record`. All JSON is text.
--
-- cqrs_id         the model
-- key             the instance: an integer or a text
-- key_json        or its key as JSON: a list, if it is of several columns
-- data            the state, a JSON object; of a DELETE what it carries besides the key, or nothing
-- signal          SAVE (the default), DELETE or SYNC
-- previous        of a SAVE: the state before
-- queue           of a SYNC: the one queue it is for
-- forced          of a SYNC: 1 if it is to be applied where a later revision is known
-- ttl             seconds that the event is worth sending; for ever without it
-- meta            JSON; {} without it
-- correlation_id  JSON
-- traceparent     of the trace; one that is malformed is left out
-- message_id      the identity of the event, a UUID; a new one without it
create view cqrs_record (
    cqrs_id, key, key_json, data, signal, previous, queue, forced, ttl, meta, correlation_id,
    traceparent, message_id
) as
select null, null, null, null, null, null, null, null, null, null, null, null, null
where false;

-- What has passed the checks, under its canonical key; this is where triggers of tables write. filtered
-- is 1 if replicas are not to have the instance: a delete if they may have it, or nothing. (A trigger
-- has no variables, but it has the columns of what is inserted; so this does the second half.)
create view cqrs_record_checked (
    cqrs_id, instance_pk, key_json, signal, data, previous_data, custom, queue, forced, filtered, ttl,
    meta, correlation_id, traceparent, message_id
) as
select null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
where false;

create trigger cqrs_record_insert instead of insert on cqrs_record
begin
    select case
        when typeof(new.cqrs_id) <> 'text' or new.cqrs_id = ''
            or length(cast(new.cqrs_id as blob)) > 100
            then raise(abort, 'cqrs_record: cqrs_id must be a text of 1 to 100 bytes: give the name of the model')
        when new.cqrs_id glob '*[*#]*' or new.cqrs_id glob 'cqrs.*'
            then raise(abort, 'cqrs_record: cqrs_id contains * or #, or starts with cqrs.: these are kept for routing, choose another name')
        when instr(new.cqrs_id, char(0)) > 0
            or new.cqrs_id glob '*[' || char(1) || '-' || char(32) || char(127) || '-' || char(160)
                || char(5760) || char(8192) || '-' || char(8202) || char(8232) || char(8233)
                || char(8239) || char(8287) || char(12288) || ']*'
            then raise(abort, 'cqrs_record: cqrs_id contains white space or a control character: choose another name')
        when coalesce(new.signal, 'SAVE') not in ('SAVE', 'DELETE', 'SYNC')
            then raise(abort, 'cqrs_record: signal must be SAVE, DELETE or SYNC')
        when coalesce(new.forced, 0) not in (0, 1)
            then raise(abort, 'cqrs_record: forced must be 0 or 1')
    end;
    select case
        when (new.key is null) = (new.key_json is null)
            then raise(abort, 'cqrs_record: give the key as key (an integer or a text) or as key_json (a list of these), one of the two')
        when new.key is not null and typeof(new.key) not in ('integer', 'text')
            then raise(abort, 'cqrs_record: key must be an integer or a text')
        when new.key_json is null
            then null
        when typeof(new.key_json) <> 'text' or not json_valid(new.key_json)
            then raise(abort, 'cqrs_record: key_json is not JSON: use key, or json_array(first, second)')
        when json_type(new.key_json) not in ('integer', 'text', 'array')
            or json_type(new.key_json) = 'array' and json_array_length(new.key_json) = 0
            then raise(abort, 'cqrs_record: key_json must be an integer, a text or a list of these')
        when (
            select count(*) from json_each(new.key_json)
            where typeof(value) not in ('integer', 'text') or type not in ('integer', 'text')
        ) > 0
            then raise(abort, 'cqrs_record: key_json has a part that is neither an integer of 64 bits nor a text')
    end;
    select case
        when new.data is not null and (typeof(new.data) <> 'text' or not json_valid(new.data))
            then raise(abort, 'cqrs_record: data is not JSON text: make it with json_object(), or json_quote()')
        when new.signal = 'DELETE'
            then null
        when new.data is null
            then raise(abort, 'cqrs_record: a SAVE or SYNC needs data, the state as a JSON object')
        when json_type(new.data) <> 'object'
            then raise(abort, 'cqrs_record: data must be a JSON object')
        when (
            select count(*) from json_each(new.data)
            where key in ('cqrs_revision', 'cqrs_updated')
        ) > 0
            then raise(abort, 'cqrs_record: data has a member cqrs_revision or cqrs_updated: these are added, leave them out')
    end;
    select case
        when new.previous is null
            then null
        when typeof(new.previous) <> 'text' or not json_valid(new.previous)
            then raise(abort, 'cqrs_record: previous is not JSON text: make it with json_object()')
        when json_type(new.previous) <> 'object'
            then raise(abort, 'cqrs_record: previous must be a JSON object, the state before')
    end;
    select case
        when (new.queue is not null or new.forced = 1) and coalesce(new.signal, 'SAVE') <> 'SYNC'
            then raise(abort, 'cqrs_record: queue and forced are for a SYNC: other replicas would never see that revision')
        when new.queue is not null and (
            typeof(new.queue) <> 'text' or new.queue = ''
            or length(cast(new.queue as blob)) > 120
            or instr(new.queue, char(0)) > 0
            or new.queue glob '*[*#' || char(1) || '-' || char(31) || char(127) || '-' || char(159)
                || ']*'
        )
            then raise(abort, 'cqrs_record: queue must be 1 to 120 bytes without control characters, * and #')
        when new.ttl is not null and (
            typeof(new.ttl) not in ('integer', 'real')
            or not new.ttl between 0.000001 and 3162240000
        )
            then raise(abort, 'cqrs_record: ttl must be a number of seconds above 0 and up to 100 years')
        when new.correlation_id is not null and (typeof(new.correlation_id) <> 'text' or not json_valid(new.correlation_id))
            then raise(abort, 'cqrs_record: correlation_id is not JSON text: use json_quote()')
        when new.meta is not null and (typeof(new.meta) <> 'text' or not json_valid(new.meta))
            then raise(abort, 'cqrs_record: meta is not JSON text: use json_object()')
        when new.message_id is not null and (
            new.message_id not glob '????????-????-????-????-????????????'
            or length(replace(new.message_id, '-', '')) <> 32
            or new.message_id glob '*[^0-9a-f-]*'
        )
            then raise(abort, 'cqrs_record: message_id must be a UUID in lower case with hyphens')
    end;
    insert into cqrs_record_checked (
        cqrs_id, instance_pk, key_json, signal, data, custom, previous_data, queue, forced, ttl, meta,
        correlation_id, traceparent, message_id
    )
    select
        new.cqrs_id, named.key,
        case
            when typeof(named.key) = 'integer' or json_type(new.key_json) = 'array' then named.key
            else json_quote(named.key)
        end,
        coalesce(new.signal, 'SAVE'),
        iif(new.signal = 'DELETE', null, json(new.data)),
        -- JSON's null is none, as in Rust.
        iif(new.signal = 'DELETE', nullif(json(new.data), 'null'), null),
        iif(
            new.previous is null or coalesce(new.signal, 'SAVE') <> 'SAVE', null,
            (
                -- The members whose text has changed, with their old one; json_each has only values.
                select '{' || coalesce(group_concat(json_quote(key) || ':' || old), '') || '}'
                from (
                    select
                        o.key, 0, o.id,
                        -- Older versions do not find names with quotes.
                        coalesce(
                            json(new.previous) -> o.fullkey,
                            iif(o.type in ('true', 'false'), o.type, json_quote(o.value))
                        ) as old,
                        iif(
                            n.key is null, null,
                            coalesce(
                                json(new.data) -> n.fullkey,
                                iif(n.type in ('true', 'false'), n.type, json_quote(n.value))
                            )
                        ) as now
                    from json_each(new.previous) as o
                    left join json_each(new.data) as n on n.key = o.key
                    union all
                    select n.key, 1, n.id, 'null', ''
                    from json_each(new.data) as n
                    where n.key not in (select o.key from json_each(new.previous) as o)
                    order by 2, 3
                )
                where old is not now
            )
        ),
        new.queue, new.forced, new.ttl, json(new.meta), json(new.correlation_id), new.traceparent,
        new.message_id
    from (
        select case
            when new.key_json is null then new.key
            when json_type(new.key_json) = 'array'
                then (select json_group_array(value) from json_each(new.key_json))
            else json_extract(new.key_json, '$')
        end as key
    ) as named;
end;

create trigger cqrs_record_checked_insert instead of insert on cqrs_record_checked
begin
    select case
        when new.instance_pk is null
            then raise(abort, 'cqrs_record: the key is null')
        when new.instance_pk = ''
            then raise(abort, 'cqrs_record: the key is empty')
        when length(cast(new.instance_pk as blob)) > 512
            then raise(abort, 'cqrs_record: the key is longer than 512 bytes')
        when instr(new.instance_pk, char(0)) > 0
            then raise(abort, 'cqrs_record: the key contains a NUL character')
        when new.data is null and new.signal <> 'DELETE' and not coalesce(new.filtered, 0)
            then raise(abort, 'cqrs_record: there is no data')
        -- 250 bytes are the names of the members and the longest revision and times.
        when 250 + length(cast(new.cqrs_id as blob)) + 2 * length(cast(new.key_json as blob))
            + coalesce(length(cast(new.data as blob)), 0)
            + coalesce(length(cast(new.previous_data as blob)), 0)
            + coalesce(length(cast(new.custom as blob)), 0)
            + coalesce(length(cast(new.correlation_id as blob)), 0)
            + coalesce(length(cast(new.meta as blob)), 0) > 1048576
            then raise(abort, 'cqrs_record: the event is longer than 1 MiB: publish fewer columns')
    end;
    -- The event first, with what the next statement will make of the revision: a delete that is
    -- filtered needs to see whether the instance is live. The time is the same in all statements.
    insert into cqrs_outbox (
        message_id, slot, cqrs_id, instance_pk, signal, queue, revision, body, traceparent, forced,
        created_at, expires_at
    )
    select
        coalesce(
            new.message_id,
            -- A UUID of version 7.
            printf(
                '%08x-%04x-7%03x-%04x-%012x', now / 1000 >> 16, now / 1000 & 0xffff,
                random() & 0xfff, random() & 0x3fff | 0x8000, random() & 0xffffffffffff
            )
        ),
        null, new.cqrs_id, new.instance_pk, signal, new.queue, revision,
        '{"signal_type":"' || signal || '","cqrs_id":' || json_quote(new.cqrs_id)
            || ',"instance_data":{'
            || case
                when signal = 'DELETE'
                    then '"id":' || new.key_json || coalesce(',"custom":' || new.custom, '') || ','
                when new.data = '{}' then ''
                else substr(new.data, 2, length(new.data) - 2) || ','
            end
            || '"cqrs_revision":' || revision
            || ',"cqrs_updated":"'
            || strftime('%Y-%m-%d %H:%M:%S', updated / 1000000, 'unixepoch')
            || iif(updated % 1000000 = 0, '', printf('.%06d', updated % 1000000))
            || '+00:00"},"previous_data":'
            || coalesce(iif(signal = 'SAVE', new.previous_data, null), 'null')
            || ',"instance_pk":' || new.key_json
            || ',"correlation_id":' || coalesce(new.correlation_id, 'null')
            || ',"retries":0,"expires":'
            || coalesce(strftime('"%Y-%m-%dT%H:%M:%S+00:00"', expires_at / 1000000, 'unixepoch'), 'null')
            || ',"meta":' || coalesce(new.meta, '{}') || '}',
        iif(
            length(new.traceparent) = 55 and new.traceparent not glob '*[^0-9a-f-]*'
                and length(replace(new.traceparent, '-', '')) = 52
                and new.traceparent glob '??-????????????????????????????????-????????????????-??',
            new.traceparent, null
        ),
        coalesce(new.forced, 0), now, expires_at
    from (
        select
            event.*,
            coalesce(known.revision + (event.signal <> 'SYNC' or known.deleted), 0) as revision,
            case
                when known.revision is null then event.now
                when event.signal <> 'SYNC' or known.deleted then max(event.now, known.updated + 1)
                else known.updated
            end as updated
        from (
            select
                clock.now,
                iif(coalesce(new.filtered, 0), 'DELETE', new.signal) as signal,
                -- To a whole second, rounded up.
                (clock.now + cast(round(new.ttl * 1000000) as integer) + 999999) / 1000000 * 1000000
                    as expires_at
            from (
                select cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000
                    as now
            ) as clock
        ) as event
        left join cqrs_revision as known
            on known.cqrs_id = new.cqrs_id and known.instance_pk = new.instance_pk
        where not coalesce(new.filtered, 0) or not known.deleted
    );
    insert into cqrs_revision (cqrs_id, instance_pk, revision, updated, deleted, began)
    select new.cqrs_id, new.instance_pk, 0, event.now, event.deleted, not event.deleted
    from (
        select
            cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000 as now,
            coalesce(new.filtered, 0) or new.signal = 'DELETE' as deleted
    ) as event
    where not coalesce(new.filtered, 0)
        or exists (
            select 1 from cqrs_revision as known
            where known.cqrs_id = new.cqrs_id and known.instance_pk = new.instance_pk
                and not known.deleted
        )
    on conflict (cqrs_id, instance_pk) do update set
        revision = revision + (new.signal <> 'SYNC' or excluded.deleted or cqrs_revision.deleted),
        updated = iif(
            new.signal <> 'SYNC' or excluded.deleted or cqrs_revision.deleted,
            max(excluded.updated, cqrs_revision.updated + 1), cqrs_revision.updated
        ),
        began = iif(
            new.signal <> 'SYNC' or excluded.deleted or cqrs_revision.deleted,
            cqrs_revision.deleted and not excluded.deleted, cqrs_revision.began
        ),
        deleted = excluded.deleted;
end;

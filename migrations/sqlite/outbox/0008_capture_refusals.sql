-- Capture never makes a write fail for a reason of its own: what cannot be an event is kept as a dead row
-- that says why.

-- The columns of the table when it was captured, as JSON: [[name, type], ...]; null if another version did it.
alter table cqrs_capture add column columns text;

-- Of instances that were refused: whether that is known already.
create index cqrs_outbox_dead_refused on cqrs_outbox_dead (cqrs_id, instance_pk) where body = '';

-- As before, but for the limit.
drop trigger cqrs_record_checked_insert;

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
            + coalesce(length(cast(new.custom as blob)), 0)
            + coalesce(length(cast(new.correlation_id as blob)), 0)
            + coalesce(length(cast(new.meta as blob)), 0) > 134217728
            then raise(abort, 'cqrs_record: the event is longer than 128 MiB: publish fewer or shorter columns')
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
            || coalesce(
                -- Old values that would make the body too long are left out.
                iif(
                    signal = 'SAVE'
                        and length(cast(new.data as blob)) + length(cast(new.previous_data as blob))
                            <= 134000000,
                    new.previous_data, null
                ),
                'null'
            )
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

-- Changes of captured rows: this is where triggers of tables write. What can be an event goes on to
-- cqrs_record_checked, the others are kept as dead rows without a body, one for each instance. The
-- deletion of what can be no instance is nothing.
create view cqrs_captured (
    cqrs_id, instance_pk, key_json, signal, data, previous_data, filtered, ttl
) as
select null, null, null, null, null, null, null, null where false;

-- The same with what is wrong.
create view cqrs_captured_judged (
    cqrs_id, instance_pk, key_json, signal, data, previous_data, filtered, ttl, problem
) as
select null, null, null, null, null, null, null, null, null where false;

create trigger cqrs_captured_insert instead of insert on cqrs_captured
begin
    insert into cqrs_captured_judged
    select
        new.cqrs_id, new.instance_pk, new.key_json, new.signal, new.data, new.previous_data,
        new.filtered, new.ttl,
        case
            when new.instance_pk is null or new.key_json is null then 'its key is null'
            when new.instance_pk = '' then 'its key is empty'
            when length(cast(new.instance_pk as blob)) > 512
                then 'its key is ' || length(cast(new.instance_pk as blob)) || ' bytes long, the limit is 512'
            when instr(new.instance_pk, char(0)) > 0 then 'its key contains a NUL character'
            when substr(new.key_json, 1, 1) = '[' and exists (
                select 1 from json_each(new.key_json) where type = 'null'
            )
                then 'a part of its key is null'
            when 500 + length(cast(new.cqrs_id as blob)) + 2 * length(cast(new.key_json as blob))
                + length(cast(new.data as blob)) > 134217728
                then 'its body would be some ' || length(cast(new.data as blob)) || ' bytes long, the limit is 134217728: publish fewer or shorter columns'
        end;
end;

create trigger cqrs_captured_judged_insert instead of insert on cqrs_captured_judged
begin
    insert into cqrs_record_checked (
        cqrs_id, instance_pk, key_json, signal, data, previous_data, filtered, ttl
    )
    select
        new.cqrs_id, new.instance_pk, new.key_json, new.signal, new.data, new.previous_data,
        new.filtered, new.ttl
    where new.problem is null;
    insert into cqrs_outbox_dead (
        message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at, attempts, reason,
        error, died_at
    )
    select
        printf(
            '%08x-%04x-7%03x-%04x-%012x', now / 1000 >> 16, now / 1000 & 0xffff,
            random() & 0xfff, random() & 0x3fff | 0x8000, random() & 0xffffffffffff
        ),
        0, new.cqrs_id, coalesce(substr(new.instance_pk, 1, 512), ''), new.signal,
        coalesce((
            select known.revision from cqrs_revision as known
            where known.cqrs_id = new.cqrs_id and known.instance_pk = new.instance_pk
        ), 0),
        '', now, 0, 'failed', new.problem, now
    from (
        select cast(round((julianday('now') - 2440587.5) * 86400000) as integer) * 1000 as now
    )
    where new.problem is not null and new.signal <> 'DELETE' and not coalesce(new.filtered, 0)
        and not exists (
            select 1 from cqrs_outbox_dead as dead
            where dead.cqrs_id = new.cqrs_id
                and dead.instance_pk = coalesce(substr(new.instance_pk, 1, 512), '')
                and dead.body = ''
        );
end;

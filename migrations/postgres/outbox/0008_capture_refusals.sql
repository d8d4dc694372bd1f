-- Capture never makes a write fail for a reason of its own: what cannot be an event is kept as a dead row
-- that says why. And nothing of an instance that was there before the outbox is forgotten: what begins
-- and ends in a transaction leaves a mark for dumps that still see it.

-- The columns of the table when it was captured, as JSON: [[name, type], ...]; null if another version did it.
alter table cqrs_capture add column columns text;

-- Of instances that were refused: whether that is known already.
create index cqrs_outbox_dead_refused on cqrs_outbox_dead (cqrs_id, instance_pk) where body = '';

do $migration$
declare
    home text := (
        select quote_ident(n.nspname)
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = 'cqrs_outbox'::regclass
    );
begin
execute replace($sql$

-- As before, but with less memory for a large state.
create or replace function @cqrs@.cqrs_body(
    signal text, cqrs_id text, key text, data text, previous text, correlation_id text, meta text,
    revision bigint, updated timestamptz, expires timestamptz
) returns text
language sql stable parallel safe
as $function$
    select '{"signal_type":"' || signal || '","cqrs_id":' || to_json(cqrs_id)::text
        || ',"instance_data":{'
        || case
            when signal = 'DELETE' then '"id":' || key || coalesce(',"custom":' || data, '') || ','
            when data = '{}' then ''
            -- btrim takes eight bytes of memory for each character, of which there may be millions.
            when left(data, 2) = '{"' and right(data, 1) = '}' and left(right(data, 2), 1) not in (' ', E'\t', E'\n', E'\r')
                then left(substr(data, 2), -1) || ','
            when btrim(substr(btrim(data, E' \t\n\r'), 2), E' \t\n\r') = '}' then ''
            else btrim(
                left(substr(btrim(data, E' \t\n\r'), 2), -1), E' \t\n\r'
            ) || ','
        end
        || '"cqrs_revision":' || revision::text || ',"cqrs_updated":"'
        || replace(to_char(updated at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '.000000', '')
        || '+00:00"},"previous_data":' || coalesce(previous, 'null')
        || ',"instance_pk":' || key
        || ',"correlation_id":' || coalesce(correlation_id, 'null') || ',"retries":0,"expires":'
        || coalesce(to_char(expires at time zone 'UTC', '"\""YYYY-MM-DD"T"HH24:MI:SS"+00:00\""'), 'null')
        || ',"meta":' || coalesce(meta, '{}') || '}'
$function$;

-- As before, but for the limit, and for instances of which nothing was ever sent: marked as deleted, with
-- began.
create or replace function @cqrs@.cqrs_record_new(
    model text, pks text[], keys text[], signals text[], states text[], olds text[],
    to_queue text, is_forced boolean, lasts interval, meta_json text, correlation text, trace text,
    new_id uuid
) returns integer[]
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set enable_seqscan = off
set enable_nestloop = off
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
#variable_conflict use_column
declare
    bad record;
    again integer[];
begin
    select pk, problem into bad
    from (
        select pk, case
            when pk is null then 'its key is null'
            when pk = '' then 'its key is empty'
            when octet_length(convert_to(pk, 'UTF8')) > 512
                then 'its key is ' || octet_length(convert_to(pk, 'UTF8')) || ' bytes long, the limit is 512'
            when coalesce(octet_length(state), 0) + coalesce(octet_length(meta_json), 0) + coalesce(octet_length(correlation), 0) > 44000000
            then (
                select 'its body would be ' || len || ' bytes long, the limit is 134217728'
                from (
                    select octet_length(convert_to(@cqrs@.cqrs_body(
                        case when signal = 'DROP' then 'DELETE' else signal end, model, key, state,
                        null, correlation, meta_json, 0,
                        timestamptz '2000-01-01 00:00:00.1+00', null
                    -- The longest revision and an expiry in place of the shortest.
                    ), 'UTF8')) + 18 + 23 as len
                ) as body
                where len > 134217728
            )
        end as problem
        from unnest(pks, keys, signals, states, olds) as input (pk, key, signal, state, old)
    ) as judged
    where problem is not null
    limit 1;
    if found then
        raise exception 'cannot record % %: %', model, coalesce(left(bad.pk, 512), 'null'), bad.problem
        using errcode = 'invalid_parameter_value',
            hint = 'Give each instance a key of 1 to 512 bytes, and publish fewer or shorter columns.';
    end if;

    with input as materialized (
        select case when new_id is null then @cqrs@.cqrs_uuid7() else new_id end as message_id, input.*
        from unnest(pks, keys, signals, states, olds) with ordinality
            as input (instance_pk, key, kind, state, old, place)
    ),
    raised as (
        insert into @cqrs@.cqrs_revision as known
            (cqrs_id, instance_pk, revision, updated, deleted, began, xid)
        select
            model, instance_pk, 0, clock_timestamp(), kind in ('DELETE', 'DROP'),
            kind not in ('DELETE', 'DROP'),
            case when kind <> 'SYNC' then pg_current_xact_id() end
        from input
        where kind <> 'DROP'
            or (
                select not live.deleted
                from @cqrs@.cqrs_revision as live
                where live.cqrs_id = model and live.instance_pk = input.instance_pk
            )
        order by instance_pk collate "C"
        on conflict (cqrs_id, instance_pk) do update set
            (revision, updated, began, xid) = (
                select
                    case
                        -- Nothing was ever sent of it.
                        when carried or known.deleted and known.began then known.revision
                        else known.revision + 1
                    end,
                    case when carried then known.updated
                         else greatest(clock_timestamp(), known.updated + interval '1 microsecond')
                    end,
                    case when carried then known.began else known.deleted and not excluded.deleted end,
                    case when carried then known.xid else pg_current_xact_id() end
                from (
                    select not known.deleted and known.instance_pk in (
                        select instance_pk from input where kind = 'SYNC'
                    ) as carried
                ) as kind
            ),
            deleted = excluded.deleted
        where known.xid is distinct from pg_current_xact_id()
            or known.updated < transaction_timestamp()
        returning known.instance_pk, known.revision, known.updated
    ),
    written as (
        insert into @cqrs@.cqrs_outbox (
            message_id, slot, cqrs_id, instance_pk, signal, queue, revision, traceparent, forced,
            expires_at, body
        )
        select
            message_id,
            get_byte(sha256(
                convert_to(model, 'UTF8') || '\x00'::bytea || convert_to(instance_pk, 'UTF8')
            ), 0) & 63,
            model, instance_pk, signal, case when kind = 'SYNC' then to_queue end, revision, trace,
            kind = 'SYNC' and is_forced, expires_at,
            convert_to(@cqrs@.cqrs_body(
                signal, model, key, state, case
                    -- Old values that would make the body too long are left out.
                    when kind = 'SAVE' and octet_length(state) + octet_length(old) <= 134000000
                        then old
                end, correlation, meta_json,
                revision, updated, expires_at
            ), 'UTF8')
        from (
            select input.*, raised.revision, raised.updated,
                case when kind = 'DROP' then 'DELETE' else kind end as signal,
                @cqrs@.cqrs_expiry(lasts) as expires_at
            from input join raised using (instance_pk)
            -- The clock is read once for a row.
            offset 0
        ) as event
        order by place
        returning instance_pk
    )
    select array_agg(place::integer order by place)
    into again
    from input
    where case
        when instance_pk in (select instance_pk from raised) then false
        else (
            select known.xid = pg_current_xact_id() and known.updated >= transaction_timestamp()
            from @cqrs@.cqrs_revision as known
            where known.cqrs_id = model and known.instance_pk = input.instance_pk
        )
    end;
    return coalesce(again, '{}');
end
$function$;

-- As before, but for the limit and for what it leaves of an instance that ends where it began.
create or replace function @cqrs@.cqrs_record_again(
    model text, pks text[], keys text[], signals text[], states text[], olds text[],
    to_queue text, is_forced boolean, lasts interval, meta_json text, correlation text, trace text,
    new_id uuid
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set enable_seqscan = off
set enable_nestloop = off
set plan_cache_mode = force_generic_plan
set jit = off
as $function$
#variable_conflict use_column
declare
    bad record;
    lost text;
    done integer;
    undone text[];
    gone bigint[];
    kept bigint[];
    added bigint[];
begin
    -- What nothing takes the place of: all of an instance that began in this transaction and ends in
    -- it; else all but the first to everyone, once it ends; else all but the first of each kind.
    select
        array_agg(id) filter (where ends and began or ends and place_to_all > 1 or not ends and place_of_kind > 1),
        array_agg(id) filter (where not (ends and began or ends and place_to_all > 1 or not ends and place_of_kind > 1)),
        array_agg(distinct instance_pk) filter (where ends and began),
        min(instance_pk) filter (where id is null) as lost
    into gone, kept, undone, lost
    from (
        select input.instance_pk, input.ends, known.began, row.id,
            row_number() over (
                partition by input.instance_pk order by (row.queue is not null), row.id
            ) as place_to_all,
            row_number() over (
                partition by input.instance_pk, row.queue, row.forced order by row.id
            ) as place_of_kind
        from (
            select pk as instance_pk, signal in ('DELETE', 'DROP') as ends
            from unnest(pks, signals) as input (pk, signal)
        ) as input
        cross join lateral (
            select revision, began from @cqrs@.cqrs_revision
            where cqrs_id = model and instance_pk = input.instance_pk
            offset 0
        ) as known
        left join lateral (
            select id, queue, forced from @cqrs@.cqrs_outbox
            where cqrs_id = model and instance_pk = input.instance_pk and revision = known.revision
                -- No condition that the index on transactions could meet.
                and xid is not distinct from pg_current_xact_id()
            order by 0 + id
        ) as row on true
    ) as earlier;
    if lost is not null then
        raise exception 'cannot record % %: its revision was raised in this transaction and its event is gone',
            model, lost
        using errcode = 'data_corrupted',
            hint = 'Leave rows of cqrs_outbox alone that your own transaction has recorded.';
    end if;

    delete from @cqrs@.cqrs_outbox where id = any (gone);

    update @cqrs@.cqrs_revision as known
    set deleted = input.signal in ('DELETE', 'DROP'),
        updated = greatest(clock_timestamp(), known.updated + interval '1 microsecond')
    from unnest(pks, signals) as input (instance_pk, signal)
    where known.cqrs_id = model and known.instance_pk = any (pks)
        and known.instance_pk = input.instance_pk
        and not (known.began and input.signal in ('DELETE', 'DROP'));
    -- What is undone gets its revision back. Of one that had none the row stays, marked as deleted and
    -- never sent: its row may be older than the outbox, and a dump that still sees it must not send it.
    if undone is not null then
        update @cqrs@.cqrs_revision
        set revision = greatest(revision - 1, 0), deleted = true, began = revision = 0, xid = null
        where cqrs_id = model and instance_pk = any (undone);
    end if;

    with earlier as materialized (
        select row.id, row.instance_pk, row.revision, row.signal, row.queue, row.forced,
            row.traceparent, row.expires_at, convert_from(row.body, 'UTF8')::json as body,
            input.key, input.kind, input.state, input.old,
            input.kind in ('DELETE', 'DROP') as ends,
            -- Of what the change is about, its own word counts.
            input.kind in ('DELETE', 'DROP') or (
                row.queue is not distinct from case when input.kind = 'SYNC' then to_queue end
                and row.forced = (input.kind = 'SYNC' and is_forced)
            ) as mine,
            bool_or(row.signal <> 'SYNC') over of_instance or input.kind = 'SAVE' as saves,
            bool_or(row.signal <> 'SYNC') over of_instance as saved
        from @cqrs@.cqrs_outbox as row
        join unnest(pks, keys, signals, states, olds) as input (instance_pk, key, kind, state, old)
            using (instance_pk)
        where row.id = any (kept)
        window of_instance as (partition by row.instance_pk)
    ),
    worded as materialized (
        select earlier.id, earlier.instance_pk, earlier.revision, earlier.key,
            earlier.state, known.updated,
            case when ends then 'DELETE' when queue is not null or forced or not saves then 'SYNC' else 'SAVE' end
                as signal,
            not ends and forced as forced,
            case when mine then trace else traceparent end as traceparent,
            case when mine then @cqrs@.cqrs_expiry(lasts) else expires_at end as expires_at,
            case when mine then correlation else (body -> 'correlation_id')::text end as correlation,
            case when mine then meta_json else (body -> 'meta')::text end as meta,
            case
                when ends then null
                when signal = 'SAVE' and position('"previous_data":null,"instance_pk":' in body::text) > 0
                    then null
                -- PostgreSQL cannot take JSON apart that has a NUL or half of a surrogate pair: no old values.
                when position('\u0000' in body::text || state || coalesce(old, '')) > 0
                    or position('\ud' in lower(body::text || state || coalesce(old, ''))) > 0
                    then null
                when signal = 'SAVE' and (body -> 'previous_data')::text <> 'null' then
                    @cqrs@.cqrs_merged(body -> 'previous_data', coalesce(old, '{}')::json, state::json)
                -- What the first one did not know, the later ones do not either.
                when not saved then old
            end as previous
        from earlier
        cross join lateral (
            select updated from @cqrs@.cqrs_revision
            where cqrs_id = model and instance_pk = earlier.instance_pk
            offset 0
        ) as known
        offset 0
    ),
    restated as materialized (
        select worded.id, instance_pk, revision, key, state, updated, signal, forced, traceparent,
            expires_at, correlation, meta,
            -- Old values that would make the body too long are left out, as if they were not known.
            case
                when octet_length(state) + octet_length(previous) <= 134000000 then previous
            end as previous
        from worded
        offset 0
    )
    update @cqrs@.cqrs_outbox as row
    set signal = restated.signal, forced = restated.forced, traceparent = restated.traceparent,
        expires_at = restated.expires_at,
        body = convert_to(@cqrs@.cqrs_body(
            restated.signal, model, restated.key, restated.state,
            case when restated.signal = 'SAVE' then restated.previous end,
            restated.correlation, restated.meta, restated.revision, restated.updated,
            restated.expires_at
        ), 'UTF8')
    from restated
    where row.id = any (kept) and row.id = restated.id;
    get diagnostics done = row_count;
    if done <> coalesce(cardinality(kept), 0) then
        raise exception 'cannot record %: % of % events of this transaction are still there',
            model, done, cardinality(kept)
        using errcode = 'data_corrupted';
    end if;

    -- A change of a kind that was not recorded before is an event beside the others.
    with added as (
        insert into @cqrs@.cqrs_outbox (
            message_id, slot, cqrs_id, instance_pk, signal, queue, revision, traceparent, forced,
            expires_at, body
        )
        select
            coalesce(new_id, @cqrs@.cqrs_uuid7()), slot, model, instance_pk, kind, queue, revision, trace,
            forced, expires_at,
            convert_to(@cqrs@.cqrs_body(
                kind, model, key, state, case
                    -- Old values that would make the body too long are left out.
                    when kind = 'SAVE' and octet_length(state) + octet_length(old) <= 134000000
                        then old
                end, correlation, meta_json,
                revision, updated, expires_at
            ), 'UTF8')
        from (
            select input.instance_pk, input.key, input.kind, input.state, input.old, known.revision,
                known.updated, row.slot,
                case when kind = 'SYNC' then to_queue end as queue,
                kind = 'SYNC' and is_forced as forced,
                @cqrs@.cqrs_expiry(lasts) as expires_at
            from unnest(pks, keys, signals, states, olds) as input (instance_pk, key, kind, state, old)
            cross join lateral (
                select revision, updated from @cqrs@.cqrs_revision
                where cqrs_id = model and instance_pk = input.instance_pk
                offset 0
            ) as known
            cross join lateral (
                select min(slot) as slot, bool_or(
                    queue is not distinct from case when input.kind = 'SYNC' then to_queue end
                    and forced = (input.kind = 'SYNC' and is_forced)
                ) as there
                from (
                    select slot, queue, forced from @cqrs@.cqrs_outbox
                    where cqrs_id = model and instance_pk = input.instance_pk
                        and revision = known.revision and xid is not distinct from pg_current_xact_id()
                    order by 0 + id
                ) as mine
            ) as row
            where input.kind not in ('DELETE', 'DROP') and not row.there
            offset 0
        ) as event
        returning id
    )
    select array_agg(id) into added from added;

    select instance_pk, len into bad
    from (
        select row.instance_pk, octet_length(row.body) + 19 - length(row.revision::text)
            + case when row.expires_at is null then 23 else 0 end as len
        from @cqrs@.cqrs_outbox as row
        where row.id = any (kept || added)
    ) as measured
    where len > 134217728
    limit 1;
    if found then
        raise exception 'cannot record % % together with its earlier changes in this transaction: its body would be % bytes long, the limit is 134217728',
            model, bad.instance_pk, bad.len
        using errcode = 'invalid_parameter_value';
    end if;
end
$function$;

-- Keeps changes that cannot be events as dead rows without a body, one for each instance, and says so in a
-- warning. Nobody waits for anybody here, so two transactions may both keep one of the same instance.
create function @cqrs@.cqrs_capture_refuse(model text, pks text[], signals text[], problems text[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
set enable_seqscan = off
as $function$
#variable_conflict use_column
declare
    refused record;
begin
    for refused in
        select distinct on (pk) coalesce(left(pk, 512), '') as pk,
            case signal when 'DROP' then 'DELETE' else signal end as signal, problem
        from unnest(pks, signals, problems) as input (pk, signal, problem)
    loop
        continue when exists (
            select from @cqrs@.cqrs_outbox_dead as dead
            where dead.cqrs_id = model and dead.instance_pk = refused.pk and dead.body = ''
        );
        insert into @cqrs@.cqrs_outbox_dead (
            message_id, slot, cqrs_id, instance_pk, signal, revision, body, created_at, attempts,
            reason, error
        )
        values (
            @cqrs@.cqrs_uuid7(),
            get_byte(sha256(
                convert_to(model, 'UTF8') || '\x00'::bytea || convert_to(refused.pk, 'UTF8')
            ), 0) & 63,
            model, refused.pk, refused.signal,
            coalesce((
                select revision from @cqrs@.cqrs_revision
                where cqrs_id = model and instance_pk = refused.pk
            ), 0),
            '', statement_timestamp(), 0, 'failed', refused.problem
        );
        raise warning 'cqrs: a change of % % is not sent: %', model, left(refused.pk, 80), refused.problem
        using hint = 'It is kept as a dead row: see "cqrs-relay dead list".';
    end loop;
end
$function$;

-- Which of the changes of captured rows can be events: their places, or null for all of them. The others are
-- refused; the deletion of what can be no instance is nothing.
create function @cqrs@.cqrs_capture_sift(
    model text, pks text[], keys text[], signals text[], states text[]
) returns integer[]
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $function$
#variable_conflict use_column
declare
    good integer[];
    bad_pks text[];
    bad_signals text[];
    problems text[];
begin
    -- A character of another encoding takes up to three bytes in UTF-8.
    if not exists (
        select from unnest(pks, states) as input (pk, state)
        where pk is null or pk = '' or octet_length(pk) > 170
            or octet_length(state) > 44000000
    ) then
        return null;
    end if;
    select
        array_agg(place::integer order by place) filter (where problem is null),
        array_agg(pk order by place) filter (where problem is not null and signal = 'SAVE'),
        array_agg(signal order by place) filter (where problem is not null and signal = 'SAVE'),
        array_agg(problem order by place) filter (where problem is not null and signal = 'SAVE')
    into good, bad_pks, bad_signals, problems
    from (
        select place, pk, signal, state, case
            when pk is null then 'its key is null'
            when pk = '' then 'its key is empty'
            when octet_length(convert_to(pk, 'UTF8')) > 512
                then 'its key is ' || octet_length(convert_to(pk, 'UTF8')) || ' bytes long, the limit is 512'
            when octet_length(state) > 300000000 then 'its state is ' || octet_length(state)
                || ' bytes long, the limit of an event is 134217728: publish fewer or shorter columns'
            when 500 + octet_length(convert_to(model, 'UTF8')) + 2 * octet_length(convert_to(key, 'UTF8'))
                + octet_length(convert_to(state, 'UTF8')) > 134217728
                then 'its body would be some ' || octet_length(convert_to(state, 'UTF8')) || ' bytes long, the limit is 134217728: publish fewer or shorter columns'
        end as problem
        from unnest(pks, keys, signals, states) with ordinality
            as input (pk, key, signal, state, place)
    ) as judged;
    if problems is not null then
        perform @cqrs@.cqrs_capture_refuse(model, bad_pks, bad_signals, problems);
    end if;
    return coalesce(good, '{}');
end
$function$;

-- What has become of columns of a table that had these types, in words; null if they are as they were. Types
-- are named as the caller's search path has them.
create function @cqrs@.cqrs_capture_changes(relation oid, names text[], types text[]) returns text
language plpgsql stable
as $function$
begin
    return (
        select string_agg(
            case
                when now.attname is null then was.name || ' is gone'
                else was.name || ' was ' || was.type || ' and is ' || pg_catalog.format_type(now.atttypid, null)
            end,
            ', ' order by was.place
        )
        from unnest(names, types) with ordinality as was (name, type, place)
        left join pg_catalog.pg_attribute as now
            on now.attrelid = relation and now.attname = was.name and not now.attisdropped and now.attnum > 0
        where now.attname is null or pg_catalog.format_type(now.atttypid, null) <> was.type
    );
end
$function$;

-- The captured table of which this one is, or is a part: the uppermost one that has the trigger's function.
create function @cqrs@.cqrs_captured_root(relation oid, trigger_name name) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $function$
    with recursive up (oid, height) as (
        select relation, 0
        union all
        select part.inhparent, up.height + 1
        from up
        join pg_inherits as part on part.inhrelid = up.oid
        where exists (
            select from pg_trigger as mine
            join pg_trigger as its on its.tgfoid = mine.tgfoid and its.tgrelid = part.inhparent
            where mine.tgrelid = relation and mine.tgname = trigger_name
        )
    )
    select oid from up order by height desc limit 1
$function$;

$sql$, '@cqrs@', home);
end
$migration$;

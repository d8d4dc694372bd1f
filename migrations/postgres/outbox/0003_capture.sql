-- Recording from SQL: cqrs_record for any language, and what the triggers of a captured table call.
--
-- The functions do what cqrs-outbox does in Rust, with the same outcome. They name everything with its
-- schema, which is put in for @cqrs@ below, and look nowhere else: a trigger runs them with its owner's
-- rights, and nobody may slip them a table or an operator. Their plans must not depend on what is in
-- the tables when a session makes them: lookups by key are laterals that cannot be anything but index
-- scans, and what is joined besides is sets of any size, so never row by row.

-- Which models' tables are captured, and by what.
create table cqrs_capture (
    cqrs_id      text collate "C" primary key,
    -- What the model said.
    model        text not null,
    -- The number of the form of the triggers.
    form         bigint not null,
    -- A digest of the statements that made them.
    statements   text not null,
    installed_at timestamptz not null default clock_timestamp()
);

do $migration$
declare
    home text := (
        select quote_ident(n.nspname)
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = 'cqrs_outbox'::regclass
    );
begin
execute replace($sql$

-- A UUID of version 7: the time in milliseconds, then chance.
create function @cqrs@.cqrs_uuid7() returns uuid
language sql volatile parallel safe
as $function$
    select encode(
        set_bit(set_bit(
            overlay(
                uuid_send(gen_random_uuid())
                placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6
            ),
            52, 1
        ), 53, 1),
        'hex'
    )::uuid
$function$;

-- A body, byte for byte as cqrs_core::wire writes it. Of a delete, data is its custom data.
create function @cqrs@.cqrs_body(
    signal text, cqrs_id text, key text, data text, previous text, correlation_id text, meta text,
    revision bigint, updated timestamptz, expires timestamptz
) returns text
language sql stable parallel safe
as $function$
    select '{"signal_type":"' || signal || '","cqrs_id":' || to_json(cqrs_id)::text
        || ',"instance_data":{'
        || case
            when signal = 'DELETE' then '"id":' || key || coalesce(',"custom":' || data, '') || ','
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

-- The members of before whose text is another one in after, with their old values.
create function @cqrs@.cqrs_changed(before json, after json) returns text
language sql immutable parallel safe
as $function$
    select coalesce('{' || string_agg(to_json(name)::text || ':' || old, ',' order by added, place) || '}', '{}')
    from (
        select o.key, coalesce((before -> o.key)::text, 'null'), false, min(o.place)
        from json_each(before) with ordinality as o(key, value, place)
        group by o.key
        union all
        select n.key, 'null', true, min(n.place)
        from json_each(after) with ordinality as n(key, value, place)
        where (before -> n.key) is null
        group by n.key
    ) as member (name, old, added, place)
    where (before -> name)::text is distinct from (after -> name)::text
$function$;

-- The changes of two steps as those of one: the older value of each member, unless the state after
-- the second is back at it.
create function @cqrs@.cqrs_merged(older json, newer json, after json) returns text
language sql immutable parallel safe
as $function$
    select coalesce('{' || string_agg(to_json(name)::text || ':' || old, ',' order by added, place) || '}', '{}')
    from (
        select o.key, o.value::text, false, o.place
        from json_each(older) with ordinality as o(key, value, place)
        union all
        select n.key, n.value::text, true, n.place
        from json_each(newer) with ordinality as n(key, value, place)
        where (older -> n.key) is null
    ) as member (name, old, added, place)
    where old is distinct from (after -> name)::text
$function$;

-- When an event that lasts so long is worth nothing any more: whole seconds, rounded up.
create function @cqrs@.cqrs_expiry(lasts interval) returns timestamptz
language sql volatile parallel safe
as $function$
    select date_trunc('second', clock_timestamp() + lasts + interval '999999 microseconds', 'UTC')
$function$;

-- Raises revisions and writes events, as record.sql does, of different instances of one model. What
-- was recorded of them before in this transaction is left for cqrs_record_again: answers with their
-- places. A signal is SAVE, DELETE, SYNC, or DROP: filtered out, a delete if it is live. keys are
-- JSON; data is the state as the text of an object, of a delete or drop its custom data; olds are the
-- old values of what has changed.
create function @cqrs@.cqrs_record_new(
    model text, pks text[], keys text[], signals text[], states text[], olds text[],
    to_queue text, is_forced boolean, lasts interval, meta_json text, correlation text, trace text,
    new_id uuid
) returns integer[]
language plpgsql
set search_path = pg_catalog, pg_temp
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
            when coalesce(octet_length(state), 0) + coalesce(octet_length(old), 0)
                + coalesce(octet_length(meta_json), 0) + coalesce(octet_length(correlation), 0) > 1000000
            then (
                select 'its body would be ' || len || ' bytes long, the limit is 1048576'
                from (
                    select octet_length(convert_to(@cqrs@.cqrs_body(
                        case when signal = 'DROP' then 'DELETE' else signal end, model, key, state,
                        case when signal = 'SAVE' then old end, correlation, meta_json, 0,
                        timestamptz '2000-01-01 00:00:00.1+00', null
                    -- The longest revision and an expiry in place of the shortest.
                    ), 'UTF8')) + 18 + 23 as len
                ) as body
                where len > 1048576
            )
        end as problem
        from unnest(pks, keys, signals, states, olds) as input (pk, key, signal, state, old)
    ) as judged
    where problem is not null
    limit 1;
    if found then
        raise exception 'cannot record % %: %', model, coalesce(left(bad.pk, 512), 'null'), bad.problem
        using errcode = 'invalid_parameter_value',
            hint = 'Give each instance a key of 1 to 512 bytes, and publish less than a megabyte of it.';
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
                    case when carried then known.revision else known.revision + 1 end,
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
                signal, model, key, state, case when kind = 'SAVE' then old end, correlation, meta_json,
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

-- Folds changes into what this transaction has recorded of their instances before, as
-- cqrs-outbox/src/fold.rs and coalesce.rs do.
create function @cqrs@.cqrs_record_again(
    model text, pks text[], keys text[], signals text[], states text[], olds text[],
    to_queue text, is_forced boolean, lasts interval, meta_json text, correlation text, trace text,
    new_id uuid
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
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
    -- What is undone gets its revision back; it was not there or deleted before, or it would not have
    -- begun.
    if undone is not null then
        delete from @cqrs@.cqrs_revision
        where cqrs_id = model and instance_pk = any (undone) and revision = 0;
        update @cqrs@.cqrs_revision
        set revision = revision - 1, deleted = true, began = false, xid = null
        where cqrs_id = model and instance_pk = any (undone) and revision > 0;
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
    restated as materialized (
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
                kind, model, key, state, case when kind = 'SAVE' then old end, correlation, meta_json,
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
    where len > 1048576
    limit 1;
    if found then
        raise exception 'cannot record % % together with its earlier changes in this transaction: its body would be % bytes long, the limit is 1048576',
            model, bad.instance_pk, bad.len
        using errcode = 'invalid_parameter_value';
    end if;
end
$function$;

-- A key as JSON in one form, and its canonical text, by which tables and slots know the instance.
create function @cqrs@.cqrs_key(model text, key json, out as_json text, out canonical text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $function$
declare
    parts json[] := case
        when json_typeof(key) = 'array' then array(select value from json_array_elements(key))
        else array[key]
    end;
    part json;
    texts text[] := '{}';
    kind text;
    word text;
begin
    if cardinality(parts) = 0 then
        raise exception 'cannot record %: its key is empty', model
        using errcode = 'invalid_parameter_value', hint = 'Give the values of its key columns.';
    end if;
    foreach part in array parts loop
        kind := json_typeof(part);
        word := btrim(part::text, E' \t\n\r');
        if kind = 'number' and word ~ '^-?[0-9]+$'
            and word::numeric between -170141183460469231731687303715884105728
                and 170141183460469231731687303715884105727
        then
            texts := texts || word::numeric::text;
        elsif kind = 'string' and word ~ '(^|[^\\])(\\\\)*\\u0000' then
            raise exception 'cannot record %: its key contains a NUL character', model
            using errcode = 'invalid_parameter_value', hint = 'No database stores it in text.';
        elsif kind = 'string' then
            texts := texts || to_json(part #>> '{}')::text;
        elsif kind is null or kind = 'null' then
            raise exception 'cannot record %: its key is null', model
            using errcode = 'invalid_parameter_value', hint = 'Give the values of its key columns.';
        else
            raise exception 'cannot record %: the key % is neither an integer of up to 128 bits nor a string, nor a list of these',
                model, left(word, 60)
            using errcode = 'invalid_parameter_value',
                hint = 'Give other kinds of keys as strings, say to_json(key::text).';
        end if;
    end loop;
    if json_typeof(key) = 'array' then
        as_json := '[' || array_to_string(texts, ',') || ']';
        canonical := as_json;
    else
        as_json := texts[1];
        canonical := as_json::json #>> '{}';
    end if;
end
$function$;

-- Records a change in the transaction at hand, as outbox::record does: the event exists if and only
-- if the transaction commits. data is the state, an object; of a DELETE what it carries besides the
-- key, or null. previous is the state before. Answers with the revision, or null if there is no event
-- because what began in this transaction ends in it.
create function @cqrs@.cqrs_record(
    cqrs_id text, key json, data json default null, signal text default 'SAVE',
    previous json default null, queue text default null, forced boolean default false,
    ttl interval default null, meta json default null, correlation_id json default null,
    traceparent text default null, message_id uuid default null
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $function$
#variable_conflict use_column
declare
    name text := cqrs_record.cqrs_id;
    kind text := cqrs_record.signal;
    target text := cqrs_record.queue;
    state text := nullif(cqrs_record.data::text, 'null');
    pk text;
    pk_json text;
    old text;
    lasts interval;
    trace text;
    problem text;
    remedy text;
    again integer[];
begin
    problem := case
        when name is null or name = '' then 'is empty'
        when octet_length(convert_to(name, 'UTF8')) > 100 then 'is longer than 100 bytes'
        when name ~ '[*#]' then 'contains a routing wildcard (`*` or `#`)'
        when name ~ '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
            then 'contains white space or a control character'
        when starts_with(name, 'cqrs.') then 'starts with `cqrs.`, which is reserved for direct messages'
    end;
    if problem is not null then
        raise exception 'cannot record: cqrs_id % %', coalesce(to_json(left(name, 120))::text, 'null'), problem
        using errcode = 'invalid_parameter_value',
            hint = 'Give the name that the model has on the wire, say account or billing.Account.';
    end if;
    select k.as_json, k.canonical into pk_json, pk from @cqrs@.cqrs_key(name, cqrs_record.key) as k;

    if kind is null or kind not in ('SAVE', 'DELETE', 'SYNC') then
        problem := 'there is no signal ' || coalesce(kind, 'null');
        remedy := 'Give SAVE, DELETE or SYNC.';
    elsif kind <> 'DELETE' and (state is null or json_typeof(cqrs_record.data) <> 'object') then
        problem := 'its data must be a JSON object';
        remedy := 'Give the whole state, say row_to_json(a) of a row a.';
    elsif kind <> 'DELETE' and (state like '%"cqrs\_%' or state like '%\\u%') and exists (
        select from json_object_keys(cqrs_record.data) as member (name)
        where member.name in ('cqrs_revision', 'cqrs_updated')
    ) then
        problem := 'its data has a member `cqrs_revision` or `cqrs_updated`, which are reserved';
        remedy := 'Leave it out: events carry theirs.';
    elsif json_typeof(cqrs_record.previous) <> 'object' then
        problem := 'its previous must be a JSON object';
        remedy := 'Give the whole state before, or leave it out.';
    elsif target is not null and kind <> 'SYNC' then
        problem := 'only a sync can be sent to one queue';
        remedy := 'Leave the queue out: the other replicas would never see this revision.';
    elsif cqrs_record.forced and kind <> 'SYNC' then
        problem := 'only a sync can be forced';
        remedy := 'Leave it out: the revision is new in any case.';
    elsif cqrs_record.ttl is not null and extract(epoch from cqrs_record.ttl) not between 0.000001 and 100 * 366 * 86400.0 then
        problem := 'its time to live must be between a microsecond and 100 years';
        remedy := 'Give an interval, or none for ever.';
    elsif target = '' then
        problem := 'the queue name is empty';
    elsif octet_length(convert_to(target, 'UTF8')) > 120 then
        problem := 'queue name ' || to_json(left(target, 140))::text || ' is longer than 120 bytes';
    elsif target ~ '[*#]' then
        problem := 'queue name ' || to_json(target)::text || ' contains a routing wildcard (`*` or `#`)';
    elsif target ~ '[\u0001-\u001f\u007f-\u009f]' then
        problem := 'queue name ' || to_json(target)::text || ' contains a control character';
    end if;
    if problem is not null then
        raise exception 'cannot record % %: %', name, left(pk, 512), problem
        using errcode = 'invalid_parameter_value',
            hint = coalesce(remedy, 'Give the queue that the replica reads, or none for all replicas.');
    end if;

    -- Seconds, of which a day has as many in every zone.
    lasts := make_interval(secs => extract(epoch from cqrs_record.ttl)::double precision);
    -- One that is malformed may come from outside and must not fail the change.
    trace := substring(cqrs_record.traceparent from '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$');
    if kind <> 'DELETE' and cqrs_record.previous is not null then
        old := @cqrs@.cqrs_changed(cqrs_record.previous, cqrs_record.data);
    end if;

    again := @cqrs@.cqrs_record_new(
        name, array[pk], array[pk_json], array[kind], array[state], array[old], target,
        coalesce(cqrs_record.forced, false), lasts, cqrs_record.meta::text,
        cqrs_record.correlation_id::text, trace, cqrs_record.message_id
    );
    if cardinality(again) > 0 then
        perform @cqrs@.cqrs_record_again(
            name, array[pk], array[pk_json], array[kind], array[state], array[old], target,
            coalesce(cqrs_record.forced, false), lasts, cqrs_record.meta::text,
            cqrs_record.correlation_id::text, trace, cqrs_record.message_id
        );
    end if;
    return (
        select row.revision
        from @cqrs@.cqrs_outbox as row
        where row.cqrs_id = name and row.instance_pk = pk and row.xid is not distinct from pg_current_xact_id()
        order by 0 + row.id desc
        limit 1
    );
end
$function$;

$sql$, '@cqrs@', home);
end
$migration$;

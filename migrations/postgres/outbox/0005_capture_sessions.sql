-- Recording from SQL whatever the session's settings and the collation of what is passed: names and keys
-- are compared byte by byte, and a backslash in a text is one.

do $migration$
declare
    home text := (
        select quote_ident(n.nspname)
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = 'cqrs_outbox'::regclass
    );
begin
execute replace($sql$

alter function @cqrs@.cqrs_record_new(
    text, text[], text[], text[], text[], text[], text, boolean, interval, text, text, text, uuid
) set standard_conforming_strings = on;
alter function @cqrs@.cqrs_record_again(
    text, text[], text[], text[], text[], text[], text, boolean, interval, text, text, text, uuid
) set standard_conforming_strings = on;
alter function @cqrs@.cqrs_key(text, json) set standard_conforming_strings = on;

-- Records a change in the transaction at hand, as outbox::record does: the event exists if and only
-- if the transaction commits. data is the state, an object; of a DELETE what it carries besides the
-- key, or null. previous is the state before. Answers with the revision, or null if there is no event
-- because what began in this transaction ends in it.
create or replace function @cqrs@.cqrs_record(
    cqrs_id text, key json, data json default null, signal text default 'SAVE',
    previous json default null, queue text default null, forced boolean default false,
    ttl interval default null, meta json default null, correlation_id json default null,
    traceparent text default null, message_id uuid default null
) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $function$
#variable_conflict use_column
declare
    name text collate "C" := cqrs_record.cqrs_id;
    kind text collate "C" := cqrs_record.signal;
    target text collate "C" := cqrs_record.queue;
    state text collate "C" := nullif(cqrs_record.data::text, 'null');
    pk text collate "C";
    pk_json text collate "C";
    old text collate "C";
    lasts interval;
    trace text collate "C";
    problem text collate "C";
    remedy text collate "C";
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

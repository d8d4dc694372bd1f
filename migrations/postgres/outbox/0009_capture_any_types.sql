-- A captured column that has got another type goes on arriving: the functions of models have a second set of
-- queries, in which these find the form of a value when they are called. plpgsql looks at an expression
-- when it comes to it, so each is seen with values of its own type only.
do $migration$
declare
    home text := (
        select quote_ident(n.nspname)
        from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = 'cqrs_outbox'::regclass
    );
begin
execute replace($sql$

-- A value as a member of an event (use is 'json'), as the text of a key ('key'), or as a key in JSON ('key as json').
create function @cqrs@.cqrs_capture_form(value anyelement, use text) returns text
language plpgsql stable
as $function$
declare
    type oid := pg_typeof(value);
    form text;
begin
    if value is null then
        return case use when 'json' then 'null' end;
    end if;
    -- What is below a domain. The system has none of its own.
    while type >= 16384 and exists (select from pg_type as t where t.oid = type and t.typtype = 'd') loop
        type := (select t.typbasetype from pg_type as t where t.oid = type);
    end loop;
    if type in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) then
        if value < '0001-01-01' or value >= '10000-01-01' then
            form := to_json(value::text)::text;
        elsif type = 'date'::regtype then
            form := '"' || to_char(value, 'YYYY-MM-DD') || '"';
        elsif type = 'timestamp'::regtype then
            form := '"' || to_char(value, 'YYYY-MM-DD"T"HH24:MI:SS')
                || regexp_replace(to_char(value, '.US'), '(\.000000|000)$', '') || '"';
        else
            form := '"' || to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
                || regexp_replace(to_char(value at time zone 'UTC', '.US'), '(\.000000|000)$', '') || 'Z"';
        end if;
        if use <> 'json' then
            form := trim(both '"' from form);
        end if;
    elsif use <> 'json' then
        form := value::text;
    elsif type = 'json'::regtype then
        form := translate(value::text, E'\n\r', '  ');
    elsif type = 'time'::regtype then
        form := '"' || to_char(value, 'HH24:MI:SS')
            || regexp_replace(to_char(value, '.US'), '(\.000000|000)$', '') || '"';
    elsif type = 'bytea'::regtype then
        form := '"' || translate(encode(value, 'base64'), E'\n', '') || '"';
    elsif type = 'money'::regtype then
        form := to_json(value::numeric::text)::text;
    elsif type = 'interval'::regtype then
        form := case
            when extract(year from value) <> 0 or extract(month from value) <> 0 then to_json(value::text)::text
            when least(
                extract(day from value), extract(hour from value),
                extract(minute from value), extract(second from value)
            ) >= 0
            then '"P' || extract(day from value)
                || 'DT' || to_char(abs(extract(hour from value)), 'FM9999999999900')
                || 'H' || to_char(abs(extract(minute from value)), 'FM00')
                || 'M' || regexp_replace(to_char(abs(extract(second from value)), 'FM00.000000'), '\.000000$', '')
                || 'S"'
            else '"' || case when extract(day from value) > 0 then '' else '-' end
                || abs(extract(day from value)) || ' days '
                || case
                    when greatest(
                        extract(hour from value), extract(minute from value), extract(second from value)
                    ) > 0 then '+' else '-'
                end
                || to_char(abs(extract(hour from value)), 'FM9999999999900')
                || ':' || to_char(abs(extract(minute from value)), 'FM00')
                || ':' || regexp_replace(to_char(abs(extract(second from value)), 'FM00.000000'), '\.000000$', '')
                || '"'
        end;
    else
        form := to_json(value)::text;
    end if;
    if use = 'key as json' and type not in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) then
        form := to_json(form)::text;
    end if;
    return form;
end
$function$;

-- A text as a value of the type of `example`.
create function @cqrs@.cqrs_capture_value(value text, example anyelement) returns anyelement
language plpgsql stable
as $function$
begin
    return value;
end
$function$;

$sql$, '@cqrs@', home);
end
$migration$;

-- cqrs-outbox: renew
-- Times are microseconds; SQLite's clock has milliseconds.
insert into cqrs_relay (owner, beat, started_at, expires_at, publishing)
values (
    ?1,
    1,
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000,
    cast(round(unixepoch('subsec') * 1000) as integer) * 1000 + ?2,
    ?3
)
on conflict (owner) do update
    set beat = beat + 1, expires_at = excluded.expires_at, publishing = excluded.publishing

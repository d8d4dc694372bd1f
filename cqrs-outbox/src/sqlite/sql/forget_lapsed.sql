-- cqrs-outbox: forget_lapsed
delete from cqrs_relay
where owner <> ?1
    and expires_at < cast(round(unixepoch('subsec') * 1000) as integer) * 1000 - 3600000000

-- cqrs-outbox: live_relays
-- How many relays have a heartbeat.
select count(*) from cqrs_relay
where expires_at > cast(round(unixepoch('subsec') * 1000) as integer) * 1000

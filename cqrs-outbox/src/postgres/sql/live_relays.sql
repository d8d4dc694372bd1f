-- cqrs-outbox: live_relays
-- How many relays have a heartbeat.
select count(*) from cqrs_relay where expires_at > clock_timestamp()

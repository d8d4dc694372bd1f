-- cqrs-outbox: census
-- One row of arrays: the relays in owner order, the leases in slot order.
select
    array(select owner from cqrs_relay order by owner),
    array(select beat from cqrs_relay order by owner),
    array(select expires_at > statement_timestamp() from cqrs_relay order by owner),
    array(select publishing from cqrs_relay order by owner),
    array(select slot from cqrs_relay_lease order by slot),
    array(select owner from cqrs_relay_lease order by slot),
    array(select epoch from cqrs_relay_lease order by slot)

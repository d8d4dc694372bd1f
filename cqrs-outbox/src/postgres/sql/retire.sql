-- cqrs-outbox: retire
with released as (
    update cqrs_relay_lease set owner = null, epoch = epoch + 1 where owner = $1
)
delete from cqrs_relay where owner = $1

-- cqrs-outbox: dead_page
select id from cqrs_outbox_dead where id > $1 order by id limit $2

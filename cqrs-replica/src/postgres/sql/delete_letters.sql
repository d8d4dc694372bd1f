-- cqrs-replica: delete_letters
delete from cqrs_dead_letter where id = any($1)

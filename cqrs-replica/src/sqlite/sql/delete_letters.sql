-- cqrs-replica: delete_letters
delete from cqrs_dead_letter where id in (select value from json_each(?1))

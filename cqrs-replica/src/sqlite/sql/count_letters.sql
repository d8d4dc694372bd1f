-- cqrs-replica: count_letters
select state, count(*) from cqrs_dead_letter
where queue = ?1 and state in ('waiting', 'retrying', 'dead')
group by state

-- cqrs-outbox: capture_list
select cqrs_id from cqrs_capture order by cqrs_id

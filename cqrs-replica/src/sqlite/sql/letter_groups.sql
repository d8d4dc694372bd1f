-- cqrs-replica: letter_groups
-- Letters that failed in the same way: in state ?2, of model ?3, reason ?4 and fingerprint ?5, and of the ids ?6,
-- each of which may be null.
select state, reason, cqrs_id, fingerprint, max(error), count(*),
       count(*) filter (where state = 'retrying' and attempts = 0), min(created_at), max(created_at)
from cqrs_dead_letter
where queue = ?1 and (?2 is null or state = ?2) and (?3 is null or cqrs_id = ?3)
  and (?4 is null or reason = ?4) and (?5 is null or fingerprint = ?5)
  and (?6 is null or id in (select value from json_each(?6)))
group by state, reason, cqrs_id, fingerprint
order by count(*) desc, min(id)

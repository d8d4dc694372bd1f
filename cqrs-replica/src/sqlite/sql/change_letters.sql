-- cqrs-replica: change_letters
update cqrs_dead_letter
set state = ?2, reason = ?3, error = coalesce(?4, error), fingerprint = coalesce(?5, fingerprint),
    attempts = ?6, next_attempt_at = ?7, waits_for = ?8, waits_until = ?9,
    updated_at = cast(unixepoch('now', 'subsec') * 1000000 as integer)
where id = ?1

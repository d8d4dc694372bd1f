-- cqrs-outbox: capture_lock
lock table cqrs_capture in share row exclusive mode

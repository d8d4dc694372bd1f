//! The statements, one per file.

/// Declares each statement once, as a constant and in the list of all.
macro_rules! statements {
    ($($constant:ident = $file:literal),+ $(,)?) => {
        $(pub(super) const $constant: &str = include_str!(concat!("sql/", $file, ".sql"));)+
        pub(super) const ALL: &[(&str, &str)] = &[$(($file, $constant)),+];
    };
}

statements! {
    APPLIED_REVISIONS = "applied_revisions",
    BEAT = "beat",
    CHANGE_LETTERS = "change_letters",
    CLOSE_LETTERS = "close_letters",
    CONSTRAINT_COLUMNS = "constraint_columns",
    COUNT_LETTERS = "count_letters",
    COUNT_LIVE = "count_live",
    COUNT_STATES = "count_states",
    DEFER_CONSTRAINTS = "defer_constraints",
    DELETE_LETTERS = "delete_letters",
    DESCRIBE_COLUMNS = "describe_columns",
    DESCRIBE_KEYS = "describe_keys",
    DESCRIBE_REFERENCES = "describe_references",
    DESCRIBE_REFERRING = "describe_referring",
    DISCARD_LETTERS = "discard_letters",
    LETTERS_PAGE = "letters_page",
    LETTER_GROUPS = "letter_groups",
    PURGE_LETTERS = "purge_letters",
    END_PROCESS = "end_process",
    FORGET_DELETES = "forget_deletes",
    FORGET_WORKERS = "forget_workers",
    HELD_SINCE = "held_since",
    IDENTITY = "identity",
    IMPORT_LETTER = "import_letter",
    INSERT_LETTERS = "insert_letters",
    KNOWN_STATES = "known_states",
    LETTERS = "letters",
    LETTERS_HOLDING = "letters_holding",
    LETTERS_OF = "letters_of",
    LOCK = "lock",
    MARK_PUBLISHED = "mark_published",
    NEXT_DUE = "next_due",
    NOW = "now",
    OTHERS = "others",
    PRUNE_LETTERS = "prune_letters",
    PRUNE_TOMBSTONES = "prune_tombstones",
    RECONCILE_SESSION = "reconcile_session",
    RETIRE = "retire",
    RETRY_IMPORTED = "retry_imported",
    RETRY_LETTERS = "retry_letters",
    SAVE = "save",
    SET_TIMEOUTS = "set_timeouts",
    STATES = "states",
    SUPERSEDE = "supersede",
    TAKE_DUE = "take_due",
    TAKE_ONE = "take_one",
    TAKE_RUN = "take_run",
    TAKE_UNPUBLISHED = "take_unpublished",
    WAKE = "wake",
    WAKE_REFERRING = "wake_referring",
    WORKERS = "workers",
    WORKERS_SEEN = "workers_seen",
}

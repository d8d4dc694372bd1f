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
    COUNT_LETTERS = "count_letters",
    COUNT_LIVE = "count_live",
    COUNT_STATES = "count_states",
    DELETE_LETTERS = "delete_letters",
    DESCRIBE_COLUMNS = "describe_columns",
    DESCRIBE_KEYS = "describe_keys",
    DESCRIBE_REFERENCES = "describe_references",
    DESCRIBE_REFERRING = "describe_referring",
    DISCARD_LETTERS = "discard_letters",
    LETTERS_PAGE = "letters_page",
    LETTER_GROUPS = "letter_groups",
    PURGE_LETTERS = "purge_letters",
    UNDO_DELETES = "undo_deletes",
    FORGET_WORKERS = "forget_workers",
    HELD = "held",
    HELD_SINCE = "held_since",
    IMPORT_LETTER = "import_letter",
    INSERT_LETTERS = "insert_letters",
    KNOWN_STATES = "known_states",
    LETTERS = "letters",
    LETTERS_HOLDING = "letters_holding",
    LETTERS_OF = "letters_of",
    MARK_PUBLISHED = "mark_published",
    NEXT_DUE = "next_due",
    NOW = "now",
    OTHERS = "others",
    PRUNE_LETTERS = "prune_letters",
    PRUNE_TOMBSTONES = "prune_tombstones",
    RETIRE = "retire",
    RETRY_IMPORTED = "retry_imported",
    RETRY_LETTERS = "retry_letters",
    SAVE = "save",
    STATES = "states",
    SUPERSEDE = "supersede",
    TAKE_DUE = "take_due",
    TAKE_ONE = "take_one",
    TAKE_RUN = "take_run",
    TAKE_UNPUBLISHED = "take_unpublished",
    WAITING_MODELS = "waiting_models",
    WAKE = "wake",
    WAKE_REFERRING = "wake_referring",
    LOSSES = "losses",
    MAKE_GOOD = "make_good",
    WORKERS = "workers",
    WORKERS_SEEN = "workers_seen",
}

//! The form on the wire of what stands in a column, as an expression of SQL.
//!
//! It is what a Rust service with `serde` and [`crate::form`] writes, so that the same row gives the
//! same event whoever reads it: times in UTC as `2026-01-02T03:04:05.678901Z` with no, three or six
//! digits of a second, bytes as base64, lengths of time as `P1DT02H03M04S`, numbers with all their
//! digits. The session's time zone and styles of dates do not matter to these, but for values inside
//! arrays and composite types on `PostgreSQL`, which are written as the session would.
//!
//! On `SQLite` a column's declared type says how a value is meant: `BOOLEAN`, `JSON`, `UUID` (of 16
//! bytes), `DATETIME` or `TIMESTAMP`; anything else is what it is stored as.

use super::condition::Dialect;

/// An expression that gives a column's value as JSON text, never null: `value` is the column as SQL,
/// `type_name` its type in the database's words, without a length.
#[must_use]
pub fn json_form(dialect: Dialect, value: &str, type_name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("coalesce({}, 'null')", postgres(value, type_name)),
        Dialect::Sqlite => sqlite(value, type_name),
    }
}

/// An expression that gives a key column's value as JSON text: a number for integers, else a text.
#[must_use]
pub fn key_json(dialect: Dialect, value: &str, type_name: &str) -> String {
    match dialect {
        Dialect::Postgres if is_postgres_integer(type_name) => format!("{value}::text"),
        Dialect::Postgres => format!("to_json({})::text", key_text(dialect, value, type_name)),
        Dialect::Sqlite => format!(
            "case typeof({value}) when 'integer' then cast({value} as text) else json_quote({}) end",
            key_text(dialect, value, type_name)
        ),
    }
}

/// An expression that gives a key column's value as canonical text. On `SQLite` bytes are taken for those of
/// a UUID.
#[must_use]
pub fn key_text(dialect: Dialect, value: &str, type_name: &str) -> String {
    match dialect {
        Dialect::Postgres => match type_name {
            // Whatever the session's zone and style.
            "timestamp with time zone" | "timestamp without time zone" | "date" => {
                format!(
                    "(trim(both '\"' from {}) collate \"C\")",
                    postgres(value, type_name)
                )
            }
            // Byte by byte, whatever the column's own order, as all our tables compare keys.
            _ => format!("({value}::text collate \"C\")"),
        },
        Dialect::Sqlite => format!(
            "case typeof({value}) when 'blob' then {} else cast({value} as text) end",
            hyphenated(value)
        ),
    }
}

/// Texts put together by an operator between them. In groups, since `SQLite` takes no expression that
/// is a thousand operators deep, and tables have so many columns.
#[must_use]
pub fn concatenated(mut parts: Vec<String>, operator: &str) -> String {
    const AT_ONCE: usize = 100;
    while parts.len() > AT_ONCE {
        let groups = parts.chunks(AT_ONCE);
        parts = groups
            .map(|group| format!("({})", group.join(operator)))
            .collect();
    }
    parts.join(operator)
}

/// Whether a key column of this type holds integers.
#[must_use]
pub fn is_postgres_integer(type_name: &str) -> bool {
    matches!(type_name, "smallint" | "integer" | "bigint")
}

fn postgres(value: &str, type_name: &str) -> String {
    match type_name {
        "smallint" | "integer" | "bigint" | "boolean" | "jsonb" => format!("{value}::text"),
        // Line breaks between its tokens would break the lines of a dump; within, they are escaped.
        "json" => format!("translate({value}::text, E'\\n\\r', '  ')"),
        "timestamp with time zone" => {
            let utc = format!("{value} at time zone 'UTC'");
            let time = stamp(&utc, "YYYY-MM-DD\"T\"HH24:MI:SS", "Z");
            finite(value, &time)
        }
        "timestamp without time zone" => {
            finite(value, &stamp(value, "YYYY-MM-DD\"T\"HH24:MI:SS", ""))
        }
        "date" => finite(
            value,
            &format!("'\"' || to_char({value}, 'YYYY-MM-DD') || '\"'"),
        ),
        "time without time zone" => stamp(value, "HH24:MI:SS", ""),
        "bytea" => format!("'\"' || translate(encode({value}, 'base64'), E'\\n', '') || '\"'"),
        "interval" => interval(value),
        // Its text is that of whatever country the session is in.
        "money" => format!("to_json({value}::numeric::text)::text"),
        _ => format!("to_json({value})::text"),
    }
}

fn stamp(value: &str, form: &str, zone: &str) -> String {
    format!(
        "'\"' || to_char({value}, '{form}') \
         || regexp_replace(to_char({value}, '.US'), '(\\.000000|000)$', '') || '{zone}\"'"
    )
}

/// Infinite times and those before our era, in the database's words.
fn finite(value: &str, then: &str) -> String {
    format!(
        "case when {value} >= '0001-01-01' and {value} < '10000-01-01' then {then} \
         else to_json({value}::text)::text end"
    )
}

/// As [`crate::form::duration`] writes it, but days stay days and hours hours, of which a day may have more than
/// 24 or others' sign; with months as the database does.
fn interval(value: &str) -> String {
    let part = |name: &str| format!("extract({name} from {value})");
    let (days, hours) = (part("day"), part("hour"));
    let (minutes, seconds) = (part("minute"), part("second"));
    let shown_hours = format!("to_char(abs({hours}), 'FM9999999999900')");
    let shown_minutes = format!("to_char(abs({minutes}), 'FM00')");
    let shown_seconds =
        format!("regexp_replace(to_char(abs({seconds}), 'FM00.000000'), '\\.000000$', '')");
    format!(
        "case when {} <> 0 or {} <> 0 then to_json({value}::text)::text \
         when least({days}, {hours}, {minutes}, {seconds}) >= 0 \
         then '\"P' || {days} || 'DT' || {shown_hours} || 'H' || {shown_minutes} || 'M' || {shown_seconds} || 'S\"' \
         else '\"' || case when {days} > 0 then '' else '-' end || abs({days}) || ' days ' \
         || case when greatest({hours}, {minutes}, {seconds}) > 0 then '+' else '-' end \
         || {shown_hours} || ':' || {shown_minutes} || ':' || {shown_seconds} || '\"' end",
        part("year"),
        part("month"),
    )
}

fn sqlite(value: &str, type_name: &str) -> String {
    let declared = type_name.to_ascii_uppercase();
    let says = |word: &str| declared.contains(word);
    let stored = format!(
        "case typeof({value}) when 'blob' then '\"' || {} || '\"' when 'real' then {} \
         else json_quote({value}) end",
        if says("UUID") {
            format!(
                "case length({value}) when 16 then {} else {} end",
                hyphenated(value),
                base64(value)
            )
        } else {
            base64(value)
        },
        real(value),
    );
    if says("BOOL") {
        format!(
            "case when {value} is 1 then 'true' when {value} is 0 then 'false' else {stored} end"
        )
    } else if says("JSON") {
        format!(
            "case when {value} is null then 'null' when json_valid({value}) then json({value}) \
             else {stored} end"
        )
    } else if says("DATETIME") || says("TIMESTAMP") {
        // As sqlx writes it, and as serde does.
        format!(
            "case when {value} glob '????-??-??T??:??:??*+00:00' \
             then json_quote(substr({value}, 1, length({value}) - 6) || 'Z') else {stored} end"
        )
    } else {
        stored
    }
}

/// The fewest digits that give the number back: `json_quote` stops at 15, and has no JSON for the
/// infinite ones.
fn real(value: &str) -> String {
    let digits = |count: u32| format!("printf('%!.{count}g', {value})");
    let exact = |text: &str| format!("cast({text} as real) = {value}");
    let (short, long) = (format!("json_quote({value})"), digits(16));
    format!(
        "case when {value} = 9e999 then '\"Infinity\"' when {value} = -9e999 then '\"-Infinity\"' \
         when {} then {short} when {} then {long} else {} end",
        exact(&short),
        exact(&long),
        digits(17),
    )
}

/// A UUID's 16 bytes as text.
fn hyphenated(value: &str) -> String {
    let hex = format!("lower(hex({value}))");
    format!(
        "substr({hex}, 1, 8) || '-' || substr({hex}, 9, 4) || '-' || substr({hex}, 13, 4) || '-' \
         || substr({hex}, 17, 4) || '-' || substr({hex}, 21)"
    )
}

/// Bytes as base64, three at a time: `SQLite` has no function for it, and no recursion in triggers.
fn base64(value: &str) -> String {
    const DIGITS: &str = "'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'";
    let digit = |shift: u32| format!("substr({DIGITS}, (n >> {shift} & 63) + 1, 1)");
    let nibble = |place: u32| {
        format!(
            "((instr('0123456789ABCDEF', substr(h, {place}, 1)) - 1) << {})",
            24 - 4 * place
        )
    };
    let number: Vec<String> = (1..=6).map(nibble).collect();
    format!(
        "(select coalesce(group_concat(d, ''), '') from (select {} || {} \
         || case when l > 2 then {} else '=' end || case when l > 4 then {} else '=' end as d \
         from (select l, {} as n from (select length(h) as l, substr(h || '0000', 1, 6) as h \
         from (select key, hex(substr({value}, 3 * key + 1, 3)) as h \
         from json_each('[0' || replace(hex(zeroblob(max((length({value}) + 2) / 3 - 1, 0))), '00', ',0') || ']') \
         where length({value}) > 0) order by key))))",
        digit(18),
        digit(12),
        digit(6),
        digit(0),
        number.join(" | "),
    )
}

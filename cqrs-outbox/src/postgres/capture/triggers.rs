//! The text of a model's triggers.
//!
//! One function serves all of a model's triggers, on its table and on the parts of it. It turns the rows
//! of a statement into changes, in batches in the order of their keys, and records each batch with the
//! functions of the migration `0003_capture.sql`. No step is done row by row.
//!
//! What this transaction has recorded before of an instance is folded with the state that its row has
//! now, not with that of the statement's own rows: a trigger of the user's may have written the row
//! again since, and been captured before this one.

use cqrs_core::{
    database::{
        condition::{Dialect, literal},
        quoted,
    },
    filter::FilterError,
};

use super::rows::{Rows, batches};
use crate::source::Source;

/// Raised with each change of the text below.
pub(super) const FORM: i64 = 4;

/// A column of the table with the name of its type, as the function's search path has it.
pub(super) type Column = (String, String);

/// Where a function looks for types and operators, and what its output must not depend on.
pub(super) struct Surroundings {
    /// The schema of the outbox, quoted.
    pub(super) home: String,
    /// The schemas of the types of the table's columns.
    pub(super) types: Vec<String>,
}

impl Surroundings {
    /// The function's search path. The schema of the outbox is not on it, what is there is named in full.
    pub(super) fn path(&self) -> String {
        let mut path = String::from("pg_catalog");
        for schema in &self.types {
            path.push_str(", ");
            path.push_str(&quoted(schema));
        }
        path + ", pg_temp"
    }
}

/// A trigger on a table or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trigger {
    /// The table, quoted, with its schema.
    pub(super) relation: String,
    /// Its name, not quoted.
    pub(super) name: String,
}

/// What a statement does, as triggers see it: when they run and what they get.
const EVENTS: [(&str, &str); 4] = [
    (
        "insert",
        "after insert on {} referencing new table as cqrs_new",
    ),
    (
        "update",
        "after update on {} referencing old table as cqrs_old new table as cqrs_new",
    ),
    (
        "delete",
        "after delete on {} referencing old table as cqrs_old",
    ),
    // Afterwards nothing would tell which rows there were.
    ("truncate", "before truncate on {}"),
];

/// The name of the function of a model, not quoted. A trigger's name begins with it.
pub(super) fn function_name(cqrs_id: &str) -> String {
    const LONGEST: usize = 40;
    if cqrs_id.len() <= LONGEST {
        return format!("cqrs_capture_{cqrs_id}");
    }
    let mut end = LONGEST - 17;
    while !cqrs_id.is_char_boundary(end) {
        end -= 1;
    }
    // FNV-1a.
    let hash = cqrs_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("cqrs_capture_{}~{hash:016x}", &cqrs_id[..end])
}

/// The triggers of a model on these tables.
pub(super) fn triggers(cqrs_id: &str, relations: &[String]) -> Vec<Trigger> {
    let function = function_name(cqrs_id);
    relations
        .iter()
        .flat_map(|relation| {
            EVENTS.iter().map(|(event, _)| Trigger {
                relation: relation.clone(),
                name: format!("{function}_{event}"),
            })
        })
        .collect()
}

/// The statements that make them.
pub(super) fn creations(home: &str, cqrs_id: &str, relations: &[String]) -> Vec<String> {
    let function = function_name(cqrs_id);
    relations
        .iter()
        .flat_map(|relation| {
            EVENTS.iter().map(|(event, when)| {
                format!(
                    "create or replace trigger {}\n    {}\n    for each statement execute function \
                     {home}.{}()",
                    quoted(&format!("{function}_{event}")),
                    when.replace("{}", relation),
                    quoted(&function),
                )
            })
        })
        .collect()
}

/// The statement that takes one away.
pub(super) fn removal(trigger: &Trigger) -> String {
    format!(
        "drop trigger {} on {}",
        quoted(&trigger.name),
        trigger.relation
    )
}

/// The statements that make the function of a model.
pub(super) fn function(source: &Source, around: &Surroundings, body: &str) -> Vec<String> {
    let name = format!(
        "{}.{}",
        around.home,
        quoted(&function_name(source.cqrs_id().as_str()))
    );
    let path = around.path();
    let tag = tag("capture", body);
    vec![
        format!(
            "create or replace function {name}() returns trigger\n\
             language plpgsql security definer\n\
             set search_path = {path}\n\
             set timezone = 'UTC' set datestyle = 'ISO, YMD' set intervalstyle = 'postgres'\n\
             set bytea_output = 'hex' set extra_float_digits = 1\n\
             set row_security = off set standard_conforming_strings = on\n\
             set enable_seqscan = off set enable_nestloop = off set enable_hashagg = off\n\
             set cursor_tuple_fraction = 1 set plan_cache_mode = force_generic_plan set jit = off\n\
             as {tag}{body}{tag}"
        ),
        // Whoever may call it may put it on a table of his own.
        format!("revoke all on function {name}() from public"),
    ]
}

/// A dollar quote that the text does not contain.
fn tag(word: &str, text: &str) -> String {
    let mut tag = format!("${word}$");
    while text.contains(&tag) {
        tag.insert(1, '_');
    }
    tag
}

/// A text as a literal that the function's text can be read with.
pub(super) fn dollar_quoted(word: &str, text: &str) -> String {
    let tag = tag(word, text);
    format!("{tag}{text}{tag}")
}

/// The function's text. It goes on when columns that it names have other types, with queries that look the
/// types up, and makes no event of columns that are gone.
///
/// # Errors
/// The filter names something that is not there.
pub(super) fn body(source: &Source, home: &str, columns: &[Column]) -> Result<String, FilterError> {
    let rows = Rows::of(source)?;
    let of_any_types = source.of_any_types(format!("{home}.cqrs_capture_form"));
    let any = Rows::of_any_types(&of_any_types, home)?;
    let text = [rows.inserted(), rows.updated()].concat();
    let used: Vec<&Column> = columns
        .iter()
        .filter(|(name, _)| text.contains(&quoted(name)))
        .collect();
    let is_key = |(name, _): &&&Column| source.model().key.contains(name);
    let key: Vec<&Column> = used.iter().filter(is_key).copied().collect();
    let list = |columns: &[&Column], of: fn(&Column) -> &String| {
        let texts = columns
            .iter()
            .map(|column| literal(Dialect::Postgres, of(column)));
        format!("array[{}]::text[]", texts.collect::<Vec<_>>().join(", "))
    };
    let changes = |names: &str, types: &str| {
        format!("{home}.cqrs_capture_changes(tg_relid, {names}, {types})")
    };
    // Without types only what is gone is told.
    let gone = |columns: &[&Column]| changes(&list(columns, |column| &column.0), "null");
    let used_names = list(&used, |column| &column.0);
    let truncated = |rows: &Rows<'_>| {
        let query = batches(&rows.removed(" from only \0"));
        let (before, after) = query.split_once('\0').unwrap_or((&query, ""));
        format!(
            "{} || tg_relid::regclass::text || {}",
            dollar_quoted("truncated", before),
            dollar_quoted("truncated", after)
        )
    };
    let model = literal(Dialect::Postgres, source.cqrs_id().as_str());
    let ttl = source.model().ttl.map_or_else(
        || "null".to_owned(),
        |ttl| format!("interval '{} microseconds'", ttl.as_micros()),
    );
    Ok(format!(
        "
#variable_conflict use_column
declare
    changes refcursor;
    batch record;
    good integer[];
    again integer[];
    changed text;
    gone text;
    named text[];
begin
    changed := {changed};
    if changed is not null then
        gone := {gone};
        if gone is null then
            begin
                execute 'select from only ' || tg_relid::regclass::text || {probe};
            exception when others then
                gone := changed || ', and the filter does not hold any more: ' || sqlerrm;
            end;
        end if;
    end if;
    if gone is not null then
{refused}
    elsif changed is not null then
        if tg_op = 'INSERT' then
            open changes for
{any_inserted};
        elsif tg_op = 'UPDATE' then
            open changes for
{any_updated};
        elsif tg_op = 'DELETE' then
            open changes for
{any_deleted};
        else
            open changes for execute {any_truncated};
        end if;
    elsif tg_op = 'INSERT' then
        open changes for
{inserted};
    elsif tg_op = 'UPDATE' then
        open changes for
{updated};
    elsif tg_op = 'DELETE' then
        open changes for
{deleted};
    else
        open changes for execute {truncated};
    end if;
    loop
        fetch changes into batch;
        exit when not found;
        good := {home}.cqrs_capture_sift(
            {model}, batch.pks, batch.keys, batch.signals, batch.states
        );
        if good is not null then
            select array_agg(pk) as pks, array_agg(key) as keys, array_agg(signal) as signals,
                array_agg(state) as states, array_agg(previous) as olds
            into batch
            from unnest(batch.pks, batch.keys, batch.signals, batch.states, batch.olds) with ordinality
                as change (pk, key, signal, state, previous, place)
            join unnest(good) as kept (place) using (place);
            continue when batch.pks is null;
        end if;
        again := {home}.cqrs_record_new(
            {model}, batch.pks, batch.keys, batch.signals, batch.states, batch.olds,
            null, false, {ttl}, null, null, null, null
        );
        continue when cardinality(again) = 0;
        -- A table that has been renamed is not looked up: another one may have its name.
        if tg_op = 'TRUNCATE' or gone is not null
            or to_regclass({table}) is distinct from {home}.cqrs_captured_root(tg_relid, tg_name)
        then
            select array_agg(pk) as pks, array_agg(key) as keys, array_agg(signal) as signals,
                array_agg(state) as states, array_agg(previous) as olds
            into batch
            from unnest(batch.pks, batch.keys, batch.signals, batch.states, batch.olds) with ordinality
                as change (pk, key, signal, state, previous, place)
            join unnest(again) as recorded (place) using (place);
        elsif changed is not null then
{any_current}
        else
{current}
        end if;
        perform {home}.cqrs_record_again(
            {model}, batch.pks, batch.keys, batch.signals, batch.states, batch.olds,
            null, false, {ttl}, null, null, null, null
        );
    end loop;
    close changes;
    return null;
end
",
        changed = changes(&used_names, &list(&used, |column| &column.1)),
        gone = gone(&used),
        probe = dollar_quoted("probe", &format!(" as t where {} limit 0", any.shown)),
        refused = any.gone(home, &gone(&key)),
        any_inserted = batches(&any.inserted()),
        any_updated = batches(&any.updated()),
        any_deleted = batches(&any.removed(" from cqrs_old")),
        any_truncated = truncated(&any),
        inserted = batches(&rows.inserted()),
        updated = batches(&rows.updated()),
        deleted = batches(&rows.removed(" from cqrs_old")),
        truncated = truncated(&rows),
        any_current = any.current(),
        current = rows.current(),
        table = literal(Dialect::Postgres, source.table()),
    ))
}

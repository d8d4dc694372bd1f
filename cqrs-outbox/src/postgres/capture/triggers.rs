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

use crate::source::Source;

/// Raised with each change of the text below.
pub(super) const FORM: i64 = 2;

/// The most changes in a batch, and about the most bytes of their states: both become arrays.
const BATCH: u32 = 5_000;
const BATCH_BYTES: u32 = 32 * 1024 * 1024;

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

/// The function's text.
///
/// # Errors
/// The filter names something that is not there.
pub(super) fn body(source: &Source, home: &str) -> Result<String, FilterError> {
    let rows = Rows::of(source)?;
    let truncated = batches(&rows.removed(" from only \0"));
    let (before, after) = truncated.split_once('\0').unwrap_or((&truncated, ""));
    let quote = |text: &str| {
        let tag = tag("truncated", text);
        format!("{tag}{text}{tag}")
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
    again integer[];
begin
    if tg_op = 'INSERT' then
        open changes for
{inserted};
    elsif tg_op = 'UPDATE' then
        open changes for
{updated};
    elsif tg_op = 'DELETE' then
        open changes for
{deleted};
    else
        open changes for execute {before} || tg_relid::regclass::text || {after};
    end if;
    loop
        fetch changes into batch;
        exit when not found;
        again := {home}.cqrs_record_new(
            {model}, batch.pks, batch.keys, batch.signals, batch.states, batch.olds,
            null, false, {ttl}, null, null, null, null
        );
        continue when cardinality(again) = 0;
        if tg_op = 'TRUNCATE' then
            select array_agg(pk) as pks, array_agg(key) as keys, array_agg(signal) as signals,
                array_agg(state) as states, array_agg(previous) as olds
            into batch
            from unnest(batch.pks, batch.keys, batch.signals, batch.states, batch.olds) with ordinality
                as change (pk, key, signal, state, previous, place)
            join unnest(again) as recorded (place) using (place);
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
        inserted = batches(&rows.inserted()),
        updated = batches(&rows.updated()),
        deleted = batches(&rows.removed(" from cqrs_old")),
        before = quote(before),
        after = quote(after),
        current = rows.current(),
    ))
}

/// Changes as arrays, in the order of the keys. Each aggregate sees the rows of a batch in the same
/// order. Rows of several heirs that have the same key are taken for one.
fn batches(changes: &str) -> String {
    format!(
        "            select array_agg(pk) as pks, array_agg(key) as keys, array_agg(signal) as signals,
                array_agg(state) as states, array_agg(previous) as olds
            from (
                select change.*, (row_number() over so_far - 1) / {BATCH}
                    + sum(coalesce(octet_length(state), 0) + coalesce(octet_length(previous), 0))
                        over so_far / {BATCH_BYTES} as part
                from (
                    select distinct on (pk) * from (
{changes}
                    ) as met
                    order by pk
                ) as change
                window so_far as (order by pk rows unbounded preceding)
            ) as placed
            group by part
            order by part"
    )
}

/// Expressions on a row `t` of the model.
struct Rows<'s> {
    source: &'s Source,
    shown: String,
    state: String,
    pk: String,
    key: String,
    tracked: Vec<(String, String)>,
}

impl<'s> Rows<'s> {
    fn of(source: &'s Source) -> Result<Self, FilterError> {
        let condition = source.literal_condition(source.filter(), "t")?;
        let tracked = source
            .tracked()
            .map(|field| {
                let name = serde_json::Value::from(field.name.as_str()).to_string();
                let name = literal(Dialect::Postgres, &format!("{name}:"));
                (name, source.field_json(field, "t"))
            })
            .collect();
        Ok(Self {
            source,
            shown: format!("({condition}) is true"),
            state: source.row_json("t"),
            pk: source.instance_pk("t"),
            key: source.key_json("t"),
            tracked,
        })
    }

    fn inserted(&self) -> String {
        let Self {
            shown,
            state,
            pk,
            key,
            ..
        } = self;
        format!(
            "                    select {pk} as pk, {key} as key,
                        case when {shown} then 'SAVE' else 'DROP' end as signal,
                        case when {shown} then {state} end as state,
                        null::text as previous
                    from cqrs_new as t"
        )
    }

    fn removed(&self, from: &str) -> String {
        let Self { shown, pk, key, .. } = self;
        format!(
            "                    select {pk} as pk, {key} as key,
                        case when {shown} then 'DELETE' else 'DROP' end as signal,
                        null::text as state, null::text as previous
                   {from} as t"
        )
    }

    /// A foreign key that cascades may write a row several times for one statement, and all versions are
    /// in the same two tables, in the order in which they were made: the first of before and the last of
    /// after count.
    fn updated(&self) -> String {
        let side = |table: &str, order: &str| {
            let Self {
                shown,
                state,
                pk,
                key,
                ..
            } = self;
            let columns: Vec<String> = self
                .tracked
                .iter()
                .enumerate()
                .map(|(place, (_, value))| {
                    format!(
                        ",
                            {value} as f{place}"
                    )
                })
                .collect();
            let columns = columns.concat();
            format!(
                "(
                        select distinct on (pk) * from (
                            select row_number() over () as made, true as here, {pk} as pk,
                                {key} as key, {shown} as shown, {state} as state{columns}
                            from {table} as t
                        ) as version
                        order by pk, made{order}
                    )"
            )
        };
        let previous = if self.tracked.is_empty() {
            "null::text".to_owned()
        } else {
            let members: Vec<String> = self
                .tracked
                .iter()
                .enumerate()
                .map(|(place, (name, _))| {
                    format!(
                        "case when was.f{place} <> is_now.f{place} then {name} || was.f{place} end"
                    )
                })
                .collect();
            // No function takes more than a hundred arguments.
            let members: Vec<String> = members
                .chunks(90)
                .map(|members| format!("nullif(concat_ws(',', {}), '')", members.join(", ")))
                .collect();
            format!(
                "case when is_now.shown and was.here then '{{' || concat_ws(',', {}) || '}}' end",
                members.join(", ")
            )
        };
        // A state that is not shown is no matter to replicas.
        let unless = if self.source.model().skip_unchanged {
            "
                    where (was.shown = is_now.shown and (not is_now.shown or was.state = is_now.state)) is not true"
        } else {
            ""
        };
        format!(
            "                    select coalesce(is_now.pk, was.pk) as pk, coalesce(is_now.key, was.key) as key,
                        case
                            when is_now.here is null then case when was.shown then 'DELETE' else 'DROP' end
                            when is_now.shown then 'SAVE'
                            -- It was published, whether its revision can be seen yet or not: a dump or
                            -- a sync may be giving it one just now.
                            when was.shown then 'DELETE'
                            else 'DROP'
                        end as signal,
                        case when is_now.shown then is_now.state end as state,
                        {previous} as previous
                    from {} as was
                    full join {} as is_now on is_now.pk = was.pk{unless}",
            side("cqrs_old", ""),
            side("cqrs_new", " desc"),
        )
    }

    /// Takes the changes named by `again` out of the batch, with the states that their rows have now.
    fn current(&self) -> String {
        let Self { shown, state, .. } = self;
        let columns = self.source.key_columns("t");
        let single = columns.len() == 1;
        let same: Vec<String> = columns
            .iter()
            .zip(self.source.key_types())
            .enumerate()
            .map(|(place, (column, type_name))| {
                let value = if single {
                    "change.key::json #>> '{}'".to_owned()
                } else {
                    format!("change.key::json ->> {place}")
                };
                // A `character` without a length would cut the value.
                let type_name = if type_name == "character" {
                    "bpchar"
                } else {
                    type_name
                };
                format!("{column} = ({value})::{type_name}")
            })
            // Types such as `citext` hold keys equal that are not.
            .chain([format!("{} = change.pk", self.pk)])
            .collect();
        format!(
            "            select array_agg(pk) as pks, array_agg(key) as keys, array_agg(signal) as signals,
                array_agg(state) as states, array_agg(previous) as olds
            into batch
            from (
                select change.pk, change.key,
                    case
                        when now.shown then 'SAVE'
                        when now.here then 'DROP'
                        when change.signal = 'SAVE' then 'DELETE'
                        else change.signal
                    end as signal,
                    case when now.shown then now.state end as state,
                    case when now.shown then change.previous end as previous
                from unnest(batch.pks, batch.keys, batch.signals, batch.olds) with ordinality
                    as change (pk, key, signal, previous, place)
                join unnest(again) as recorded (place) using (place)
                left join lateral (
                    select true as here, {shown} as shown, {state} as state
                    from {table} as t
                    where {same}
                    limit 1
                ) as now on true
            ) as changed;",
            table = self.source.table(),
            same = same.join(" and "),
        )
    }
}

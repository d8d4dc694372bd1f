//! Rows as changes: the queries of a model's function.

use cqrs_core::{
    database::{
        condition::{Dialect, literal},
        quoted,
    },
    filter::FilterError,
};

use super::triggers::dollar_quoted;
use crate::source::Source;

/// The most changes in a batch, and about the most bytes of their states: both become arrays.
const BATCH: u32 = 5_000;
const BATCH_BYTES: u32 = 32 * 1024 * 1024;

/// The most instances of a statement that are named when the table has changed.
const NAMED: u32 = 1_000;

/// A query for the rows that can be no events: some of them in words, each with the number of all. `$1` is
/// the longest body in bytes. Only of rows that take much room the event is made: what is compressed or
/// escaped grows no more than that.
///
/// # Errors
/// The filter names something that is not there.
pub(super) fn unsendable(source: &Source) -> Result<String, FilterError> {
    let rows = Rows::of(source)?;
    let sizes: Vec<String> = source
        .fields()
        .iter()
        .map(|field| format!("coalesce(pg_column_size(t.{}), 0)", quoted(&field.column)))
        .collect();
    let size = if sizes.is_empty() {
        "0".to_owned()
    } else {
        sizes.join(" + ")
    };
    Ok(format!(
        "select coalesce(to_json(left(pk, 40))::text, 'null') || ' (' || problem || ')', count(*) over ()
from (
    select {pk} as pk, case
        when {pk} is null then 'its key is null'
        when {pk} = '' then 'its key is empty'
        when octet_length(convert_to({pk}, 'UTF8')) > 512 then 'its key is longer than 512 bytes'
        when {size} > $1 / 2000 and octet_length({state}) + 500 > $1
            then 'its event would be ' || octet_length({state}) || ' bytes long'
    end as problem
    from {table} as t
    where {shown}
) as judged
where problem is not null
limit 5",
        pk = rows.pk,
        state = rows.state,
        shown = rows.shown,
        table = source.table(),
    ))
}

/// Changes as arrays, in the order of the keys. Each aggregate sees the rows of a batch in the same
/// order. Rows of several heirs that have the same key are taken for one.
pub(super) fn batches(changes: &str) -> String {
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
pub(super) struct Rows<'s> {
    source: &'s Source,
    /// The schema of the outbox, if the types of the columns are to be looked up.
    any_types: Option<&'s str>,
    pub(super) shown: String,
    pub(super) state: String,
    pub(super) pk: String,
    pub(super) key: String,
    tracked: Vec<(String, String)>,
}

impl<'s> Rows<'s> {
    pub(super) fn of(source: &'s Source) -> Result<Self, FilterError> {
        Self::with(source, None)
    }

    /// Of [`Source::of_any_types`].
    pub(super) fn of_any_types(source: &'s Source, home: &'s str) -> Result<Self, FilterError> {
        Self::with(source, Some(home))
    }

    fn with(source: &'s Source, any_types: Option<&'s str>) -> Result<Self, FilterError> {
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
            any_types,
            shown: format!("({condition}) is true"),
            state: source.row_json("t"),
            pk: source.instance_pk("t"),
            key: source.key_json("t"),
            tracked,
        })
    }

    pub(super) fn inserted(&self) -> String {
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

    pub(super) fn removed(&self, from: &str) -> String {
        let Self { shown, pk, key, .. } = self;
        format!(
            "                    select {pk} as pk, {key} as key,
                        case when {shown} then 'DELETE' else 'DROP' end as signal,
                        null::text as state, null::text as previous
                   {from} as t"
        )
    }

    /// What is left to do when columns are gone: saves are refused, and the rows that are gone are deleted, as
    /// long as the key is there. `key_gone` tells.
    pub(super) fn gone(&self, home: &str, key_gone: &str) -> String {
        let Self { pk, key, .. } = self;
        let cqrs_id = self.source.cqrs_id().as_str();
        let model = literal(Dialect::Postgres, cqrs_id);
        let advice = literal(
            Dialect::Postgres,
            &format!(
                "): run `cqrs-relay capture install --model {cqrs_id}`, then `cqrs-relay sync --model \
                 {cqrs_id} --all`"
            ),
        );
        let gone = |from: &str| {
            batches(&format!(
                "                    select {pk} as pk, {key} as key, 'DELETE' as signal,
                        null::text as state, null::text as previous
                   {from} as t"
            ))
        };
        let truncated = gone(" from only \0");
        let (before, after) = truncated.split_once('\0').unwrap_or((&truncated, ""));
        format!(
            "        gone := 'the table has changed since it was captured (' || gone || {advice};
        if {key_gone} is not null then
            perform {home}.cqrs_capture_refuse({model}, array[''], array['SAVE'], array[gone]);
            return null;
        end if;
        if tg_op in ('INSERT', 'UPDATE') then
            named := array(select distinct {pk} from cqrs_new as t limit {NAMED} + 1);
            -- Of many, the first one stands for all.
            if cardinality(named) > {NAMED} then
                named := array[''];
            end if;
            perform {home}.cqrs_capture_refuse(
                {model}, named, array_fill('SAVE'::text, array[cardinality(named)]),
                array_fill(gone, array[cardinality(named)])
            );
        end if;
        if tg_op = 'INSERT' then
            return null;
        elsif tg_op = 'UPDATE' then
            open changes for
{moved};
        elsif tg_op = 'DELETE' then
            open changes for
{deleted};
        else
            open changes for execute {before} || tg_relid::regclass::text || {after};
        end if;",
            moved = gone(&format!(
                " from (
                        select * from cqrs_old as was
                        where {} not in (select {} from cqrs_new as now where {} is not null)
                    )",
                self.source.instance_pk("was"),
                self.source.instance_pk("now"),
                self.source.instance_pk("now"),
            )),
            deleted = gone(" from cqrs_old"),
            before = dollar_quoted("truncated", before),
            after = dollar_quoted("truncated", after),
        )
    }

    /// A foreign key that cascades may write a row several times for one statement, and all versions are
    /// in the same two tables, in the order in which they were made: the first of before and the last of
    /// after count.
    pub(super) fn updated(&self) -> String {
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
    pub(super) fn current(&self) -> String {
        let Self { shown, state, .. } = self;
        let columns = self.source.key_columns("t");
        let single = columns.len() == 1;
        let table = self.source.table();
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
                match self.any_types {
                    None => format!("{column} = ({value})::{type_name}"),
                    Some(home) => format!(
                        "{column} = {home}.cqrs_capture_value({value}, (select {column} from {table} as t limit 0))"
                    ),
                }
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
            same = same.join(" and "),
        )
    }
}

//! The triggers of a model.
//!
//! They do not send what a row was when they fire, but what it is then: another trigger of the table
//! may have written it again in between, and then the last event is the last state. What they know
//! beside that comes from `old`. A key is found as its column compares it, and then byte by byte.

use std::{fmt::Write as _, time::Duration};

use cqrs_core::{
    database::{
        concatenated,
        condition::{Dialect, literal},
        quoted,
    },
    filter::FilterError,
};

use crate::source::Source;

/// Raised with every change of what the triggers do.
pub(super) const FORM: i64 = 2;

/// The columns of a unique index and their collations.
pub(super) type UniqueIndex = Vec<(String, String)>;

/// How many columns of a key `cqrs_capture_replaced` keeps.
const KEPT: usize = 3;

/// A trigger, as SQL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trigger {
    pub(super) name: String,
    /// As `sqlite_schema` keeps it.
    pub(super) sql: String,
}

/// What the triggers of a model are called: this and what they follow. No model has a blank in its name.
pub(super) fn prefix(cqrs_id: &str) -> String {
    format!("cqrs_capture {cqrs_id} ")
}

/// The triggers of a model on this table. `others` are its unique indexes but for that of the key.
///
/// # Errors
/// The filter names what the table does not have.
pub(super) fn triggers(
    source: &Source,
    table: &str,
    others: &[UniqueIndex],
) -> Result<Vec<Trigger>, FilterError> {
    let hidden = |alias: &str| -> Result<String, FilterError> {
        if source.filter().is_all() {
            return Ok("0".to_owned());
        }
        let shown = source.literal_condition(source.filter(), alias)?;
        Ok(format!("({shown}) IS NOT TRUE"))
    };
    let body = Body {
        table: quoted(table),
        cqrs_id: literal(Dialect::Sqlite, source.cqrs_id().as_str()),
        ttl: source
            .model()
            .ttl
            .map_or_else(|| "NULL".to_owned(), seconds),
        now_hidden: hidden("t")?,
        was_hidden: hidden("old")?,
        source,
    };
    let replaced = |also: &str| {
        if others.is_empty() {
            String::new()
        } else {
            body.replaced(also)
        }
    };
    let inserted = format!("{}{}", replaced(""), body.saved(false));
    let not_moved = format!("\n    AND gone.instance_pk IS NOT {}", body.pk("old"));
    let updated = format!(
        "{}{}{}",
        replaced(&not_moved),
        body.deleted(&format!("{} AND ", body.moved())),
        body.saved(true),
    );
    let mut triggers = vec![
        body.trigger("insert", "AFTER INSERT", &inserted),
        body.trigger("update", "AFTER UPDATE", &updated),
        body.trigger("delete", "AFTER DELETE", &body.deleted("")),
    ];
    if !others.is_empty() {
        let not_itself = format!("\n    AND {} IS NOT {}", body.pk("t"), body.pk("old"));
        for (of, when, also) in [
            ("before insert", "BEFORE INSERT", ""),
            ("before update", "BEFORE UPDATE", not_itself.as_str()),
        ] {
            let noted = others.iter().map(|index| body.noted(index, also));
            triggers.push(body.trigger(of, when, &noted.collect::<String>()));
        }
    }
    Ok(triggers)
}

/// A query for the rows that can be no events: some of them in words, each with the number of all. `?1` is
/// the longest body in bytes. Only of rows that take much room the event is made: what is escaped grows no
/// more than that.
///
/// # Errors
/// The filter names what the table does not have.
pub(super) fn unsendable(source: &Source) -> Result<String, FilterError> {
    let shown = if source.filter().is_all() {
        "1".to_owned()
    } else {
        source.literal_condition(source.filter(), "t")?
    };
    let sizes = source
        .fields()
        .iter()
        .map(|field| {
            format!(
                "coalesce(length(cast(t.{} AS BLOB)), 0)",
                quoted(&field.column)
            )
        })
        .collect::<Vec<_>>();
    let size = if sizes.is_empty() {
        "0".to_owned()
    } else {
        concatenated(sizes, " + ")
    };
    let parts = source.key_columns("t");
    let no_part = parts
        .iter()
        .map(|part| format!("{part} IS NULL"))
        .collect::<Vec<_>>();
    Ok(format!(
        "SELECT coalesce(json_quote(substr(pk, 1, 40)), 'null') || ' (' || problem || ')', count(*) OVER ()
FROM (
  SELECT {pk} AS pk, CASE
    WHEN {no_part} THEN 'its key is null'
    WHEN {pk} = '' THEN 'its key is empty'
    WHEN length(cast({pk} AS BLOB)) > 512 THEN 'its key is longer than 512 bytes'
    WHEN instr({pk}, char(0)) > 0 THEN 'its key contains a NUL character'
    WHEN {size} > ?1 / 10 AND length(cast({state} AS BLOB)) + 500 > ?1
      THEN 'its event would be ' || length(cast({state} AS BLOB)) || ' bytes long'
  END AS problem
  FROM {table} AS t
  WHERE {shown}
)
WHERE problem IS NOT NULL
LIMIT 5",
        pk = source.instance_pk("t"),
        no_part = no_part.join(" OR "),
        state = source.row_json("t"),
        table = source.table(),
    ))
}

/// What the statements of a model's triggers are made of.
struct Body<'s> {
    source: &'s Source,
    table: String,
    cqrs_id: String,
    ttl: String,
    /// Whether replicas are not to have the row.
    now_hidden: String,
    /// The same of what it was.
    was_hidden: String,
}

impl Body<'_> {
    fn trigger(&self, name: &str, when: &str, statements: &str) -> Trigger {
        let name = format!("{}{name}", prefix(self.source.cqrs_id().as_str()));
        let sql = format!(
            "CREATE TRIGGER {} {when} ON {}\nBEGIN\n{statements}END",
            quoted(&name),
            self.table
        );
        Trigger { name, sql }
    }

    fn pk(&self, alias: &str) -> String {
        self.source.instance_pk(alias)
    }

    /// The row of the table that has the key of `alias`.
    fn found(&self, alias: &str) -> String {
        let mut sql = format!("FROM {} AS t WHERE ", self.table);
        let (found, wanted) = (self.source.key_columns("t"), self.source.key_columns(alias));
        for (found, wanted) in found.iter().zip(&wanted) {
            let _ = write!(sql, "{found} IS {wanted} AND ");
        }
        let _ = write!(sql, "{} IS {}", self.pk("t"), self.pk(alias));
        sql
    }

    /// The change of the row that is there. `updated` if `old` is what it was.
    ///
    /// Each value is put into words once, in the inner query, which the planner does not dissolve for
    /// its limit: programs that prepare a statement for each write pay for the length of this.
    fn saved(&self, updated: bool) -> String {
        let Self {
            source,
            cqrs_id,
            ttl,
            now_hidden,
            ..
        } = self;
        let skips = updated && source.model().skip_unchanged;
        let tracked: Vec<_> = source.tracked().map(|field| &field.name).collect();
        let (mut inner, mut members, mut changes, mut differ) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (place, field) in source.fields().iter().enumerate() {
            let name = serde_json::Value::from(field.name.as_str()).to_string();
            let name = |comma| literal(Dialect::Sqlite, &format!("{comma}{name}:"));
            inner.push(format!("{} AS n{place}", source.field_json(field, "t")));
            let comma = if place == 0 { "" } else { "," };
            members.push(format!("{} || n{place}", name(comma)));
            let is_tracked = updated && tracked.contains(&&field.name);
            if is_tracked || skips {
                inner.push(format!("{} AS o{place}", source.field_json(field, "old")));
            }
            if is_tracked {
                changes.push(format!(
                    "CASE WHEN o{place} IS NOT n{place} THEN {} || o{place} ELSE '' END",
                    name(",")
                ));
            }
            if skips {
                differ.push(format!("o{place} IS NOT n{place}"));
            }
        }
        let moved = if updated {
            self.moved()
        } else {
            "0".to_owned()
        };
        let previous = if changes.is_empty() {
            "NULL".to_owned()
        } else {
            let changes = concatenated(changes, " || ");
            format!("CASE WHEN NOT moved THEN '{{' || substr({changes}, 2) || '}}' END")
        };
        let members = if members.is_empty() {
            "''".to_owned()
        } else {
            concatenated(members, " || ")
        };
        let unless_unchanged = if skips {
            differ.push(format!("hidden IS NOT {}", self.was_hidden));
            differ.push("moved".to_owned());
            format!(" AND ({})", concatenated(differ, " OR "))
        } else {
            String::new()
        };
        format!(
            "  INSERT INTO cqrs_captured\n    \
             (cqrs_id, instance_pk, key_json, signal, data, previous_data, filtered, ttl)\n  \
             SELECT {cqrs_id}, pk, key_json, 'SAVE',\n    \
             CASE WHEN NOT hidden THEN '{{' || {members} || '}}' END,\n    \
             {previous},\n    hidden, {ttl}\n  FROM (\n    \
             SELECT 1 AS found, {} AS pk,\n      {} AS key_json,\n      {now_hidden} AS hidden,\n      \
             {moved} AS moved,\n      {}\n    {} LIMIT 1\n  )\n  WHERE found{unless_unchanged};\n",
            self.pk("t"),
            source.key_json("t"),
            if inner.is_empty() {
                "NULL".to_owned()
            } else {
                inner.join(",\n      ")
            },
            self.found("new"),
        )
    }

    /// The end of what was there, unless it is there again.
    fn deleted(&self, condition: &str) -> String {
        let Self {
            cqrs_id,
            ttl,
            was_hidden,
            ..
        } = self;
        format!(
            "  INSERT INTO cqrs_captured\n    \
             (cqrs_id, instance_pk, key_json, signal, filtered, ttl)\n  \
             SELECT {cqrs_id}, {}, {}, 'DELETE', {was_hidden}, {ttl}\n  \
             WHERE {condition}NOT EXISTS (SELECT 1 {});\n",
            self.pk("old"),
            self.source.key_json("old"),
            self.found("old"),
        )
    }

    /// Whether an update has made another instance of the row.
    fn moved(&self) -> String {
        format!("{} IS NOT {}", self.pk("old"), self.pk("new"))
    }

    /// Notes the rows that a REPLACE would take away because of this index.
    fn noted(&self, index: &UniqueIndex, also: &str) -> String {
        let mut kept = self.source.key_columns("t");
        kept.truncate(KEPT);
        kept.resize(KEPT, "NULL".to_owned());
        let same: Vec<_> = index
            .iter()
            .map(|(column, collation)| {
                let column = quoted(column);
                format!("t.{column} = new.{column} COLLATE {}", quoted(collation))
            })
            .collect();
        format!(
            "  INSERT INTO cqrs_capture_replaced\n    \
             (cqrs_id, instance_pk, key_json, filtered, key_1, key_2, key_3)\n  \
             SELECT {}, {}, {}, {}, {}\n  FROM {} AS t\n  WHERE {}\n    AND {} IS NOT {}{also};\n",
            self.cqrs_id,
            self.pk("t"),
            self.source.key_json("t"),
            self.now_hidden,
            kept.join(", "),
            self.table,
            same.join(" AND "),
            self.pk("t"),
            self.pk("new"),
        )
    }

    /// The end of the rows that have been taken away so, unless a trigger of their deletion has told.
    fn replaced(&self, also: &str) -> String {
        let Self { cqrs_id, ttl, .. } = self;
        let mut same = String::new();
        for (place, column) in self.source.key_columns("t").iter().take(KEPT).enumerate() {
            let _ = write!(same, "{column} IS gone.key_{} AND ", place + 1);
        }
        format!(
            "  INSERT INTO cqrs_captured\n    \
             (cqrs_id, instance_pk, key_json, signal, filtered, ttl)\n  \
             SELECT DISTINCT {cqrs_id}, instance_pk, key_json, 'DELETE', filtered, {ttl}\n  \
             FROM cqrs_capture_replaced AS gone\n  WHERE cqrs_id = {cqrs_id}\n    \
             AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE {same}{} IS gone.instance_pk)\n    \
             AND NOT EXISTS (SELECT 1 FROM cqrs_revision AS known WHERE known.deleted\n      \
             AND known.cqrs_id = {cqrs_id} AND known.instance_pk = gone.instance_pk){also};\n  \
             DELETE FROM cqrs_capture_replaced WHERE cqrs_id = {cqrs_id};\n",
            self.table,
            self.pk("t"),
        )
    }
}

fn seconds(length: Duration) -> String {
    format!("{}.{:06}", length.as_secs(), length.subsec_micros())
}

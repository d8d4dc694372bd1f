//! Changes of the shop's rows, by dice.

use serde_json::{Value, json};
use uuid::Uuid;

/// What happens to one row.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) cqrs_id: &'static str,
    pub(crate) key: Value,
    /// Its state from now on, key excluded; none when it is deleted.
    pub(crate) state: Option<Value>,
}

impl Change {
    /// As `operate.py` takes it.
    pub(crate) fn operation(&self) -> Value {
        match &self.state {
            Some(state) => json!(["put", self.cqrs_id, self.key, state]),
            None => json!(["remove", self.cqrs_id, self.key]),
        }
    }
}

/// A row is created or changed.
pub(crate) fn saved(cqrs_id: &'static str, key: impl Into<Value>, state: Value) -> Change {
    Change {
        cqrs_id,
        key: key.into(),
        state: Some(state),
    }
}

/// A row is deleted.
pub(crate) fn deleted(cqrs_id: &'static str, key: impl Into<Value>) -> Change {
    Change {
        cqrs_id,
        key: key.into(),
        state: None,
    }
}

/// So many changes of few rows: those of `owner`, where there is one.
pub(crate) fn draw(seed: u64, count: usize, owner: Option<u64>) -> Vec<Change> {
    let mut dice = fastrand::Rng::with_seed(seed);
    (0..count).map(|turn| one(&mut dice, turn, owner)).collect()
}

fn one(dice: &mut fastrand::Rng, turn: usize, owner: Option<u64>) -> Change {
    let row = owner.unwrap_or(0) * 1000 + dice.u64(1..15);
    let name = format!("{turn} {}", text(dice));
    match dice.u8(..10) {
        0..6 => Change {
            cqrs_id: "customer",
            key: json!(row),
            state: (dice.u8(..6) > 0).then(|| customer(dice, &name)),
        },
        6..8 => Change {
            cqrs_id: "country",
            key: json!(format!("ć {row}")),
            state: (dice.u8(..4) > 0).then(|| json!({ "name": name })),
        },
        // A delete by UUID never leaves django-cqrs.
        _ => Change {
            cqrs_id: "device",
            key: json!(Uuid::from_u128(row.into())),
            state: Some(json!({"label": name, "serial": dice.i64(..)})),
        },
    }
}

fn customer(dice: &mut fastrand::Rng, name: &str) -> Value {
    let cents = dice.i64(-99_999_999_999..99_999_999_999);
    json!({
        "name": name,
        "status": dice.choice(["new", "open", "gone"]),
        "balance": dice.bool().then(|| format!("{}.{:02}", cents / 100, (cents % 100).abs())),
        "ratio": dice.bool().then(|| dice.f64()),
        "active": dice.bool(),
        "born": dice.bool().then(|| format!("{}-{:02}-{:02}", dice.u16(1000..3000),
            dice.u8(1..13), dice.u8(1..29))),
        "seen": dice.bool().then(|| format!("2026-{:02}-28T03:04:05.{:06}Z", dice.u8(1..13),
            dice.u32(..1_000_000))),
        "extra": match dice.u8(..3) {
            0 => Value::Null,
            1 => json!([]),
            _ => json!({"n": dice.i32(..), name: [null, true, dice.f64()]}),
        },
        "parent": dice.bool().then(|| dice.u32(1..100)),
    })
}

/// Letters of every length in UTF-8, and what JSON escapes.
fn text(dice: &mut fastrand::Rng) -> String {
    let letters = [
        'a', 'é', '☃', '😀', '"', '\\', '/', '\n', '\u{7f}', '\u{2028}',
    ];
    (0..dice.usize(..12))
        .filter_map(|_| dice.choice(letters))
        .collect()
}

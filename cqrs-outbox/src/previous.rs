//! `previous_data`: the old values of tracked fields that changed.

use std::collections::HashMap;

use cqrs_core::json::Object;
use serde_json::value::RawValue;

use crate::Tracked;

/// The tracked members of `before` whose JSON text is another one in `after`, with their old
/// values; null for one that was not there.
pub(crate) fn changed(tracked: Tracked, before: &Object, after: &Object) -> Option<Object> {
    let (was, is_now) = (by_name(before), by_name(after));
    let change = |name: &str| {
        let (old, new) = (was.get(name), is_now.get(name));
        let differs = old.map(|old| old.get()) != new.map(|new| new.get());
        differs.then(|| {
            let old = old.map_or_else(null, |&old| old.to_owned());
            (name.to_owned(), old)
        })
    };
    match tracked {
        Tracked::None => None,
        Tracked::All => {
            let names = before.iter().chain(added(after, &was));
            Some(names.filter_map(|(name, _)| change(name)).collect())
        }
        Tracked::Fields(names) => Some(names.iter().filter_map(|name| change(name)).collect()),
    }
}

/// The changes of two steps as those of one: the older value of each member, unless the state after
/// the second is back at it.
pub(crate) fn merged(
    first: Option<Object>,
    second: Option<Object>,
    after: &Object,
) -> Option<Object> {
    if first.is_none() && second.is_none() {
        return None;
    }
    let (older, newer) = (first.unwrap_or_default(), second.unwrap_or_default());
    let (names, now) = (by_name(&older), by_name(after));
    let changes = older.iter().chain(added(&newer, &names));
    let changes = changes.filter(|(name, old)| {
        let now = now.get(name).map(|now| now.get());
        now != Some(old.get())
    });
    Some(
        changes
            .map(|(name, old)| (name.to_owned(), old.to_owned()))
            .collect(),
    )
}

/// For objects of many members, of which [`Object::get`] looks at one after the other.
fn by_name(object: &Object) -> HashMap<&str, &RawValue> {
    object.iter().collect()
}

fn added<'o>(
    object: &'o Object,
    known: &HashMap<&str, &RawValue>,
) -> impl Iterator<Item = (&'o str, &'o RawValue)> {
    object.iter().filter(|(name, _)| !known.contains_key(name))
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(json: &str) -> Object {
        Object::from_json(json).unwrap()
    }

    fn changed_text(tracked: Tracked, before: &str, after: &str) -> Option<String> {
        changed(tracked, &object(before), &object(after)).map(|object| object.to_json())
    }

    #[test]
    fn only_tracked_fields_that_changed_are_named() {
        let (before, after) = (r#"{"a":1,"b":"x","c":null}"#, r#"{"a":2,"b":"x","c":3}"#);
        assert_eq!(changed_text(Tracked::None, before, after), None);
        assert_eq!(
            changed_text(Tracked::All, before, after).unwrap(),
            r#"{"a":1,"c":null}"#
        );
        let some = Tracked::Fields(&["b", "c"]);
        assert_eq!(changed_text(some, before, after).unwrap(), r#"{"c":null}"#);
    }

    #[test]
    fn a_field_that_comes_or_goes_has_changed() {
        assert_eq!(
            changed_text(Tracked::All, r#"{"gone":1}"#, r#"{"new":2}"#).unwrap(),
            r#"{"gone":1,"new":null}"#
        );
        assert_eq!(
            changed_text(Tracked::Fields(&["other"]), "{}", "{}").unwrap(),
            "{}"
        );
    }

    /// In a second, where a look at each for each takes minutes.
    #[test]
    fn many_members_are_compared() {
        let of = |value: u32| -> Object {
            let value = RawValue::from_string(value.to_string()).unwrap();
            let members = (0..50_000).map(|name| (format!("member {name}"), value.clone()));
            members.collect()
        };
        let changes = changed(Tracked::All, &of(1), &of(2)).unwrap();
        assert_eq!(changes.len(), 50_000);
        assert!(merged(Some(changes), None, &of(1)).unwrap().is_empty());
    }

    fn state() -> impl Strategy<Value = Object> {
        proptest::collection::vec(0_u8..3, 4).prop_map(|values| {
            let mut object = Object::default();
            for (name, value) in ["a", "b", "c", "d"].into_iter().zip(values) {
                object.insert(name, RawValue::from_string(value.to_string()).unwrap());
            }
            object
        })
    }

    proptest! {
        /// Folding steps says the same as comparing the ends.
        #[test]
        fn merging_steps_equals_one_step(states in proptest::collection::vec(state(), 2..6)) {
            let last = states.last().unwrap();
            let step = |pair: &[Object]| changed(Tracked::All, &pair[0], &pair[1]);
            let mut folded = step(&states[..2]);
            for pair in states[1..].windows(2) {
                folded = merged(folded, step(pair), &pair[1]);
            }
            let folded = folded.unwrap();
            let direct = changed(Tracked::All, &states[0], last).unwrap();
            let sorted = |object: &Object| {
                let mut members: Vec<_> =
                    object.iter().map(|(name, old)| (name.to_owned(), old.get().to_owned())).collect();
                members.sort();
                members
            };
            prop_assert_eq!(sorted(&folded), sorted(&direct));
        }
    }
}

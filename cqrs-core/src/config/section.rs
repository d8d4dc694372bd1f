//! One table of the file, with the variables and flags that belong to it.

use toml::de::{DeTable, DeValue};

use super::{
    kind::{Kind, Raw},
    problem::{Place, Problem},
    reader::{KeyInfo, Reader},
};

/// A section while it is read. Each key is declared where it is asked for: what is never asked for
/// is unknown.
pub(super) struct Section<'r, 'a> {
    reader: &'r mut Reader<'a>,
    path: &'static str,
    table: Option<&'a DeTable<'a>>,
    place: Place,
    /// Whether variables and flags set its keys too.
    ambient: bool,
    asked: Vec<&'static str>,
    missing: Vec<Problem>,
}

/// A value was there and has been reported as a problem.
struct Refused;

impl<'r, 'a> Section<'r, 'a> {
    pub(super) fn new(
        reader: &'r mut Reader<'a>,
        path: &'static str,
        table: Option<&'a DeTable<'a>>,
        place: Place,
        ambient: bool,
    ) -> Self {
        Self {
            reader,
            path,
            table,
            place,
            ambient,
            asked: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// A key with a default.
    pub(super) fn value<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        default: K::Out,
        doc: &'static str,
    ) -> K::Out {
        let shown = kind.show(&default);
        self.declare(name, kind, format!("`{shown}`"), doc);
        self.find(name, kind, &shown)
            .ok()
            .flatten()
            .unwrap_or(default)
    }

    /// A key that may be absent. `otherwise` tells the reference what holds then, in Markdown.
    pub(super) fn optional<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        otherwise: &str,
        example: &str,
        doc: &'static str,
    ) -> Option<K::Out> {
        self.declare(name, kind, otherwise.to_owned(), doc);
        self.find(name, kind, example).ok().flatten()
    }

    /// A key that the section is of no use without.
    pub(super) fn required<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        example: &str,
        doc: &'static str,
    ) -> Option<K::Out> {
        self.declare(name, kind, "required".to_owned(), doc);
        let found = self.find(name, kind, example);
        if let Ok(None) = found {
            let file = if self.table.is_some() {
                format!("add {name} = {example}")
            } else {
                format!("add [{}] with {name} = {example}", self.path)
            };
            let variable = self.variable(name).map(|name| format!(", or set {name}"));
            self.missing.push(Problem {
                place: self.place.clone(),
                key: self.key(name),
                what: "is missing".to_owned(),
                remedy: file + &variable.unwrap_or_default(),
            });
        }
        found.ok().flatten()
    }

    /// A list of tables: each is read with `read`, and comes with its place.
    pub(super) fn tables<T>(
        &mut self,
        name: &'static str,
        path: &'static str,
        doc: &'static str,
        mut read: impl FnMut(&mut Section<'_, 'a>) -> Option<T>,
    ) -> Vec<(T, Place)> {
        self.asked.push(name);
        self.list(KeyInfo {
            section: self.path,
            name,
            type_name: "list of tables",
            default: "none".to_owned(),
            range: String::new(),
            env: None,
            doc,
        });
        let Some((key, value)) = self.table.and_then(|table| table.get_key_value(name)) else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        let items = value.get_ref().as_array();
        for item in items.into_iter().flat_map(|items| items.iter()) {
            if let DeValue::Table(table) = item.get_ref() {
                let place = self.reader.sources.line(item.span().start);
                let mut row = Section::new(self.reader, path, Some(table), place.clone(), false);
                let value = read(&mut row);
                let missing = row.finish();
                self.reader.problems.extend(missing);
                rows.extend(value.map(|value| (value, place)));
            }
        }
        if items.is_none_or(|items| items.iter().any(|item| !item.get_ref().is_table())) {
            self.reader.problems.push(Problem {
                place: self.reader.sources.line(key.span().start),
                key: self.key(name),
                what: "is not a list of tables".to_owned(),
                remedy: format!("write [[{path}]], in double brackets, before each one's keys"),
            });
        }
        rows
    }

    /// Reports two values that are wrong together: the first, if it was set, or the second.
    pub(super) fn contradiction(&mut self, names: [&'static str; 2], why: &str, remedy: &str) {
        let [first, second] = names;
        let first_is_set = !self.candidates(first).is_empty();
        let (set, other) = if first_is_set {
            (first, second)
        } else {
            (second, first)
        };
        self.wrong(set, &format!("contradicts {other}: {why}"), remedy);
    }

    /// Reports the value of a key, where it was set.
    pub(super) fn wrong(&mut self, name: &'static str, what: &str, remedy: &str) {
        let place = self
            .candidates(name)
            .into_iter()
            .next()
            .map(|(place, _)| place);
        let place = place.unwrap_or_else(|| self.place.clone());
        self.problem(place, name, what.to_owned(), remedy);
    }

    /// Reports something wrong at a place of the file.
    pub(super) fn problem(&mut self, place: Place, name: &str, what: String, remedy: &str) {
        let key = self.key(name);
        self.reader.problems.push(Problem {
            place,
            key,
            what,
            remedy: remedy.to_owned(),
        });
    }

    /// Ends the section, and answers with what it lacks.
    pub(super) fn finish(self) -> Vec<Problem> {
        if let Some(table) = self.table {
            self.reader.note_unknown(self.path, table, &self.asked);
        }
        self.missing
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.ambient
            .then(|| format!("CQRS_{}_{name}", self.path).to_ascii_uppercase())
    }

    fn declare<K: Kind>(
        &mut self,
        name: &'static str,
        kind: &K,
        default: String,
        doc: &'static str,
    ) {
        self.asked.push(name);
        self.list(KeyInfo {
            section: self.path,
            name,
            type_name: kind.type_name(),
            default,
            range: kind.range(),
            env: self.variable(name),
            doc,
        });
    }

    /// Models are read once each and listed once.
    fn list(&mut self, info: KeyInfo) {
        let keys = &mut self.reader.keys;
        if !keys
            .iter()
            .any(|key| key.section == info.section && key.name == info.name)
        {
            keys.push(info);
        }
    }

    /// Every source's value for a key, the one that wins first.
    fn candidates(&self, name: &str) -> Vec<(Place, Raw<'a>)> {
        let sources = self.reader.sources;
        let mut found = Vec::new();
        if let Some(variable) = self.variable(name) {
            let key = self.key(name);
            // Of a flag given twice the last one counts, as usual.
            let flags = sources.flags.iter().rev().filter(|(set, ..)| *set == key);
            found.extend(
                flags.map(|(_, flag, value)| (Place::Flag(flag.clone()), Raw::Text(value))),
            );
            let variables = sources.env.iter().filter(|(set, _)| *set == variable);
            found.extend(
                variables.map(|(set, value)| (Place::Variable(set.clone()), Raw::Text(value))),
            );
        }
        if let Some((key, value)) = self.table.and_then(|table| table.get_key_value(name)) {
            found.push((sources.line(key.span().start), Raw::Toml(value.get_ref())));
        }
        found
    }

    /// The value that wins. Those that lose must be right as well.
    fn find<K: Kind>(
        &mut self,
        name: &str,
        kind: &K,
        example: &str,
    ) -> Result<Option<K::Out>, Refused> {
        let mut value = Ok(None);
        for (place, raw) in self.candidates(name).into_iter().rev() {
            let read = match raw {
                Raw::Text(text) if text.contains('\u{fffd}') => {
                    Err("is not valid UTF-8".to_owned())
                }
                _ => kind.read(raw),
            };
            value = read.map(Some).map_err(|what| {
                let plain = example.trim_matches('"');
                let example = match &place {
                    Place::Flag(flag) => format!("{flag} {plain}"),
                    Place::Variable(variable) => format!("{variable}={plain}"),
                    _ => format!("{name} = {example}"),
                };
                let remedy = format!("write {}, for example {example}", kind.expected());
                self.reader.problems.push(Problem {
                    place,
                    key: self.key(name),
                    what,
                    remedy,
                });
                Refused
            });
        }
        value
    }
}

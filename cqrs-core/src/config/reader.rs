//! Reads all sources side by side and collects every problem on the way.

use toml::de::{DeTable, DeValue};

use super::{
    kind::Raw,
    problem::{Place, Problem},
    section::Section,
    sources::Sources,
    unknown::UnknownKey,
};

/// What is known of a key, from its declaration.
#[derive(Debug, Clone)]
pub(super) struct KeyInfo {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) type_name: &'static str,
    /// In Markdown.
    pub(super) default: String,
    pub(super) range: String,
    /// The variable, or none for what only the file can hold.
    pub(super) env: Option<String>,
    pub(super) doc: &'static str,
}

impl KeyInfo {
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// The state of one load.
pub(super) struct Reader<'a> {
    pub(super) sources: &'a Sources,
    root: &'a DeTable<'a>,
    /// The file could not be parsed: what it lacks is not known.
    broken: bool,
    pub(super) sections: Vec<&'static str>,
    unknown: Vec<UnknownKey>,
    pub(super) problems: Vec<Problem>,
    pub(super) keys: Vec<KeyInfo>,
}

/// Parses the file. What cannot be parsed is a problem for each error, and an empty table.
pub(super) fn parse(sources: &Sources) -> (DeTable<'_>, Vec<Problem>) {
    let Some((_, text)) = &sources.file else {
        return (DeTable::new(), Vec::new());
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return (table.into_inner(), Vec::new());
    }
    // Only the message: the error's own display repeats the line, and the line may hold a password.
    let problems = errors.iter().map(|error| Problem {
        place: sources.line(error.span().map_or(0, |span| span.start)),
        key: String::new(),
        what: match error.message() {
            // A text without quotes that begins like `nan` or `inf`; the remedy says it better.
            message if message.starts_with("invalid float") => "is not TOML".to_owned(),
            message => format!("is not TOML: {message}"),
        },
        remedy: "correct this line (texts and durations stand in quotes)".to_owned(),
    });
    (DeTable::new(), problems.collect())
}

impl Sources {
    /// The line of the file with this byte.
    pub(super) fn line(&self, offset: usize) -> Place {
        match &self.file {
            Some((path, text)) => {
                let before = text.as_bytes().iter().take(offset);
                Place::Line(
                    path.clone(),
                    before.filter(|byte| **byte == b'\n').count() + 1,
                )
            }
            None => Place::Nowhere,
        }
    }

    fn whole(&self) -> Place {
        self.file
            .as_ref()
            .map_or(Place::Nowhere, |(path, _)| Place::File(path.clone()))
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a Sources, root: &'a DeTable<'a>, problems: Vec<Problem>) -> Self {
        let broken = !problems.is_empty();
        Self {
            sources,
            root,
            broken,
            sections: Vec::new(),
            unknown: Vec::new(),
            problems,
            keys: Vec::new(),
        }
    }

    /// Reads one section, and answers also with what it lacks.
    pub(super) fn section<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Section<'_, 'a>) -> T,
    ) -> (T, Vec<Problem>) {
        self.sections.push(name);
        let mut place = self.sources.whole();
        let mut table = None;
        if let Some((key, value)) = self.root.get_key_value(name) {
            place = self.sources.line(key.span().start);
            match value.get_ref() {
                DeValue::Table(found) => table = Some(found),
                other => self.problems.push(Problem {
                    place: place.clone(),
                    key: name.to_owned(),
                    what: format!("is {}, not a section", Raw::Toml(other).type_name()),
                    remedy: format!("write [{name}] on a line of its own, its keys below"),
                }),
            }
        }
        let mut section = Section::new(self, name, table, place, true);
        let value = read(&mut section);
        let missing = section.finish();
        (value, if self.broken { Vec::new() } else { missing })
    }

    /// Notes the keys of a table that are not among those asked for.
    pub(super) fn note_unknown(
        &mut self,
        section: &'static str,
        table: &DeTable<'_>,
        asked: &[&str],
    ) {
        for (key, _) in table {
            let name = key.get_ref();
            if !asked.contains(&name.as_ref()) {
                let place = self.sources.line(key.span().start);
                self.unknown.push(UnknownKey {
                    place,
                    section,
                    name: name.clone().into_owned(),
                });
            }
        }
    }

    /// After the last section: what nobody asked for is a problem too.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<KeyInfo>) {
        let sections = self.sections.clone();
        self.note_unknown("", self.root, &sections);
        for unknown in std::mem::take(&mut self.unknown) {
            let problem = self.unknown_key(unknown);
            self.problems.push(problem);
        }
        let variables = self.sources.env.iter();
        let variables = variables.filter_map(|(name, value)| self.unknown_variable(name, value));
        let flags = self
            .sources
            .flags
            .iter()
            .filter_map(|(key, name, _)| self.unknown_flag(key, name));
        let more: Vec<_> = variables.chain(flags).collect();
        self.problems.extend(more);
        self.problems.sort_by(|a, b| a.place.cmp(&b.place));
        (self.problems, self.keys)
    }
}

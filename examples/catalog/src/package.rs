//! The model: one package of Debian's index, and how to read it.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use cqrs_outbox::Master;
use serde::{Deserialize, Serialize};

/// A row of the table `packages`; its columns have the fields' names.
#[expect(
    clippy::struct_field_names,
    reason = "the index calls the name of a package so"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Master)]
#[master(cqrs_id = "package", table = "packages", tracked(section, priority))]
pub(crate) struct Package {
    #[master(key)]
    pub(crate) package: String,
    #[master(key)]
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) section: Option<String>,
    pub(crate) priority: Option<String>,
    pub(crate) installed_size: Option<i64>,
    pub(crate) maintainer: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) depends: Option<String>,
    pub(crate) description: Option<String>,
}

impl Package {
    fn set(&mut self, field: &str, value: String) -> Result<()> {
        match field {
            "Package" => self.package = value,
            "Version" => self.version = value,
            "Architecture" => self.architecture = value,
            "Section" => self.section = Some(value),
            "Priority" => self.priority = Some(value),
            "Installed-Size" => {
                let size = value
                    .parse()
                    .with_context(|| format!("Installed-Size {value:?}"))?;
                self.installed_size = Some(size);
            }
            "Maintainer" => self.maintainer = Some(value),
            "Homepage" => self.homepage = Some(value),
            "Depends" => self.depends = Some(value),
            "Description" => self.description = Some(value),
            _ => {}
        }
        Ok(())
    }
}

/// Reads the stanzas of an index: `Field: value`, continued on lines that start with white space,
/// ended by an empty line.
pub(crate) fn parse(index: &str) -> Result<Vec<Package>> {
    let stanzas = index
        .split("\n\n")
        .filter(|stanza| !stanza.trim().is_empty());
    stanzas
        .map(|stanza| {
            let mut package = Package::default();
            let mut field = (String::new(), String::new());
            for line in stanza.lines() {
                if line.starts_with([' ', '\t']) {
                    field.1.push('\n');
                    field.1.push_str(line.trim());
                } else if let Some((name, value)) = line.split_once(':') {
                    package.set(&field.0, field.1)?;
                    field = (name.to_owned(), value.trim().to_owned());
                }
            }
            package.set(&field.0, field.1)?;
            ensure!(
                !package.package.is_empty() && !package.version.is_empty(),
                "a stanza without Package or Version: {stanza:.80}"
            );
            Ok(package)
        })
        .collect()
}

/// The machine's own index, or the sample where there is no apt.
pub(crate) fn default_index() -> Vec<PathBuf> {
    let lists = std::fs::read_dir("/var/lib/apt/lists")
        .into_iter()
        .flatten()
        .flatten();
    let mut lists: Vec<_> = lists
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.contains("_Packages"))
        })
        .collect();
    lists.sort();
    if lists.is_empty() {
        vec![sample()]
    } else {
        lists
    }
}

/// A few hundred packages for machines without apt.
pub(crate) fn sample() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/packages.sample"
    ))
}

/// The text of an index file, whatever apt compressed it with.
pub(crate) fn read(path: &PathBuf) -> Result<String> {
    let plain = path.extension().is_none_or(|ending| {
        !["lz4", "gz", "xz", "bz2", "zst"]
            .iter()
            .any(|known| ending == *known)
    });
    let bytes = if plain {
        std::fs::read(path)?
    } else {
        let output = Command::new("/usr/lib/apt/apt-helper")
            .arg("cat-file")
            .arg(path)
            .output()
            .context("apt-helper, which reads compressed lists, did not start")?;
        ensure!(
            output.status.success(),
            "apt-helper: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read_whole() {
        let packages = parse(&read(&sample()).unwrap()).unwrap();
        assert_eq!(packages.len(), 300);
        assert!(
            packages
                .iter()
                .any(|p| p.maintainer.as_ref().is_some_and(|m| !m.is_ascii()))
        );
        assert!(packages.iter().any(|p| p.installed_size.is_none()));
    }

    #[test]
    fn a_value_may_go_on_in_the_next_line() {
        let packages = parse("Package: a\nVersion: 1\nDescription: one\n two\n\n").unwrap();
        assert_eq!(packages[0].description.as_deref(), Some("one\ntwo"));
        assert!(parse("Version: 1\n").is_err());
    }
}

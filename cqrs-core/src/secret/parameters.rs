//! Parameters of a URL that no driver reads.

use super::SecretUrl;

/// A parameter that is unknown, with those that are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the URL has an unknown parameter {name}; known are: {known}")]
pub(crate) struct UnknownParameter {
    name: String,
    known: String,
}

impl SecretUrl {
    /// Refuses a parameter that a driver would pass over: with a mistake in its name it would connect
    /// without what was asked for, without TLS perhaps.
    ///
    /// # Errors
    /// The name of the first one that is neither in `known` nor a setting such as `options[search_path]`.
    pub(crate) fn check_parameters(&self, known: &[&str]) -> Result<(), UnknownParameter> {
        let Some((_, query)) = self.0.split_once('?') else {
            return Ok(());
        };
        let mut names = query
            .split('&')
            .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
            .filter(|name| !name.is_empty());
        let setting = |name: &str| name.starts_with("options[") && name.ends_with(']');
        let Some(name) = names.find(|name| !known.contains(name) && !setting(name)) else {
            return Ok(());
        };
        Err(UnknownParameter {
            // This may be no parameter but the end of a password with a `?` in it.
            name: if query.contains('@') {
                "***".to_owned()
            } else {
                format!("{name:?}")
            },
            known: known.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_parameter_is_refused_by_its_name() {
        let check = |url: &str| {
            let checked = SecretUrl::new(url).check_parameters(&["sslmode", "password"]);
            checked.map_err(|unknown| unknown.to_string())
        };
        for url in [
            "postgres://h/db?sslmode=require&options[search_path]=a",
            "postgres://h/db?password=p@x",
            "postgres://h/db?",
            "sqlite://shop.db",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        let refused = check("postgres://h/db?password=p&sslmod=S3cr3t").unwrap_err();
        let expected = "unknown parameter \"sslmod\"; known are: sslmode, password";
        assert!(refused.contains(expected), "{refused}");
        for url in [
            "postgres://h/db?passwrd=S3cr3t@x",
            "postgres://u:p?S3cr3t@h/db",
        ] {
            let refused = check(url).unwrap_err();
            assert!(!refused.contains("S3cr3t"), "{refused}");
        }
    }
}

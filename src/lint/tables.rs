//! What ages, from the dated files in `data/`.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;

use crate::date::Date;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadHosts {
    pub checked: Date,
    pub host: Vec<DeadHost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadHost {
    pub name: String,
    pub since: Option<Date>,
    pub why: String,
    pub instead: String,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndOfLife {
    pub checked: Date,
    pub distributions: Vec<Distribution>,
    pub images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// As in `/etc/os-release`.
    pub id: String,
    pub version: String,
    /// Empty where it has none.
    pub codename: String,
    pub ends: Date,
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub image: String,
    /// What a tag of it begins with.
    pub tag: String,
    pub ends: Date,
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneArchitecture {
    pub checked: Date,
    #[serde(rename = "box")]
    pub boxes: Vec<Named>,
    #[serde(rename = "image")]
    pub images: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// `*` stands for any letters but a slash.
    pub name: String,
    /// Whether its manifest is of the first schema.
    #[serde(default)]
    pub schema1: bool,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    source: String,
}

const READ: &str = "a test reads the table that is compiled in";

pub static DEAD_HOSTS: LazyLock<DeadHosts> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/dead-hosts.toml")).expect(READ));

pub static END_OF_LIFE: LazyLock<EndOfLife> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/end-of-life.toml")).expect(READ));

pub static ONE_ARCHITECTURE: LazyLock<OneArchitecture> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/one-architecture.toml")).expect(READ));

impl Named {
    pub fn is(&self, name: &str) -> bool {
        matches(&self.name, name)
    }
}

impl DeadHost {
    /// `*.` at its beginning stands for any host below.
    pub fn is(&self, host: &str) -> bool {
        match self.name.strip_prefix("*.") {
            Some(domain) => host
                .strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            None => self.name == host,
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let pattern = regex::escape(pattern).replace(r"\*", "[^/]*");
    // What was escaped is always an expression.
    Regex::new(&format!("^{pattern}$")).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_read_and_each_says_when_it_was_checked() {
        let since = Date::parse("2026-01-01").unwrap();
        assert!(DEAD_HOSTS.checked > since && DEAD_HOSTS.host.len() > 5);
        assert!(END_OF_LIFE.checked > since && END_OF_LIFE.images.len() > 10);
        assert!(ONE_ARCHITECTURE.checked > since && !ONE_ARCHITECTURE.boxes.is_empty());
    }

    #[test]
    fn a_star_stands_for_letters() {
        assert!(matches("ubuntu/*64", "ubuntu/trusty64"));
        assert!(!matches("ubuntu/*64", "kubuntu/trusty64"));
        let host = |name: &str| DEAD_HOSTS.host.iter().any(|host| host.is(name));
        assert!(host("p80.pool.sks-keyservers.net") && host("atlas.hashicorp.com"));
        assert!(!host("sks-keyservers.net.example.org") && !host("my-atlas.hashicorp.com"));
        assert!(!host("hashicorp.com") && !host("notbintray.com"));
    }
}

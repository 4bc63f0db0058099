//! Which of the workshop's packages the box has.

use std::collections::BTreeMap;

use super::releases;
use crate::facts::{Fact, Observed, Probe, Question, Records, Unobserved};
use crate::workshop::Workshop;

/// Installed packages and their versions. One whose installation was cut short is not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages(pub BTreeMap<String, String>);

impl Packages {
    pub const PROBE: &str = "packages";

    #[must_use]
    pub fn version(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Those of `names` that are not installed.
    #[must_use]
    pub fn missing<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let absent = |name: &&&str| !self.0.contains_key(**name);
        names.iter().filter(absent).copied().collect()
    }

    /// Says that these will be installed, in a version that only the box's archives know.
    pub fn expect<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.0.entry(name.to_owned()).or_default();
        }
    }
}

impl Fact for Packages {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // dpkg-query ends with 1 when it does not know one of the names.
        let fragment = format!(
            "dpkg-query -W -f='${{Package}} ${{Version}} ${{db:Status-Abbrev}}\\n' {} 2>/dev/null || [ $? -eq 1 ]",
            releases::all_packages().join(" ")
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut installed = BTreeMap::new();
        for line in records.text(Self::PROBE)?.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                // Whatever is wished: an apt that was cut wished some away that are still there.
                [name, version, status] if status.len() == 2 && status.ends_with('i') => {
                    installed.insert(name.to_owned(), version.to_owned());
                }
                // Another state; a package that is only known by name has no version.
                [_, status] | [_, _, status] if is_status(status) => {}
                _ => {
                    return Err(Unobserved(format!(
                        "dpkg-query's answer is not understood: {line}"
                    )));
                }
            }
        }
        Ok(Self(installed))
    }
}

/// What is wished, what is, and perhaps an error, a letter each.
fn is_status(word: &str) -> bool {
    matches!(word.len(), 2 | 3) && word.chars().all(|c| c.is_ascii_alphabetic())
}

/// The upstream part of a Debian version, such as `26.1.5` of `5:26.1.5+dfsg1-9+b2`.
#[must_use]
pub fn upstream_version(debian: &str) -> Option<semver::Version> {
    let without_epoch = debian.split_once(':').map_or(debian, |(_, rest)| rest);
    let digits = without_epoch
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    let mut numbers = digits.split('.').map(str::parse);
    let mut next = || numbers.next().unwrap_or(Ok(0)).ok();
    Some(semver::Version::new(next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use semver::Version;

    #[test]
    fn what_was_to_be_removed_and_is_still_there_is_installed() {
        let said = "docker.io 26.1.5 ri\ncontainerd 1.7.24 ii\nrunc 1.1.15 rc\ndocker-ce  un\npodman-docker 5.4 iHR\n";
        let mut records = Records::default();
        records.insert(Packages::PROBE, crate::facts::Record::done(said));
        let found = Packages::observe(&records).expect("an answer");
        let names: Vec<&str> = found.0.keys().map(String::as_str).collect();
        assert_eq!(names, ["containerd", "docker.io"]);
    }

    #[test]
    fn versions_as_debian_writes_them() {
        for (text, version) in [
            ("5:27.0.3-1~debian.12~bookworm", Version::new(27, 0, 3)),
            ("26.1.5+dfsg1-9+b2", Version::new(26, 1, 5)),
            ("20.10.24+dfsg1-1+deb12u1+b6", Version::new(20, 10, 24)),
            ("17+278", Version::new(17, 0, 0)),
        ] {
            assert_eq!(upstream_version(text), Some(version), "{text}");
        }
        assert_eq!(upstream_version("unknown"), None);
    }
}

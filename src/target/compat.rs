//! Which Vagrant drives which VirtualBox: a dated table, because it changes with every release of either.

use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;

const TABLE: &str = include_str!("../../data/vagrant-virtualbox.toml");

/// Whether a Vagrant drives a VirtualBox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    Yes,
    /// This version or a newer one would.
    NeedsVagrant(Version),
    /// The table knows no Vagrant for this series of VirtualBox; Vagrant refuses series it does not know.
    UnknownSeries,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    checked: String,
    newest_vagrant: Version,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    source: String,
    series: Vec<Series>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    virtualbox: String,
    vagrant: Version,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    released: String,
}

static KNOWN: LazyLock<Table> =
    LazyLock::new(|| toml::from_str(TABLE).expect("a test reads the table that is compiled in"));

#[must_use]
pub fn supports(vagrant: &Version, virtualbox: &Version) -> Support {
    let series = format!("{}.{}", virtualbox.major, virtualbox.minor);
    match KNOWN.series.iter().find(|row| row.virtualbox == series) {
        Some(row) if *vagrant >= row.vagrant => Support::Yes,
        Some(row) => Support::NeedsVagrant(row.vagrant.clone()),
        // A Vagrant that is newer than the table may know what the table does not.
        None => Support::UnknownSeries,
    }
}

/// The day up to which the table is right, and the newest Vagrant of that day.
#[must_use]
pub fn as_of() -> (&'static str, &'static Version) {
    (&KNOWN.checked, &KNOWN.newest_vagrant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_answers_for_every_series() {
        for (vagrant, virtualbox, expected) in [
            ("1.7.4", "5.0.16", Support::Yes),
            ("2.3.4", "7.0.20", Support::Yes),
            ("2.3.4", "7.1.0", Support::NeedsVagrant(version("2.4.2"))),
            ("2.3.4", "7.2.4", Support::NeedsVagrant(version("2.4.9"))),
            ("2.4.8", "7.2.18", Support::NeedsVagrant(version("2.4.9"))),
            ("2.4.9", "7.2.18", Support::Yes),
            ("2.4.9", "7.3.0", Support::UnknownSeries),
            ("2.4.9", "3.2.0", Support::UnknownSeries),
        ] {
            assert_eq!(
                supports(&version(vagrant), &version(virtualbox)),
                expected,
                "Vagrant {vagrant}, VirtualBox {virtualbox}"
            );
        }
        assert_eq!(as_of().1, &version("2.4.9"));
    }
}

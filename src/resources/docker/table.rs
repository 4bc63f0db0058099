//! What changes with Docker's releases, from a table that is checked now and then.

use std::sync::LazyLock;

use semver::Version;
use serde::Deserialize;

const TABLE: &str = include_str!("../../../data/docker.toml");

static DOCKER: LazyLock<Table> =
    // The table is part of the program, and a test reads it.
    LazyLock::new(|| toml::from_str(TABLE).expect("data/docker.toml is whole"));

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[allow(dead_code)] // For whoever reads the file.
    checked: String,
    #[allow(dead_code)]
    source: String,
    client: Vec<Row>,
    daemon_takes: Vec<Row>,
    compose_1_fails_from: Version,
    gone_storage_drivers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    release: Version,
    api: String,
}

/// The version of the API that a client of this release speaks; `None` for one older than the table.
pub fn client_api(release: &Version) -> Option<&'static str> {
    row(&DOCKER.client, release)
}

/// The lowest version of the API that a daemon of this release takes.
pub fn lowest_api(release: &Version) -> Option<&'static str> {
    row(&DOCKER.daemon_takes, release)
}

fn row(rows: &'static [Row], release: &Version) -> Option<&'static str> {
    let older = rows.iter().rev().find(|row| row.release <= *release)?;
    Some(&older.api)
}

/// Whether Compose 1 fails with a daemon of this release.
pub fn breaks_compose_1(release: &Version) -> bool {
    *release >= DOCKER.compose_1_fails_from
}

pub fn is_gone(storage_driver: &str) -> bool {
    DOCKER
        .gone_storage_drivers
        .iter()
        .any(|gone| gone == storage_driver)
}

/// A version of the API, such as `1.44`, as numbers that compare.
pub fn api_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_between_two_rows_has_the_lower_rows_version() {
        assert_eq!(client_api(&Version::new(20, 10, 24)), Some("1.41"));
        assert_eq!(client_api(&Version::new(27, 1, 9)), Some("1.46"));
        assert_eq!(client_api(&Version::new(31, 0, 0)), Some("1.52"));
        assert_eq!(client_api(&Version::new(19, 3, 0)), None);
        assert_eq!(lowest_api(&Version::new(29, 1, 0)), Some("1.44"));
    }

    #[test]
    fn every_row_of_the_table_is_understood_and_they_go_up() {
        for rows in [&DOCKER.client, &DOCKER.daemon_takes] {
            let versions: Vec<_> = rows
                .iter()
                .map(|row| (row.release.clone(), api_version(&row.api).unwrap()))
                .collect();
            assert!(versions.is_sorted());
        }
        assert!(api_version("1.9") < api_version("1.44"));
    }
}

//! What differs between releases of Debian and Ubuntu: one table, one row a release.

/// One release, and what the workshop's software is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// `ID` of os-release.
    pub id: &'static str,
    /// `VERSION_ID` of os-release.
    pub version: &'static str,
    /// Docker Engine, its client and image builder.
    pub docker: &'static [&'static str],
    /// The package that brings Compose.
    pub compose: &'static str,
    /// How Compose is called there.
    pub compose_command: &'static str,
}

/// The Debian rows are held by the end-to-end tests; the Ubuntu rows were not run on a machine yet.
const RELEASES: &[Release] = &[
    Release {
        id: "debian",
        version: "12",
        docker: &["docker.io"],
        compose: "docker-compose",
        compose_command: "docker-compose",
    },
    Release {
        id: "debian",
        version: "13",
        docker: &["docker.io", "docker-cli", "docker-buildx"],
        compose: "docker-compose",
        compose_command: "docker compose",
    },
    Release {
        id: "ubuntu",
        version: "24.04",
        docker: &["docker.io", "docker-buildx"],
        compose: "docker-compose-v2",
        compose_command: "docker compose",
    },
    Release {
        id: "ubuntu",
        version: "26.04",
        docker: &["docker.io", "docker-buildx"],
        compose: "docker-compose-v2",
        compose_command: "docker compose",
    },
];

/// Packages with one name in every release.
pub const POSTGRES: &str = "postgresql";
pub const SERVER: &[&str] = &["python3", "python3-psycopg"];

/// Packages of Docker's own repository, the same in every release.
pub const UPSTREAM_DOCKER: &[&str] = &[
    UPSTREAM_ENGINE,
    "docker-ce-cli",
    "containerd.io",
    "docker-buildx-plugin",
];
pub const UPSTREAM_ENGINE: &str = "docker-ce";
pub const UPSTREAM_COMPOSE: &str = "docker-compose-plugin";
/// The distribution's packages that cannot stand beside those.
pub const UPSTREAM_CONFLICTS: &[&str] = &[
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "docker-compose",
    "docker-compose-v2",
    "docker-doc",
    "podman-docker",
    "containerd",
    "runc",
];

/// The row of a release. A release that is newer than the table is served by its family's newest row.
#[must_use]
pub fn release(id: &str, version: &str) -> Option<&'static Release> {
    let family = || RELEASES.iter().filter(|release| release.id == id);
    let number = |version: &str| version.parse::<f32>().ok();
    family()
        .find(|release| release.version == version)
        .or_else(|| {
            let newest = family().next_back()?;
            (number(version)? > number(newest.version)?).then_some(newest)
        })
}

/// The releases of the table, for messages.
#[must_use]
pub fn known() -> String {
    let names: Vec<String> = RELEASES
        .iter()
        .map(|release| format!("{} {}", release.id, release.version))
        .collect();
    names.join(", ")
}

/// Every package name that any release may have to be asked for.
#[must_use]
pub fn all_packages() -> Vec<&'static str> {
    let mut names: Vec<&str> = RELEASES
        .iter()
        .flat_map(|release| release.docker.iter().copied().chain([release.compose]))
        .chain([POSTGRES, UPSTREAM_COMPOSE])
        .chain(UPSTREAM_DOCKER.iter().copied())
        .chain(UPSTREAM_CONFLICTS.iter().copied())
        .chain(SERVER.iter().copied())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_release_is_served_by_the_newest_row_and_an_older_one_by_none() {
        assert_eq!(
            release("debian", "12").unwrap().compose_command,
            "docker-compose"
        );
        assert_eq!(release("debian", "14").unwrap().version, "13");
        assert_eq!(release("debian", "11"), None);
        assert_eq!(release("debian", ""), None);
        assert_eq!(release("fedora", "40"), None);
    }
}

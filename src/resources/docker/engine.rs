//! The packages of the engine, and their version.

use super::super::packages::{Packages, upstream_version};
use super::super::system::Os;
use super::super::{Context, State, observed, releases};
use super::Drift;
use super::facts::Host;
use crate::facts::Facts;
use crate::workshop::DockerSource;

pub fn diff_package(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    if matches!(facts.get::<Host>().as_ref(), Ok(host) if host.snap) {
        return State::Drifted(Drift::EngineOfSnap);
    }
    if context.workshop.docker.source == DockerSource::Docker {
        return diff_upstream(&packages);
    }
    // Docker's own packages serve a workshop as well as the distribution's.
    if let Some(version) = packages.version(releases::UPSTREAM_ENGINE) {
        return State::AsDeclared(format!("{} {version}", releases::UPSTREAM_ENGINE));
    }
    let os = observed!(facts, Os);
    let Some(release) = os.release() else {
        return State::Unknown(format!(
            "{} has no row in the table of releases",
            os.pretty_name
        ));
    };
    let missing = packages.missing(release.docker);
    if missing.is_empty() {
        State::AsDeclared(named_version(&packages).unwrap_or_default())
    } else {
        State::Drifted(Drift::EngineMissing(missing))
    }
}

fn diff_upstream(packages: &Packages) -> State<Drift> {
    let conflicts: Vec<&str> = releases::UPSTREAM_CONFLICTS
        .iter()
        .copied()
        .filter(|name| packages.version(name).is_some())
        .collect();
    let missing = packages.missing(releases::UPSTREAM_DOCKER);
    if !conflicts.is_empty() {
        State::Drifted(Drift::EngineConflicts(conflicts))
    } else if missing.is_empty() {
        State::AsDeclared(named_version(packages).unwrap_or_default())
    } else {
        State::Drifted(Drift::EngineMissing(missing))
    }
}

/// The packages that bring the daemon, the one that wins first.
const ENGINES: [&str; 2] = [releases::UPSTREAM_ENGINE, "docker.io"];

fn named_version(packages: &Packages) -> Option<String> {
    let named = |name| Some(format!("{name} {}", packages.version(name)?));
    ENGINES.into_iter().find_map(named)
}

/// The version of the engine's package, as Debian writes it.
pub fn installed(packages: &Packages) -> Option<&str> {
    ENGINES.into_iter().find_map(|name| packages.version(name))
}

/// The engine's release; `None` where it is not known.
pub fn release(packages: &Packages) -> Option<semver::Version> {
    upstream_version(installed(packages)?)
}

pub fn diff_version(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    let wanted = &context.workshop.docker.minimum;
    match installed(&packages) {
        // Predicted: which version the archives have is known only once it is installed.
        Some("") => State::AsDeclared("known once it is installed".to_owned()),
        Some(text) => match upstream_version(text) {
            Some(found) if found < *wanted => State::Drifted(Drift::EngineTooOld {
                found: found.to_string(),
                wanted: wanted.to_string(),
            }),
            Some(found) => State::AsDeclared(format!("{found} ({wanted} or newer is needed)")),
            None => State::Unknown(format!("the version `{text}` is not understood")),
        },
        None => State::Unknown("no Docker package is installed".to_owned()),
    }
}

//! What uses the daemon: the login user, the client's language, Compose.

use super::super::packages::{Packages, upstream_version};
use super::super::system::{Login, Os};
use super::super::{Context, State, observed, releases};
use super::facts::{DockerApi, DockerGroup, Host, Pin};
use super::{Drift, engine, table};
use crate::facts::Facts;
use crate::workshop::DockerSource;

pub fn diff_group(facts: &Facts) -> State<Drift> {
    let login = observed!(facts, Login);
    if login.uid == 0 {
        return State::AsDeclared("the login user is root".to_owned());
    }
    let DockerGroup(members) = observed!(facts, DockerGroup);
    let user = login.user.clone();
    let in_account = members.is_some_and(|members| members.contains(&user));
    let in_session = login.groups.iter().any(|group| group == DockerGroup::NAME);
    match (in_account, in_session) {
        (_, true) => State::AsDeclared(format!("{user} is in the group {}", DockerGroup::NAME)),
        (true, false) => State::Drifted(Drift::SessionOlderThanGroup { user }),
        (false, false) => State::Drifted(Drift::NotInGroup { user }),
    }
}

/// The packages that bring the client, the one that wins first.
const CLIENTS: [&str; 3] = ["docker-ce-cli", "docker-cli", "docker.io"];

pub fn diff_api(facts: &Facts) -> State<Drift> {
    let DockerApi(Some(api)) = observed!(facts, DockerApi) else {
        return State::Unknown("Docker's socket let nobody in".to_owned());
    };
    let packages = observed!(facts, Packages);
    let is_predicted = |name: &&str| packages.version(name) == Some("");
    if api.version.is_empty() || CLIENTS.iter().any(is_predicted) {
        return State::AsDeclared("known once it runs".to_owned());
    }
    let daemon = upstream_version(&api.version);
    let lowest = match api.min_api_version.as_str() {
        "" => daemon
            .as_ref()
            .and_then(table::lowest_api)
            .unwrap_or("1.12"),
        told => told,
    };
    let highest = match api.api_version.as_str() {
        "" => daemon.as_ref().and_then(table::client_api).unwrap_or(""),
        told => told,
    };
    let refused = |version: &str| {
        let version = table::api_version(version);
        version < table::api_version(lowest)
            || table::api_version(highest).is_some_and(|highest| version > Some(highest))
    };
    let pins = observed!(facts, Host).pins;
    if let Some(Pin { file, version }) = pins.into_iter().find(|pin| refused(&pin.version)) {
        return State::Drifted(Drift::ClientPinned {
            file,
            version,
            lowest: lowest.to_owned(),
            highest: highest.to_owned(),
        });
    }
    let client = CLIENTS
        .into_iter()
        .find_map(|name| Some((name, upstream_version(packages.version(name)?)?)));
    let Some((package, release)) = client else {
        return State::Unknown("no package of Docker's client is installed".to_owned());
    };
    match table::client_api(&release) {
        Some(speaks) if table::api_version(speaks) < table::api_version(lowest) => {
            State::Drifted(Drift::ClientTooOld {
                package,
                speaks: speaks.to_owned(),
                lowest: lowest.to_owned(),
            })
        }
        Some(speaks) => State::AsDeclared(format!(
            "the client speaks {speaks}, the daemon takes {lowest} to {highest}"
        )),
        None => State::Unknown(format!(
            "the client's release {release} is not in the table"
        )),
    }
}

pub fn diff_compose(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    let plugin = releases::UPSTREAM_COMPOSE;
    if let Some(version) = packages.version(plugin) {
        return State::AsDeclared(format!("`docker compose`, {plugin} {version}"));
    }
    if context.workshop.docker.source == DockerSource::Docker {
        return State::Drifted(Drift::ComposeMissing {
            package: plugin,
            command: "docker compose",
        });
    }
    let os = observed!(facts, Os);
    let Some(release) = os.release() else {
        return State::Unknown(format!(
            "{} has no row in the table of releases",
            os.pretty_name
        ));
    };
    match packages.version(release.compose) {
        Some(version) if is_compose_1(version) && breaks(&packages) => {
            State::Drifted(Drift::ComposeTooOld {
                found: version.to_owned(),
                engine: engine::installed(&packages).unwrap_or_default().to_owned(),
            })
        }
        Some(version) => State::AsDeclared(format!(
            "`{}`, {} {version}",
            release.compose_command, release.compose
        )),
        None => State::Drifted(Drift::ComposeMissing {
            package: release.compose,
            command: release.compose_command,
        }),
    }
}

fn is_compose_1(version: &str) -> bool {
    upstream_version(version).is_some_and(|version| version.major == 1)
}

fn breaks(packages: &Packages) -> bool {
    engine::release(packages).is_some_and(|release| table::breaks_compose_1(&release))
}

//! Docker's part: what its daemon is told, and the mirrors in its settings, which are somebody else's too.

use serde_json::{Value, json};

use super::super::State;
use super::super::docker::facts::{CONFIG, Host};
use super::super::docker::settings;
use super::files::{self, DAEMON};
use super::{Daemon, Drift, Found};
use crate::workshop::Workshop;

const KEY: &str = "registry-mirrors";

pub fn diff(workshop: &Workshop, found: &Found, host: &Host) -> State<Drift> {
    let own = files::of_docker(workshop);
    let mut wrong = found.differing(&own);
    match merged(&workshop.venue.registry_mirrors, found, host) {
        Ok(None) => {}
        Ok(Some(_)) => wrong.push(CONFIG),
        Err(error) => {
            return State::Unknown(format!("{CONFIG} is no valid JSON: {error}"));
        }
    }
    if !wrong.is_empty() {
        return State::Drifted(Drift::DockerUntold(
            wrong.into_iter().map(str::to_owned).collect(),
        ));
    }
    match found.daemon {
        Daemon::Stale => State::Drifted(Drift::DaemonStale),
        Daemon::Current => State::AsDeclared("it was started with them".to_owned()),
        Daemon::Off => State::AsDeclared(format!("it will read {DAEMON}")),
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value| Some(value.as_str()?.trim_end_matches('/').to_owned());
    list.filter_map(text).collect()
}

/// Docker's settings with these mirrors first, and those of nobody else's gone that dwenv put there before;
/// `None` where that is what they are.
pub fn merged(wanted: &[String], found: &Found, host: &Host) -> Result<Option<String>, String> {
    let mut all = settings(host)?;
    let present = texts(all.get(KEY));
    let others = present
        .iter()
        .filter(|url| !found.mirrors.contains(url) && !wanted.contains(url));
    let mirrors: Vec<String> = wanted.iter().chain(others).cloned().collect();
    if mirrors == present {
        return Ok(None);
    }
    if mirrors.is_empty() {
        all.remove(KEY);
    } else {
        all.insert(KEY.to_owned(), json!(mirrors));
    }
    if all.is_empty() {
        return Ok(Some(String::new()));
    }
    let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
    Ok(Some(format!("{text}\n")))
}

/// Those of `wanted` that are, or will be, in Docker's settings because of dwenv.
pub fn ours(wanted: &[String], found: &Found, host: &Host) -> Vec<String> {
    let present = settings(host).map_or_else(|_| Vec::new(), |all| texts(all.get(KEY)));
    let foreign = |url: &&String| present.contains(url) && !found.mirrors.contains(url);
    wanted.iter().filter(|url| !foreign(url)).cloned().collect()
}

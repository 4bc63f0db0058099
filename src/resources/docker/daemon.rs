//! The daemon: what it is told to do, where it keeps its data, and that it runs.

use serde_json::{Map, Value};

use super::super::sshd::Keys;
use super::super::system::Login;
use super::super::units::{Unit, Units};
use super::super::{State, observed};
use super::facts::{CONFIG, DaemonWords, DockerApi, DockerGroup, Host};
use super::{Drift, UNIT, table};
use crate::facts::Facts;

/// Why the daemon ended itself, by its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The kernel has not what the firewall's rules need.
    Firewall(String),
    /// The kernel's groups of processes are not as this engine needs them.
    Cgroups(String),
    Other(String),
}

impl Failure {
    fn of(said: String) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
        if has(&["iptables", "NAT chain", "nf_tables", "nftables"]) {
            Self::Firewall(said)
        } else if has(&["cgroup"]) {
            Self::Cgroups(said)
        } else {
            Self::Other(said)
        }
    }

    pub fn said(&self) -> &str {
        match self {
            Self::Firewall(said) | Self::Cgroups(said) | Self::Other(said) => said,
        }
    }
}

/// The words by which the daemon begins what it holds against its file.
const REFUSES_FILE: &str = "unable to configure the Docker daemon";

/// Words of a daemon that cannot keep its images.
const REFUSES_STORAGE: &[&str] = &["graphdriver", "storage-driver", "driver not supported"];

/// File systems without what images need: owners, links, and files that are seen at once.
const UNFIT: &[&str] = &[
    "vboxsf", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "9p",
];

/// The settings of the file; `Err` where they cannot be read as such.
pub fn settings(host: &Host) -> Result<Map<String, Value>, String> {
    match host.config.as_deref().map(str::trim) {
        None | Some("") => Ok(Map::new()),
        Some(text) => match serde_json::from_str(text) {
            Ok(Value::Object(settings)) => Ok(settings),
            Ok(_) => Err("it is not one object in braces".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    }
}

pub fn diff_config(facts: &Facts) -> State<Drift> {
    let host = observed!(facts, Host);
    if let Err(error) = settings(&host) {
        return State::Drifted(Drift::ConfigBroken { error });
    }
    // Only a diagnosis knows what the daemon itself said, and how it will be called: then that counts alone.
    let words = facts.get::<DaemonWords>();
    let refusal = match words.as_ref() {
        Ok(words) => {
            let of_file = |said: &&String| said.contains(REFUSES_FILE);
            let journal = words.journal.as_ref().filter(of_file);
            journal.or(words.validate.as_ref()).cloned()
        }
        Err(_) => host.refusal,
    };
    match refusal {
        Some(said) => State::Drifted(Drift::ConfigRefused { said }),
        None if host.config.is_none() => State::AsDeclared("there is none".to_owned()),
        None => State::AsDeclared("it is understood".to_owned()),
    }
}

pub fn diff_storage(facts: &Facts) -> State<Drift> {
    // Whatever it is: a daemon that runs has found it good.
    if !observed!(facts, Units).get(UNIT).has_failed() {
        return State::AsDeclared("the daemon did not object".to_owned());
    }
    let host = observed!(facts, Host);
    let settings = match settings(&host) {
        Ok(settings) => settings,
        Err(error) => return State::Unknown(error),
    };
    let setting = |names: &[&str]| names.iter().find_map(|name| settings.get(*name)?.as_str());
    if let Some(driver) = setting(&["storage-driver"])
        && table::is_gone(driver)
    {
        let driver = driver.to_owned();
        return State::Drifted(Drift::StorageDriverGone { driver });
    }
    if let Some(folder) = setting(&["data-root", "graph"])
        && let Some(kind) = host.filesystem(folder)
        && UNFIT.contains(&kind)
    {
        return State::Drifted(Drift::StorageOnFilesystem {
            folder: folder.to_owned(),
            kind: kind.to_owned(),
        });
    }
    match said(facts) {
        Some(said) if REFUSES_STORAGE.iter().any(|word| said.contains(word)) => {
            State::Drifted(Drift::StorageRefused { said })
        }
        _ => State::AsDeclared("nothing is known against it".to_owned()),
    }
}

/// What the daemon reads when it starts and that was written since. Its own file it also reads when it is told to.
fn read_since(unit: &Unit, facts: &Facts) -> Vec<String> {
    let host = facts.get::<Host>();
    let newer = host.as_ref().as_ref().map_or(&[][..], |host| &host.newer);
    let since = |path: &str| match path {
        CONFIG => unit.active_since.max(unit.changed_at),
        _ => unit.active_since,
    };
    let files = newer
        .iter()
        .filter(|(path, written_at)| *written_at > since(path));
    let mut owed: Vec<String> = files.map(|(path, _)| path.clone()).collect();
    if owed.is_empty() && unit.needs_reload {
        owed.push(format!("the unit {UNIT}"));
    }
    owed
}

/// The daemon's last error, where a diagnosis asked for it.
fn said(facts: &Facts) -> Option<String> {
    let words = facts.get::<DaemonWords>();
    words.as_ref().as_ref().ok()?.journal.clone()
}

/// Why the socket let nobody in.
fn silent(facts: &Facts) -> Drift {
    let keys = facts.get::<Keys>();
    let closed = keys
        .as_ref()
        .as_ref()
        .ok()
        .and_then(|keys| keys.closed.clone());
    closed.map_or(Drift::DaemonSilent, |(file, line)| Drift::SshdCloses {
        file,
        line,
    })
}

pub fn diff_daemon(facts: &Facts) -> State<Drift> {
    let unit = observed!(facts, Units).get(UNIT);
    let login = observed!(facts, Login);
    let may_ask = login.uid == 0 || login.groups.iter().any(|group| group == DockerGroup::NAME);
    if unit.load == "masked" {
        State::Drifted(Drift::DaemonMasked)
    } else if !unit.is_running() {
        let state = format!("{} ({})", unit.active, unit.result);
        State::Drifted(match said(facts).filter(|_| unit.has_failed()) {
            Some(said) => Drift::DaemonFailed {
                state,
                failure: Failure::of(said),
            },
            None => Drift::DaemonStopped { state },
        })
    } else if !unit.is_enabled() {
        State::Drifted(Drift::DaemonNotEnabled)
    } else {
        let answer = facts.get::<DockerApi>();
        let is_silent = may_ask && matches!(answer.as_ref(), Ok(DockerApi(None)));
        let owed = read_since(&unit, facts);
        match answer.as_ref() {
            _ if !is_silent && !owed.is_empty() => State::Drifted(Drift::RestartOwed(owed)),
            // Whoever may not use the socket learns nothing from it.
            _ if !may_ask => State::AsDeclared(format!("{UNIT} runs")),
            Ok(DockerApi(None)) => State::Drifted(silent(facts)),
            Ok(DockerApi(Some(api))) if api.version.is_empty() => {
                State::AsDeclared(format!("{UNIT} runs"))
            }
            Ok(DockerApi(Some(api))) => {
                State::AsDeclared(format!("Docker {} answers", api.version))
            }
            Err(unobserved) => State::from(unobserved),
        }
    }
}

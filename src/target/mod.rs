//! Where the box is: from `--target` to an [`Endpoint`].

pub mod choose;
pub mod compat;
pub mod folder;
pub mod hostonly;
pub mod laptop;
pub mod last_run;
pub mod life;
pub mod names;
mod person;
pub mod program;
pub mod range;
#[cfg(target_os = "linux")]
pub mod sandbox;
pub mod sandbox_target;
pub mod ssh;
pub mod ssh_config;
pub mod vagrant;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::events::Events;
use crate::transport::endpoint::Endpoint;
use crate::workshop::Workshop;

pub use self::choose::{Choice, Here, Purpose, choose, last_used, remember};
pub use self::life::{destroy, down, up};
pub use self::names::{SshAddress, Target};
pub use self::person::Person;
pub use self::vagrant::Vagrant;

/// How long connecting may take where nothing else is said.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A box that was found: how to log in, and how the laptop reaches its services.
#[derive(Clone, Debug)]
pub struct Located {
    pub endpoint: Endpoint,
    pub provider: Provider,
    /// How the laptop reaches the box's services, most direct first.
    pub reach: Vec<Reach>,
}

/// One way from the laptop to the box's services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The box's own address; every port is the box's port.
    Address(String),
    /// Ports of the laptop that lead to the box: (port of the box, port of the laptop).
    Forwarded(Vec<(u16, u16)>),
}

/// What makes and stops the box.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Vagrant, with the provider it uses, such as `virtualbox`.
    Vagrant(String),
    Sandbox,
    /// A machine that was there before dwenv came.
    Ssh,
}

impl fmt::Display for Provider {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vagrant(provider) => write!(out, "vagrant ({provider})"),
            Self::Sandbox => out.write_str("sandbox"),
            Self::Ssh => out.write_str("ssh"),
        }
    }
}

/// Finds a box. `identity` is the file of `--identity`; it goes before all others.
pub async fn locate(
    target: &Target,
    workshop: &Workshop,
    dir: &Path,
    identity: Option<&Path>,
    events: &Events,
) -> Result<Located> {
    let mut located = match target {
        Target::Vagrant { machine } => {
            let vagrant = Vagrant::in_folder(dir)?;
            vagrant.locate(machine.as_deref(), workshop, events).await?
        }
        Target::Sandbox { name } => sandbox_target::locate(name.as_deref(), workshop, dir).await?,
        Target::Ssh(address) => return ssh::address(address, identity, &Person::this()?),
        Target::Named(name) => {
            return ssh::named(name, workshop, dir, identity, &Person::this()?);
        }
    };
    if let Some(identity) = identity {
        located.endpoint.identities = vec![ssh::readable(identity)?];
    }
    Ok(located)
}

/// What would make a box that was not found.
pub async fn provider(target: &Target, dir: &Path) -> Provider {
    match target {
        Target::Vagrant { machine } => {
            let provider = match Vagrant::in_folder(dir) {
                Ok(vagrant) => vagrant.provider(machine.as_deref()).await.ok(),
                Err(_) => None,
            };
            provider.map_or_else(|| usual_provider(target, dir), Provider::Vagrant)
        }
        _ => usual_provider(target, dir),
    }
}

/// What most likely makes such a box, where nobody can be asked: what made it, as far as the folder tells.
#[must_use]
pub fn usual_provider(target: &Target, dir: &Path) -> Provider {
    match target {
        Target::Vagrant { machine } => {
            let made = Vagrant::in_folder(dir).ok();
            let made = made.and_then(|vagrant| vagrant.made_by(machine.as_deref()));
            // The workshop is made for VirtualBox.
            Provider::Vagrant(made.unwrap_or_else(|| "virtualbox".to_owned()))
        }
        Target::Sandbox { .. } => Provider::Sandbox,
        Target::Ssh(_) | Target::Named(_) => Provider::Ssh,
    }
}

/// Drops what is remembered about where a box is. Call it after a connection that failed, then locate once
/// more; `false`: nothing was remembered, so locating again would find the same.
pub fn forget(target: &Target, dir: &Path) -> bool {
    match (target, Vagrant::in_folder(dir)) {
        (Target::Vagrant { machine }, Ok(vagrant)) => vagrant.forget(machine.as_deref()),
        _ => false,
    }
}

/// One line of `dwenv targets`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct TargetRow {
    /// What `--target` takes.
    pub name: String,
    /// What makes and stops it, such as `vagrant (virtualbox)`.
    pub provider: String,
    /// Such as "running", in the provider's own words; empty where nobody was asked.
    pub state: String,
    /// Where it is reached, where that is known.
    pub address: Option<String>,
    /// Whether it is the one that is used when `--target` is not given.
    pub default: bool,
}

impl TargetRow {
    /// What could not be asked, and why.
    fn unknown(name: &str, error: &Error) -> Self {
        let text = error.to_string();
        let why = text.lines().next().unwrap_or_default();
        Self {
            name: name.to_owned(),
            provider: name.to_owned(),
            state: format!("unknown: {why}"),
            address: None,
            default: false,
        }
    }

    /// One of which no more than its name is known.
    fn named(target: &Target) -> Self {
        let provider = match target {
            Target::Vagrant { .. } => "vagrant".to_owned(),
            Target::Sandbox { .. } => Provider::Sandbox.to_string(),
            Target::Ssh(_) | Target::Named(_) => Provider::Ssh.to_string(),
        };
        Self {
            name: target.to_string(),
            provider,
            state: String::new(),
            address: None,
            default: false,
        }
    }
}

/// All boxes that this folder and the declaration know of.
///
/// What cannot be asked is a row whose state says why: one broken tool must not hide the other boxes.
pub async fn list_targets(workshop: &Workshop, dir: &Path) -> Result<Vec<TargetRow>> {
    let mut rows = vagrant_rows(workshop, dir).await;
    rows.extend(sandbox_target::rows().await);
    rows.extend(workshop.targets.iter().map(|(name, entry)| {
        let address = SshAddress {
            user: entry.user.clone(),
            host: entry.host.clone(),
            port: entry.port,
        };
        TargetRow {
            address: Some(address.to_string()),
            ..TargetRow::named(&Target::Named(name.clone()))
        }
    }));
    match choose::room(workshop) {
        Ok(room) => room.iter().for_each(|target| {
            row_of(&mut rows, target);
        }),
        Err(error) => rows.push(TargetRow::unknown(choose::ROOM, &error)),
    }
    if let Some(last) = last_used(dir)? {
        row_of(&mut rows, &last).default = true;
    }
    Ok(rows)
}

/// The row of this target; one more where there is none yet.
fn row_of<'a>(rows: &'a mut Vec<TargetRow>, target: &Target) -> &'a mut TargetRow {
    let name = target.to_string();
    // `vagrant` alone is the only machine there is, under its own name in the list.
    let is_it = |row: &TargetRow| row.name == name || row.name.starts_with(&format!("{name}:"));
    let known = rows.iter().position(is_it).unwrap_or_else(|| {
        rows.push(TargetRow::named(target));
        rows.len() - 1
    });
    &mut rows[known]
}

async fn vagrant_rows(workshop: &Workshop, dir: &Path) -> Vec<TargetRow> {
    let Ok(vagrant) = Vagrant::in_folder(dir) else {
        return Vec::new();
    };
    let machines = match vagrant.status().await {
        Ok(machines) => machines,
        Err(error) => return vec![TargetRow::unknown("vagrant", &error)],
    };
    let mut rows = Vec::new();
    for machine in machines {
        let mut address = None;
        if machine.state == vagrant::said::State::Running {
            let located = vagrant
                .locate(Some(&machine.name), workshop, &Events::nowhere())
                .await;
            address = located.ok().map(|located| {
                let endpoint = located.endpoint;
                let address = SshAddress {
                    user: Some(endpoint.user),
                    host: endpoint.host,
                    port: Some(endpoint.port),
                };
                address.to_string()
            });
        }
        rows.push(TargetRow {
            name: format!("vagrant:{}", machine.name),
            provider: Provider::Vagrant(machine.provider).to_string(),
            state: machine.state.to_string(),
            address,
            default: false,
        });
    }
    rows
}

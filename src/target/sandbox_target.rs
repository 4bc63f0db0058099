//! Sandboxes as targets. Where there are none, every call says so.

use std::path::Path;

use super::{Located, TargetRow};
use crate::error::Result;
use crate::events::Events;
use crate::workshop::Workshop;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// Finds a sandbox that runs.
pub async fn locate(name: Option<&str>, workshop: &Workshop, dir: &Path) -> Result<Located> {
    system::locate(name, workshop, dir).await
}

/// Makes and starts a sandbox; one that runs already is left as it is.
pub async fn up(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
    system::up(name, workshop, events).await
}

/// Powers a sandbox off, and keeps it.
pub async fn down(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
    system::down(name, workshop, events).await
}

/// Powers a sandbox off, and removes all of it.
pub async fn destroy(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
    system::destroy(name, workshop, events).await
}

/// The sandboxes of this computer, as rows of `dwenv targets`.
pub async fn rows() -> Vec<TargetRow> {
    system::rows().await
}

#[cfg(target_os = "linux")]
mod linux {
    use std::net::Ipv4Addr;
    use std::path::Path;

    use super::super::sandbox::{Network, Running, Spec, State, Store, Suite};
    use super::super::{CONNECT_TIMEOUT, Located, Provider, Reach, TargetRow, folder};
    use crate::error::{Error, ErrorKind, Result};
    use crate::events::Events;
    use crate::transport::endpoint::{Agent, Endpoint, HostKeyPolicy};
    use crate::workshop::Workshop;

    /// The user of a Vagrant box, so that a sandbox is like one.
    const USER: &str = "vagrant";
    /// The release of new sandboxes, where it shall not be the usual one.
    const SUITE_VARIABLE: &str = "DWENV_SANDBOX_SUITE";

    fn name_of(name: Option<&str>, workshop: &Workshop) -> String {
        name.unwrap_or(&workshop.name).to_owned()
    }

    pub async fn locate(name: Option<&str>, workshop: &Workshop, dir: &Path) -> Result<Located> {
        let sandbox = name_of(name, workshop);
        let unreachable = |what: String| {
            Error::new(ErrorKind::Unreachable, what).hint(match name {
                Some(name) => format!("dwenv up --target sandbox:{name}"),
                None => "dwenv up --target sandbox".to_owned(),
            })
        };
        match Store::from_env()?.find(&sandbox)? {
            Some(State::Running(running)) => Ok(located(name, running, dir)),
            Some(State::Stopped(_)) => {
                Err(unreachable(format!("the sandbox {sandbox} is stopped")))
            }
            Some(State::Broken(what)) => {
                Err(unreachable(format!("the sandbox {sandbox} is only half there")).because(what))
            }
            None => Err(unreachable(format!("there is no sandbox {sandbox}"))),
        }
    }

    fn located(name: Option<&str>, running: Running, dir: &Path) -> Located {
        let address = running.spec.address.to_string();
        Located {
            endpoint: Endpoint {
                name: match name {
                    Some(name) => format!("sandbox:{name}"),
                    None => "sandbox".to_owned(),
                },
                host: address.clone(),
                port: running.port,
                user: running.spec.user,
                identities: vec![running.identity],
                agent: Agent::None,
                unused: Vec::new(),
                password: None,
                host_key: HostKeyPolicy::Pinned {
                    machine_id: running.id,
                    file: folder::path(dir).join("host_keys"),
                },
                timeout: CONNECT_TIMEOUT,
                via: Vec::new(),
            },
            provider: Provider::Sandbox,
            reach: vec![Reach::Address(address)],
        }
    }

    pub async fn up(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
        let store = Store::from_env()?;
        let sandbox = name_of(name, workshop);
        let spec = Spec {
            suite: suite()?,
            address: address(&store, &sandbox, workshop.machine.ip)?,
            user: USER.to_owned(),
            hostname: workshop.machine.hostname.clone(),
            name: sandbox,
        };
        let events = events.clone();
        aside(move || store.up(&spec, &events).map(drop)).await
    }

    pub async fn down(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
        let (sandbox, events) = (name_of(name, workshop), events.clone());
        aside(move || existing(&sandbox)?.down(&sandbox, &events)).await
    }

    pub async fn destroy(name: Option<&str>, workshop: &Workshop, events: &Events) -> Result<()> {
        let (sandbox, events) = (name_of(name, workshop), events.clone());
        aside(move || existing(&sandbox)?.destroy(&sandbox, &events)).await
    }

    /// The store, if this sandbox is in it: a mistyped name is not to look like success.
    fn existing(sandbox: &str) -> Result<Store> {
        let store = Store::from_env()?;
        match store.find(sandbox)? {
            Some(_) => Ok(store),
            None => Err(Error::usage(format!("there is no sandbox {sandbox}"))
                .hint("`dwenv targets` lists those that there are")),
        }
    }

    /// Its own address if it is there; else the declared one, or the next that no other sandbox has.
    fn address(store: &Store, sandbox: &str, declared: Ipv4Addr) -> Result<Ipv4Addr> {
        let mut taken = Vec::new();
        for (name, state) in store.list()? {
            if let State::Running(Running { spec, .. }) | State::Stopped(spec) = state {
                if name == sandbox && spec.network() == Network::of(declared) {
                    return Ok(spec.address);
                }
                taken.push(spec.address);
            }
        }
        let [a, b, c, first] = declared.octets();
        (first..255)
            .map(|last| Ipv4Addr::new(a, b, c, last))
            .find(|address| !taken.contains(address))
            .ok_or_else(|| {
                Error::failed(format!(
                    "no address is left beside {declared} for the sandbox {sandbox}"
                ))
                .hint("Remove a sandbox that is not needed: `dwenv targets` lists them")
            })
    }

    fn suite() -> Result<Suite> {
        match std::env::var(SUITE_VARIABLE).as_deref() {
            Err(_) | Ok("") => Ok(Suite::default()),
            Ok(name) => [Suite::Trixie, Suite::Bookworm]
                .into_iter()
                .find(|suite| suite.name() == name)
                .ok_or_else(|| {
                    Error::usage(format!("{SUITE_VARIABLE} names no release: {name}"))
                        .hint("Set it to trixie or bookworm, or leave it out")
                }),
        }
    }

    pub async fn rows() -> Vec<TargetRow> {
        // Whoever may not look has none of their own.
        let sandboxes = Store::from_env().and_then(|store| store.list());
        let row = |(name, state)| {
            let (state, address) = match state {
                State::Running(running) => ("running".to_owned(), Some(running.spec.address)),
                State::Stopped(spec) => ("stopped".to_owned(), Some(spec.address)),
                State::Broken(what) => (format!("half there: {what}"), None),
            };
            TargetRow {
                name: format!("sandbox:{name}"),
                provider: Provider::Sandbox.to_string(),
                state,
                address: address.map(|it| it.to_string()),
                default: false,
            }
        };
        sandboxes.unwrap_or_default().into_iter().map(row).collect()
    }

    /// Runs work that waits for programs beside the runtime, so that Ctrl-C is heard meanwhile.
    async fn aside(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|panic| Err(Error::failed("a sandbox's work broke off").because(panic)))
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::path::Path;

    use super::super::{Located, TargetRow};
    use crate::error::{Error, Result};
    use crate::events::Events;
    use crate::workshop::Workshop;

    fn not_here<T>() -> Result<T> {
        Err(Error::usage("sandboxes are not available on this system")
            .hint("They need Linux; elsewhere use `--target vagrant`, or `ssh://USER@HOST`"))
    }

    pub async fn locate(_: Option<&str>, _: &Workshop, _: &Path) -> Result<Located> {
        not_here()
    }

    pub async fn up(_: Option<&str>, _: &Workshop, _: &Events) -> Result<()> {
        not_here()
    }

    pub async fn down(_: Option<&str>, _: &Workshop, _: &Events) -> Result<()> {
        not_here()
    }

    pub async fn destroy(_: Option<&str>, _: &Workshop, _: &Events) -> Result<()> {
        not_here()
    }

    pub async fn rows() -> Vec<TargetRow> {
        Vec::new()
    }
}

//! Who holds the workshop's ports in the box.

use serde::Deserialize;

use super::docker::DockerApi;
use super::units::Units;
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::workshop::Workshop;

pub struct Ports;

const POSTGRES: &str = "box.port.5432";

const CHECKS: &[Check] = &[
    Check {
        id: POSTGRES,
        title: "No stranger holds PostgreSQL's port in the box",
        needs: &["box.sudo"],
        probe: Listeners::PROBE,
    },
    Check {
        id: "box.port.8080",
        title: "No stranger holds the server's port in the box",
        needs: &["box.sudo"],
        probe: Listeners::PROBE,
    },
];

/// A process that listens on a TCP port, by either family of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listener {
    pub port: u16,
    pub address: String,
    pub process: String,
    pub pid: u32,
}

impl Listener {
    /// A socket of both families is shown with `*`.
    pub fn hears_ipv4(&self) -> bool {
        self.address == "*" || self.address.contains('.')
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners(pub Vec<Listener>);

impl Listeners {
    pub const PROBE: &str = "ports";

    pub fn on(&self, port: u16) -> impl Iterator<Item = &Listener> {
        self.0.iter().filter(move |listener| listener.port == port)
    }
}

impl Fact for Listeners {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::new(
            Self::PROBE,
            Question::Root("ss -Hltnp".to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        text.lines()
            .map(|line| {
                read_listener(line)
                    .ok_or_else(|| Unobserved(format!("ss's answer is not understood: {line}")))
            })
            .collect::<Observed<_>>()
            .map(Self)
    }
}

/// `LISTEN 0 244 [::]:5432 [::]:* users:(("postgres",pid=812,fd=6))`
fn read_listener(line: &str) -> Option<Listener> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = words.get(3)?.rsplit_once(':')?;
    let users = words.get(5..).unwrap_or_default().join(" ");
    let process = users.split('"').nth(1).unwrap_or("").to_owned();
    let pid = users
        .split_once("pid=")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    Some(Listener {
        port: port.parse().ok()?,
        address: address.trim_matches(['[', ']']).to_owned(),
        process,
        pid,
    })
}

/// Who holds a port that should be ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    port: u16,
    holder: Listener,
    /// The container for which Docker's proxy holds the port.
    container: Option<String>,
    /// The service whose port it is.
    service: &'static str,
}

impl Ports {
    fn port(check: &Check, workshop: &Workshop) -> u16 {
        if check.id == POSTGRES {
            workshop.postgres.port
        } else {
            workshop.server.port
        }
    }
}

impl Resource for Ports {
    type Drift = Stranger;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Listeners::probes(workshop)
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Stranger> {
        let listeners = observed!(facts, Listeners);
        let port = Self::port(check, context.workshop);
        let is_postgres = check.id == POSTGRES;
        let Some(first) = listeners.on(port).next() else {
            return State::AsDeclared("free".to_owned());
        };
        let server_pid = if is_postgres {
            0
        } else {
            observed!(facts, Units)
                .get(&context.workshop.server.unit)
                .main_pid
        };
        let ours = |listener: &&Listener| {
            if is_postgres {
                listener.process == "postgres" || listener.process == "postmaster"
            } else {
                server_pid != 0 && listener.pid == server_pid
            }
        };
        match listeners.on(port).find(|listener| !ours(listener)) {
            Some(holder) => State::Drifted(Stranger {
                port,
                holder: holder.clone(),
                container: container_on(port, facts),
                service: if is_postgres {
                    "PostgreSQL"
                } else {
                    "the server"
                },
            }),
            None => State::AsDeclared(format!("held by our {} (pid {})", first.process, first.pid)),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Stranger) -> Judgement {
        Judgement {
            status: Status::Fail,
            summary: format!("Port {} is held by {}", drift.port, drift.name()),
            remedy: Some(Remedy {
                text: drift.remedy(),
                commands: vec![
                    context.in_box(&drift.command()),
                    format!("dwenv provision --target {}", context.target),
                ],
                by: By::You,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Stranger) -> Plan {
        Plan::leave(format!(
            "Port {} is held by {}; dwenv ends no process that it did not start",
            drift.port,
            drift.name()
        ))
    }

    fn predict(&self, _: Context, _: &Facts, _: &Stranger) {}
}

impl Stranger {
    fn name(&self) -> String {
        match &self.container {
            Some(container) => format!("the container {container}"),
            None if self.is_unseen() => "something that cannot be seen".to_owned(),
            None => format!("{} (pid {})", self.holder.process, self.holder.pid),
        }
    }

    /// Whether no process is named: the kernel itself holds the port, or a process of another namespace.
    fn is_unseen(&self) -> bool {
        self.container.is_none() && self.holder.pid == 0
    }

    fn remedy(&self) -> String {
        if self.is_unseen() {
            return format!(
                "Restart the box, which ends whatever it is, then start {} again",
                self.service
            );
        }
        format!(
            "End it if it is not needed, then start {} again",
            self.service
        )
    }

    fn command(&self) -> String {
        match &self.container {
            Some(container) => format!("docker stop {container}"),
            None if self.is_unseen() => "sudo reboot".to_owned(),
            None => format!("sudo kill {}", self.holder.pid),
        }
    }
}

fn container_on(port: u16, facts: &Facts) -> Option<String> {
    match facts.get::<DockerApi>().as_ref() {
        Ok(DockerApi(Some(api))) => api
            .containers
            .iter()
            .find(|container| container.ports.contains(&port))
            .map(|container| container.name.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_as_ss_prints_them() {
        let line = r#"LISTEN 0      244             [::]:5432          [::]:*    users:(("postgres",pid=812,fd=6))"#;
        assert_eq!(
            read_listener(line),
            Some(Listener {
                port: 5432,
                address: "::".to_owned(),
                process: "postgres".to_owned(),
                pid: 812
            })
        );
        let unnamed = read_listener("LISTEN 0 5 0.0.0.0:8080 0.0.0.0:*").unwrap();
        assert_eq!((unnamed.port, unnamed.pid), (8080, 0));
        assert_eq!(read_listener("ss: cannot open netlink socket"), None);
    }
}

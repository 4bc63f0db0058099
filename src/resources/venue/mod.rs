//! What the network of the place needs (`[network]`): its proxy, certificates and mirrors, for apt, login
//! shells and Docker's daemon. All of it is taken away again when the declaration no longer has it.

mod docker;
mod facts;
mod files;
mod plan;

use super::docker::facts::Host;
use super::system::Login;
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Probe, Question};
use crate::workshop::Workshop;
use facts::{Daemon, Found, is_declared};
pub use files::DAEMON;

pub struct Venue;

const CHECKS: &[Check] = &[
    Check {
        id: "box.network.left",
        title: "Nothing is left of a network that is no longer declared",
        // A box that does not answer says nothing of it: then nothing is told.
        needs: &[],
        probe: Found::PROBE,
    },
    Check {
        id: "box.network.proxy",
        title: "apt and login shells use the network's proxy",
        needs: &["box.sudo"],
        probe: Found::PROBE,
    },
    Check {
        id: "box.network.certificates",
        title: "The box trusts the network's certificate authorities",
        needs: &["box.sudo"],
        probe: Found::PROBE,
    },
    Check {
        id: "box.network.mirrors",
        title: "apt installs from the network's mirror",
        needs: &["box.sudo"],
        probe: Found::PROBE,
    },
    Check {
        id: "box.network.docker",
        title: "Docker's daemon uses the network's proxy, certificates and mirrors",
        needs: &["box.sudo"],
        probe: Found::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Files that an earlier declaration had put there.
    Left(Vec<String>),
    /// apt or login shells are not told as declared; these are their files.
    ProxyUntold(Vec<String>),
    /// The authorities' files that are missing, changed or not taken over.
    Untrusted(Vec<String>),
    /// apt looks for the distribution's archives here.
    OtherArchives(Vec<String>),
    /// Docker's files or settings are not as declared.
    DockerUntold(Vec<String>),
    /// They are, and the daemon was started before.
    DaemonStale,
}

impl Resource for Venue {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        let venue = &context.workshop.venue;
        match check.id {
            "box.network.proxy" => venue.proxy.is_some(),
            "box.network.certificates" => !venue.certificates.is_empty(),
            "box.network.mirrors" => venue.apt_mirror.is_some(),
            "box.network.docker" => venue.concerns_docker(),
            _ => true,
        }
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [Found::probes(workshop), Host::probes(workshop)].concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        // Facts that were saved before anybody asked this say nothing of it.
        if check.id == "box.network.left"
            && !is_declared(context.workshop)
            && facts.records().get(Found::PROBE).is_none()
        {
            return State::Nothing;
        }
        let found = observed!(facts, Found);
        let venue = &context.workshop.venue;
        let owned = |paths: Vec<&str>| paths.into_iter().map(str::to_owned).collect();
        match check.id {
            "box.network.left" => match plan::left(context.workshop, &found) {
                left if left.is_empty() => State::Nothing,
                left => State::Drifted(Drift::Left(left)),
            },
            "box.network.proxy" => {
                let user = observed!(facts, Login).user;
                let files = files::of_proxy(context.workshop, &user);
                match found.differing(&files) {
                    paths if paths.is_empty() => {
                        State::AsDeclared("apt and login shells know it".to_owned())
                    }
                    paths => State::Drifted(Drift::ProxyUntold(owned(paths))),
                }
            }
            "box.network.certificates" => {
                let files = files::of_certificates(venue);
                let mut wrong = found.differing(&files);
                let paths = files.iter().map(|file| file.path.as_str());
                wrong.extend(paths.filter(|path| !found.trusted.contains(*path)));
                wrong.sort_unstable();
                wrong.dedup();
                if wrong.is_empty() {
                    State::AsDeclared(format!("{} trusted", files.len()))
                } else {
                    State::Drifted(Drift::Untrusted(owned(wrong)))
                }
            }
            "box.network.mirrors" => {
                let mirror = venue.apt_mirror.as_deref().unwrap_or_default();
                let is_other = |archive: &&String| !archive.starts_with(&format!("{mirror}/"));
                let others: Vec<String> = found.archives.iter().filter(is_other).cloned().collect();
                if found.archives.is_empty() {
                    State::Unknown(
                        "apt's sources name no archive of the distribution that is known"
                            .to_owned(),
                    )
                } else if others.is_empty() {
                    State::AsDeclared(mirror.to_owned())
                } else {
                    State::Drifted(Drift::OtherArchives(others))
                }
            }
            _ => docker::diff(context.workshop, &found, &observed!(facts, Host)),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let is_left = matches!(drift, Drift::Left(_));
        Judgement {
            // What is left over may well do no harm here.
            status: if is_left { Status::Warn } else { Status::Fail },
            summary: summary(drift),
            remedy: Some(Remedy {
                text: match drift {
                    Drift::Left(_) => "Take it away",
                    Drift::DaemonStale => "Start Docker again; its containers stop",
                    _ => "Set it up as declared",
                }
                .to_owned(),
                commands: vec![format!("dwenv provision --target {}", context.target)],
                by: By::You,
            }),
        }
    }

    fn plan(&self, context: Context, facts: &Facts, drift: &Drift) -> Plan {
        plan::plan(context.workshop, facts, drift)
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        plan::predict(context.workshop, facts, drift);
    }
}

/// A question for which the proxy's settings have to be read. Once one is declared, some of them are for root
/// alone, and whoever may not read them would take them for missing.
pub fn reading_proxy(workshop: &Workshop, fragment: String) -> Question {
    match workshop.venue.proxy {
        Some(_) => Question::Root(fragment),
        None => Question::Login(fragment),
    }
}

fn summary(drift: &Drift) -> String {
    match drift {
        Drift::Left(paths) => format!(
            "Left of a network that is no longer declared: {}",
            paths.join(", ")
        ),
        Drift::ProxyUntold(paths) => {
            format!("The proxy is not told as declared in {}", paths.join(", "))
        }
        Drift::Untrusted(paths) => format!("Not trusted: {}", paths.join(", ")),
        Drift::OtherArchives(archives) => format!(
            "apt installs from {}, not from the mirror",
            archives.join(", ")
        ),
        Drift::DockerUntold(paths) => {
            format!("Docker is not told as declared in {}", paths.join(", "))
        }
        Drift::DaemonStale => {
            "Docker's daemon was started before it was told of this network".to_owned()
        }
    }
}

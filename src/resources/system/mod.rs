//! The box itself: that it answers, who logs in, sudo, its system, disk and clock.

mod facts;

use std::rc::Rc;

pub use facts::{Connection, ConnectionFailure, Disk, Login, Os};

use super::clock::{self, Clock};
use super::{Check, Context, Judgement, Plan, Resource, State, observed, releases};
use crate::doctor::report::{By, Remedy, Status};
use crate::error::Advice;
use crate::facts::{Fact, Facts, Observed, Probe};
use crate::workshop::Workshop;

pub struct System;

/// What everything else about a box stands on.
pub const REACHED: Check = Check {
    id: "box.ssh",
    title: "The box answers over SSH",
    needs: &["laptop.vagrant", "laptop.virtualbox"],
    probe: Connection::PROBE,
};

const CHECKS: &[Check] = &[
    REACHED,
    Check {
        id: "box.sudo",
        title: "The login user can become root",
        needs: &["box.ssh"],
        probe: Login::PROBE,
    },
    Check {
        id: "box.os",
        title: "The box runs a Debian or Ubuntu release that is known",
        needs: &["box.ssh"],
        probe: Os::PROBE,
    },
    Check {
        id: "box.disk",
        title: "There is room on the box's disk",
        needs: &["box.ssh"],
        probe: Disk::PROBE,
    },
    Check {
        id: "box.clock",
        title: "The box's clock agrees with the laptop's",
        needs: &["box.ssh"],
        probe: Clock::PROBE,
    },
];

/// Free space below which a workshop soon gets stuck, and below which nothing installs.
const SCARCE_KB: u64 = 2_000_000;
const FULL_KB: u64 = 500_000;
/// What sudo says where a password would do, and what its successor in Rust says.
const WANTS_PASSWORD: [&str; 2] = [
    "a password is required",
    "interactive authentication is required",
];

#[derive(Clone, Debug, PartialEq)]
pub enum Drift {
    NotReached(ConnectionFailure),
    NoRoot {
        user: String,
        said: String,
    },
    OtherSystem {
        name: String,
    },
    DiskFull {
        mount: String,
        free_kb: u64,
    },
    DiskScarce {
        mount: String,
        free_kb: u64,
    },
    /// The box's clock is wrong.
    ClockOff(Clock),
    /// The box's clock is set by a time server, and the laptop has another time.
    LaptopOff(Clock),
}

impl Resource for System {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Os::probes(workshop),
            Disk::probes(workshop),
            Clock::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, _: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.ssh" => diff_connection(facts),
            "box.sudo" => diff_sudo(&facts.get::<Login>()),
            "box.os" => diff_os(facts),
            "box.disk" => diff_disk(facts),
            _ => clock::diff(facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        match drift {
            Drift::NotReached(failure) => Judgement {
                // Not a fault of the box that anybody has seen: it could not be asked.
                status: Status::Unknown,
                summary: failure.message.clone(),
                remedy: remedy_of(&failure.hints),
            },
            Drift::NoRoot { user, said } => Judgement {
                status: Status::Fail,
                summary: format!("{user} cannot become root without a password: {said}"),
                remedy: Some(Remedy {
                    text: if WANTS_PASSWORD.iter().any(|words| said.contains(words)) {
                        format!(
                            "Run it on a terminal, where dwenv asks for {user}'s password, or name a file that holds it with `--sudo-password-file`. Or allow {user} to use sudo without one, logged in as somebody who may"
                        )
                    } else {
                        format!(
                            "Log in to the box as somebody who may, and allow {user} to use sudo"
                        )
                    },
                    // sudo passes over files whose names hold a dot, and names of users may.
                    commands: vec![format!(
                        "echo '{user} ALL=(ALL) NOPASSWD: ALL' >workshop && sudo visudo -cf workshop && \
                         sudo install -m 440 workshop /etc/sudoers.d/"
                    )],
                    by: By::Organiser,
                }),
            },
            Drift::OtherSystem { name } => Judgement {
                status: Status::Fail,
                summary: format!("The box runs {name}"),
                remedy: Some(Remedy {
                    text: format!(
                        "Use a box with one of the releases that dwenv knows: {}",
                        releases::known()
                    ),
                    commands: Vec::new(),
                    by: By::Organiser,
                }),
            },
            Drift::DiskFull { mount, free_kb } => {
                judge_disk(Status::Fail, context, mount, *free_kb)
            }
            Drift::DiskScarce { mount, free_kb } => {
                judge_disk(Status::Warn, context, mount, *free_kb)
            }
            Drift::ClockOff(clock) => clock::judge_box(context, clock),
            Drift::LaptopOff(clock) => clock::judge_laptop(context, clock),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::NotReached(failure) => Plan::leave(failure.message.clone()),
            Drift::NoRoot { user, said } => Plan::leave(format!(
                "{user} cannot become root, so nothing can be changed: {said}"
            )),
            Drift::OtherSystem { name } => Plan::leave(format!(
                "{name} is not a system that dwenv can provision ({} are)",
                releases::known()
            )),
            Drift::DiskFull { mount, .. } | Drift::DiskScarce { mount, .. } => {
                Plan::leave(format!("dwenv deletes nothing to make room on {mount}"))
            }
            Drift::ClockOff(clock) => clock::plan(clock),
            Drift::LaptopOff(_) => {
                Plan::leave("a time server sets the box's clock, so the laptop's is not taken over")
            }
        }
    }

    fn predict(&self, _: Context, facts: &Facts, drift: &Drift) {
        if let Drift::ClockOff(_) = drift {
            facts.predict::<Clock>(Clock::settle);
        }
    }
}

fn diff_connection(facts: &Facts) -> State<Drift> {
    match observed!(facts, Connection).0 {
        None => State::AsDeclared("logged in".to_owned()),
        Some(failure) => State::Drifted(Drift::NotReached(failure)),
    }
}

fn diff_sudo(login: &Rc<Observed<Login>>) -> State<Drift> {
    match login.as_ref() {
        Err(unobserved) => State::from(unobserved),
        Ok(login) if login.uid == 0 => State::AsDeclared("the login user is root".to_owned()),
        Ok(login) if login.by_password => {
            State::AsDeclared(format!("{} may use sudo, with a password", login.user))
        }
        Ok(login) if login.elevated => State::AsDeclared(format!("{} may use sudo", login.user)),
        Ok(login) => State::Drifted(Drift::NoRoot {
            user: login.user.clone(),
            said: if login.sudo_said.is_empty() {
                "sudo is not there, or says nothing".to_owned()
            } else {
                login.sudo_said.clone()
            },
        }),
    }
}

fn diff_os(facts: &Facts) -> State<Drift> {
    let os = observed!(facts, Os);
    match os.release() {
        Some(_) => State::AsDeclared(os.pretty_name),
        None => State::Drifted(Drift::OtherSystem {
            name: os.pretty_name,
        }),
    }
}

fn diff_disk(facts: &Facts) -> State<Drift> {
    let Disk(mounts) = observed!(facts, Disk);
    let Some((mount, free_kb)) = mounts.into_iter().min_by_key(|(_, free)| *free) else {
        return State::Unknown("df named no disk".to_owned());
    };
    if free_kb < FULL_KB {
        State::Drifted(Drift::DiskFull { mount, free_kb })
    } else if free_kb < SCARCE_KB {
        State::Drifted(Drift::DiskScarce { mount, free_kb })
    } else {
        State::AsDeclared(format!("{} free on {mount}", gigabytes(free_kb)))
    }
}

fn judge_disk(status: Status, context: Context, mount: &str, free_kb: u64) -> Judgement {
    Judgement {
        status,
        summary: format!("Only {} are free on {mount}", gigabytes(free_kb)),
        remedy: Some(Remedy {
            text: "Delete in the box what is not needed; look first at what Docker, apt and the journal keep"
                .to_owned(),
            commands: vec![
                context.in_box("docker system df"),
                context.in_box("sudo apt-get clean"),
                context.in_box("sudo journalctl --vacuum-size=50M"),
            ],
            by: By::You,
        }),
    }
}

/// What to do next where there is no connection: sentences in one text, commands apart.
#[must_use]
pub fn remedy_of(hints: &[String]) -> Option<Remedy> {
    let mut sentences = Vec::new();
    let mut commands = Vec::new();
    for hint in hints {
        match Advice::of(hint) {
            Advice::Sentence(sentence) => {
                sentences.push(sentence.trim_end_matches('.').to_owned());
            }
            Advice::Command(command) => commands.push(command.to_owned()),
        }
    }
    (!hints.is_empty()).then(|| Remedy {
        text: if sentences.is_empty() {
            "Try this".to_owned()
        } else {
            sentences.join(". ")
        },
        commands,
        by: By::You,
    })
}

/// A span of time as a person says it, in one unit.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn gigabytes(kb: u64) -> String {
    format!("{}.{} GB", kb / 1_000_000, kb % 1_000_000 / 100_000)
}

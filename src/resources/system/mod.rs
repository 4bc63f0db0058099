//! The box itself: that it answers, who logs in, sudo, its system, disk and clock.

use std::path::Path;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::clock::{self, Clock};
use super::releases::{self, Release};
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::error::Advice;
use crate::facts::program::{self, Rights};
use crate::facts::{Fact, Facts, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::workshop::Workshop;

pub struct System;

const CHECKS: &[Check] = &[
    Check {
        id: "box.ssh",
        title: "The box answers over SSH",
        needs: &["laptop.vagrant", "laptop.virtualbox"],
        probe: Connection::PROBE,
    },
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
/// What sudo says where a password would do.
const WANTS_PASSWORD: &str = "a password is required";

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

/// How the attempt to connect ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection(pub Option<ConnectionFailure>);

/// Why there is no connection, for the reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionFailure {
    pub message: String,
    pub hints: Vec<String>,
}

impl Connection {
    pub const PROBE: &str = "ssh";
}

impl Fact for Connection {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // The collector answers it: connecting comes before all probes.
        Vec::new()
    }

    fn observe(records: &Records) -> Observed<Self> {
        match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::Done(0)) => Ok(Self(None)),
            Some(RecordStatus::Done(_)) => Ok(Self(Some(records.failure(Self::PROBE)?))),
            _ => Err(Unobserved("connecting was not tried".to_owned())),
        }
    }
}

impl Records {
    fn failure(&self, probe: &str) -> Observed<ConnectionFailure> {
        let output = self.get(probe).map_or("", |record| &record.output);
        serde_json::from_str(output).map_err(|error| Unobserved(error.to_string()))
    }
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub uid: u32,
    pub home: String,
    /// The groups of this session.
    pub groups: Vec<String>,
    /// Whether root's rights were had.
    pub elevated: bool,
    /// Whether sudo wanted the user's password for it.
    pub by_password: bool,
    /// What sudo said when it refused.
    pub sudo_said: String,
}

impl Login {
    const PROBE: &str = program::LOGIN;
}

impl Fact for Login {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // Answered by the beginning of the one program.
        Vec::new()
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("who logs in is not understood: {text}"));
        let mut lines = text.lines();
        let id = lines.next().ok_or_else(garbled)?;
        let names =
            |list: &str| -> Vec<String> { list.split(',').filter_map(in_parentheses).collect() };
        let field = |name: &str| id.split(' ').find_map(|word| word.strip_prefix(name));
        let uid = field("uid=").ok_or_else(garbled)?;
        let home = lines
            .find_map(|line| line.strip_prefix("home="))
            .ok_or_else(garbled)?;
        let elevated = records.text(program::ELEVATED)?;
        let said = records.text(program::NOISE).unwrap_or_default();
        Ok(Self {
            user: in_parentheses(uid).ok_or_else(garbled)?,
            uid: uid
                .split('(')
                .next()
                .and_then(|n| n.parse().ok())
                .ok_or_else(garbled)?,
            home: home.to_owned(),
            groups: field("groups=").map(names).unwrap_or_default(),
            elevated: match elevated {
                "yes" | Rights::BY_PASSWORD => true,
                "no" => false,
                _ => return Err(garbled()),
            },
            by_password: elevated == Rights::BY_PASSWORD,
            sudo_said: said
                .lines()
                .rfind(|line| line.starts_with("sudo:"))
                .unwrap_or("")
                .to_owned(),
        })
    }
}

/// `1000(vagrant)` → `vagrant`.
fn in_parentheses(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('(')?;
    Some(rest.strip_suffix(')')?.to_owned())
}

/// The box's system, from os-release(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    pub id: String,
    pub version: String,
    pub pretty_name: String,
    /// What apt repositories call the release, such as `trixie`.
    pub codename: String,
}

impl Os {
    const PROBE: &str = "os";

    #[must_use]
    pub fn release(&self) -> Option<&'static Release> {
        releases::release(&self.id, &self.version)
    }
}

impl Fact for Os {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let fragment = r#". /etc/os-release; printf '%s\n' "$ID" "$VERSION_ID" "$PRETTY_NAME" "${UBUNTU_CODENAME:-$VERSION_CODENAME}""#;
        vec![Probe::new(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let mut lines = text.lines().map(str::to_owned);
        let mut next = || lines.next().unwrap_or_default();
        let os = Self {
            id: next(),
            version: next(),
            pretty_name: next(),
            codename: next(),
        };
        if os.id.is_empty() || os.pretty_name.is_empty() {
            return Err(Unobserved(format!(
                "os-release's answer is not understood: {text}"
            )));
        }
        Ok(os)
    }
}

/// Free space by mount point, in kB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk(pub Vec<(String, u64)>);

impl Disk {
    const PROBE: &str = "disk";

    /// Whether `folder` lies on a disk that the check of disks says is full.
    pub(super) fn is_full_at(&self, folder: &str) -> bool {
        let is_full = |(mount, free_kb): &(String, u64)| {
            *free_kb < FULL_KB && Path::new(folder).starts_with(mount)
        };
        self.0.iter().any(is_full)
    }
}

impl Fact for Disk {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // Folders that are not there yet make df say so on stderr and end with 1: no fault of the box.
        let fragment = "df -Pk / /var /var/lib/docker /var/lib/postgresql 2>/dev/null; true";
        vec![Probe::new(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let mut mounts: Vec<(String, u64)> = Vec::new();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [_, _, _, free, _, mount] = words[..]
                && let Ok(free) = free.parse()
                && !mounts.iter().any(|(known, _)| known == mount)
            {
                mounts.push((mount.to_owned(), free));
            }
        }
        if mounts.is_empty() {
            return Err(Unobserved(format!("df's answer is not understood: {text}")));
        }
        Ok(Self(mounts))
    }
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
                    text: if said.contains(WANTS_PASSWORD) {
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
                        "echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/workshop"
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
fn remedy_of(hints: &[String]) -> Option<Remedy> {
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

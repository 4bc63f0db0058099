//! What is known of the box itself: whether it answers, who logs in, its system, and its disks.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::FULL_KB;
use crate::facts::program::{self, Rights};
use crate::facts::{Fact, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::resources::releases::{self, Release};
use crate::workshop::Workshop;

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
        // Whoever connects answers it: that comes before all probes.
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
    pub(super) const PROBE: &str = program::LOGIN;
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
    pub(super) const PROBE: &str = "os";

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
    pub(super) const PROBE: &str = "disk";

    /// Whether `folder` lies on a disk that the check of disks says is full.
    pub(in crate::resources) fn is_full_at(&self, folder: &str) -> bool {
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

//! What `plan` answers: a change with its script, or the reason why none is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::provision::outcome::Difference;
use crate::secret::Secret;

/// What a line of a script begins with that is told with the outcome.
pub const NOTE: &str = "dwenv-note ";

/// What is to be done about a drift.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    Change(Change),
    /// Nothing is done, for this reason.
    Leave(String),
}

/// One change to the box.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Imperative, with the thing it is done to.
    pub title: String,
    pub action: Action,
    /// What `--diff` shows.
    pub differences: Vec<Difference>,
    /// Safe to make without asking: it can be repeated, loses nothing, and stops nothing that somebody uses.
    pub unattended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Packages to install; those of all changes go into one transaction of apt.
    Install(Install),
    /// A script for root's `sh`; it ends with a status other than 0 when it failed.
    Script(Script),
    /// An image to pull.
    Pull(Pull),
}

/// An image, and whose login to its registry is used, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub image: String,
    /// The home folder of the box's user, where Docker's client keeps logins.
    pub home: String,
}

/// Packages, and what is to be so while they are installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Install {
    pub packages: BTreeSet<String>,
    /// Files that the packages' own scripts read, by their paths; they are gone again afterwards.
    pub settings: BTreeMap<String, String>,
}

/// A script and the bytes that wait on its stdin. Contents and secrets travel on stdin only.
#[derive(Clone, PartialEq, Eq)]
pub struct Script {
    pub sh: String,
    pub stdin: Secret,
    /// Its stdin never becomes a file on the box: the step waits until the laptop gives it.
    pub holds_secret: bool,
}

/// The script can be shown; what goes to its stdin may be a secret.
impl fmt::Debug for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}\n({} bytes on stdin)",
            self.sh,
            self.stdin.reveal().len()
        )
    }
}

impl Install {
    /// Whether packages make way: their names end with `-`.
    #[must_use]
    pub fn removes(&self) -> bool {
        self.packages.iter().any(|name| name.ends_with('-'))
    }

    #[must_use]
    pub fn title(&self) -> String {
        let names: Vec<&str> = self.packages.iter().map(String::as_str).collect();
        format!("Install {}", names.join(", "))
    }
}

impl Plan {
    pub fn install<I: IntoIterator<Item = S>, S: Into<String>>(packages: I) -> Self {
        Self::install_with(packages, BTreeMap::new())
    }

    /// Packages to install, with settings that hold meanwhile.
    pub fn install_with<I: IntoIterator<Item = S>, S: Into<String>>(
        packages: I,
        settings: BTreeMap<String, String>,
    ) -> Self {
        let install = Install {
            packages: packages.into_iter().map(Into::into).collect(),
            settings,
        };
        Self::Change(Change {
            title: install.title(),
            action: Action::Install(install),
            differences: Vec::new(),
            unattended: false,
        })
    }

    pub fn script(title: impl Into<String>, sh: impl Into<String>) -> Self {
        Self::script_reading(title, sh, "")
    }

    /// A script with content on its stdin.
    pub fn script_reading(
        title: impl Into<String>,
        sh: impl Into<String>,
        stdin: impl Into<String>,
    ) -> Self {
        Self::Change(Change {
            title: title.into(),
            action: Action::Script(Script {
                sh: sh.into(),
                stdin: Secret::new(stdin),
                holds_secret: false,
            }),
            differences: Vec::new(),
            unattended: false,
        })
    }

    /// Says whether what the script reads holds a secret.
    #[must_use]
    pub fn with_secret(mut self, holds: bool) -> Self {
        if let Self::Change(Change {
            action: Action::Script(script),
            ..
        }) = &mut self
        {
            script.holds_secret = holds;
        }
        self
    }

    pub fn leave(reason: impl Into<String>) -> Self {
        Self::Leave(reason.into())
    }

    /// Says that the change is safe to make without asking: see [`Change::unattended`].
    #[must_use]
    pub fn unattended(mut self) -> Self {
        if let Self::Change(change) = &mut self {
            change.unattended = true;
        }
        self
    }

    /// Adds what `--diff` shows.
    #[must_use]
    pub fn showing(mut self, shown: Vec<Difference>) -> Self {
        if let Self::Change(change) = &mut self {
            change.differences = shown;
        }
        self
    }
}

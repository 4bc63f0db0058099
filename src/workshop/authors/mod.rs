//! What an author adds to dwenv's own checks (`[checks.NAME]`), and what is not to be counted (`ignore`).

mod ignore;
mod read;
mod text;

use std::time::Duration;

use regex::Regex;
use semver::VersionReq;

use super::model::Password;
use crate::date::Date;
use crate::target::laptop::Os;

pub use ignore::read as ignores;
pub use read::read as checks;

/// A check that the author declared. It is judged, told and counted like dwenv's own.
#[derive(Clone, Debug)]
pub struct AuthorsCheck {
    /// `box.custom.NAME` or `laptop.custom.NAME`.
    pub id: String,
    /// What is true when it passes.
    pub title: String,
    pub place: Place,
    pub asks: Asks,
    pub severity: Severity,
    /// Ids of checks that must pass before this one is judged.
    pub needs: Vec<String>,
    pub hint: Hint,
    pub timeout: Duration,
}

/// Where it looks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Laptop,
    /// In the box; as the login user, or as root.
    Box {
        root: bool,
    },
}

/// What it asks, and what the answer has to be.
#[derive(Clone, Debug)]
pub enum Asks {
    /// The author's own sh; on a Windows laptop, a line for its command processor.
    Command {
        command: String,
        exit: i32,
        output: Wanted,
    },
    /// A relative path starts at the home of whoever it is asked of.
    File {
        path: String,
        exists: bool,
        content: Wanted,
    },
    /// A TCP port, in the box or of the laptop itself.
    Port { port: u16, listening: bool },
    Http {
        address: Address,
        status: u16,
        body: Wanted,
    },
    /// As the workshop's role, in its database, reading only.
    Sql {
        query: String,
        login: SqlLogin,
        rows: Option<u64>,
        /// The first column of the first row.
        value: Option<String>,
    },
}

/// A web address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// As the author wrote it.
    pub url: String,
    pub host: String,
    pub port: u16,
    /// With what is asked for behind it; it begins with a slash.
    pub path: String,
}

/// The workshop's own login.
#[derive(Clone, Debug)]
pub struct SqlLogin {
    pub port: u16,
    pub role: String,
    pub database: String,
    pub password: Password,
}

/// What a text has to be like; nothing is demanded where nothing is said.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub contains: Option<String>,
    pub regex: Option<Regex>,
    /// The first version number in the text lies in this range.
    pub version: Option<VersionReq>,
}

impl Wanted {
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.contains.is_none() && self.regex.is_none() && self.version.is_none()
    }
}

/// How grave it is when it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Fail,
    Warn,
}

/// What to do about it, by the system of the laptop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// Where no other fits.
    pub all: Option<String>,
    pub linux: Option<String>,
    pub macos: Option<String>,
    pub windows: Option<String>,
}

impl Hint {
    /// The hint for a laptop with this system.
    #[must_use]
    pub fn on(&self, system: Os) -> Option<&str> {
        let own = match system {
            Os::Linux => &self.linux,
            Os::MacOs => &self.macos,
            Os::Windows => &self.windows,
            Os::Other => &None,
        };
        own.as_deref().or(self.all.as_deref())
    }
}

/// A check that is shown and not counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    pub id: String,
    pub reason: String,
    /// The last day on which it holds.
    pub until: Option<Date>,
}

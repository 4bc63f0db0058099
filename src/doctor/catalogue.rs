//! The catalogue of failures: what goes wrong before and during a workshop, how each is recognised in what a
//! program says, and what mends it. A dated table, `data/failures.toml`; `docs/failures.md` lists its rows.

use std::sync::LazyLock;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::report::By;
use crate::target::laptop::Os;

const TABLE: &str = include_str!("../../data/failures.toml");

/// Everything that is known to go wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The month up to which the rows are right.
    pub as_of: String,
    /// In the order in which a workshop meets them.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// One failure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Stable: `dwenv explain` takes it.
    pub id: String,
    #[serde(rename = "where")]
    pub place: Place,
    /// The systems of laptops that can have it; empty means all.
    #[serde(default)]
    pub systems: Vec<System>,
    /// Texts that programs print when it happens, literally. A space also stands for a line break.
    #[serde(default)]
    pub says: Vec<String>,
    /// The same as regular expressions. What a named group catches fills the same name in braces below.
    #[serde(default)]
    pub matches: Vec<String>,
    /// One sentence: why it happens.
    pub cause: String,
    /// What to do, one or two sentences.
    pub cure: String,
    #[serde(default)]
    pub commands: Commands,
    pub by: By,
    /// Whether dwenv may mend it unattended, after a question, or not at all.
    pub fix: Fix,
    /// The checks of doctor, and the rules of lint, that find it.
    #[serde(default)]
    pub checks: Vec<String>,
    /// Why neither a check nor a text tells it.
    #[serde(default)]
    pub out_of_reach: Option<String>,
    /// Rows that bring this one about: where one of them is recognised too, that one is the cause.
    #[serde(default)]
    pub follows: Vec<String>,
    /// Rows that the same words can also mean.
    #[serde(default)]
    pub or: Vec<String>,
    /// Where it was seen or read.
    pub source: String,
}

/// Where it happens, and so where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    Laptop,
    Box,
    Network,
    /// In the workshop's own files: only its author can mend it.
    Workshop,
}

/// What dwenv may do about it by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fix {
    /// Safe unattended, and can be undone.
    Yes,
    /// After a question.
    Ask,
    /// Never: it restarts the laptop, lowers its protection, or loses something.
    No,
}

/// The laptop's operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum System {
    Linux,
    Macos,
    Windows,
}

impl System {
    /// The one dwenv runs on; of those that it does not know, Linux is the nearest.
    #[must_use]
    pub fn this() -> Self {
        match Os::this() {
            Os::Windows => Self::Windows,
            Os::MacOs => Self::Macos,
            Os::Linux | Os::Other => Self::Linux,
        }
    }

    /// As people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Macos => "macOS",
            Self::Windows => "Windows",
        }
    }
}

/// What to type on the laptop, in the workshop's folder: for every system, then what is one system's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commands {
    pub all: Vec<String>,
    pub linux: Vec<String>,
    pub macos: Vec<String>,
    pub windows: Vec<String>,
}

impl Commands {
    pub fn on(&self, system: System) -> impl Iterator<Item = &str> {
        let own = match system {
            System::Linux => &self.linux,
            System::Macos => &self.macos,
            System::Windows => &self.windows,
        };
        self.all.iter().chain(own).map(String::as_str)
    }
}

/// How a failure is met. Every row is met in at least one of these ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage<'a> {
    /// By checks of doctor or rules of lint, and perhaps by its words too.
    Checked {
        also_explained: bool,
    },
    /// By its words only.
    Explained,
    OutOfReach(&'a str),
    /// A mistake in the table; a test finds it.
    Nothing,
}

impl Row {
    #[must_use]
    pub fn coverage(&self) -> Coverage<'_> {
        let words = !(self.says.is_empty() && self.matches.is_empty());
        match &self.out_of_reach {
            _ if !self.checks.is_empty() => Coverage::Checked {
                also_explained: words,
            },
            _ if words => Coverage::Explained,
            Some(reason) => Coverage::OutOfReach(reason),
            None => Coverage::Nothing,
        }
    }

    /// Whether a laptop with this system can have it.
    #[must_use]
    pub fn concerns(&self, system: System) -> bool {
        self.systems.is_empty() || self.systems.contains(&system)
    }

    /// What to type: on a laptop with `system`, or on one that can have this failure.
    pub fn commands_on(&self, system: System) -> impl Iterator<Item = &str> {
        let system = match self.systems.first() {
            Some(first) if !self.concerns(system) => *first,
            _ => system,
        };
        self.commands.on(system)
    }
}

impl Catalogue {
    /// The rows that are compiled in.
    #[must_use]
    pub fn get() -> &'static Self {
        static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
            toml::from_str(TABLE).expect("a test reads the table that is compiled in")
        });
        &CATALOGUE
    }

    #[must_use]
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }

    /// The failures that this check finds.
    pub fn found_by<'a>(&'a self, check: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.checks.iter().any(|id| id == check))
    }
}

//! What provision planned and did, as data. `output` tells it; nothing here prints.

use serde::Serialize;

use crate::date::Date;
use crate::doctor::report::{Report, Status};
use crate::error::ExitCode;
use crate::events::{Failure, SCHEMA_VERSION};

/// One line of a plan, as shown and as reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedChange {
    /// The checks that this change makes pass.
    pub checks: Vec<String>,
    /// What will be done, imperative, such as "Install docker.io, postgresql".
    pub title: String,
    /// Unified differences of files, SQL to be run: what `--diff` shows.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// What apt would do by the lists that the box has; only where packages are installed, and somebody reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<Foreseen>,
    pub status: ChangeStatus,
}

/// What is known of packages before they are installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Foreseen {
    Transaction(Transaction),
    Unknown {
        /// Why versions and sizes are not known.
        unknown: String,
    },
}

/// What apt would do with packages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transaction {
    #[serde(rename = "changes")]
    pub packages: Vec<PackageChange>,
    /// What would be downloaded.
    pub download_bytes: u64,
    /// How much more of the disk would be used, to the three digits that apt tells; less than 0 where some becomes free.
    pub disk_bytes: i64,
    /// The day on which the newest of apt's lists was made.
    pub lists_of: Date,
}

/// A package, and its version before and after: one of them is missing where it is installed or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    pub name: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The path in the box, or the database.
    pub subject: String,
    /// Unified diff, or the SQL text.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub enum ChangeStatus {
    Planned,
    Done,
    Failed(Failure),
    /// An earlier change failed, so this one was not tried.
    NotTried,
}

/// A drift for which provision makes no change, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unchanged {
    pub check: String,
    pub reason: String,
    /// How grave it is, by the same judgement as doctor's: `fail`, `warn`, or `unknown`.
    pub status: Status,
}

/// What provision planned for one target and, unless it was only asked to plan, did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub schema_version: u32,
    pub target: String,
    /// Whether changes were made, or only shown.
    pub applied: bool,
    pub changes: Vec<PlannedChange>,
    pub unchanged: Vec<Unchanged>,
    /// What the person should know: files that were kept, for example.
    pub notes: Vec<String>,
    /// Checks whose drift was still there when the box was probed again after an apply.
    pub remaining: Vec<String>,
}

impl Outcome {
    /// Whether a change was tried and did not succeed, or was not tried because of that.
    #[must_use]
    pub fn changes_failed(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.status != ChangeStatus::Done)
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        if !self.applied {
            return ExitCode::Ready;
        }
        let left = |status| self.unchanged.iter().any(|item| item.status == status);
        if self.changes_failed() || !self.remaining.is_empty() || left(Status::Fail) {
            ExitCode::Failed
        } else if left(Status::Unknown) {
            ExitCode::Undetermined
        } else {
            ExitCode::Ready
        }
    }
}

/// What `up` did with one box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Up {
    pub schema_version: u32,
    pub target: String,
    pub provision: Option<Outcome>,
    /// `None` when it did not come to that.
    pub doctor: Option<Report>,
    /// Where the workshop's server answers, such as `http://192.168.33.10:8080`.
    pub address: Option<String>,
}

impl Up {
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            target: target.into(),
            provision: None,
            doctor: None,
            address: None,
        }
    }
}

//! What `--fix` may offer of a plan, and what became of it. Planning and applying are `provision`'s.

use std::collections::HashSet;

use serde::Serialize;

use super::report::{Finding, Report, Status};
use super::unknown;
use crate::error::Result;
use crate::facts::Facts;
use crate::provision::outcome::{ChangeStatus, Difference, Unchanged};
use crate::provision::plan::Step;
use crate::resources::change::Action;
use crate::resources::docker::DockerApi;
use crate::resources::{self, Context};

/// One change that could be made, as somebody is asked about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    pub title: String,
    /// The checks that it makes pass.
    pub checks: Vec<String>,
    /// Containers that run and may miss the service which the change stops, if only for a moment.
    pub containers: Vec<String>,
    #[serde(skip)]
    pub differences: Vec<Difference>,
    /// Safe to make without asking.
    #[serde(skip)]
    pub unattended: bool,
}

/// A change that was tried, and its checks before and after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mended {
    pub title: String,
    pub checks: Vec<Compared>,
    #[serde(flatten)]
    pub status: ChangeStatus,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub id: String,
    pub before: Status,
    pub after: Status,
}

/// What `--fix` did on one target, and how the target is afterwards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fixed {
    pub schema_version: u32,
    pub target: String,
    pub changes: Vec<Mended>,
    /// Changes that were not made because nobody said yes to them.
    pub needs_yes: Vec<Offer>,
    /// What is wrong and not for dwenv to change, and why.
    pub unchanged: Vec<Unchanged>,
    /// Files that were kept, for example.
    pub notes: Vec<String>,
    #[serde(rename = "doctor")]
    pub after: Report,
}

/// How a target is after that; unknown where it could not be worked on.
#[must_use]
pub fn report_of(target: &str, fixed: &Result<Fixed>) -> Report {
    match fixed {
        Ok(fixed) => fixed.after.clone(),
        Err(error) => unknown(target, error),
    }
}

/// What was wrong before anything was mended.
pub struct Wrong {
    /// Failed checks, those that had no answer, and those that were skipped because of them.
    checks: HashSet<String>,
    /// Containers that run in the box.
    containers: Vec<String>,
}

impl Wrong {
    /// `told` are the findings that were selected. Where warnings count as problems they are mended too.
    #[must_use]
    pub fn of(told: &Report, facts: &Facts) -> Self {
        let wrong = told
            .checks
            .iter()
            .filter(|finding| told.is_problem(finding) || finding.status == Status::Skip);
        let containers = match facts.get::<DockerApi>().as_ref() {
            Ok(DockerApi(Some(api))) => api.containers.iter().map(|c| c.name.clone()).collect(),
            _ => Vec::new(),
        };
        Self {
            checks: wrong.map(|finding| finding.id.clone()).collect(),
            containers,
        }
    }

    /// A step as it is offered; `None` where it mends nothing that is wrong.
    #[must_use]
    pub fn offer(&self, step: &Step) -> Option<Offer> {
        if !step.checks.iter().any(|check| self.checks.contains(check)) {
            return None;
        }
        let containers = if stops_something(step) {
            self.containers.clone()
        } else {
            Vec::new()
        };
        Some(Offer {
            title: step.change.title.clone(),
            checks: step.checks.clone(),
            unattended: step.change.unattended,
            containers,
            differences: step.change.differences.clone(),
        })
    }
}

/// Whether a step may stop a service that somebody uses. One that is safe without asking does not: where its
/// script says `restart`, nothing runs yet.
fn stops_something(step: &Step) -> bool {
    match &step.change.action {
        _ if step.change.unattended => false,
        // An upgrade of a package starts its services anew.
        Action::Install(_) => true,
        Action::Script(script) => ["restart", "stop"]
            .iter()
            .any(|verb| script.sh.contains(&format!("systemctl {verb} "))),
        Action::Pull(_) => false,
    }
}

/// Whether any of these checks stands, directly or not, on one that stays as it is.
#[must_use]
pub fn stands_on(context: Context, checks: &[String], declined: &HashSet<String>) -> bool {
    let mut blocked: HashSet<&str> = HashSet::new();
    let ordered = resources::in_order(context);
    for check in &ordered {
        let waits = check
            .needs
            .iter()
            .any(|need| declined.contains(*need) || blocked.contains(need));
        if waits {
            blocked.insert(check.id);
        }
    }
    checks.iter().any(|check| blocked.contains(check.as_str()))
}

/// The checks of one change, before it and after it.
#[must_use]
pub fn compared(checks: &[String], before: &[Finding], after: &[Finding]) -> Vec<Compared> {
    let status = |findings: &[Finding], id: &str| {
        let finding = findings.iter().find(|finding| finding.id == id);
        finding.map_or(Status::Unknown, |finding| finding.status)
    };
    checks
        .iter()
        .map(|id| Compared {
            id: id.clone(),
            before: status(before, id),
            after: status(after, id),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::change::Plan;

    fn offered(plan: Plan, wrong: &Wrong) -> Option<Offer> {
        let Plan::Change(change) = plan else {
            panic!("no change: {plan:?}");
        };
        wrong.offer(&Step {
            checks: vec!["box.postgres.running".to_owned()],
            change,
            is_essential: true,
            packages: None,
        })
    }

    fn wrong(check: &str) -> Wrong {
        Wrong {
            checks: HashSet::from([check.to_owned()]),
            containers: vec!["db".to_owned()],
        }
    }

    #[test]
    fn a_change_that_may_stop_a_service_names_the_containers_that_run() {
        let wrong = wrong("box.postgres.running");
        for (plan, named) in [
            (
                Plan::script("Restart", "systemctl restart postgresql"),
                true,
            ),
            (Plan::script("Stop", "systemctl stop docker"), true),
            (Plan::install(["postgresql"]), true),
            (Plan::script("Write", "echo text > file"), false),
            // What is safe without asking starts only what does not run.
            (
                Plan::script("Start", "systemctl restart postgresql").unattended(),
                false,
            ),
        ] {
            let offer = offered(plan, &wrong).unwrap();
            assert_eq!(!offer.containers.is_empty(), named, "{}", offer.title);
        }
    }

    #[test]
    fn only_what_mends_something_wrong_is_offered() {
        let plan = || Plan::script("Start", "systemctl start postgresql").unattended();
        let offer = offered(plan(), &wrong("box.postgres.running")).unwrap();
        assert!(offer.unattended);
        assert_eq!(offered(plan(), &wrong("box.docker.daemon")), None);
    }
}

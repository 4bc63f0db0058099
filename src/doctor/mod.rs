//! Findings in the order of their `needs`: what doctor says.

pub mod catalogue;
pub mod explain;
pub mod manual;
mod pasted;
pub mod report;

use std::collections::HashMap;

use crate::date::Date;
use crate::facts::Facts;
use crate::resources::{self, Applicable, Context, Judgement, State};
use crate::workshop::Workshop;
use report::{Finding, Ignored, Scope, Status};

/// Judges every check that applies, a cause before what follows from it.
#[must_use]
pub fn judge(context: Context, facts: &Facts) -> Vec<Finding> {
    let today = Date::of(facts.records().taken_at);
    // For each check that does not hold: the check at the root of it, and how that one ended.
    let mut roots: HashMap<&str, (&str, Status)> = HashMap::new();
    let mut findings = Vec::new();
    for check in resources::in_order(context) {
        let hides = |(root, status): &(&str, Status)| {
            // What nobody could find out about the laptop says nothing about the box.
            *status == Status::Fail || check.scope() == Scope::Laptop || root.starts_with("box.")
        };
        let root_among = |others: &[&str]| {
            let mut causes = others.iter().filter_map(|other| roots.get(other));
            causes.find(|cause| hides(cause)).copied()
        };
        let (mut finding, root) = match root_among(&check.needs) {
            Some(root) => (skipped(&check, root.0), root),
            None => {
                let finding = found(&check, check.judge(context, facts), facts);
                match root_among(resources::explained_by(&check, finding.status)) {
                    Some(root) => (explained(finding, root.0), root),
                    None => {
                        let status = finding.status;
                        (finding, (check.id, status))
                    }
                }
            }
        };
        if finding.status != Status::Pass {
            finding.ignored = ignored(context.workshop, check.id, today);
        }
        // Whoever ignores a check wants to go on: what needs it is judged by what is seen of itself.
        let holds = matches!(finding.status, Status::Pass | Status::Warn);
        if !holds && !finding.is_ignored() {
            roots.insert(check.id, root);
        }
        findings.push(finding);
    }
    findings
}

/// Whether the author wants this check not to be counted.
#[must_use]
pub fn ignored(workshop: &Workshop, id: &str, today: Date) -> Option<Ignored> {
    let ignore = workshop.ignores.iter().find(|ignore| ignore.id == id)?;
    Some(Ignored {
        reason: ignore.reason.clone(),
        until: ignore.until,
        expired: ignore.until.is_some_and(|until| until < today),
    })
}

fn found(check: &Applicable, state: State<Judgement>, facts: &Facts) -> Finding {
    let (status, summary, remedy) = match state {
        State::AsDeclared(seen) => (Status::Pass, seen, None),
        State::Unknown(reason) => (Status::Unknown, reason, None),
        State::Drifted(judgement) => (judgement.status, judgement.summary, judgement.remedy),
    };
    Finding {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        scope: check.scope(),
        status,
        summary,
        because: None,
        remedy,
        ignored: None,
        duration: facts.records().duration(check.probe),
    }
}

fn skipped(check: &Applicable, root: &str) -> Finding {
    Finding {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        scope: check.scope(),
        status: Status::Skip,
        summary: format!("not judged, because of {root}"),
        because: Some(root.to_owned()),
        remedy: None,
        ignored: None,
        duration: std::time::Duration::ZERO,
    }
}

/// What was found follows from what was found before: it is not a cause of its own.
fn explained(finding: Finding, root: &str) -> Finding {
    Finding {
        status: Status::Skip,
        summary: format!("{}, because of {root}", finding.summary),
        because: Some(root.to_owned()),
        remedy: None,
        ..finding
    }
}

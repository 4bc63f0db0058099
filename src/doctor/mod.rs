//! Findings in the order of their `needs`: what doctor says.

pub mod catalogue;
pub mod explain;
pub mod manual;
mod pasted;
pub mod report;

use std::collections::HashMap;

use crate::facts::Facts;
use crate::resources::{self, Check, Context, Judgement, State};
use report::{Finding, Scope, Status};

/// Judges every check that applies, a cause before what follows from it.
#[must_use]
pub fn judge(context: Context, facts: &Facts) -> Vec<Finding> {
    // For each check that does not hold: the check at the root of it, and how that one ended.
    let mut roots: HashMap<&str, (&str, Status)> = HashMap::new();
    let mut findings = Vec::new();
    for (kind, check) in resources::in_order(context) {
        let hides = |(root, status): &(&str, Status)| {
            // What nobody could find out about the laptop says nothing about the box.
            *status == Status::Fail || check.scope() == Scope::Laptop || root.starts_with("box.")
        };
        let root_among = |others: &[&str]| {
            let mut causes = others.iter().filter_map(|other| roots.get(other));
            causes.find(|cause| hides(cause)).copied()
        };
        let (finding, root) = match root_among(check.needs) {
            Some(cause) => (skipped(check, cause.0), cause),
            None => {
                let finding = found(check, kind.judge(check, context, facts), facts);
                match root_among(resources::explained_by(check, finding.status)) {
                    Some(cause) => (explained(finding, cause.0), cause),
                    None => {
                        let own = (check.id, finding.status);
                        (finding, own)
                    }
                }
            }
        };
        if !matches!(finding.status, Status::Pass | Status::Warn) {
            roots.insert(check.id, root);
        }
        findings.push(finding);
    }
    findings
}

fn found(check: &Check, state: State<Judgement>, facts: &Facts) -> Finding {
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
        duration: facts.records().duration(check.probe),
    }
}

fn skipped(check: &Check, root: &str) -> Finding {
    Finding {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        scope: check.scope(),
        status: Status::Skip,
        summary: format!("not judged, because of {root}"),
        because: Some(root.to_owned()),
        remedy: None,
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

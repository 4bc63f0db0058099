//! Findings in the order of their `needs`: what doctor says.

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
        let mut causes = check.needs.iter().filter_map(|need| roots.get(need));
        let root = causes.find(|cause| hides(cause)).copied();
        let finding = match root {
            Some((root, _)) => skipped(check, root),
            None => found(check, kind.judge(check, context, facts), facts),
        };
        let cause = match finding.status {
            Status::Pass | Status::Warn => None,
            Status::Skip => root,
            status @ (Status::Fail | Status::Unknown) => Some((check.id, status)),
        };
        roots.extend(cause.map(|cause| (check.id, cause)));
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

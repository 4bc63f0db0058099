//! Findings in the order of their `needs`: what doctor says.

pub mod catalogue;
pub mod explain;
pub mod fix;
mod guard;
pub mod manual;
mod pasted;
pub mod report;
pub mod saved;
pub mod select;
pub mod share;

use std::collections::HashMap;
use std::time::Duration;

use crate::date::Date;
use crate::error::Error;
use crate::facts::Facts;
use crate::resources::system::{self, REACHED};
use crate::resources::{self, Applicable, Context, Judgement, State};
use crate::workshop::Workshop;
use report::{Finding, Ignored, Report, Scope, Status};

/// The report on a target of which nothing is known, and why.
#[must_use]
pub fn unknown(target: &str, error: &Error) -> Report {
    let finding = Finding {
        id: REACHED.id.to_owned(),
        title: REACHED.title.to_owned(),
        scope: Scope::Box,
        status: Status::Unknown,
        summary: error.to_string(),
        because: None,
        remedy: system::remedy_of(&error.hints),
        ignored: None,
        duration: Duration::ZERO,
    };
    Report::new(target, vec![finding])
}

/// Judges every check that applies, a cause before what follows from it.
#[must_use]
pub fn judge(context: Context, facts: &Facts) -> Vec<Finding> {
    judge_each(resources::in_order(context), context, facts)
}

/// Judges these checks, which stand in the order of their needs. One that panics is unknown, and the others
/// are judged all the same.
fn judge_each(checks: Vec<Applicable>, context: Context, facts: &Facts) -> Vec<Finding> {
    let today = Date::of(facts.records().taken_at);
    // For each check that does not hold: the check at the root of it, and how that one ended.
    let mut roots: HashMap<&str, (&str, Status)> = HashMap::new();
    let mut findings = Vec::new();
    for check in &checks {
        let hides = |(root, status): &(&str, Status)| {
            // What nobody could find out about the laptop says nothing about the box.
            *status == Status::Fail || check.scope() == Scope::Laptop || root.starts_with("box.")
        };
        let root_among = |others: &[&str]| {
            let mut causes = others.iter().filter_map(|other| roots.get(other));
            causes.find(|cause| hides(cause)).copied()
        };
        let (mut finding, root) = match root_among(&check.needs) {
            Some(root) => (skipped(check, root.0), root),
            None => {
                let state = guard::guarded(|| check.judge(context, facts));
                let Some(finding) = found(check, state.unwrap_or_else(State::Unknown), facts)
                else {
                    continue;
                };
                match root_among(resources::explained_by(check, finding.status)) {
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

/// What is said of a check; nothing where there is nothing to say.
fn found(check: &Applicable, state: State<Judgement>, facts: &Facts) -> Option<Finding> {
    let (status, summary, remedy) = match state {
        State::AsDeclared(seen) => (Status::Pass, seen, None),
        State::Unknown(reason) => (Status::Unknown, reason, None),
        State::Drifted(judgement) => (judgement.status, judgement.summary, judgement.remedy),
        State::Nothing => return None,
    };
    Some(Finding {
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        scope: check.scope(),
        status,
        summary,
        because: None,
        remedy,
        ignored: None,
        duration: facts.records().duration(check.probe),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Probe, Records};
    use crate::resources::{Check, Plan, Resource};
    use crate::target::Provider;
    use crate::target::laptop::Os;
    use crate::workshop::Workshop;

    /// Its first check panics, the second is as declared.
    struct Faulty;

    const CHECKS: &[Check] = &[
        check("box.faulty", &[]),
        check("box.sound", &[]),
        check("box.after", &["box.faulty"]),
    ];

    const fn check(id: &'static str, needs: &'static [&'static str]) -> Check {
        Check {
            id,
            title: "A thing is so",
            needs,
            probe: "none",
        }
    }

    impl Resource for Faulty {
        type Drift = ();

        fn checks(&self) -> &'static [Check] {
            CHECKS
        }

        fn probes(&self, _: &Workshop) -> Vec<Probe> {
            Vec::new()
        }

        fn diff(&self, check: &Check, _: Context, facts: &Facts) -> State<()> {
            assert!(
                check.id != "box.faulty",
                "{} records",
                facts.records().records.len()
            );
            State::AsDeclared("it is".to_owned())
        }

        fn judge(&self, _: Context, _: &Facts, (): &()) -> Judgement {
            unreachable!("nothing drifts")
        }

        fn plan(&self, _: Context, _: &Facts, (): &()) -> Plan {
            unreachable!("nothing drifts")
        }

        fn predict(&self, _: Context, _: &Facts, (): &()) {}
    }

    #[test]
    fn a_check_that_panics_is_unknown_and_the_others_are_judged() {
        let workshop = Workshop::builtin().unwrap();
        let context = Context {
            workshop: &workshop,
            provider: &Provider::Sandbox,
            target: "sandbox",
            laptop: Os::Linux,
            before: false,
            deep: false,
        };
        let checks = CHECKS.iter().map(|check| Applicable::of(&Faulty, check));
        let findings = judge_each(checks.collect(), context, &Facts::new(Records::default()));
        let statuses: Vec<Status> = findings.iter().map(|finding| finding.status).collect();
        assert_eq!(statuses, [Status::Unknown, Status::Pass, Status::Skip]);
        let line = &findings[0].summary;
        for part in [
            "report this line: dwenv ",
            "src/doctor/mod.rs:",
            "0 records",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}

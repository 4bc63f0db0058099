//! Findings in the order of their `needs`: what doctor says.

pub mod fix;
mod guard;
pub mod report;
pub mod saved;
pub mod select;
pub mod share;

use std::collections::HashMap;

use crate::facts::Facts;
use crate::resources::{self, Check, Context, Judgement, Kind, State};
use report::{Finding, Status};

/// Judges every check that applies, a cause before what follows from it.
#[must_use]
pub fn judge(context: Context, facts: &Facts) -> Vec<Finding> {
    judge_each(resources::in_order(context), context, facts)
}

/// Judges these checks, which stand in the order of their needs. One that panics is unknown, and the others
/// are judged all the same.
fn judge_each(
    checks: Vec<(&'static dyn Kind, &'static Check)>,
    context: Context,
    facts: &Facts,
) -> Vec<Finding> {
    // For each check that does not hold: the check at the root of it.
    let mut roots: HashMap<&str, &str> = HashMap::new();
    let mut findings = Vec::new();
    for (kind, check) in checks {
        let root = check.needs.iter().find_map(|need| roots.get(need).copied());
        let finding = match root {
            Some(root) => skipped(check, root),
            None => {
                let state = guard::guarded(|| kind.judge(check, context, facts));
                found(check, state.unwrap_or_else(State::Unknown), facts)
            }
        };
        match finding.status {
            Status::Pass | Status::Warn => {}
            Status::Skip => drop(roots.insert(check.id, root.unwrap_or(check.id))),
            Status::Fail | Status::Unknown => drop(roots.insert(check.id, check.id)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Probe, Records};
    use crate::resources::{Plan, Resource};
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
        let checks = CHECKS.iter().map(|check| (&Faulty as &dyn Kind, check));
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

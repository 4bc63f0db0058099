//! Folds the resources' plans into steps: each change is planned on the facts that the earlier ones leave.

use std::collections::HashSet;

use super::outcome::{ChangeStatus, Foreseen, PlannedChange, Unchanged};
use crate::date::Date;
use crate::doctor;
use crate::doctor::report::{Scope, Status};
use crate::facts::Facts;
use crate::resources::change::{Action, Change, Plan};
use crate::resources::{self, Context, State};

/// What is to be done to one box, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plans {
    pub steps: Vec<Step>,
    pub unchanged: Vec<Unchanged>,
}

/// One change, with the checks that it makes pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub checks: Vec<String>,
    pub change: Change,
    /// Whether others may stand on it. A step that serves warnings alone holds nothing up where it fails.
    pub is_essential: bool,
    /// What is known of the packages that it installs, where that was asked.
    pub packages: Option<Foreseen>,
}

impl Step {
    /// Whether both do the same. (A verifier of a password is another each time: its step is known by the rest.)
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.change, &other.change);
        ours.title == theirs.title
            && ours.differences == theirs.differences
            && match (&ours.action, &theirs.action) {
                (Action::Script(ours), Action::Script(theirs)) => ours.sh == theirs.sh,
                (ours, theirs) => ours == theirs,
            }
    }

    /// Whether nothing is done behind it where it fails. An image that cannot be had keeps no other from coming.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        self.is_essential && !self.is_pull()
    }

    fn is_pull(&self) -> bool {
        matches!(self.change.action, Action::Pull(_))
    }

    #[must_use]
    pub fn shown(&self) -> PlannedChange {
        PlannedChange {
            checks: self.checks.clone(),
            title: self.change.title.clone(),
            differences: self.change.differences.clone(),
            packages: self.packages.clone(),
            status: ChangeStatus::Planned,
        }
    }
}

/// What every change needs: a box that answers, root's rights, a system that is known, and room. While one
/// of them is wanting nothing is changed at all.
const FOUNDATIONS: &[&str] = &["box.ssh", "box.sudo", "box.os", "box.disk", "box.inodes"];

/// Plans every change that the box needs. The facts are afterwards those of the box as it will be.
#[must_use]
pub fn plan(context: Context, facts: &Facts) -> Plans {
    let mut plans = Plans::default();
    let mut blocked: HashSet<&str> = HashSet::new();
    let today = Date::of(facts.records().taken_at);
    // The author's come last. Nothing is known of what they will see after a change, so they are judged
    // only where none is made.
    for check in resources::in_order(context) {
        if check.scope() == Scope::Laptop || (check.is_authors() && !plans.steps.is_empty()) {
            continue;
        }
        let mut needs = check.needs.clone();
        if !FOUNDATIONS.contains(&check.id) {
            needs.extend(FOUNDATIONS);
        }
        if needs.iter().any(|need| blocked.contains(need)) {
            blocked.insert(check.id);
            continue;
        }
        let mut planned: Vec<Step> = Vec::new();
        // Where the change for one drift is predicted, a second one of the same check may be seen.
        loop {
            let (status, seen) = match check.judge(context, facts) {
                State::Drifted(judgement) => (judgement.status, judgement.summary),
                State::Unknown(reason) => (Status::Unknown, reason),
                State::AsDeclared(_) | State::Nothing => break,
            };
            // What the author wants to be as it is needs no mending, and keeps nothing else from being done.
            let ignored = doctor::ignored(context.workshop, check.id, today);
            if let Some(ignored) = ignored.filter(|ignored| !ignored.expired) {
                plans.unchanged.push(Unchanged {
                    check: check.id.to_owned(),
                    reason: format!("{seen}. It is ignored: {}", ignored.reason),
                    status: Status::Warn,
                });
                break;
            }
            let reasons = resources::explained_by(&check, status);
            if reasons.iter().any(|reason| blocked.contains(reason)) {
                blocked.insert(check.id);
                break;
            }
            match check.plan(context, facts) {
                State::AsDeclared(_) | State::Nothing => break,
                State::Drifted(Plan::Change(change)) => {
                    let step = Step {
                        checks: vec![check.id.to_owned()],
                        change,
                        is_essential: status != Status::Warn,
                        packages: None,
                    };
                    // What is not predicted is looked at when it is done.
                    if planned.iter().any(|before| before.is_like(&step)) {
                        break;
                    }
                    planned.push(step.clone());
                    plans.add(step);
                }
                State::Drifted(Plan::Leave(reason)) | State::Unknown(reason) => {
                    plans.unchanged.push(Unchanged {
                        check: check.id.to_owned(),
                        reason,
                        status,
                    });
                    if status != Status::Warn {
                        blocked.insert(check.id);
                    }
                    break;
                }
            }
        }
    }
    // They take longest, and fail where a registry does: everything else is there by then.
    plans.steps.sort_by_key(Step::is_pull);
    plans
}

impl Plans {
    /// Adds a change. Packages go into the transaction that is already planned, if there is one: one run
    /// of apt is faster than several, and none is needed before the first of them. Where packages make way, that
    /// is a step of its own.
    fn add(&mut self, added: Step) {
        let Action::Install(install) = &added.change.action else {
            return self.steps.push(added);
        };
        for step in &mut self.steps {
            if let Action::Install(known) = &mut step.change.action
                && !known.removes()
                && !install.removes()
            {
                known.packages.extend(install.packages.iter().cloned());
                known.settings.extend(install.settings.clone());
                step.change.title = known.title();
                step.checks.extend(added.checks);
                step.is_essential |= added.is_essential;
                return;
            }
        }
        self.steps.push(added);
    }
}

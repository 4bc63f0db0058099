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
    /// What is known of the packages that it installs, where that was asked.
    pub packages: Option<Foreseen>,
}

impl Step {
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
        let (status, seen) = match check.judge(context, facts) {
            State::Drifted(judgement) => (judgement.status, judgement.summary),
            State::Unknown(reason) => (Status::Unknown, reason),
            State::AsDeclared(_) | State::Nothing => continue,
        };
        // What the author wants to be as it is needs no mending, and keeps nothing else from being done.
        let ignored = doctor::ignored(context.workshop, check.id, today);
        if let Some(ignored) = ignored.filter(|ignored| !ignored.expired) {
            plans.unchanged.push(Unchanged {
                check: check.id.to_owned(),
                reason: format!("{seen}. It is ignored: {}", ignored.reason),
                status: Status::Warn,
            });
            continue;
        }
        let reasons = resources::explained_by(&check, status);
        if reasons.iter().any(|reason| blocked.contains(reason)) {
            blocked.insert(check.id);
            continue;
        }
        let leave = |reason: String| Unchanged {
            check: check.id.to_owned(),
            reason,
            status,
        };
        match check.plan(context, facts) {
            State::AsDeclared(_) | State::Nothing => {}
            State::Drifted(Plan::Change(change)) => plans.add(check.id, change),
            State::Drifted(Plan::Leave(reason)) | State::Unknown(reason) => {
                plans.unchanged.push(leave(reason));
                if status != Status::Warn {
                    blocked.insert(check.id);
                }
            }
        }
    }
    plans
}

impl Plans {
    /// Adds a change. Packages go into the transaction that is already planned, if there is one: one run
    /// of apt is faster than several, and none is needed before the first of them.
    fn add(&mut self, check: &str, change: Change) {
        let transaction = self
            .steps
            .iter_mut()
            .find_map(|step| match &mut step.change.action {
                Action::Install(install) => {
                    Some((&mut step.checks, &mut step.change.title, install))
                }
                _ => None,
            });
        match (transaction, &change.action) {
            (Some((checks, title, known)), Action::Install(install)) => {
                known.packages.extend(install.packages.iter().cloned());
                known.settings.extend(install.settings.clone());
                checks.push(check.to_owned());
                *title = known.title();
            }
            _ => self.steps.push(Step {
                checks: vec![check.to_owned()],
                change,
                packages: None,
            }),
        }
    }
}

//! Mends what is wrong, change by change: the plan of provision, narrowed to what failed.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::look::{self, Looked};
use super::{Saved, write_files};
use crate::cli;
use crate::commands::boxes::Remote;
use crate::commands::provision::owner;
use crate::commands::room::{Ended, Room, Turn};
use crate::commands::{Environment, nobody_is_there};
use crate::doctor::fix::{Fixed, Mended, Offer, Wrong, compared, report_of, stands_on};
use crate::doctor::report::Report;
use crate::error::{ExitCode, Result};
use crate::events::{BoxResult, SCHEMA_VERSION};
use crate::provision::outcome::Outcome;
use crate::provision::plan::Step;
use crate::provision::{self, Consent};
use crate::resources::Context;
use crate::target::Target;
use crate::workshop::Workshop;

pub async fn run(
    environment: &Environment,
    workshop: &Workshop,
    targets: &[Target],
    options: &cli::Doctor,
) -> Result<ExitCode> {
    // Who is asked is asked about one box after the other.
    let jobs = if environment.global.yes {
        options.several.jobs
    } else {
        1
    };
    let several = cli::Several {
        jobs,
        ..options.several.clone()
    };
    let room = Room::new(environment, targets, &several);
    let work = async |target, turn: Turn<'_>| {
        let fixed = one(environment, workshop, target, &turn, options).await;
        drop(turn);
        fixed
    };
    let (fixed, code) = room.each("doctor", work, ended).await;
    let mut saved = None;
    let mut keep = |(fixed, seen)| {
        saved = Some(seen);
        fixed
    };
    let fixed: Vec<_> = fixed
        .into_iter()
        .map(|(target, fixed)| (target, fixed.map(&mut keep)))
        .collect();
    let report = |(target, fixed): &(String, _)| report_of(target, fixed);
    let reports: Vec<Report> = fixed.iter().map(report).collect();
    let told = match &fixed[..] {
        [(_, Err(error))] => Err(error.clone()),
        fixed => environment.tell(|output| output.fixed(fixed)),
    };
    write_files(environment, options, &reports, saved.as_ref())?;
    told.map(|()| code)
}

fn ended(_: &Target, fixed: &Result<(Fixed, Saved)>) -> Ended {
    match fixed {
        Ok((fixed, _)) => Ended {
            exit_code: fixed.after.exit_code(),
            summary: look::reason(&fixed.after),
            result: BoxResult::Fix(fixed.clone()),
        },
        Err(error) => error.into(),
    }
}

async fn one(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    turn: &Turn<'_>,
    options: &cli::Doctor,
) -> Result<(Fixed, Saved)> {
    let look = || look::once(environment, workshop, target, turn.is_alone(), options);
    let looked = look().await?;
    let mut fixed = Fixed {
        schema_version: SCHEMA_VERSION,
        target: target.to_string(),
        changes: Vec::new(),
        needs_yes: Vec::new(),
        unchanged: Vec::new(),
        notes: Vec::new(),
        after: looked.report.clone(),
    };
    // A box that nobody can log in to cannot be changed either.
    let reached = |report: &Report| {
        let wrong = report
            .checks
            .iter()
            .any(|check| check.id == "box.ssh" && check.is_wrong());
        !wrong
    };
    if looked.report.ready || !reached(&looked.report) {
        return Ok((fixed, looked.saved));
    }
    let Looked {
        report: before,
        wrong,
        ..
    } = looked;
    let remote = Remote::find(environment, workshop, target).await;
    let remote = remote.diagnosing();
    remote.located()?;
    let asking = ItemByItem {
        environment,
        context: remote.context(),
        is_alone: turn.is_alone(),
        wrong,
        asked: Mutex::default(),
    };
    let provisioned = provision::run(
        &remote,
        remote.context(),
        &environment.wishes(&owner(), cli::WAIT_LOCK, &remote.events),
        &asking,
    )
    .await?;
    let outcome = provisioned.outcome;
    drop(provisioned.transport);
    let after = look().await?;
    if outcome.applied {
        fixed.changes = outcome
            .changes
            .into_iter()
            .map(|change| Mended {
                checks: compared(&change.checks, &before.checks, &after.report.checks),
                title: change.title,
                status: change.status,
            })
            .collect();
    }
    let asked = asking
        .asked
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    fixed.needs_yes = asked.left;
    fixed.unchanged = outcome.unchanged;
    fixed
        .unchanged
        .retain(|left| before.checks.iter().any(|check| check.id == left.check));
    fixed.notes = outcome.notes;
    if !asked.waiting.is_empty() {
        let waiting = asked.waiting.join("; ");
        fixed.notes.push(format!(
            "Not offered, since it stands on what was not done: {waiting}"
        ));
    }
    if environment.global.yes && !fixed.needs_yes.is_empty() {
        fixed.notes.push(format!(
            "--yes makes only what is safe without asking. To be asked about each of the others: \
             `dwenv doctor --fix --target {target}`"
        ));
    }
    fixed.after = after.told;
    Ok((fixed, after.saved))
}

/// Asks about each change by itself; with `--yes` makes those that are safe without asking.
struct ItemByItem<'a> {
    environment: &'a Environment,
    context: Context<'a>,
    /// Whether there is no other box that a question could be about.
    is_alone: bool,
    wrong: Wrong,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    /// Changes that were not agreed to.
    left: Vec<Offer>,
    /// Their checks: what stands on these is not offered.
    declined: HashSet<String>,
    /// What was not offered for that.
    waiting: Vec<String>,
}

impl ItemByItem<'_> {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn agreed_to(&self, step: &Step) -> Result<bool> {
        // What is not wrong keeps nothing else from being mended.
        let Some(offer) = self.wrong.offer(step) else {
            return Ok(false);
        };
        let follows = {
            let asked = self.asked();
            let known = step
                .checks
                .iter()
                .any(|check| asked.declined.contains(check));
            known || stands_on(self.context, &step.checks, &asked.declined)
        };
        if follows {
            self.decline(&step.checks);
            self.asked().waiting.push(step.change.title.clone());
            return Ok(false);
        }
        let agreed = if self.environment.global.yes {
            offer.unattended
        } else {
            self.environment.tell(|output| output.proposal(&offer))?;
            let question = match self.is_alone {
                true => "Make this change?".to_owned(),
                false => format!("Make this change on {}?", self.context.target),
            };
            self.environment.agreed(&question).await?
        };
        if !agreed {
            self.decline(&step.checks);
            self.asked().left.push(offer);
        }
        Ok(agreed)
    }

    /// Shows every change that would be offered, to somebody who reads it later.
    ///
    /// # Errors
    /// Where there is one: nobody can agree to it.
    fn shown_to_nobody(&self, steps: &[Step]) -> Result<()> {
        let offers: Vec<Offer> = steps
            .iter()
            .filter_map(|step| self.wrong.offer(step))
            .collect();
        for offer in &offers {
            self.environment.tell(|output| output.proposal(offer))?;
        }
        if offers.is_empty() {
            return Ok(());
        }
        let safe = offers.iter().filter(|offer| offer.unattended).count();
        let hint = match safe {
            0 => "None of these changes is safe without asking: run the same command at a terminal"
                .to_owned(),
            _ => format!(
                "Add `--yes` to make those that are safe without asking: {safe} of {}",
                offers.len()
            ),
        };
        Err(nobody_is_there().hint(hint))
    }

    fn decline(&self, checks: &[String]) {
        self.asked().declined.extend(checks.iter().cloned());
    }
}

impl Consent for ItemByItem<'_> {
    fn to<'a>(
        &'a self,
        _planned: &'a Outcome,
        steps: &'a [Step],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move {
            if !self.environment.global.yes && !self.environment.output.somebody_is_there() {
                self.shown_to_nobody(steps)?;
            }
            let mut agreed = Vec::new();
            for step in steps {
                agreed.push(self.agreed_to(step).await?);
            }
            Ok(agreed)
        })
    }
}

//! From drifts to changes, and from changes to a box that is as declared.

pub mod apply;
pub mod outcome;
pub mod plan;
mod pull;
mod script;
mod teller;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::facts::program::Rights;
use crate::facts::sudo::Sudo;
use crate::facts::{Facts, Observed, Records, Unobserved, collect};
use crate::interrupt::Interrupts;
use crate::resources::change::Action;
use crate::resources::system::Login;
use crate::resources::{Context, transaction};
use crate::transport::Transport;
use apply::Applied;
use outcome::{Foreseen, Outcome, PlannedChange};
use plan::{Plans, Step};
use script::Manner;

/// How often a probe may find, after an apply, what could not be seen before it: the schema of a database
/// that did not run, for example.
const ROUNDS: usize = 3;

/// One target, as provision works with it.
pub trait Target {
    /// Opens a new session: with the rights of a new login.
    fn connect(&self) -> BoxFuture<'_, Result<Arc<dyn Transport>>>;

    /// What sudo is told there, where it asks.
    fn sudo(&self) -> &Sudo;

    /// Asks every probe over a session.
    fn probe(&self, transport: Arc<dyn Transport>) -> BoxFuture<'_, Records>;
}

/// Who makes a run, and what they want of it.
pub struct Wishes<'a> {
    /// For somebody who finds the box held.
    pub owner: &'a str,
    /// How long another run is waited for that holds the box.
    pub patience: Duration,
    pub interrupts: &'a Interrupts,
    /// Whether somebody reads the plan: what apt would do is asked in an exec of its own.
    pub foresees: bool,
    pub events: &'a Events,
}

/// Who decides whether a plan is carried out.
pub trait Consent {
    /// Is shown a plan that is not empty, and says of each step whether to make it.
    fn to<'a>(
        &'a self,
        planned: &'a Outcome,
        steps: &'a [Step],
    ) -> BoxFuture<'a, Result<Vec<bool>>>;
}

/// A run of provision: what it did, and the facts that were read last: after the changes, but for one that
/// failed, which leaves those from before.
pub struct Provisioned {
    pub outcome: Outcome,
    pub facts: Facts,
    /// The session on which the last facts were read.
    pub transport: Arc<dyn Transport>,
}

/// Plans, applies what `consent` agrees to, and looks again.
///
/// # Errors
/// When the box cannot be reached or is held by another run, when the link was lost, and whatever
/// `consent` returns. A change that failed is no error: the outcome says so.
pub async fn run(
    target: &dyn Target,
    context: Context<'_>,
    wishes: &Wishes<'_>,
    consent: &dyn Consent,
) -> Result<Provisioned> {
    let mut transport = target.connect().await?;
    let mut outcome = Outcome::new(context.target);
    let mut tried: HashSet<String> = HashSet::new();
    let mut rounds = 0;
    while rounds < ROUNDS {
        let records = target.probe(transport.clone()).await;
        let mut plans = plan::plan(context, &Facts::new(records.clone()));
        let facts = Facts::new(records);
        outcome.unchanged.clone_from(&plans.unchanged);
        outcome.remaining = plans
            .steps
            .iter()
            .flat_map(|step| step.checks.clone())
            .collect();
        let news = outcome.remaining.iter().any(|check| !tried.contains(check));
        if plans.steps.is_empty() || !news {
            outcome.applied = true;
            return Ok(Provisioned {
                outcome,
                facts,
                transport,
            });
        }
        if wishes.foresees {
            foresee(target, &transport, &mut plans.steps).await;
        }
        let shown = outcome.with_changes(plans.steps.iter().map(plan::Step::shown));
        let agreed = consent.to(&shown, &plans.steps).await?;
        if !agreed.contains(&true) {
            // Declined after an earlier round: what that did is told, and what is left.
            if !outcome.changes.is_empty() {
                outcome.applied = true;
                return Ok(Provisioned {
                    outcome,
                    facts,
                    transport,
                });
            }
            return Ok(Provisioned {
                outcome: shown,
                facts,
                transport,
            });
        }
        let mut agreed = agreed.into_iter();
        plans.steps.retain(|_| agreed.next() == Some(true));
        let applied;
        (applied, transport) = apply(target, transport, &plans, &facts, wishes).await?;
        // What the other run did is looked at, not done once more.
        if applied.waited {
            continue;
        }
        rounds += 1;
        tried.extend(outcome.remaining.iter().cloned());
        let failed = applied.failed();
        outcome.add(&plans, applied);
        if failed {
            outcome.applied = true;
            outcome.remaining.clear();
            return Ok(Provisioned {
                outcome,
                facts,
                transport,
            });
        }
    }
    let records = target.probe(transport.clone()).await;
    let left = plan::plan(context, &Facts::new(records.clone()));
    outcome.applied = true;
    outcome.unchanged = left.unchanged;
    outcome.remaining = left
        .steps
        .into_iter()
        .flat_map(|step| step.checks)
        .collect();
    let facts = Facts::new(records);
    Ok(Provisioned {
        outcome,
        facts,
        transport,
    })
}

/// Asks what apt would do for the packages that are to be installed.
async fn foresee(target: &dyn Target, transport: &Arc<dyn Transport>, steps: &mut [Step]) {
    for step in steps {
        let Action::Install(install) = &step.change.action else {
            continue;
        };
        let probes = [transaction::probe(install)];
        let until = Instant::now() + probes[0].deadline;
        let asked = collect::over(transport.clone(), &probes, &[], target.sudo(), until);
        step.packages = Some(match transaction::observe(&asked.await) {
            Ok(transaction) => Foreseen::Transaction(transaction),
            Err(Unobserved(unknown)) => Foreseen::Unknown { unknown },
        });
    }
}

/// Makes the changes, then logs in anew: the box is looked at as whoever logs in next will find it.
async fn apply(
    target: &dyn Target,
    transport: Arc<dyn Transport>,
    plans: &Plans,
    facts: &Facts,
    wishes: &Wishes<'_>,
) -> Result<(Applied, Arc<dyn Transport>)> {
    let hold = wishes.interrupts.hold();
    if hold.asked() > 0 {
        return Err(Error::new(
            ErrorKind::Interrupted,
            "no change was begun: you stopped the run",
        )
        .hint("Run the same command again: it goes on from what the box then is"));
    }
    let manner = Manner {
        rights: rights(&facts.get::<Login>(), target.sudo()).await,
        owner: wishes.owner,
        patience: wishes.patience,
    };
    let events = wishes.events;
    let scripts = apply::scripts(target, transport, &plans.steps, &manner, hold, events);
    let mut applied = scripts.await?;
    let transport = target.connect().await.map_err(|error| {
        let done = |status: &&outcome::ChangeStatus| **status == outcome::ChangeStatus::Done;
        let made = applied.statuses.iter().filter(done).count();
        let all = applied.statuses.len();
        Error {
            message: format!(
                "{made} of {all} changes were made, and then nobody could look at the box: {}",
                error.message
            ),
            ..error
        }
    })?;
    let failed =
        |status: &outcome::ChangeStatus| matches!(status, outcome::ChangeStatus::Failed(_));
    if !applied.waited && !applied.statuses.iter().any(failed) {
        apply::pulls(&transport, &plans.steps, events, &mut applied).await;
    }
    Ok((applied, transport))
}

async fn rights(login: &Observed<Login>, sudo: &Sudo) -> Rights {
    match login {
        Ok(login) if login.uid == 0 => Rights::Root,
        // Where sudo did without one a moment ago, it may only have remembered the last.
        Ok(login) if login.by_password || sudo.knows().await => Rights::Password,
        _ => Rights::Sudo,
    }
}

impl Outcome {
    fn new(target: &str) -> Self {
        Self {
            schema_version: 1,
            target: target.to_owned(),
            applied: false,
            changes: Vec::new(),
            unchanged: Vec::new(),
            notes: Vec::new(),
            remaining: Vec::new(),
        }
    }

    fn with_changes(&self, changes: impl Iterator<Item = PlannedChange>) -> Self {
        Self {
            changes: changes.collect(),
            remaining: Vec::new(),
            ..self.clone()
        }
    }

    fn add(&mut self, plans: &Plans, applied: Applied) {
        for (step, status) in plans.steps.iter().zip(applied.statuses) {
            self.changes.push(PlannedChange {
                status,
                ..step.shown()
            });
        }
        self.notes.extend(applied.notes);
    }
}

//! From drifts to changes, and from changes to a box that is as declared.

pub mod apply;
pub mod outcome;
pub mod plan;
mod pull;
mod script;
mod teller;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::events::{Events, SCHEMA_VERSION};
use crate::facts::program::Rights;
use crate::facts::sudo::Sudo;
use crate::facts::{Facts, Observed, Records, Unobserved, collect};
use crate::interrupt::Interrupts;
use crate::resources::change::Action;
use crate::resources::system::Login;
use crate::resources::{Context, transaction};
use crate::transport::Transport;
use apply::Applied;
use outcome::{ChangeStatus, Foreseen, Outcome, PlannedChange};
use plan::{Plans, Step};
use script::Manner;

/// How often a probe may find, after an apply, what could not be seen before it: the schema of a database
/// that did not run, for example.
const ROUNDS: usize = 3;

/// How often a run may be lost before the box has taken it whole.
const LOST_BEGINNINGS: usize = 3;

/// What to do about a run that ended before its end.
pub const AGAIN: &str = "Run the same command again: it goes on from what the box then is";

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

/// A run of provision.
pub struct Provisioned {
    /// What it did.
    pub outcome: Outcome,
    /// What was read last: after the changes, unless the run was broken off.
    pub facts: Facts,
    /// Whether a change failed on which others stand. The facts are those from before it.
    pub broken_off: bool,
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
    let mut tried = Tried::default();
    let (mut rounds, mut lost, mut broken_off, mut asked_again) = (0, 0, false, false);
    let (outcome, facts) = loop {
        let records = target.probe(transport.clone()).await;
        let mut plans = plan::plan(context, &Facts::new(records.clone()));
        let facts = Facts::new(records);
        outcome.unchanged.clone_from(&plans.unchanged);
        // What failed and kept nothing from going on is told already, and not tried again.
        plans.steps.retain(|step| !tried.failed(step));
        outcome.remaining = checks(&plans);
        if rounds == ROUNDS || !tried.are_news(&plans.steps) {
            // What is not known is not done. A box that has just booted may have been too busy to tell.
            if facts.records().are_late() && !std::mem::replace(&mut asked_again, true) {
                wishes
                    .events
                    .note("The box did not answer everything in time; it is asked once more");
                continue;
            }
            outcome.applied = true;
            break (outcome, facts);
        }
        if wishes.foresees {
            foresee(target, &transport, &mut plans.steps).await;
        }
        let shown = outcome.with_changes(plans.steps.iter().map(plan::Step::shown));
        let agreed = consent.to(&shown, &plans.steps).await?;
        if !agreed.contains(&true) {
            // Declined after an earlier round: what that did is told, and what is left.
            outcome.applied = !outcome.changes.is_empty();
            let told = if outcome.applied { outcome } else { shown };
            break (told, facts);
        }
        tried.decline(&plans.steps, &agreed);
        let mut agreed = agreed.into_iter();
        plans.steps.retain(|_| agreed.next() == Some(true));
        let applied;
        (applied, transport) = apply(target, transport, &plans, &facts, wishes).await?;
        // What the other run did is looked at, not done once more.
        if applied.waited {
            lost += usize::from(applied.lost);
            if lost == LOST_BEGINNINGS {
                return Err(never_arrived());
            }
            continue;
        }
        rounds += 1;
        tried.add(&plans.steps, &applied);
        broken_off = applied.broken_off(&plans.steps);
        outcome.add(&plans, applied);
        if broken_off {
            outcome.applied = true;
            outcome.remaining.clear();
            break (outcome, facts);
        }
    };
    Ok(Provisioned {
        outcome,
        facts,
        broken_off,
        transport,
    })
}

/// The steps of the rounds before. A check may have drifted in two ways, of which the second is seen only when
/// the first is mended: so a step is known by what it does, not by its checks.
#[derive(Default)]
struct Tried(Vec<(Step, ChangeStatus)>);

impl Tried {
    fn are_news(&self, steps: &[Step]) -> bool {
        let known = |step: &Step| self.0.iter().any(|(tried, _)| tried.is_like(step));
        steps.iter().any(|step| !known(step))
    }

    fn failed(&self, step: &Step) -> bool {
        let is_it = |(tried, status): &(Step, ChangeStatus)| {
            matches!(status, ChangeStatus::Failed(_)) && tried.is_like(step)
        };
        self.0.iter().any(is_it)
    }

    /// Those that somebody did not agree to are not asked about again.
    fn decline(&mut self, steps: &[Step], agreed: &[bool]) {
        let declined = steps.iter().zip(agreed).filter(|(_, agreed)| !**agreed);
        self.0
            .extend(declined.map(|(step, _)| (step.clone(), ChangeStatus::NotTried)));
    }

    fn add(&mut self, steps: &[Step], applied: &Applied) {
        let statuses = applied.statuses.iter().cloned();
        self.0.extend(steps.iter().cloned().zip(statuses));
    }
}

fn checks(plans: &Plans) -> Vec<String> {
    let checks = plans.steps.iter().flat_map(|step| step.checks.clone());
    checks.collect()
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
        return Err(nothing_begun());
    }
    let manner = Manner {
        rights: rights(&facts.get::<Login>(), target.sudo()).await,
        owner: wishes.owner,
        patience: wishes.patience,
    };
    let events = wishes.events;
    let applied = apply::steps(target, transport, &plans.steps, &manner, hold, events).await?;
    if applied.waited && wishes.interrupts.asked() > 0 {
        return Err(nothing_begun());
    }
    let transport = log_in_anew(target, wishes, &plans.steps, &applied).await?;
    Ok((applied, transport))
}

/// Logs in once more after the changes. Whoever waited for a link that was lost among them waits for this one, too.
async fn log_in_anew(
    target: &dyn Target,
    wishes: &Wishes<'_>,
    steps: &[Step],
    applied: &Applied,
) -> Result<Arc<dyn Transport>> {
    let mut hold = wishes.interrupts.hold();
    let until = Instant::now() + apply::RECONNECTING;
    let has_failed = applied.first_failure(steps).is_some();
    let connecting = async {
        match target.connect().await {
            Err(error) if error.kind == ErrorKind::Unreachable && !has_failed => {
                let lost = "The box does not let us in to look at what was made; it is tried again";
                wishes.events.warning(lost);
                apply::open_again(target, until).await
            }
            connected => connected,
        }
    };
    let connected = tokio::select! {
        connected = connecting => connected,
        () = hold.asked_again() => {
            Err(Error::new(ErrorKind::Interrupted, "you stopped it").hint(AGAIN))
        }
    };
    connected.map_err(|error| {
        let unseen = format!("nobody could look at the box afterwards: {}", error.message);
        match applied.first_failure(steps) {
            // That is worse, and known.
            Some((step, failure)) => Error::failed(format!(
                "failed: {}; {}, and {unseen}",
                step.change.title,
                applied.count()
            ))
            .because(&failure.reason)
            .hint(AGAIN),
            None => Error {
                message: format!("{}, and {unseen}", applied.count()),
                ..error
            },
        }
    })
}

fn nothing_begun() -> Error {
    Error::new(
        ErrorKind::Interrupted,
        "no further change was begun: you stopped the run",
    )
    .hint(AGAIN)
}

fn never_arrived() -> Error {
    let lost = format!(
        "the link was lost {LOST_BEGINNINGS} times before the box had taken what it is to do, so nothing of it was done"
    );
    Error::new(ErrorKind::Unreachable, lost)
        .hint("get a better link to the box, then run the same command again")
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
            schema_version: SCHEMA_VERSION,
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

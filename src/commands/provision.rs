//! Sets boxes up: shows what it is going to do, asks, and does it.

use futures_util::future::BoxFuture;

use super::Environment;
use super::boxes::Remote;
use super::room::{Ended, Room, Turn};
use crate::cli;
use crate::error::{Error, ExitCode, Result};
use crate::events::BoxResult;
use crate::output::human;
use crate::provision::outcome::Outcome;
use crate::provision::plan::Step;
use crate::provision::{self, Consent, Provisioned, Wishes};
use crate::target::{Person, Purpose, Target};
use crate::workshop::{Secrets, Workshop};

pub async fn run(environment: &Environment, options: &cli::Provision) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Read).await?;
    let targets = environment.several_targets(&workshop, Purpose::Use, &options.several)?;
    let mut room = Room::new(environment, &targets, &options.several);
    room.differences = options.diff;
    room.is_rehearsal = options.plan;
    let work = |target, turn| one(environment, &workshop, target, turn, options);
    let (outcomes, code) = room.each("provision", work, ended).await;
    if let Some(error) = room.refusal() {
        return Err(error);
    }
    if let [(_, Err(error))] = &outcomes[..] {
        return Err(error.clone());
    }
    environment.tell(|output| output.provision(&outcomes, options.diff))?;
    Ok(code)
}

async fn one(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    turn: Turn<'_>,
    options: &cli::Provision,
) -> Result<Outcome> {
    let remote = Remote::find(environment, workshop, target).await;
    Ok(provision(environment, &remote, &turn, options)
        .await?
        .outcome)
}

fn ended(_: &Target, outcome: &Result<Outcome>) -> Ended {
    match outcome {
        Ok(outcome) => Ended {
            exit_code: outcome.exit_code(),
            summary: human::result(outcome).1,
            result: BoxResult::Provision(outcome.clone()),
        },
        Err(error) => error.into(),
    }
}

/// Provisions one box that may be there.
pub async fn provision(
    environment: &Environment,
    remote: &Remote<'_>,
    turn: &Turn<'_>,
    options: &cli::Provision,
) -> Result<Provisioned> {
    remote.located()?;
    let consent = Asking {
        environment,
        options,
        turn,
    };
    let owner = owner();
    let wishes = Wishes {
        foresees: options.plan || options.diff || !environment.global.yes,
        ..environment.wishes(&owner, options.wait_lock, &remote.events)
    };
    let mut done = provision::run(remote, remote.context(), &wishes, &consent).await?;
    remote.tell_tally(done.transport.as_ref());
    if options.plan {
        done.outcome.applied = false;
    } else if !done.outcome.applied {
        return Err(Error::usage("nothing was touched"));
    }
    Ok(done)
}

/// Shows each plan, and asks unless `--yes` was given; a room is asked once.
struct Asking<'a, 'room> {
    environment: &'a Environment,
    options: &'a cli::Provision,
    turn: &'a Turn<'room>,
}

impl Asking<'_, '_> {
    async fn agreed(&self, planned: &Outcome) -> Result<bool> {
        if self.options.plan {
            return Ok(false);
        }
        let global = &self.environment.global;
        if !self.turn.is_alone() && !global.yes {
            return self.turn.agreed(planned).await;
        }
        // Forty plans that nobody is asked about would only hide what comes of them.
        if self.turn.is_alone() || global.verbose {
            self.environment
                .tell(|output| output.plan(planned, self.options.diff))?;
        }
        self.environment.agreed("Do this now?").await
    }
}

impl Consent for Asking<'_, '_> {
    fn to<'a>(
        &'a self,
        planned: &'a Outcome,
        steps: &'a [Step],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move { Ok(vec![self.agreed(planned).await?; steps.len()]) })
    }
}

/// Who runs this, for somebody who finds the box held.
pub fn owner() -> String {
    let user = Person::this().ok().and_then(|person| person.user);
    format!(
        "{} (dwenv, process {})",
        user.as_deref().unwrap_or("an unknown user"),
        std::process::id()
    )
}

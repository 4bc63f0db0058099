//! Sets the box up: shows what it is going to do, asks, and does it.

use futures_util::future::BoxFuture;

use super::Environment;
use super::boxes::Remote;
use super::doctor::worst;
use crate::cli;
use crate::error::{Error, ExitCode, Result};
use crate::provision::outcome::Outcome;
use crate::provision::plan::Step;
use crate::provision::{self, Consent, Provisioned};
use crate::target::{Person, Purpose, Target};
use crate::workshop::{Secrets, Workshop};

pub async fn run(environment: &Environment, options: &cli::Provision) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Read).await?;
    let mut outcomes = Vec::new();
    for target in environment.targets(&workshop, Purpose::Use)? {
        let outcome = one(environment, &workshop, &target, options).await;
        outcomes.push((target.to_string(), outcome));
    }
    if let [(_, Err(error))] = &outcomes[..] {
        return Err(error.clone());
    }
    let code = worst(outcomes.iter().map(|(_, outcome)| match outcome {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => error.exit_code(),
    }));
    environment.tell(|output| output.provision(&outcomes, options.diff))?;
    Ok(code)
}

async fn one(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    options: &cli::Provision,
) -> Result<Outcome> {
    let remote = Remote::find(environment, workshop, target).await;
    Ok(provision(environment, &remote, options).await?.outcome)
}

/// Provisions one box that may be there.
pub async fn provision(
    environment: &Environment,
    remote: &Remote<'_>,
    options: &cli::Provision,
) -> Result<Provisioned> {
    remote.located()?;
    let consent = Asking {
        environment,
        options,
    };
    let mut done = provision::run(
        remote,
        remote.context(),
        &environment.wishes(&owner(), options.wait_lock),
        &consent,
    )
    .await?;
    remote.tell_tally(done.transport.as_ref());
    if options.plan {
        done.outcome.applied = false;
    } else if !done.outcome.applied {
        return Err(Error::usage("nothing was touched"));
    }
    Ok(done)
}

/// Shows each plan, and asks unless `--yes` was given.
struct Asking<'a> {
    environment: &'a Environment,
    options: &'a cli::Provision,
}

impl Consent for Asking<'_> {
    fn to<'a>(
        &'a self,
        planned: &'a Outcome,
        steps: &'a [Step],
    ) -> BoxFuture<'a, Result<Vec<bool>>> {
        Box::pin(async move {
            if self.options.plan {
                return Ok(vec![false; steps.len()]);
            }
            self.environment
                .tell(|output| output.plan(planned, self.options.diff))?;
            let agreed = self.environment.agreed("Do this now?").await?;
            Ok(vec![agreed; steps.len()])
        })
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

//! Checks that everything is ready, and says how to mend what is not.

use super::Environment;
use super::boxes::Remote;
use crate::doctor;
use crate::doctor::report::{Finding, Report};
use crate::error::{ExitCode, Result};
use crate::facts::laptop;
use crate::resources::Context;
use crate::target::{Purpose, Target};
use crate::workshop::Workshop;

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop().await?;
    let targets = environment.targets(&workshop, Purpose::Use)?;
    let examined = targets
        .iter()
        .map(|target| examine(environment, &workshop, target));
    let mut reports = Vec::new();
    for report in futures_util::future::join_all(examined).await {
        reports.push(report?);
    }
    environment.tell(|output| output.doctor(&reports))?;
    Ok(worst(reports.iter().map(Report::exit_code)))
}

async fn examine(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
) -> Result<Report> {
    let remote = Remote::find(environment, workshop, target).await;
    let context = remote.context();
    let facts = remote
        .facts(|facts| doctor::judge(context, facts).iter().any(Finding::is_wrong))
        .await?;
    let context = Context {
        deep: facts.records().deep,
        laptop: laptop::laptop_of(facts.records()),
        ..context
    };
    let findings = doctor::judge(context, &facts);
    Ok(Report::new(&remote.name, findings))
}

/// The exit code of several boxes: a failure counts more than what could not be determined.
pub fn worst(codes: impl Iterator<Item = ExitCode>) -> ExitCode {
    let gravity = |code: &ExitCode| match code {
        ExitCode::Ready => 0,
        ExitCode::Undetermined => 1,
        ExitCode::Locked => 2,
        ExitCode::Interrupted => 3,
        ExitCode::Failed => 4,
        ExitCode::Usage => 5,
    };
    codes.max_by_key(gravity).unwrap_or(ExitCode::Ready)
}

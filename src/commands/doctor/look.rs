//! One look at a target, or several until it is ready.

use std::time::{Duration, Instant};

use super::{Saved, reported, shared};
use crate::cli;
use crate::commands::Environment;
use crate::commands::boxes::Remote;
use crate::doctor;
use crate::doctor::fix::Wrong;
use crate::doctor::report::{Finding, Report};
use crate::error::Result;
use crate::events::Event;
use crate::facts::laptop::laptop_of;
use crate::resources::Context;
use crate::target::Target;
use crate::workshop::Workshop;

/// Between two looks, so that the box has time for itself.
const PAUSE: Duration = Duration::from_secs(2);

/// What one look saw.
pub struct Looked {
    /// With the names of things, for whoever looks.
    pub report: Report,
    /// As it is told: the same, unless it is to be shared.
    pub told: Report,
    pub wrong: Wrong,
    pub saved: Saved,
    /// Whether another look would see the same: something is wrong on this side.
    pub is_final: bool,
}

/// Looks again and again, each time over a new session, until the target is ready or the time of `--wait` is
/// over. Without `--wait` that is one look.
pub async fn until_ready(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    is_alone: bool,
    options: &cli::Doctor,
) -> Result<Looked> {
    let once = || once(environment, workshop, target, is_alone, options);
    let Some(wait) = options.wait else {
        return once().await;
    };
    let began = Instant::now();
    let events = environment.events.of(&target.to_string());
    let step = format!("Waiting until {target} is ready");
    events.emit(Event::StepStarted { step: step.clone() });
    let looked = loop {
        let looked = once().await;
        let over = began.elapsed() + PAUSE >= wait;
        match looked {
            Ok(looked) if !looked.report.ready && !looked.is_final && !over => {
                events.emit(Event::StepProgress {
                    step: step.clone(),
                    detail: reason(&looked.report),
                    fraction: None,
                });
            }
            looked => break looked,
        }
        tokio::time::sleep(PAUSE).await;
    };
    match &looked {
        Ok(looked) if looked.report.ready => events.emit(Event::StepFinished {
            step,
            took: began.elapsed(),
        }),
        Ok(looked) => events.emit(Event::StepFailed {
            step,
            failure: reason(&looked.report).into(),
        }),
        Err(error) => events.emit(Event::StepFailed {
            step,
            failure: error.to_string().into(),
        }),
    }
    looked
}

/// Why a target is not ready, in a few words.
pub fn reason(report: &Report) -> String {
    if report.ready {
        return "Ready for the workshop.".to_owned();
    }
    report.first_problem().map_or_else(
        || "some checks were skipped".to_owned(),
        |finding| format!("{} ({})", finding.id, finding.summary),
    )
}

/// One look. Where the target is one of several, what keeps it alone from being asked is a finding about it.
pub async fn once(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    is_alone: bool,
    options: &cli::Doctor,
) -> Result<Looked> {
    let remote = if options.before {
        Remote::not_yet(environment, workshop, target, options.deadline).await
    } else {
        Remote::find_within(environment, workshop, target, options.deadline).await
    };
    let context = Context {
        before: options.before,
        ..remote.context()
    };
    // What is wrong with the command line is told before anything is asked.
    let selection = super::Selection::new(&options.only, &options.skip, context)?;
    let mut is_final = false;
    let facts = if options.before {
        remote.laptop_facts().await
    } else {
        let wrong = |facts: &_| {
            let findings = doctor::judge(context, facts);
            let counts = |it: &Finding| it.is_wrong() && !selection.skips(&it.id);
            findings.iter().any(counts)
        };
        match remote.facts(|facts| options.deep || wrong(facts)).await {
            Err(error) if !is_alone => {
                is_final = true;
                remote.facts_without(&error).await
            }
            facts => facts?,
        }
    };
    let context = Context {
        deep: facts.records().deep,
        laptop: laptop_of(facts.records()),
        ..context
    };
    let report = reported(context, doctor::judge(context, &facts), options)?;
    Ok(Looked {
        wrong: Wrong::of(&report, &facts),
        saved: Saved::new(context, facts.records()),
        told: shared(report.clone(), context, options),
        report,
        is_final,
    })
}

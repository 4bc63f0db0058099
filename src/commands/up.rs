//! Starts the box, sets it up, and checks that it is ready.

use super::Environment;
use super::boxes::Remote;
use super::doctor::worst;
use super::provision::provision;
use crate::cli;
use crate::doctor::{self, report::Report};
use crate::error::{ExitCode, Result};
use crate::output::Up;
use crate::target::{self, Located, Purpose, Reach, Target};
use crate::workshop::{Secrets, Workshop};

pub async fn run(environment: &Environment) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Read).await?;
    let mut boxes = Vec::new();
    let mut codes = Vec::new();
    let targets = environment.targets(&workshop, Purpose::Make)?;
    for target in &targets {
        let (up, code) = match one(environment, &workshop, target, targets.len() == 1).await {
            Ok((up, code)) => (Ok(up), code),
            Err(error) if targets.len() == 1 => return Err(error),
            // The others are not to suffer from it.
            Err(error) => {
                let code = error.exit_code();
                (Err(error), code)
            }
        };
        boxes.push((target.to_string(), up));
        codes.push(code);
    }
    environment.tell(|output| output.up(&boxes))?;
    Ok(worst(codes.into_iter()))
}

async fn one(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    alone: bool,
) -> Result<(Up, ExitCode)> {
    target::up(target, workshop, &environment.folder, &environment.events).await?;
    let remote = Remote::find(environment, workshop, target).await;
    let options = cli::Provision {
        plan: false,
        diff: false,
        wait_lock: cli::WAIT_LOCK,
    };
    // One of several is not "the" box of this folder, and a machine that never answered is none.
    let made = !matches!(target, Target::Ssh(_) | Target::Named(_));
    if alone && made {
        target::remember(&environment.folder, target)?;
    }
    let provisioned = provision(environment, &remote, &options).await?;
    if alone && !made {
        target::remember(&environment.folder, target)?;
    }
    let mut up = Up::new(&remote.name);
    let mut code = provisioned.outcome.exit_code();
    let failed = provisioned.outcome.changes_failed();
    up.provision = Some(provisioned.outcome);
    // After a change that failed, the facts are those from before it.
    if !failed {
        let findings = doctor::judge(remote.context(), &provisioned.facts);
        let report = Report::new(&remote.name, findings);
        code = worst([code, report.exit_code()].into_iter());
        up.doctor = Some(report);
    }
    if code == ExitCode::Ready {
        up.address = address(&remote.located()?, workshop);
    }
    Ok((up, code))
}

/// Where the laptop reaches the server.
fn address(located: &Located, workshop: &Workshop) -> Option<String> {
    let port = workshop.server.port;
    located.reach.iter().find_map(|way| match way {
        Reach::Address(host) => Some(format!("http://{host}:{port}")),
        Reach::Forwarded(ports) => ports
            .iter()
            .find(|(guest, _)| *guest == port)
            .map(|(_, host)| format!("http://127.0.0.1:{host}")),
    })
}

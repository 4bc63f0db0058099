//! Starts the box, sets it up, and checks that it is ready.

use super::Environment;
use super::boxes::Remote;
use super::provision::provision;
use super::room::{Ended, Room, Turn};
use crate::cli;
use crate::doctor::{self, report::Report};
use crate::error::{ExitCode, Result};
use crate::events::BoxResult;
use crate::facts::Facts;
use crate::output::{confirm, human};
use crate::provision::outcome::Up;
use crate::resources::reach::ReachServer;
use crate::target::{self, Here, Purpose, Target, Vagrant};
use crate::workshop::{self, Secrets, Source, Workshop};

pub async fn run(environment: &Environment, options: &cli::Up) -> Result<ExitCode> {
    let workshop = environment.workshop(Secrets::Read).await?;
    let targets = environment.several_targets(&workshop, Purpose::Make, &options.several)?;
    if targets
        .iter()
        .any(|it| matches!(it, Target::Vagrant { .. }))
    {
        write_workshop(environment, &workshop).await?;
    }
    let room = Room::new(environment, &targets, &options.several);
    // Whatever makes boxes makes them one after the other.
    let starting = tokio::sync::Mutex::new(());
    let work = |target, turn| one(environment, &workshop, target, turn, &starting);
    let (boxes, code) = room.each("up", work, ended).await;
    if let Some(error) = room.refusal() {
        return Err(error);
    }
    if let [(_, Err(error))] = &boxes[..] {
        return Err(error.clone());
    }
    let boxes: Vec<_> = boxes
        .into_iter()
        .map(|(target, up)| (target, up.map(|(up, _)| up)))
        .collect();
    environment.tell(|output| output.up(&boxes))?;
    Ok(code)
}

/// Vagrant needs a workshop written out: where there is neither a Vagrantfile nor a declaration, the one of
/// `--config`, or else the one that dwenv carries. Who does not want that is told what else there is to do by
/// whatever looks for the Vagrantfile.
async fn write_workshop(environment: &Environment, workshop: &Workshop) -> Result<()> {
    let folder = &environment.folder;
    let declared = Source::choose(folder, None) != Source::Builtin;
    let is_meant = !declared && Vagrant::in_folder(folder).is_err();
    let can_be_asked = environment.global.yes || confirm::somebody_is_there();
    if !is_meant || !can_be_asked || !Here::this().vagrant {
        return Ok(());
    }
    let place = folder.display();
    let whose = match &environment.global.config {
        Some(config) => format!("the files of {config}"),
        None => "the files of dwenv's own workshop".to_owned(),
    };
    let question = format!("There is no workshop in {place} yet. Write {whose} there?");
    if environment.agreed(&question).await? {
        let count = workshop::init_with(folder, workshop)?.written.len();
        let note = format!("{count} files of the workshop were written into {place}");
        environment.events.note(note);
    }
    Ok(())
}

fn ended(_: &Target, up: &Result<(Up, ExitCode)>) -> Ended {
    match up {
        Ok((up, code)) => Ended {
            exit_code: *code,
            summary: human::up_result(up).1,
            result: BoxResult::Up(up.clone()),
        },
        Err(error) => error.into(),
    }
}

async fn one(
    environment: &Environment,
    workshop: &Workshop,
    target: &Target,
    turn: Turn<'_>,
    starting: &tokio::sync::Mutex<()>,
) -> Result<(Up, ExitCode)> {
    // One of several is not "the" box of this folder, and a machine that never answered is none.
    let made = !matches!(target, Target::Ssh(_) | Target::Named(_));
    {
        let _only_one = match starting.try_lock() {
            _ if !made => None,
            Ok(only_one) => Some(only_one),
            Err(_) => {
                let only_one = turn.waiting("Waiting for its turn", starting.lock()).await;
                turn.is_wanted()?;
                Some(only_one)
            }
        };
        target::up(target, workshop, &environment.folder, &turn.events).await?;
    }
    let remote = Remote::find(environment, workshop, target).await;
    let options = cli::Provision {
        several: cli::Several::default(),
        plan: false,
        diff: false,
        wait_lock: cli::WAIT_LOCK,
    };
    let alone = turn.is_alone();
    let remember = || {
        let remembered = target::remember(&environment.folder, target);
        // The box is what was asked for; the next command has to name it once more.
        remembered.unwrap_or_else(|error| turn.events.warning(error.to_string()));
    };
    if alone && made {
        remember();
    }
    let provisioned = provision(environment, &remote, &turn, &options).await?;
    if alone && !made {
        remember();
    }
    let mut up = Up::new(&remote.name);
    let mut code = provisioned.outcome.exit_code();
    up.provision = Some(provisioned.outcome);
    if !provisioned.broken_off {
        let findings = doctor::judge(remote.context(), &provisioned.facts);
        let report = Report::new(&remote.name, findings);
        code = ExitCode::worst([code, report.exit_code()]);
        up.doctor = Some(report);
    }
    if code == ExitCode::Ready {
        up.address = address(&provisioned.facts);
    }
    Ok((up, code))
}

/// Where the laptop has reached the server.
fn address(facts: &Facts) -> Option<String> {
    let ways = facts.get::<ReachServer>();
    let ReachServer(ways) = ways.as_ref().as_ref().ok()?;
    let way = ways.iter().find(|way| way.failure.is_none())?;
    Some(format!("http://{}", way.address))
}

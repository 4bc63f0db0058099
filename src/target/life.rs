//! Boxes made, stopped and removed, by whatever makes them.

use std::path::Path;

use super::{Target, Vagrant, choose, sandbox_target};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::workshop::Workshop;

/// Makes and starts the box, where dwenv or Vagrant makes it; a machine that was there before is only used.
pub async fn up(target: &Target, workshop: &Workshop, dir: &Path, events: &Events) -> Result<()> {
    match target {
        Target::Vagrant { machine } => {
            let vagrant = Vagrant::in_folder(dir)?;
            vagrant.up(machine.as_deref(), workshop, events).await
        }
        Target::Sandbox { name } => sandbox_target::up(name.as_deref(), workshop, events).await,
        Target::Ssh(_) | Target::Named(_) => Ok(()),
    }
}

/// Stops the box and keeps it.
pub async fn down(target: &Target, workshop: &Workshop, dir: &Path, events: &Events) -> Result<()> {
    match target {
        Target::Vagrant { machine } => Vagrant::in_folder(dir)?.down(machine.as_deref()).await,
        Target::Sandbox { name } => sandbox_target::down(name.as_deref(), workshop, events).await,
        Target::Ssh(_) | Target::Named(_) => Err(not_ours(target, "stop")),
    }
}

/// Removes the box and everything in it.
pub async fn destroy(
    target: &Target,
    workshop: &Workshop,
    dir: &Path,
    events: &Events,
) -> Result<()> {
    match target {
        Target::Vagrant { machine } => Vagrant::in_folder(dir)?.destroy(machine.as_deref()).await?,
        Target::Sandbox { name } => {
            let destroyed = sandbox_target::destroy(name.as_deref(), workshop, events).await;
            choose::forget_last(dir, target);
            return destroyed;
        }
        Target::Ssh(_) | Target::Named(_) => return Err(not_ours(target, "remove")),
    }
    choose::forget_last(dir, target);
    Ok(())
}

fn not_ours(target: &Target, verb: &str) -> Error {
    Error::usage(format!(
        "{target} is a machine that dwenv did not make, so it does not {verb} it"
    ))
}

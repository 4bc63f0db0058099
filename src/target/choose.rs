//! Which box is meant when nothing says it: the one used last in this folder.

use std::fs;
use std::io;
use std::path::Path;

use super::laptop::{Os, find_vagrant, find_virtualbox};
use super::names::Target;
use super::program::Environment;
use super::{Person, folder, range, ssh};
use crate::error::{Error, Result};
use crate::workshop::Workshop;

const LAST: &str = "target";

/// Behind `--target`, all the boxes that `[room]` declares.
pub const ROOM: &str = "room";

/// The boxes of this run, and why they were chosen where nobody named them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub targets: Vec<Target>,
    /// To be told to the person: dwenv decided something that they may not expect.
    pub reason: Option<String>,
}

/// What the box is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `up`: a box may be made.
    Make,
    /// Everything else: a box is expected to be there.
    Use,
}

/// What is installed here, as far as the choice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    pub os: Os,
    pub vagrant: bool,
    pub virtualbox: bool,
}

impl Here {
    #[must_use]
    pub fn this() -> Self {
        let environment = Environment::new();
        Self {
            os: Os::this(),
            vagrant: find_vagrant(&environment).is_some(),
            virtualbox: find_virtualbox(&environment).is_some(),
        }
    }
}

/// Decides on the boxes of this run. `given` is what stands behind each `--target`.
///
/// An attendee whose Vagrant is missing must hear just that, so only `up` ever turns to a sandbox, and only
/// where neither Vagrant nor VirtualBox is there.
pub fn choose(
    given: &[String],
    workshop: &Workshop,
    dir: &Path,
    purpose: Purpose,
    here: impl FnOnce() -> Here,
) -> Result<Choice> {
    let mut targets: Vec<Target> = Vec::new();
    for text in given {
        let named = match text == ROOM && !workshop.room.is_empty() {
            true => room(workshop)?,
            false => named(text, workshop)?,
        };
        for target in named {
            add(&mut targets, target);
        }
    }
    let silently = |target| Choice {
        targets: vec![target],
        reason: None,
    };
    if !targets.is_empty() {
        return Ok(Choice {
            targets,
            reason: None,
        });
    }
    if let Some(target) = last_used(dir)? {
        return Ok(silently(target));
    }
    if purpose == Purpose::Make {
        let here = here();
        if here.os == Os::Linux && !here.vagrant && !here.virtualbox {
            return Ok(Choice {
                targets: vec![Target::Sandbox { name: None }],
                reason: Some(
                    "neither Vagrant nor VirtualBox is installed: the box will be a sandbox, a Debian machine in its own network namespace"
                        .into(),
                ),
            });
        }
    }
    Ok(silently(Target::Vagrant { machine: None }))
}

/// The boxes of `[room]`.
pub(super) fn room(workshop: &Workshop) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for text in &workshop.room {
        let named = named(text, workshop).map_err(|error| Error {
            message: format!("`[room]` in config.toml: {}", error.message),
            ..error
        });
        for target in named? {
            add(&mut targets, target);
        }
    }
    Ok(targets)
}

/// The boxes that `text` stands for.
fn named(text: &str, workshop: &Workshop) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for text in range::expand(text)? {
        let target: Target = text.parse()?;
        if let Target::Named(name) = &target {
            ssh::check_name(name, workshop, &Person::this()?)?;
        }
        targets.push(target);
    }
    Ok(targets)
}

fn add(targets: &mut Vec<Target>, target: Target) {
    if !targets.contains(&target) {
        targets.push(target);
    }
}

/// The box used last in this folder.
pub fn last_used(dir: &Path) -> Result<Option<Target>> {
    let file = folder::path(dir).join(LAST);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::usage(format!("cannot read {}", file.display())).because(error));
        }
    };
    // Another box than the one used last must not be taken in silence.
    let target = text.trim().parse().map_err(|error: Error| {
        Error::usage(format!("{} names no target", file.display()))
            .because(error)
            .hint("remove that file, or name the box: `--target …`")
    })?;
    Ok(Some(target))
}

/// Remembers the box for the next run in this folder.
pub fn remember(dir: &Path, target: &Target) -> Result<()> {
    folder::write(dir, LAST, &format!("{target}\n")).map_err(|error| {
        Error::failed(format!(
            "cannot remember the target in {}",
            folder::path(dir).display()
        ))
        .because(error)
    })
}

/// Forgets the box after it was removed, if it was the one used last.
pub fn forget_last(dir: &Path, target: &Target) {
    if matches!(last_used(dir), Ok(Some(last)) if last == *target) {
        // A name that stays behind is only one that is not there any more.
        let _ = fs::remove_file(folder::path(dir).join(LAST));
    }
}

//! Explains a check or a known failure by its id, or recognises failures in what a program said.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use super::Environment;
use crate::cli;
use crate::doctor::catalogue::{Catalogue, System};
use crate::doctor::{explain, manual};
use crate::error::{Error, ExitCode, Result};
use crate::output::explain::Explanation;

/// The longest text that is read: logs are shorter, and whatever is longer must not fill the memory.
const LONGEST: u64 = 32 << 20;

pub async fn run(environment: &Environment, options: &cli::Explain) -> Result<ExitCode> {
    let what = options.what.as_deref();
    let explanation = match what {
        None if io::stdin().is_terminal() => return Err(usage()),
        None | Some("-") => text(environment, typed(environment).await?)?,
        Some(what) => match known(what) {
            Some(explanation) => explanation,
            None => text(environment, file(&environment.folder, what)?)?,
        },
    };
    let code = match &explanation {
        Explanation::Text(reading) if reading.recognised.is_empty() => ExitCode::Undetermined,
        _ => ExitCode::Ready,
    };
    let system = options.system.unwrap_or_else(System::this);
    environment.tell(|output| output.explain(&explanation, system))?;
    Ok(code)
}

/// The check or the failure with this id.
fn known(id: &str) -> Option<Explanation> {
    let catalogue = Catalogue::get();
    // Doctor and lint print ids in brackets.
    let id = id
        .strip_prefix('[')
        .and_then(|id| id.strip_suffix(']'))
        .unwrap_or(id);
    if let Some(section) = manual::section(id) {
        let failures = catalogue.found_by(section.id).collect();
        return Some(Explanation::Check { section, failures });
    }
    catalogue.row(id).map(Explanation::Failure)
}

fn text(environment: &Environment, (bytes, all): (Vec<u8>, bool)) -> Result<Explanation> {
    if explain::is_blank(&bytes) {
        return Err(Error::usage("there was nothing to read").hint(HOW));
    }
    if !all {
        let read = LONGEST >> 20;
        environment
            .events
            .note(format!("Only the first {read} MB were read"));
    }
    Ok(Explanation::Text(explain::read(&bytes)))
}

/// What is pasted or piped, and whether that is all of it.
async fn typed(environment: &Environment) -> Result<(Vec<u8>, bool)> {
    if io::stdin().is_terminal() {
        let end = if cfg!(windows) {
            "Ctrl-Z and Enter"
        } else {
            "Ctrl-D"
        };
        environment
            .events
            .note(format!("Paste the text, then press Enter and {end}"));
    }
    // Beside the runtime, so that Ctrl-C is heard while nothing comes.
    let reading = tokio::task::spawn_blocking(|| bytes(io::stdin().lock()));
    match reading.await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(Error::usage("stdin could not be read").because(error)),
        Err(error) => Err(Error::failed("stdin could not be read").because(error)),
    }
}

fn file(folder: &Path, name: &str) -> Result<(Vec<u8>, bool)> {
    match File::open(folder.join(name)).and_then(bytes) {
        Ok(read) => Ok(read),
        // Who pastes a sentence means what it says; what is there and cannot be read is a file.
        Err(_) if !is_there(&folder.join(name)) && name.split_whitespace().count() > 2 => {
            Ok((name.as_bytes().to_vec(), true))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown(name)),
        Err(error) => Err(Error::usage(format!("{name} could not be read")).because(error)),
    }
}

fn is_there(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

fn bytes(from: impl Read) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    from.take(LONGEST + 1).read_to_end(&mut bytes)?;
    let all = bytes.len() as u64 <= LONGEST;
    bytes.truncate(usize::try_from(LONGEST).unwrap_or(usize::MAX));
    Ok((bytes, all))
}

const HOW: &str =
    "Give it a file, such as `dwenv explain vagrant-up.log`, or pipe a program's words into it";

fn usage() -> Error {
    Error::usage("what is to be explained?")
        .hint("An id that doctor printed, such as `dwenv explain box.docker.daemon`")
        .hint("A file with what a program said, such as `dwenv explain vagrant-up.log`")
        .hint("A text that you paste: `dwenv explain -`")
}

fn unknown(what: &str) -> Error {
    let error = Error::usage(format!(
        "there is no check, no known failure and no file {what}"
    ));
    match near(what)[..] {
        [] => error.hint("`dwenv doctor --list` lists the checks with their ids"),
        [id] => error.hint(format!("Did you mean `{id}`?")),
        ref ids => error.hint(format!("Did you mean one of `{}`?", ids.join("`, `"))),
    }
}

/// The ids that this may have been meant to be, nearest first.
fn near(what: &str) -> Vec<&'static str> {
    const ALIKE: f64 = 0.85;
    const MOST: usize = 3;
    let what = what.to_lowercase();
    let ids = Catalogue::get().rows.iter().map(|row| row.id.as_str());
    let mut ids: Vec<(f64, &str)> = manual::ids()
        .chain(manual::rules().map(|(id, _)| id))
        .chain(ids)
        .map(|id| {
            let part = id.split(['.', '-']).any(|part| part == what)
                || id.starts_with(&format!("{what}."));
            let alike = strsim::jaro_winkler(id, &what);
            // A word of an id, such as `daemon`, is as good as a slip of the finger.
            (if part { alike.max(ALIKE) } else { alike }, id)
        })
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    ids.sort_by(|one, other| other.0.total_cmp(&one.0));
    ids.into_iter().take(MOST).map(|(_, id)| id).collect()
}

//! Programs of the laptop, and the variables that they look at.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::time::Duration;

use super::super::probe::LaptopProgram;
use super::super::record::{Record, RecordStatus};
use super::json;
use super::places::{self, Places};
use crate::target::laptop::{self, Installed};
use crate::target::program::{self, Environment, NotRun};

/// More than any of these programs says; what goes beyond is not what was asked for.
const LONGEST: usize = 256 * 1024;

/// Where Linux keeps programs that a user's search path may lack.
const ROOTS_OWN: &[&str] = &["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// A program on the laptop, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "is")]
pub enum Program {
    Version(semver::Version),
    NotInstalled,
    /// It is there and does not say its version; what it said instead.
    Broken(String),
}

impl From<Installed> for Program {
    fn from(installed: Installed) -> Self {
        match installed {
            Installed::No => Self::NotInstalled,
            Installed::Yes { version, .. } => Self::Version(version),
            Installed::Broken { said, .. } => Self::Broken(said),
            // A timeout is a record of its own; whoever asks for the program learns no version from it.
            Installed::TimedOut { path, after } => Self::Broken(format!(
                "{} did not answer within {} s",
                path.display(),
                after.as_secs()
            )),
        }
    }
}

pub async fn version(program: LaptopProgram) -> Record {
    let environment = Environment::new();
    let installed = match program {
        LaptopProgram::Vagrant => laptop::vagrant(&environment).await,
        LaptopProgram::VirtualBox => laptop::virtualbox(&environment).await,
    };
    if let Installed::TimedOut { .. } = installed {
        return Record::timed_out();
    }
    json(&Program::from(installed))
}

/// Runs a program. Where an argument names something that is not there, there is nothing to ask: an empty
/// answer.
pub async fn run(
    name: &str,
    arguments: &[String],
    variables: &[(&str, &str)],
    deadline: Duration,
    places: &Places,
) -> Record {
    let Some(path) = find(name) else {
        return Record {
            status: RecordStatus::Missing,
            ..Record::done("")
        };
    };
    let mut filled = Vec::new();
    for argument in arguments {
        let Some(word) = places.fill(argument) else {
            return Record::done("");
        };
        let is_place = argument.starts_with('{');
        filled.push(if is_place {
            places::existing(&word)
        } else {
            word
        });
    }
    let environment: Environment = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let words: Vec<&str> = filled.iter().map(String::as_str).collect();
    let mut command = program::command(&path, &words, None, &environment);
    // With it the log has another form.
    command.env_remove("VAGRANT_LOG_TIMESTAMP");
    match program::capture(command, deadline).await {
        Ok(finished) => {
            let mut output = finished.stdout;
            let logs = variables.iter().any(|(name, _)| *name == "VAGRANT_LOG");
            if logs || !finished.status.success() {
                output.push_str(&without_log(&finished.stderr));
            }
            if let Some(end) = (0..=LONGEST)
                .rev()
                .find(|end| output.is_char_boundary(*end))
            {
                output.truncate(end);
            }
            Record {
                status: RecordStatus::Done(finished.status.code().unwrap_or(-1)),
                ..Record::done(output)
            }
        }
        Err(NotRun::Start(error)) => Record::refused(format!("{}: {error}", path.display())),
        Err(NotRun::TimedOut) => Record::timed_out(),
    }
}

/// Vagrant's log tells its variables too, and a token for a box catalogue is one of them: of the log is kept what it
/// says of its Ruby.
fn without_log(stderr: &str) -> String {
    let is_log = |line: &str| {
        let level = ["INFO ", "DEBUG "];
        level
            .iter()
            .any(|level| line.trim_start().starts_with(level))
            || line.contains("VAGRANT_") && line.contains('=')
    };
    let is_kept = |line: &&str| !is_log(line) || line.contains("Ruby version: ");
    let kept = stderr.lines().filter(is_kept);
    kept.map(|line| format!("{line}\n")).collect()
}

fn find(name: &str) -> Option<PathBuf> {
    let environment = Environment::new();
    if name == "vagrant" {
        return laptop::find_vagrant(&environment);
    }
    let folders: Vec<PathBuf> = if cfg!(windows) {
        Vec::new()
    } else {
        ROOTS_OWN.iter().map(PathBuf::from).collect()
    };
    program::find(name, env::var_os("PATH").as_deref(), &folders)
}

/// Those that are set. A proxy's address may hold a password: facts do not.
pub fn variables(names: &[&str]) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| {
            let value = env::var_os(name)?.to_string_lossy().into_owned();
            Some(((*name).to_owned(), without_login(&value)))
        })
        .collect()
}

/// `http://anna:secret@proxy:3128` → `http://proxy:3128`
fn without_login(value: &str) -> String {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), value),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_vagrants_log_only_its_ruby_is_recorded() {
        let said = " INFO global: Vagrant version: 2.4.9\n INFO global: Ruby version: 3.3.8\n \
                    INFO global: VAGRANT_CLOUD_TOKEN=\"canary\"\n INFO manager: plugins\nVagrant failed to resolve\n";
        let kept = " INFO global: Ruby version: 3.3.8\nVagrant failed to resolve\n";
        assert_eq!(without_log(said), kept);
    }

    #[test]
    fn a_proxys_password_is_not_recorded() {
        for (value, kept) in [
            ("http://anna:p@ss@proxy:3128", "http://proxy:3128"),
            ("anna:secret@proxy:3128", "proxy:3128"),
            ("http://proxy:3128/", "http://proxy:3128/"),
            ("localhost,127.0.0.1", "localhost,127.0.0.1"),
        ] {
            assert_eq!(without_login(value), kept);
        }
    }
}

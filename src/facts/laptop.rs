//! Programs of the laptop, asked for their versions.

use super::collect::timed;
use super::probe::{LaptopProgram, Probe, Question};
use super::record::Record;
use crate::target::laptop::{self, Installed};
use crate::target::program::Environment;

/// Asks every program that `probes` name. Vagrant alone takes seconds.
pub async fn ask(probes: &[Probe]) -> Vec<(String, Record)> {
    let asked = probes.iter().filter_map(|probe| match probe.question {
        Question::Laptop(program) => Some(timed(&probe.id, probe.deadline, version(program))),
        _ => None,
    });
    futures_util::future::join_all(asked).await
}

async fn version(program: LaptopProgram) -> Record {
    let environment = Environment::new();
    let installed = match program {
        LaptopProgram::Vagrant => laptop::vagrant(&environment).await,
        LaptopProgram::VirtualBox => laptop::virtualbox(&environment).await,
    };
    if let Installed::TimedOut { .. } = installed {
        return Record::timed_out();
    }
    match serde_json::to_string(&Program::from(installed)) {
        Ok(json) => Record::done(json),
        Err(error) => Record::refused(error.to_string()),
    }
}

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

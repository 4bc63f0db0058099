//! The laptop's own side: what its programs and files say, recorded as they say it.

mod files;
mod network;
mod places;
mod programs;

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::collect::{left, timed};
use super::probe::{Ask, LaptopQuestion, Probe, Question};
use super::record::{Record, Records};
use crate::target::laptop::Os;
pub use files::{Entry, KeptFile, KvmUser};
pub use network::{PortTried, Tried, Vouched, WebDate};
pub use places::Here;
use places::Places;
pub use programs::Program;

/// The record that says which laptop the others are of.
pub const HERE: &str = "laptop.system";

/// Asks everything that `probes` ask of this laptop, all at once. `folder` is where the workshop is. What has
/// not come by `until` is not waited for.
pub async fn ask(probes: &[Probe], folder: &Path, until: Instant) -> Vec<(String, Record)> {
    let places = Places::find(folder);
    let asked = probes.iter().filter_map(|probe| match &probe.question {
        Question::Laptop(question) if question.on.contains(&Os::this()) => {
            let deadline = probe.deadline.min(left(until));
            Some(timed(
                &probe.id,
                deadline,
                answer(question, deadline, &places),
            ))
        }
        _ => None,
    });
    futures_util::future::join_all(asked).await
}

/// The system of the laptop that records are of: they may be judged on another one.
#[must_use]
pub fn laptop_of(records: &Records) -> Os {
    records
        .json::<Here>(HERE)
        .map_or_else(|_| Os::this(), |here| here.system)
}

async fn answer(question: &LaptopQuestion, deadline: Duration, places: &Places) -> Record {
    match &question.ask {
        Ask::Version(program) => programs::version(*program).await,
        Ask::Program {
            name,
            arguments,
            variables,
        } => programs::run(name, arguments, variables, deadline, places).await,
        Ask::Files(paths) => {
            let (paths, places) = (paths.clone(), places.clone());
            aside(move || files::read(&paths, &places)).await
        }
        Ask::Variables(names) => json(&programs::variables(names)),
        Ask::Here => json(&places.here),
        Ask::Ports(ports) => json(&network::try_ports(ports).await),
        Ask::KvmUsers => aside(files::kvm_users).await,
        Ask::Kept => {
            let places = places.clone();
            aside(move || files::kept(&places)).await
        }
        Ask::WebDate(address) => network::web_date(address).await,
        Ask::Vouched(hosts) => json(&network::vouched(hosts).await),
    }
}

/// Reads on a thread of its own: a file on a dead network drive must not hold up the other probes.
async fn aside<T: Serialize + Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Record {
    match tokio::task::spawn_blocking(read).await {
        Ok(answer) => json(&answer),
        Err(error) => Record::refused(error.to_string()),
    }
}

fn json<T: Serialize>(answer: &T) -> Record {
    match serde_json::to_string(answer) {
        Ok(text) => Record::done(text),
        Err(error) => Record::refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_for_another_system_is_not_asked_here() {
        let other: &[Os] = if cfg!(windows) {
            &[Os::Linux]
        } else {
            &[Os::Windows]
        };
        let probes = [
            Probe::laptop("elsewhere", other, Ask::Here),
            Probe::laptop(HERE, Os::ALL, Ask::Here),
        ];
        let folder = std::env::temp_dir();
        let until = Instant::now() + Duration::from_secs(30);
        let answers = ask(&probes, &folder, until).await;
        assert_eq!(answers.len(), 1);
        let mut records = Records::default();
        for (id, record) in answers {
            records.insert(id, record);
        }
        let here: Here = records.json(HERE).unwrap();
        assert_eq!(here.system, Os::this());
        assert_eq!(laptop_of(&records), Os::this());
        assert!(!here.project.is_empty());
    }

    #[test]
    fn records_are_judged_as_those_of_the_laptop_that_they_are_of() {
        let mut records = Records::default();
        let text = r#"{"system":"windows","architecture":"x86_64","release":"","project":"C:\\dev","vagrant_home":"C:\\v","machine_folder":"C:\\m","home":"C:\\Users\\a"}"#;
        records.insert(HERE, Record::done(text));
        assert_eq!(laptop_of(&records), Os::Windows);
    }
}

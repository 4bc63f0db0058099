//! Long work, told while it goes on.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use crate::error::Result;
use crate::events::{Event, Events};

/// One long step under way.
pub struct Step<'a> {
    events: &'a Events,
    name: String,
    started: Instant,
    said: RefCell<String>,
    fraction: Cell<Option<f64>>,
}

impl<'a> Step<'a> {
    /// Does the work as one step: says when it begins and how it ended.
    pub fn run<T>(
        events: &'a Events,
        name: &str,
        work: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let step = Self {
            events,
            name: name.to_owned(),
            started: Instant::now(),
            said: RefCell::default(),
            fraction: Cell::default(),
        };
        events.emit(Event::StepStarted {
            step: step.name.clone(),
        });
        let outcome = work(&step);
        events.emit(match &outcome {
            Ok(_) => Event::StepFinished {
                step: step.name.clone(),
                took: step.started.elapsed(),
            },
            Err(error) => Event::StepFailed {
                step: step.name.clone(),
                failure: error.to_string().into(),
            },
        });
        outcome
    }

    /// Tells where the work is.
    pub fn progress(&self, detail: &str, fraction: Option<f64>) {
        self.said.replace(detail.to_owned());
        self.fraction.set(fraction.or(self.fraction.get()));
        self.still();
    }

    /// Tells that the work goes on, when there is nothing new to tell.
    pub fn still(&self) {
        let said = self.said.borrow();
        let detail = if said.is_empty() {
            format!("{} s", self.started.elapsed().as_secs())
        } else {
            said.clone()
        };
        self.events.emit(Event::StepProgress {
            step: self.name.clone(),
            detail,
            fraction: self.fraction.get(),
        });
    }

    /// Tells what a line of apt's or dpkg's output means for a person; most lines mean nothing.
    pub fn heard(&self, line: Option<&str>) {
        match line {
            None => self.still(),
            Some(line) => {
                if let Some(detail) = meaning(line) {
                    self.progress(&detail, None);
                }
            }
        }
    }
}

/// `Get:12 URI trixie/main amd64 curl amd64 …` and its like, in a few words.
pub fn meaning(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (verb, nth) = match words.next()? {
        word if word.starts_with("Get:") => ("downloading", 3),
        "Unpacking" => ("unpacking", 0),
        "Setting" => ("setting up", 1),
        _ => return None,
    };
    let name = words.nth(nth)?.split(':').next()?;
    Some(format!("{verb} {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use std::sync::{Arc, Mutex};

    #[test]
    fn lines_of_apt_and_dpkg_are_told_in_a_few_words() {
        let told = |line| meaning(line);
        assert_eq!(
            told("Get:36 http://mirror.example/debian trixie/main amd64 sed amd64 4.9-2 [331 kB]"),
            Some("downloading sed".into())
        );
        assert_eq!(
            told("Unpacking libc6:amd64 (2.41-12) ..."),
            Some("unpacking libc6".into())
        );
        assert_eq!(
            told("Setting up dbus-daemon (1.16.2-2) ..."),
            Some("setting up dbus-daemon".into())
        );
        for line in ["", "Get:1", "dpkg: warning: ignoring", "add group 'x'? No"] {
            assert_eq!(told(line), None, "{line}");
        }
    }

    #[test]
    fn a_step_tells_its_beginning_its_course_and_its_end() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let events = Events::to(move |event| sink.lock().unwrap().push(event));
        let failed: Result<()> = Step::run(&events, "Working", |step| {
            step.heard(Some("Unpacking a (1) ..."));
            step.heard(None);
            Err(Error::failed("no"))
        });
        assert!(failed.is_err());
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), 4);
        assert_eq!(heard[1], heard[2]);
        assert!(matches!(&heard[3], Event::StepFailed { failure, .. } if failure.reason == "no"));
    }
}

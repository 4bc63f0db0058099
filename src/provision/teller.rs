//! Turns what a run on the box says into events, and into what became of each step.

use std::collections::VecDeque;
use std::time::Instant;

use super::AGAIN;
use super::apply::Applied;
use super::outcome::ChangeStatus;
use super::plan::Step;
use super::pull::Layers;
use super::script::{said, step};
use crate::doctor::explain;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events, Failure};
use crate::facts::frames::Frame;
use crate::resources::change::{Action, NOTE, Pull};
use crate::resources::files::KEPT;

/// What timeout(1) ends with.
const TIMED_OUT: i32 = 124;

/// How many of a failed step's last lines are told.
const LAST_LINES: usize = 20;

pub struct Teller<'a> {
    steps: &'a [Step],
    events: &'a Events,
    applied: Applied,
    current: Option<usize>,
    waits_for_secret: bool,
    /// What the run that holds the box was doing when it was heard of last.
    other: String,
    stopped: bool,
    began: Instant,
    /// How far the step said last that it is.
    fraction: Option<f64>,
    /// The layers of the image that it pulls.
    layers: Layers,
    last_lines: VecDeque<String>,
    /// The command that the step ran last, and the status with which it failed.
    command: Option<(String, Option<i32>)>,
}

impl<'a> Teller<'a> {
    pub fn new(steps: &'a [Step], events: &'a Events) -> Self {
        Self {
            steps,
            events,
            applied: Applied {
                statuses: vec![ChangeStatus::NotTried; steps.len()],
                ..Applied::default()
            },
            current: None,
            waits_for_secret: false,
            other: String::new(),
            stopped: false,
            began: Instant::now(),
            fraction: None,
            layers: Layers::default(),
            last_lines: VecDeque::new(),
            command: None,
        }
    }

    /// Takes in one frame; `true` when the run has ended.
    ///
    /// # Errors
    /// When it ended otherwise than with its steps.
    pub fn hear(&mut self, frame: &Frame) -> Result<bool> {
        let body = String::from_utf8_lossy(&frame.body).into_owned();
        match frame.id.as_str() {
            said::HELD => self.events.note(format!(
                "Another run holds this box: {body}; waiting a moment for it"
            )),
            said::ABANDONED => self.events.note(format!(
                "An earlier run is still at work on this box, without its laptop: {body}; waiting until it has \
                 ended"
            )),
            said::TAKEN => self.events.note(format!(
                "An earlier run was ended before its end: {body}; this one goes on from what the box is"
            )),
            said::HELD_STEP => self.hear_other(body),
            said::WAITED => {
                self.end_other();
                self.applied.waited = true;
                return Ok(true);
            }
            said::LOCKED => {
                return Err(Error::new(
                    ErrorKind::Locked,
                    format!("another run holds this box: {body}"),
                )
                .hint("Wait until it has ended, then run the same command again")
                .hint(match self.events.target() {
                    Some(target) => format!("Or wait for it: `dwenv provision --target {target} --wait-lock 10m`"),
                    None => "Or wait for it: `dwenv provision --wait-lock 10m`".to_owned(),
                }));
            }
            said::NOT_STARTED => {
                return Err(
                    Error::failed("systemd on the box did not start the changes").because(body)
                );
            }
            // Nothing was begun, so the box is simply looked at once more.
            said::GONE if self.has_not_begun() => {
                self.applied.waited = true;
                self.applied.lost = true;
                return Ok(true);
            }
            said::GONE => {
                let why = "the box was restarted, or another run has begun there since";
                return Err(self.interrupted("nothing more is known of the run", why));
            }
            said::OVER => {
                let why = if self.stopped { "you stopped it" } else { "something on the box ended it" };
                return Err(self.interrupted("the run was ended", why));
            }
            said::STOPPED => {
                return Err(self.interrupted("the run has stopped", "you asked for that"));
            }
            said::UNANSWERED => {
                return Err(self.interrupted("the run has stopped", "it got no secret for its next step"));
            }
            said::ENDED => return Ok(true),
            id => self.hear_step(id, frame.status, body),
        }
        Ok(false)
    }

    /// What became of each step.
    ///
    /// # Errors
    /// When the run said that it ended, and not what became of its steps.
    pub fn ended(self) -> Result<Applied> {
        let whole = self.applied.waited || self.applied.first_failure(self.steps).is_some();
        if !whole && self.applied.statuses.contains(&ChangeStatus::NotTried) {
            return Err(self.interrupted("the run has ended", "not all of its steps were heard of"));
        }
        Ok(self.applied)
    }

    /// The step that waits for a secret, and what it waits for.
    pub fn secret_waited_for(&self) -> Option<(usize, &'a str)> {
        let number = self.current.filter(|_| self.waits_for_secret)?;
        match &self.steps[number].change.action {
            Action::Script(script) => Some((number, script.stdin.reveal())),
            _ => None,
        }
    }

    /// The person wants the run to end, for the first or the second time.
    pub fn stopping(&mut self, asked: usize) {
        self.stopped = true;
        self.events.note(match asked {
            1 => "Stopping after this step; Ctrl-C once more stops it at once",
            _ => "Stopping at once",
        });
    }

    /// The error of a run that goes on without anybody here.
    pub fn left_alone(&self, why: &str) -> Error {
        self.interrupted("the link to the box was lost and not opened again", why)
            .hint("The box goes on alone, or stops at a step's edge; nothing is left half made")
    }

    /// The error of a run whose follower ended with `complaint`.
    pub fn broken_off(&self, complaint: &str) -> Error {
        let error = match self.has_not_begun() {
            false => self.interrupted("the box does not tell about the run any more", ""),
            true => Error::failed("the box did not run the changes as root"),
        };
        match complaint {
            "" => error,
            said => error.because(said),
        }
    }

    fn has_not_begun(&self) -> bool {
        let untried = |status: &ChangeStatus| *status == ChangeStatus::NotTried;
        self.current.is_none() && self.applied.statuses.iter().all(untried)
    }

    fn interrupted(&self, what: &str, why: &str) -> Error {
        let mut message = match self.current {
            Some(number) => format!("{what} during: {}", self.steps[number].change.title),
            None => what.to_owned(),
        };
        message.push_str(&format!("; {}", self.applied.count()));
        let error = Error::new(ErrorKind::Interrupted, message).hint(AGAIN);
        match why {
            "" => error,
            why => error.because(why),
        }
    }

    fn hear_step(&mut self, id: &str, status: i32, body: String) {
        let Some((number, what)) = id.split_once('.') else {
            return;
        };
        let Some((number, planned)) = number
            .parse()
            .ok()
            .and_then(|number: usize| Some((number, self.steps.get(number)?)))
        else {
            return;
        };
        let title = planned.change.title.clone();
        self.waits_for_secret = what == step::SECRET;
        match what {
            step::BEGIN => {
                self.current = Some(number);
                self.began = Instant::now();
                self.fraction = None;
                self.layers = Layers::default();
                self.last_lines.clear();
                self.command = None;
                self.events.emit(Event::StepStarted { step: title });
            }
            step::LINE => match &planned.change.action {
                Action::Pull(Pull { image, .. }) => self.hear_pull(title, image, body),
                _ => self.hear_line(title, body),
            },
            step::COMMAND => {
                self.events.detail(format!("$ {body}"));
                self.command = Some((body, None));
            }
            step::RAN => {
                if let Some((_, ended)) = &mut self.command {
                    *ended = Some(status);
                }
            }
            step::END if status == 0 => {
                self.applied.statuses[number] = ChangeStatus::Done;
                self.current = None;
                self.events.emit(Event::StepFinished {
                    step: title,
                    took: self.began.elapsed(),
                });
            }
            step::END => {
                let failure = self.failure(status);
                self.applied.statuses[number] = ChangeStatus::Failed(failure.clone());
                if !planned.ends_the_run() {
                    self.current = None;
                }
                self.events.emit(Event::StepFailed {
                    step: title,
                    failure,
                });
            }
            _ => {}
        }
    }

    /// How the step ended that ended with `status`.
    fn failure(&mut self, status: i32) -> Failure {
        let said: Vec<&str> = self.last_lines.iter().map(String::as_str).collect();
        let said = said.join("\n");
        let how = match status {
            TIMED_OUT => "did not end in time and was stopped".to_owned(),
            status => format!("ended with status {status}"),
        };
        // Which one failed is known where the last one ended like the step, or was at work when its time was over.
        let blamed = |(_, ended): &(String, Option<i32>)| match ended {
            Some(ended) => *ended == status,
            None => status == TIMED_OUT,
        };
        Failure {
            known: explain::cause_in_box(&said, self.events.target()),
            command: self
                .command
                .take()
                .filter(blamed)
                .map(|(command, _)| command),
            reason: match said.as_str() {
                "" => how,
                said => format!("{how}:\n{said}"),
            },
        }
    }

    fn hear_pull(&mut self, step: String, image: &str, line: String) {
        let Some((status, fraction)) = self.layers.hear_line(&line) else {
            return self.hear_line(step, line);
        };
        self.events.emit(Event::StepProgress {
            step,
            detail: format!("{image}: {status}"),
            fraction,
        });
    }

    fn hear_line(&mut self, step: String, line: String) {
        if let Some(path) = line.strip_prefix(KEPT) {
            self.applied
                .notes
                .push(format!("Somebody had edited a file; it is kept as {path}"));
        } else if let Some(note) = line.strip_prefix(NOTE) {
            self.applied.notes.push(note.to_owned());
        } else if let Some((detail, fraction)) = apt_progress(&line) {
            self.fraction = Some(fraction);
            self.events.emit(Event::StepProgress {
                step,
                detail,
                fraction: self.fraction,
            });
        } else if !line.trim().is_empty() {
            let line = waits_for(&line).unwrap_or(line);
            self.events.detail(line.clone());
            self.events.emit(Event::StepProgress {
                step,
                detail: line.clone(),
                fraction: self.fraction,
            });
            if self.last_lines.len() == LAST_LINES {
                self.last_lines.pop_front();
            }
            self.last_lines.push_back(line);
        }
    }

    /// What the run that holds the box does is told as a step of its own.
    fn hear_other(&mut self, title: String) {
        if title.is_empty() || title == self.other {
            return;
        }
        self.end_other();
        self.began = Instant::now();
        self.events.emit(Event::StepStarted {
            step: format!("The other run: {title}"),
        });
        self.other = title;
    }

    fn end_other(&mut self) {
        if !self.other.is_empty() {
            self.events.emit(Event::StepFinished {
                step: format!("The other run: {}", self.other),
                took: self.began.elapsed(),
            });
            self.other.clear();
        }
    }
}

/// A line of apt's status descriptor: `pmstatus:docker.io:33.3:Unpacking docker.io (amd64)`.
fn apt_progress(line: &str) -> Option<(String, f64)> {
    let mut fields = line.splitn(4, ':');
    let kind = fields.next()?;
    if kind != "pmstatus" && kind != "dlstatus" {
        return None;
    }
    let percent: f64 = fields.nth(1)?.parse().ok()?;
    Some((fields.next()?.to_owned(), (percent / 100.0).clamp(0.0, 1.0)))
}

/// apt's own word for a lock, with the holder in front, who would be cut off at the end of a line: `Waiting for
/// cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (unattended-upgr)...`
fn waits_for(line: &str) -> Option<String> {
    let (lock, holder) = line
        .strip_prefix("Waiting for cache lock: Could not get lock ")?
        .split_once(". It is held by process ")?;
    let (pid, name) = holder.trim_end_matches('.').split_once(' ')?;
    let name = name.strip_prefix('(')?.strip_suffix(')')?;
    Some(format!(
        "waiting for {name} (process {pid}) to end, which holds {lock}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::facts::frames::FrameParser;
    use crate::resources::change::Plan;

    fn step() -> Step {
        let Plan::Change(change) = Plan::script("Write the file", "cp a b") else {
            unreachable!("a script is a change")
        };
        Step {
            checks: vec!["box.server.files".to_owned()],
            change,
            packages: None,
            is_essential: true,
        }
    }

    /// What becomes of a step that says this: its frames are `ID STATUS BODY`.
    fn failure(frames: &[(&str, i32, &str)]) -> (Failure, Vec<Event>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let events = Events::to(move |event| heard.lock().unwrap().push(event)).of("room-1");
        let steps = [step()];
        let mut teller = Teller::new(&steps, &events);
        let mut parser = FrameParser::new("mark");
        for (id, status, body) in frames {
            let bytes = format!("\nmark 0.{id} {status} 0 {}\n{body}", body.len());
            for frame in parser.push(bytes.as_bytes()) {
                assert!(!teller.hear(&frame).unwrap());
            }
        }
        let applied = teller.ended().unwrap();
        let ChangeStatus::Failed(failure) = applied.statuses[0].clone() else {
            panic!("{applied:?}");
        };
        let events = told.lock().unwrap().clone();
        (failure, events)
    }

    #[test]
    fn a_failed_step_names_its_command_its_last_lines_the_cause_and_a_remedy() {
        let mut frames = vec![("begin", 0, ""), ("command", 0, "cp a b")];
        let lines: Vec<String> = (1..=25).map(|number| format!("line {number}")).collect();
        frames.extend(lines.iter().map(|line| ("line", 0, line.as_str())));
        frames.extend([
            ("line", 0, "cp: error writing 'b': No space left on device"),
            ("ran", 1, ""),
            ("end", 1, ""),
        ]);
        let (failure, events) = failure(&frames);
        let said: Vec<&str> = failure.reason.lines().collect();
        assert_eq!(said[0], "ended with status 1:");
        assert_eq!(said[1], "line 7");
        assert_eq!(said.len(), 1 + LAST_LINES);
        assert_eq!(failure.command.as_deref(), Some("cp a b"));
        let known = failure.known.clone().unwrap();
        assert_eq!(known.id, "box-disk-full");
        assert_eq!(known.cause, "The box's disk is full.");
        assert_eq!(
            known.remedy.commands[0],
            "dwenv ssh --target room-1 -- df -h / /var"
        );
        let detail = Event::Detail {
            text: "$ cp a b".to_owned(),
        };
        assert!(events.contains(&detail));
        let step = "Write the file".to_owned();
        assert_eq!(events.last(), Some(&Event::StepFailed { step, failure }));
    }

    #[test]
    fn a_command_is_blamed_only_where_the_step_ended_with_it() {
        let after = [("line", 0, "nothing listens"), ("end", 1, "")];
        for (frames, blamed) in [
            (&[("command", 0, "a"), ("ran", 1, "")][..], Some("a")),
            (&[("command", 0, "a"), ("ran", 7, "")], None),
            (
                &[("command", 0, "a"), ("ran", 1, ""), ("command", 0, "b")],
                None,
            ),
            (&[("command", 0, "a")], None),
            (&[("command", 0, "a"), ("ran", 0, "")], None),
            (&[], None),
        ] {
            let (failure, _) = failure(&[&[("begin", 0, "")], frames, &after].concat());
            assert_eq!(failure.command.as_deref(), blamed, "{frames:?}");
            assert_eq!(failure.known, None);
        }
    }

    #[test]
    fn what_was_at_work_when_the_time_was_over_is_blamed() {
        for (frames, blamed) in [
            (&[("command", 0, "a")][..], Some("a")),
            (&[("command", 0, "a"), ("ran", 0, "")], None),
        ] {
            let over = [("end", TIMED_OUT, "")];
            let (failure, _) = failure(&[&[("begin", 0, "")], frames, &over].concat());
            assert_eq!(failure.command.as_deref(), blamed, "{frames:?}");
        }
    }

    #[test]
    fn apts_status_descriptor() {
        assert_eq!(
            apt_progress("pmstatus:docker.io:33.5:Unpacking docker.io (amd64)"),
            Some(("Unpacking docker.io (amd64)".to_owned(), 0.335))
        );
        assert_eq!(
            apt_progress("dlstatus:1:12.0:Retrieving file 1 of 20 (5s remaining)"),
            Some(("Retrieving file 1 of 20 (5s remaining)".to_owned(), 0.12))
        );
        assert_eq!(apt_progress("Setting up: a: b"), None);
    }
    #[test]
    fn whoever_holds_apts_lock_is_named_first() {
        let said = "Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. \
                    It is held by process 71 (unattended-upgr)...";
        assert_eq!(
            waits_for(said).as_deref(),
            Some(
                "waiting for unattended-upgr (process 71) to end, which holds /var/lib/dpkg/lock-frontend"
            )
        );
        assert_eq!(waits_for("Reading package lists..."), None);
    }
}

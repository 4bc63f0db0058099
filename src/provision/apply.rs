//! Makes the changes of a plan, and tells how each went.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::outcome::ChangeStatus;
use super::plan::Step;
use super::{pull, script};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events};
use crate::facts::collect;
use crate::facts::converse::converse;
use crate::facts::frames::{Frame, FrameParser};
use crate::facts::program::Rights;
use crate::facts::sudo::Sudo;
use crate::resources::change::Action;
use crate::resources::files::KEPT;
use crate::transport::Transport;

/// How many of a failed step's last lines are told.
const LAST_LINES: usize = 20;
/// A box that says nothing for this long during a step is lost. (Each step ends by itself before that.)
const SILENCE: Duration = Duration::from_secs(3700);

/// What became of each step, and what the person should know.
#[derive(Debug, Default)]
pub struct Applied {
    /// One for each step, in their order.
    pub statuses: Vec<ChangeStatus>,
    pub notes: Vec<String>,
    /// Another run held the box when this one began: nothing was done, and the plan is out of date.
    pub waited: bool,
}

impl Applied {
    #[must_use]
    pub fn failed(&self) -> bool {
        self.statuses
            .iter()
            .any(|status| *status != ChangeStatus::Done)
    }
}

/// Runs every step that is a script, in one exec, stopping at the first that fails.
///
/// # Errors
/// When another run holds the box, or the connection was lost: that is never taken for success.
pub async fn scripts(
    transport: &dyn Transport,
    steps: &[Step],
    rights: Rights,
    sudo: &Sudo,
    owner: &str,
    events: &Events,
) -> Result<Applied> {
    let numbered: Vec<(usize, &Step)> = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !matches!(step.change.action, Action::Pull(_)))
        .collect();
    let mut applied = Applied {
        statuses: vec![ChangeStatus::NotTried; steps.len()],
        ..Applied::default()
    };
    if numbered.is_empty() {
        return Ok(applied);
    }
    let mark = collect::mark();
    let program = script::changing(&numbered, rights, owner, &mark);
    let mut exec = transport.exec(&program.command).await?;
    let mut teller = Teller::new(steps, events);
    let (speaker, listener, beside) = converse(&program, sudo);
    let (hearing, noted) = (&mut teller, &mut applied);
    // Taken along: its end tells the one who writes that nothing more comes.
    let read = read_frames(&mut exec.stdout, &mark, move |frame| {
        listener.heard(&frame);
        hearing.hear(&frame, noted)
    });
    let hear_noise = beside.hear_noise(&mut exec.stderr);
    let (_, read, noise) = tokio::join!(speaker.speak(&mut exec.stdin), read, hear_noise);
    read?;
    let last = numbered.last().map_or(0, |(number, _)| *number);
    let ended = applied.failed_step().is_some() || applied.statuses[last] == ChangeStatus::Done;
    if ended || applied.waited {
        return Ok(applied);
    }
    let lost = Error::new(
        ErrorKind::Interrupted,
        match teller.current {
            Some(number) => format!(
                "the connection to the box was lost during: {}",
                steps[number].change.title
            ),
            None => "the box ended the run before its first step".to_owned(),
        },
    )
    .hint("Run the same command again: it goes on from what the box then is");
    Err(match noise.trim() {
        "" => lost,
        said => lost.because(said),
    })
}

impl Applied {
    fn failed_step(&self) -> Option<usize> {
        let failed = |status: &ChangeStatus| matches!(status, ChangeStatus::Failed(_));
        self.statuses.iter().position(failed)
    }
}

/// Pulls the images of every step that is a pull. Needs a login that has the group docker.
pub async fn pulls(
    transport: &Arc<dyn Transport>,
    steps: &[Step],
    events: &Events,
    applied: &mut Applied,
) {
    for (step, status) in steps.iter().zip(&mut applied.statuses) {
        let Action::Pull(images) = &step.change.action else {
            continue;
        };
        let title = &step.change.title;
        let began = Instant::now();
        events.emit(Event::StepStarted {
            step: title.clone(),
        });
        *status = match pull::images(transport.clone(), images, title, events).await {
            Ok(()) => {
                events.emit(Event::StepFinished {
                    step: title.clone(),
                    took: began.elapsed(),
                });
                ChangeStatus::Done
            }
            Err(error) => {
                let reason = error.to_string();
                events.emit(Event::StepFailed {
                    step: title.clone(),
                    reason: reason.clone(),
                });
                ChangeStatus::Failed(reason)
            }
        };
    }
}

async fn read_frames(
    stdout: &mut tokio::io::DuplexStream,
    mark: &str,
    mut hear: impl FnMut(Frame) -> Result<()>,
) -> Result<()> {
    let mut parser = FrameParser::new(mark);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::time::timeout(SILENCE, stdout.read(&mut buffer));
        match read.await {
            Ok(Ok(count @ 1..)) => {
                for frame in parser.push(&buffer[..count]) {
                    hear(frame)?;
                }
            }
            // The end, a lost link, or a box that fell silent: what is missing says it.
            _ => return Ok(()),
        }
    }
}

/// Turns frames into events and statuses.
struct Teller<'a> {
    steps: &'a [Step],
    events: &'a Events,
    current: Option<usize>,
    began: Instant,
    /// How far the step said last that it is.
    fraction: Option<f64>,
    last_lines: VecDeque<String>,
}

impl<'a> Teller<'a> {
    fn new(steps: &'a [Step], events: &'a Events) -> Self {
        Self {
            steps,
            events,
            current: None,
            began: Instant::now(),
            fraction: None,
            last_lines: VecDeque::new(),
        }
    }

    fn hear(&mut self, frame: &Frame, applied: &mut Applied) -> Result<()> {
        let body = String::from_utf8_lossy(&frame.body).into_owned();
        if frame.id == script::LOCKED {
            return Err(Error::new(
                ErrorKind::Locked,
                format!("another run holds this box: {}", body.trim()),
            )
            .hint("Wait until it has ended, then run the same command again"));
        }
        if frame.id == script::HELD {
            let owner = body.trim();
            self.events.note(format!(
                "Another run holds this box: {owner}; waiting a moment for it"
            ));
        }
        if frame.id == script::WAITED {
            applied.waited = true;
        }
        let Some((number, what)) = frame.id.split_once('.') else {
            return Ok(());
        };
        let Some((number, step)) = number
            .parse()
            .ok()
            .and_then(|number: usize| Some((number, self.steps.get(number)?)))
        else {
            return Ok(());
        };
        let title = step.change.title.clone();
        match what {
            "begin" => {
                self.current = Some(number);
                self.began = Instant::now();
                self.fraction = None;
                self.last_lines.clear();
                self.events.emit(Event::StepStarted { step: title });
            }
            "line" => self.hear_line(title, body, applied),
            script::PULSE => {}
            _ if frame.status == 0 => {
                applied.statuses[number] = ChangeStatus::Done;
                self.events.emit(Event::StepFinished {
                    step: title,
                    took: self.began.elapsed(),
                });
            }
            _ => {
                let said: Vec<&str> = self.last_lines.iter().map(String::as_str).collect();
                let reason = format!("ended with status {}:\n{}", frame.status, said.join("\n"));
                applied.statuses[number] = ChangeStatus::Failed(reason.clone());
                self.events.emit(Event::StepFailed {
                    step: title,
                    reason,
                });
            }
        }
        Ok(())
    }

    fn hear_line(&mut self, step: String, line: String, applied: &mut Applied) {
        if let Some(path) = line.strip_prefix(KEPT) {
            applied
                .notes
                .push(format!("Somebody had edited a file; it is kept as {path}"));
        } else if let Some((detail, fraction)) = apt_progress(&line) {
            self.fraction = Some(fraction);
            self.events.emit(Event::StepProgress {
                step,
                detail,
                fraction: self.fraction,
            });
        } else if !line.trim().is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}

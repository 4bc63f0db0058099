//! Running Vagrant: questions with one answer, and `vagrant up` with its progress.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};

use super::{Vagrant, said};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Event, Events};
use crate::target::laptop::find_vagrant;
use crate::target::program::{self, Finished, NotRun};

/// How often somebody who waits sees that the work goes on.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How long `vagrant up` may say nothing. Unpacking a box and booting are its long silences.
const SILENCE: Duration = Duration::from_secs(20 * 60);

/// How long `vagrant up` may take in all, with the download of a box over a slow line.
const UP: Duration = Duration::from_secs(3 * 60 * 60);

/// How many of the last lines are kept to tell why it failed.
const LAST_WORDS: usize = 40;

impl Vagrant {
    pub(super) async fn ask(&self, arguments: &[&str], deadline: Duration) -> Result<Finished> {
        let shown = format!("vagrant {}", arguments.join(" "));
        match program::capture(self.command(arguments)?, deadline).await {
            Ok(finished) => Ok(finished),
            Err(NotRun::Start(error)) => Err(not_started(&error)),
            Err(NotRun::TimedOut) => Err(Error::new(
                ErrorKind::Unreachable,
                format!("`{shown}` did not end within {} s", deadline.as_secs()),
            )
            .hint(format!(
                "run it yourself and see what it waits for: `{shown}`"
            ))),
        }
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let vagrant = find_vagrant(&self.environment).ok_or_else(not_installed)?;
        let mut command =
            program::command(&vagrant, arguments, Some(&self.folder), &self.environment);
        command
            .env("VAGRANT_NO_COLOR", "1")
            // The folder was chosen already; this variable would lead elsewhere.
            .env_remove("VAGRANT_CWD");
        Ok(command)
    }
}

fn not_installed() -> Error {
    Error::failed("Vagrant is not installed, or not on the search path").hint(
        "install it from https://developer.hashicorp.com/vagrant/install, and open a new terminal",
    )
}

fn not_started(error: &std::io::Error) -> Error {
    Error::failed("Vagrant could not be started").because(error)
}

/// A line of Vagrant, and whether it came on stderr.
struct Said {
    line: String,
    stderr: bool,
}

pub(super) async fn up(
    vagrant: &Vagrant,
    machine: &str,
    step: &str,
    events: &Events,
) -> Result<()> {
    let began = Instant::now();
    let mut command = vagrant.command(&["up", machine])?;
    command
        // The Vagrantfile's own trigger runs `dwenv provision` after an `up` by hand, and not after ours.
        .env("DWENV_UP", "1")
        // Killed, Vagrant would leave a half-made machine behind; see `Group`.
        .kill_on_drop(false);
    let mut child = command.spawn().map_err(|error| not_started(&error))?;
    let id = child.id();
    events.emit(Event::StepStarted {
        step: step.to_owned(),
    });

    let (sender, lines) = mpsc::channel(64);
    if let Some(stdout) = child.stdout.take() {
        tokio::spawn(forward(stdout, false, sender.clone()));
    }
    if let Some(stderr) = child.stderr.take() {
        tokio::spawn(forward(stderr, true, sender.clone()));
    }
    drop(sender);
    // A future that is dropped, as at an interrupt, takes the whole group with it, not Vagrant's first
    // process alone: the launcher would leave its Ruby behind.
    let mut guard = Group(id);
    let watched = timeout(UP, watch(lines, machine, step, events)).await;
    let failure = match watched {
        Ok(Ok(last_words)) => match timeout(SILENCE, child.wait()).await {
            Ok(Ok(status)) if status.success() => None,
            Ok(Ok(_)) => Some(said::error(
                format!("Vagrant could not start `{machine}`"),
                &last_words,
            )),
            Ok(Err(error)) => Some(Error::failed("Vagrant was lost").because(error)),
            Err(_) => Some(silent(SILENCE)),
        },
        Ok(Err(after)) => Some(silent(after)),
        Err(_) => Some(Error::failed(format!(
            "`vagrant up` did not end within {} hours",
            UP.as_secs() / 3600
        ))),
    };
    match failure {
        None => {
            guard.0 = None;
            events.emit(Event::StepFinished {
                step: step.to_owned(),
                took: began.elapsed(),
            });
            Ok(())
        }
        Some(error) => {
            let id = guard.0.take();
            if matches!(child.try_wait(), Ok(None)) {
                program::stop(id).await;
            }
            events.emit(Event::StepFailed {
                step: step.to_owned(),
                failure: error.message.clone().into(),
            });
            Err(error)
        }
    }
}

fn silent(after: Duration) -> Error {
    Error::failed(format!(
        "`vagrant up` said nothing for {} minutes and was stopped",
        after.as_secs() / 60
    ))
    .hint("run `vagrant up --debug` and see what it waits for")
}

/// Tells each line on, and that nothing new came when nothing did. Returns what may explain a failure.
async fn watch(
    mut lines: mpsc::Receiver<Said>,
    machine: &str,
    step: &str,
    events: &Events,
) -> Result<String, Duration> {
    let mut latest = Latest::default();
    let mut last_words: VecDeque<String> = VecDeque::new();
    let mut errors: Vec<String> = Vec::new();
    let mut heard = Instant::now();
    let mut heartbeat = interval(HEARTBEAT);
    loop {
        tokio::select! {
            said = lines.recv() => {
                let Some(said) = said else { break };
                heard = Instant::now();
                let detail = said::plain(&said.line, machine);
                if said.stderr && errors.len() < LAST_WORDS {
                    errors.push(said.line.trim_end().to_owned());
                }
                if detail.is_empty() {
                    continue;
                }
                if last_words.len() == LAST_WORDS {
                    last_words.pop_front();
                }
                last_words.push_back(detail.clone());
                latest = Latest { fraction: said::fraction(&detail), detail };
                latest.tell(step, events);
            }
            _ = heartbeat.tick() => {
                if heard.elapsed() > SILENCE {
                    return Err(SILENCE);
                }
                if heard.elapsed() >= HEARTBEAT {
                    latest.tell(step, events);
                }
            }
        }
    }
    // Vagrant's errors are on stderr; where it has none, the end of its talk must do.
    let errors = errors.join("\n").trim().to_owned();
    Ok(if errors.is_empty() {
        let last: Vec<String> = last_words.into_iter().rev().take(5).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    } else {
        errors
    })
}

#[derive(Default)]
struct Latest {
    detail: String,
    fraction: Option<f64>,
}

impl Latest {
    fn tell(&self, step: &str, events: &Events) {
        events.emit(Event::StepProgress {
            step: step.to_owned(),
            detail: self.detail.clone(),
            fraction: self.fraction,
        });
    }
}

/// Cuts a stream into lines; a carriage return ends one too, because progress is written over itself.
async fn forward(mut stream: impl AsyncRead + Unpin, stderr: bool, lines: mpsc::Sender<Said>) {
    let mut open = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        for &byte in &buffer[..read] {
            if byte != b'\n' && byte != b'\r' {
                open.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&open).into_owned();
            open.clear();
            if lines.send(Said { line, stderr }).await.is_err() {
                return;
            }
        }
    }
    let line = String::from_utf8_lossy(&open).into_owned();
    let _ = lines.send(Said { line, stderr }).await;
}

/// A process group that ends when this is dropped with its id still in it.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // As Ctrl-C does: Vagrant then leaves the machine in a state it knows. Nothing is left to do where
            // it cannot be sent; waiting here would hold up the runtime.
            drop(program::signal("-INT", id).spawn());
        }
    }
}

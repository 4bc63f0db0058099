//! Other programs, run with a deadline; what they complain about becomes the error's cause.

use std::ffi::OsStr;
use std::io::{BufReader, ErrorKind, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use crate::error::{Error, Result};

/// Root's PATH, also where dwenv was started from a shell that leaves the `sbin` folders out.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A watcher hears at least this often that the program is still running.
const TICK: Duration = Duration::from_millis(1000);

/// How long to wait for output after the program itself has ended: a child that it left behind may
/// hold the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(2);

/// One program to be run.
pub struct Program {
    name: String,
    command: Command,
    deadline: Duration,
}

/// How a program ended, and what it wrote.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

enum Heard {
    Line { error: bool, text: String },
    Closed,
}

impl Program {
    pub fn new(name: &str) -> Self {
        let mut command = Command::new(name);
        command
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            // Its own group: when the deadline has passed, what it started ends with it.
            .process_group(0);
        Self {
            name: name.to_owned(),
            command,
            deadline: Duration::from_secs(20),
        }
    }

    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    pub fn stdin(mut self, stdin: Stdio) -> Self {
        self.command.stdin(stdin);
        self
    }

    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end; anything but exit status 0 is an error. `purpose` completes "could not …".
    pub fn run(self, purpose: &str) -> Result<String> {
        self.watch(purpose, |_| {})
    }

    /// Like [`Self::run`], and tells every line it writes; `None` when it has been silent for a while.
    pub fn watch(self, purpose: &str, heard: impl FnMut(Option<&str>)) -> Result<String> {
        let name = self.name.clone();
        let outcome = self.outcome(purpose, heard)?;
        if outcome.status.success() {
            return Ok(outcome.stdout);
        }
        let said = complaint(&outcome.stderr, &outcome.stdout);
        Err(Error::failed(format!("could not {purpose}"))
            .because(format!("`{name}` ended with {}{said}", outcome.status)))
    }

    /// Runs it to its end, whatever its exit status.
    pub fn outcome(
        mut self,
        purpose: &str,
        mut heard: impl FnMut(Option<&str>),
    ) -> Result<Outcome> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|cause| {
            let why = match cause.kind() {
                ErrorKind::NotFound => format!("`{}` is not installed", self.name),
                _ => format!("`{}` could not be started: {cause}", self.name),
            };
            Error::failed(format!("could not {purpose}")).because(why)
        })?;
        let (send, lines) = mpsc::channel();
        tell_lines(child.stdout.take(), false, send.clone());
        tell_lines(child.stderr.take(), true, send);

        let started = Instant::now();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        let mut open = 2;
        while open > 0 {
            let left = self.deadline.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(self.overdue(purpose, &mut child, &stderr, &stdout));
            }
            match lines.recv_timeout(left.min(TICK)) {
                Ok(Heard::Line { error, text }) => {
                    let kept = if error { &mut stderr } else { &mut stdout };
                    kept.push_str(&text);
                    kept.push('\n');
                    heard(Some(&text));
                }
                Ok(Heard::Closed) => open -= 1,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    heard(None);
                    if matches!(child.try_wait(), Ok(Some(_))) {
                        drain(&lines, &mut stdout, &mut stderr);
                        break;
                    }
                }
            }
        }
        loop {
            match child.try_wait() {
                Ok(Some(status)) => {
                    return Ok(Outcome {
                        status,
                        stdout,
                        stderr,
                    });
                }
                Ok(None) if started.elapsed() < self.deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(None) => return Err(self.overdue(purpose, &mut child, &stderr, &stdout)),
                Err(cause) => {
                    return Err(Error::failed(format!("could not {purpose}")).because(cause));
                }
            }
        }
    }

    fn overdue(&self, purpose: &str, child: &mut Child, stderr: &str, stdout: &str) -> Error {
        // The group cannot have been taken by anybody else: its leader has not been waited for yet.
        let group = format!("-{}", child.id());
        let _ = Command::new("sh")
            .args(["-c", "kill -s KILL -- \"$1\"", "sh", &group])
            .stderr(Stdio::null())
            .status();
        let _ = child.kill();
        let _ = child.wait();
        Error::failed(format!("could not {purpose}")).because(format!(
            "`{}` was not done after {} s and was stopped{}",
            self.name,
            self.deadline.as_secs(),
            complaint(stderr, stdout)
        ))
    }
}

/// Where a program is, on root's PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(PATH)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn tell_lines(stream: Option<impl Read + Send + 'static>, error: bool, send: Sender<Heard>) {
    let Some(stream) = stream else {
        let _ = send.send(Heard::Closed);
        return;
    };
    thread::spawn(move || {
        let mut line = Vec::new();
        for byte in BufReader::new(stream).bytes() {
            match byte {
                // Progress meters overwrite their line: each version of it is a line here.
                Ok(b'\n' | b'\r') => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    line.clear();
                    if send.send(Heard::Line { error, text }).is_err() {
                        return;
                    }
                }
                Ok(byte) => line.push(byte),
                Err(_) => break,
            }
        }
        if !line.is_empty() {
            let text = String::from_utf8_lossy(&line).into_owned();
            let _ = send.send(Heard::Line { error, text });
        }
        let _ = send.send(Heard::Closed);
    });
}

fn drain(lines: &mpsc::Receiver<Heard>, stdout: &mut String, stderr: &mut String) {
    let until = Instant::now() + LAST_OUTPUT;
    while let Ok(heard) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if let Heard::Line { error, text } = heard {
            let kept = if error { &mut *stderr } else { &mut *stdout };
            kept.push_str(&text);
            kept.push('\n');
        }
    }
}

/// The lines that tell why: those marked as errors, or else the last few.
fn complaint(stderr: &str, stdout: &str) -> String {
    let text = if stderr.trim().is_empty() {
        stdout
    } else {
        stderr
    };
    let all: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let errors: Vec<&str> = all
        .iter()
        .copied()
        .filter(|line| line.starts_with("E:") || line.contains("error:"))
        .collect();
    let told = if errors.is_empty() { &all } else { &errors };
    let last = &told[told.len().saturating_sub(4)..];
    if last.is_empty() {
        String::new()
    } else {
        format!(": {}", last.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn a_failure_tells_what_the_program_complained_about() {
        let error = sh("echo fine; echo 'E: no such suite' >&2; exit 3")
            .run("make the base")
            .unwrap_err();
        assert_eq!(error.message, "could not make the base");
        let cause = error.cause.unwrap();
        assert!(
            cause.contains("status: 3: E: no such suite"),
            "cause: {cause}"
        );
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = Program::new("no-such-program-here").run("try").unwrap_err();
        assert_eq!(
            error.cause.unwrap(),
            "`no-such-program-here` is not installed"
        );
    }

    #[test]
    fn a_deadline_ends_the_program_and_what_it_started() {
        let started = Instant::now();
        let error = sh("sleep 60 & echo $!; wait")
            .within(Duration::from_millis(300))
            .run("wait")
            .unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(10));
        let cause = error.cause.unwrap();
        let pid = cause.rsplit(' ').next().unwrap();
        // Who is killed may still need a moment to be gone.
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                break;
            }
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "still there: {state}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_child_left_behind_does_not_hold_the_caller() {
        let started = Instant::now();
        let said = sh("sleep 8 & echo here").run("leave a child").unwrap();
        assert_eq!(said, "here\n");
        assert!(started.elapsed() < Duration::from_secs(7));
    }

    #[test]
    fn lines_are_told_as_they_come() {
        let mut seen = Vec::new();
        sh("printf 'a\\rb\\n'; echo c >&2")
            .watch("speak", |line| seen.extend(line.map(str::to_owned)))
            .unwrap();
        seen.sort();
        assert_eq!(seen, ["a", "b", "c"]);
    }
}

//! A run of the built `dwenv`, while it works and when it has ended.

use std::io::Read;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::text;

/// A run of dwenv that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// A pipe that is read while its program runs.
struct Reading {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Reading {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let read = bytes.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // What was read before an error is what there is to show.
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                read.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        text(&self.bytes.lock().unwrap())
    }

    /// All of it, once the program has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
        self.so_far()
    }
}

/// A run of dwenv that has not ended.
pub struct Started {
    began: Instant,
    arguments: String,
    child: Child,
    out: Reading,
    err: Reading,
}

impl Started {
    /// Starts the command, whose stdout and stderr are pipes.
    pub fn of(mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command.spawn().expect("the built dwenv");
        let out = Reading::of(child.stdout.take().expect("a pipe"));
        let err = Reading::of(child.stderr.take().expect("a pipe"));
        Self {
            began: Instant::now(),
            arguments: arguments.join(" "),
            child,
            out,
            err,
        }
    }

    /// What Ctrl-C sends.
    pub fn interrupt(&self) {
        let pid = self.child.id().to_string();
        crate::support::run("sh", &["-c", "kill -INT \"$1\"", "sh", &pid]);
    }

    /// The end that leaves a program no time for anything.
    pub fn kill(mut self) {
        self.child.kill().expect("a child");
        self.wait();
    }

    /// Waits until it has written these words to stderr.
    pub fn await_said(&mut self, words: &str) {
        self.await_that(&format!("says {words:?}"), |run| {
            run.err.so_far().contains(words)
        });
    }

    /// The end at once, which Ctrl-C twice asks for. A run that is over before has not heard of it.
    pub fn interrupt_twice(&mut self) {
        self.interrupt();
        let heard = |run: &Self| run.err.so_far().contains("Stopping after this step");
        while !heard(self) && self.child.try_wait().expect("a child").is_none() {
            assert!(
                self.began.elapsed() < PATIENCE,
                "dwenv {} hears nothing",
                self.arguments
            );
            thread::sleep(Duration::from_millis(2));
        }
        if self.child.try_wait().expect("a child").is_none() {
            self.interrupt();
        }
    }

    /// Waits until this holds of it.
    pub fn await_that(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            assert!(
                self.began.elapsed() < PATIENCE,
                "dwenv {} never {what}",
                self.arguments
            );
            let ended = self.child.try_wait().expect("a child");
            if let Some(ended) = ended {
                // What it wrote last may not have been read yet.
                let said = self.err.whole() + &self.out.whole();
                assert!(
                    holds(self),
                    "dwenv {} never {what}, {ended}\n{said}",
                    self.arguments
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it has written to stdout until now.
    pub fn told_so_far(&self) -> String {
        self.out.so_far()
    }

    pub fn wait(mut self) -> Ran {
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status.code();
            }
            assert!(
                self.began.elapsed() < PATIENCE,
                "dwenv {} hangs",
                self.arguments
            );
            thread::sleep(Duration::from_millis(10));
        };
        let ran = Ran {
            out: self.out.whole(),
            err: self.err.whole(),
            took: self.began.elapsed(),
            arguments: self.arguments.clone(),
            code,
        };
        println!("{ran}");
        ran
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // A run that has ended, as almost all have, is past killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The test failed meanwhile: what was said until then may tell why.
        if self.err.reader.is_some() {
            println!("{}{}", self.err.whole(), self.out.whole());
        }
    }
}

/// A run of dwenv that has ended. Its methods are what a test expects of it, each returning it again.
pub struct Ran {
    pub out: String,
    pub err: String,
    pub took: Duration,
    arguments: String,
    code: Option<i32>,
}

impl std::fmt::Display for Ran {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (took, code) = (self.took.as_secs_f64(), self.code);
        let Self {
            arguments,
            out,
            err,
            ..
        } = self;
        write!(
            to,
            "$ dwenv {arguments}\n{err}{out}[{code:?} after {took:.1} s]"
        )
    }
}

impl Ran {
    #[track_caller]
    pub fn exit(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Somewhere in its output, however the lines are broken.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(
            self.words().contains(words),
            "does not say {words:?}\n{self}"
        );
        self
    }

    #[track_caller]
    pub fn never_says(&self, words: &str) -> &Self {
        assert!(!self.words().contains(words), "says {words:?}\n{self}");
        self
    }

    fn words(&self) -> String {
        let both = format!("{}\n{}", self.err, self.out);
        both.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    pub fn within(&self, seconds: u64) -> &Self {
        assert!(self.took < Duration::from_secs(seconds), "\n{self}");
        self
    }

    /// Its one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }

    /// Doctor found everything as it should be.
    #[track_caller]
    pub fn ready(&self) -> &Self {
        let checks = self.checks();
        let others: Vec<_> = checks.iter().filter(|it| it.status != "pass").collect();
        assert!(others.is_empty(), "{others:#?}");
        assert_eq!(self.json()["counts"]["pass"], checks.len());
        assert_eq!(self.json()["ready"], true);
        self.exit(0)
    }

    /// Doctor found exactly this one cause: everything else passed, or was not judged because of it.
    #[track_caller]
    pub fn fails(&self, id: &str) -> &Self {
        for check in self.checks() {
            match check.status.as_str() {
                "pass" => assert_ne!(check.id, id, "\n{self}"),
                "fail" => assert_eq!(check.id, id, "\n{self}"),
                "skip" => assert_eq!(check.because.as_deref(), Some(id), "{check:?}"),
                _ => panic!("{check:?}"),
            }
        }
        self.exit(1)
    }

    /// One of doctor's checks.
    #[track_caller]
    pub fn check(&self, id: &str) -> Check {
        let found = self.checks().into_iter().find(|check| check.id == id);
        found.unwrap_or_else(|| panic!("no {id}\n{self}"))
    }

    /// All of them.
    #[track_caller]
    pub fn checks(&self) -> Vec<Check> {
        let document = self.json();
        let checks = document["checks"].as_array();
        let checks = checks.unwrap_or_else(|| panic!("no checks\n{self}"));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let check = |check: &Value| Check {
            id: text(&check["id"]).expect("an id"),
            status: text(&check["status"]).expect("a status"),
            summary: text(&check["summary"]).expect("a summary"),
            because: text(&check["because"]),
            commands: check["remedy"]["commands"]
                .as_array()
                .map(|commands| commands.iter().filter_map(text).collect())
                .unwrap_or_default(),
        };
        checks.iter().map(check).collect()
    }
}

/// A check as doctor's JSON has it.
#[derive(Debug)]
pub struct Check {
    pub id: String,
    pub status: String,
    pub summary: String,
    pub because: Option<String>,
    /// Of its remedy.
    pub commands: Vec<String>,
}

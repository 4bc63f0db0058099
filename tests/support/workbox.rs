//! A workshop's box for an end-to-end test: a folder with a `config.toml`, a machine in a network of its own,
//! and the built `dwenv` that works on it. Its end removes all of it, whatever becomes of the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dwenv::target::sandbox::{Running, Spec, State, Suite};
use serde_json::Value;

use crate::support::{Lab, said, ssh, text};

/// The name of the sandbox that `--target sandbox` means, and its host name.
const NAME: &str = "docker-workshop";
/// A run of dwenv that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Workbox {
    lab: Lab,
    suite: Suite,
    variables: BTreeMap<&'static str, String>,
}

impl Workbox {
    /// A folder with a `config.toml`, and no machine.
    pub fn declared(suite: Suite) -> Self {
        let mut workbox = Self {
            lab: Lab::new(),
            suite,
            variables: BTreeMap::new(),
        };
        for folder in [workbox.folder(), workbox.home().join(".ssh")] {
            fs::create_dir_all(folder).expect("the test's folders");
        }
        workbox.variable("DWENV_SANDBOX_SUITE", suite.name());
        workbox.declare("");
        workbox
    }

    /// A machine that nobody has provisioned.
    pub fn bare(suite: Suite) -> Self {
        let workbox = Self::declared(suite);
        workbox.start_machine();
        workbox
    }

    /// A machine that is ready for the workshop.
    pub fn provisioned(suite: Suite) -> Self {
        let workbox = Self::declared(suite);
        workbox.up().exit(0);
        workbox
    }

    /// Makes the machine, and leaves it bare.
    pub fn start_machine(&self) {
        self.lab.up(&Spec {
            suite: self.suite,
            hostname: NAME.to_owned(),
            ..self.lab.spec(NAME, 10)
        });
    }

    /// Writes `config.toml`: the address, and `more`.
    pub fn declare(&self, more: &str) {
        let config = format!("{more}\n[box]\nip = \"{}\"\n", self.address());
        fs::write(self.folder().join("config.toml"), config).expect("config.toml");
    }

    /// Sets a variable in the environment of dwenv.
    pub fn variable(&mut self, name: &'static str, value: &str) {
        self.variables.insert(name, value.to_owned());
    }

    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The workshop's folder, where dwenv runs.
    pub fn folder(&self) -> PathBuf {
        self.lab.folder().join("project")
    }

    /// The home folder of whoever runs dwenv.
    pub fn home(&self) -> PathBuf {
        self.lab.folder().join("home")
    }

    pub fn address(&self) -> Ipv4Addr {
        self.lab.address(10)
    }

    /// The machine, which must run.
    pub fn machine(&self) -> Running {
        match self.lab.store.find(NAME) {
            Ok(Some(State::Running(running))) => running,
            other => panic!("the box does not run: {other:?}"),
        }
    }

    /// The machine's files, as this computer sees them.
    pub fn root(&self) -> PathBuf {
        self.lab.folder().join("machines").join(NAME).join("root")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dwenv"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .env("DWENV_STATE_DIR", self.lab.folder())
            .env("HOME", self.home())
            .env("USER", "tester")
            .env_remove("SSH_AUTH_SOCK")
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs dwenv to its end.
    pub fn dwenv(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).wait()
    }

    /// Starts dwenv.
    pub fn start(&self, arguments: &[&str]) -> Started {
        let mut child = self.command(arguments).spawn().expect("the built dwenv");
        let out = Reading::of(child.stdout.take().expect("a pipe"));
        let err = Reading::of(child.stderr.take().expect("a pipe"));
        Started {
            began: Instant::now(),
            arguments: arguments.join(" "),
            child,
            out,
            err,
        }
    }

    pub fn up(&self) -> Ran {
        self.dwenv(&["up", "--yes", "--target", "sandbox"])
    }

    pub fn provision(&self) -> Ran {
        self.dwenv(&["provision", "--yes", "--target", "sandbox"])
    }

    pub fn doctor(&self) -> Ran {
        self.doctor_of("sandbox")
    }

    pub fn doctor_of(&self, target: &str) -> Ran {
        self.dwenv(&["doctor", "--format", "json", "--target", target])
    }

    /// Runs a command in the box with OpenSSH's client; it must succeed. What it wrote.
    pub fn run(&self, command: &str) -> String {
        said(&self.machine(), command)
    }

    /// Waits in the box until a condition of its shell holds.
    pub fn await_in_box(&self, condition: &str) {
        let waiting = format!("until {condition}; do sleep 0.1; done");
        let output = ssh(
            &self.machine(),
            &format!("timeout 600 sh -c {}", dwenv::quote::sh(&waiting)),
        );
        assert!(output.status.success(), "never came true: {condition}");
    }

    /// The rows that the server answers with: id and payload.
    pub fn rows(&self) -> Vec<(u64, String)> {
        let (status, answer) = self.http("GET", "");
        assert_eq!(status, 200, "{answer}");
        rows(&answer)
    }

    /// Stores a row through the server, and returns all rows.
    pub fn post(&self, payload: &str) -> Vec<(u64, String)> {
        let (status, answer) = self.http("POST", payload);
        assert_eq!(status, 201, "{answer}");
        rows(&answer)
    }

    /// A request from this computer to the server in the box.
    fn http(&self, method: &str, body: &str) -> (u16, Value) {
        let address = SocketAddr::from((self.address(), 8080));
        let mut stream =
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("the server");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a timeout");
        let length = body.len();
        write!(
            stream,
            "{method} / HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = serde_json::from_str(body).expect("JSON");
        (status.expect("a status"), body)
    }

    /// Every file of the box that a change would leave a trace in: path, size, time, mode, owner.
    pub fn fingerprint(&self) -> Vec<String> {
        let listing = self.run(
            "sudo find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp \
             -o -path /var/tmp -o -path /var/log -o -path /var/lib/systemd -o -path /dev \
             -o -path /var/lib/postgresql \\) -prune \
             -o -not -type d -printf '%p %s %T@ %m %u\\n'; sudo ls /run/lock /run/dwenv.lock 2>/dev/null; true",
        );
        let mut lines: Vec<String> = listing.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }
}

/// Both lists are the same; otherwise only what differs is shown.
pub fn assert_untouched(before: &[String], after: &[String]) {
    let lacks = |list: &[String], line: &&String| list.binary_search(*line).is_err();
    let gone: Vec<_> = before.iter().filter(|line| lacks(after, line)).collect();
    let new: Vec<_> = after.iter().filter(|line| lacks(before, line)).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "gone: {gone:#?}\nnew: {new:#?}"
    );
}

fn rows(answer: &Value) -> Vec<(u64, String)> {
    let rows = answer["rows"].as_array().expect("rows");
    assert_eq!(answer["count"], rows.len());
    let row = |row: &Value| {
        (
            row["id"].as_u64().expect("an id"),
            row["payload"].as_str().expect("a payload").to_owned(),
        )
    };
    rows.iter().map(row).collect()
}

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

    /// Waits until this holds of it.
    pub fn await_that(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            assert!(
                self.began.elapsed() < PATIENCE,
                "dwenv {} never {what}",
                self.arguments
            );
            let ended = self.child.try_wait().expect("a child");
            if ended.is_some() {
                // What it wrote last may not have been read yet.
                self.err.whole();
                self.out.whole();
                assert!(holds(self), "dwenv {} never {what}", self.arguments);
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

//! A workshop's box for an end-to-end test: a folder with a `config.toml`, a machine in a network of its own,
//! and the built `dwenv` that works on it. Its end removes all of it, whatever becomes of the test.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dwenv::target::sandbox::{Running, Spec, State, Suite};
use serde_json::Value;

use crate::running::{Ran, Started};
use crate::stocked::stocked;
use crate::support::{Lab, said, ssh, text};

/// The name of the sandbox that `--target sandbox` means, and its host name.
const NAME: &str = "docker-workshop";
pub struct Workbox {
    lab: Lab,
    suite: Suite,
    variables: BTreeMap<&'static str, String>,
}

impl Workbox {
    /// A folder with a `config.toml`, and no machine.
    pub fn declared(suite: Suite) -> Self {
        Self::of(Lab::new(), suite)
    }

    fn of(lab: Lab, suite: Suite) -> Self {
        let mut workbox = Self {
            lab,
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

    /// A machine that has the packages and that nobody has provisioned, for tests to which their installation,
    /// half a minute each time, is not the point.
    pub fn stocked(suite: Suite) -> Self {
        let bases = stocked(suite);
        let mut workbox = Self::of(Lab::of(bases.clone()), suite);
        workbox.variable("DWENV_BASE_DIR", &bases.display().to_string());
        workbox.start_machine();
        workbox
    }

    /// A machine that is ready for the workshop. Its packages were there before it was provisioned.
    pub fn provisioned(suite: Suite) -> Self {
        let workbox = Self::stocked(suite);
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

    /// The changes that provision would make.
    pub fn planned(&self) -> Vec<Value> {
        let line = [
            "provision",
            "--plan",
            "--format",
            "json",
            "--target",
            "sandbox",
        ];
        let plan = self.dwenv(&line).json();
        plan["changes"].as_array().expect("changes").clone()
    }

    /// Runs dwenv to its end.
    pub fn dwenv(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).wait()
    }

    /// Starts dwenv.
    pub fn start(&self, arguments: &[&str]) -> Started {
        Started::of(self.command(arguments), arguments)
    }

    pub fn up(&self) -> Ran {
        self.dwenv(&["up", "--yes", "--target", "sandbox"])
    }

    pub fn provision(&self) -> Ran {
        self.dwenv(&["provision", "--yes", "--target", "sandbox"])
    }

    /// The same, for who reads the document.
    pub fn provision_as_json(&self) -> Ran {
        let json = ["--format", "json", "--target", "sandbox"];
        self.dwenv(&[&["provision", "--yes"], &json[..]].concat())
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

    /// Types a command at a terminal in the workshop's folder, and says yes to what it asks.
    pub fn type_in(&self, command: &str) -> Result<(), String> {
        let ours = self.command(&[]);
        let dwenv = Path::new(ours.get_program())
            .parent()
            .expect("a folder")
            .display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut typing = Command::new("timeout");
        typing
            .args(["600", "script", "-qec", command, "/dev/null"])
            .current_dir(self.folder())
            .envs(
                ours.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", format!("{dwenv}:{path}"))
            .env("TERM", "dumb");
        let mut typing = typing
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let keys = typing.stdin.take();
        // A command that asks nothing may have ended before the answer comes.
        let _ = keys.map(|mut keys| keys.write_all(b"y\ny\ny\n"));
        let typed = typing
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        if typed.status.success() {
            Ok(())
        } else {
            Err(text(&typed.stdout))
        }
    }

    /// Has the box start anew, and waits until it lets somebody in again.
    pub fn reboot(&self) {
        let machine = self.machine();
        let first_process = "cut -d' ' -f22 /proc/1/stat";
        let before = said(&machine, first_process);
        ssh(&machine, "sudo systemctl reboot");
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let now = ssh(&machine, first_process);
            if now.status.success() && text(&now.stdout).trim() != before {
                return;
            }
            assert!(Instant::now() < deadline, "it did not come back");
            thread::sleep(Duration::from_millis(100));
        }
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

    /// Every file of the box that a change would leave a trace in: path, size, time, mode, owner. What the box
    /// starts by itself, a Docker daemon for one, writes until it has started, so that is waited for.
    pub fn fingerprint(&self) -> Vec<String> {
        let listing = self.run(
            "timeout 90 systemctl is-system-running --wait >/dev/null; \
             [ $? -ne 124 ] || { echo 'the box does not end its start' >&2; systemctl list-jobs >&2; exit 1; }; \
             sudo find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp \
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

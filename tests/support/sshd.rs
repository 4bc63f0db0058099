//! A real OpenSSH server for one test, on a free loopback port, gone when the test is.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dwenv::events::{Event, Events};
use dwenv::transport::endpoint::{Agent, Endpoint, HostKeyPolicy};

const SSHD: &str = "/usr/sbin/sshd";

/// A running server. Dropping it kills it and every session it serves.
pub struct Sshd {
    pub port: u16,
    pub folder: tempfile::TempDir,
    listener: Child,
}

/// How the server differs from an ordinary one.
#[derive(Default)]
pub struct Setup {
    options: Vec<String>,
    host_keys: Vec<&'static str>,
    password: Option<&'static str>,
}

impl Setup {
    /// Root's password, for this server and nobody else on this machine.
    pub fn password(mut self, password: &'static str) -> Self {
        self.password = Some(password);
        self
    }

    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Without one, the server has an Ed25519 host key.
    pub fn host_key(mut self, kind: &'static str) -> Self {
        self.host_keys.push(kind);
        self
    }

    pub fn start(self) -> Sshd {
        assert!(
            Path::new(SSHD).exists(),
            "these tests need {SSHD} (openssh-server)"
        );
        // Where Debian's sshd locks its children up; only a service start makes it.
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kinds = match self.host_keys.is_empty() {
            true => vec!["ed25519"],
            false => self.host_keys,
        };
        for kind in &kinds {
            keygen(&host_key_file(folder.path(), kind), kind, "");
        }
        fs::write(folder.path().join("authorized_keys"), "").expect("authorized_keys");
        for _ in 0..5 {
            if let Some((listener, port)) =
                launch(folder.path(), &kinds, &self.options, self.password)
            {
                return Sshd {
                    port,
                    folder,
                    listener,
                };
            }
        }
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("sshd does not start:\n{log}");
    }
}

fn host_key_file(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("host_{kind}"))
}

/// Another process may take the free port first: then there is nothing, and a new port is tried.
fn launch(
    folder: &Path,
    kinds: &[&str],
    options: &[String],
    password: Option<&str>,
) -> Option<(Child, u16)> {
    let port = free_port();
    let mut command = match password {
        None => Command::new(SSHD),
        Some(password) => with_password(folder, password),
    };
    command.args(["-D", "-f", "/dev/null", "-p", &port.to_string()]);
    command.arg("-E").arg(folder.join("log"));
    for kind in kinds {
        command.arg("-h").arg(host_key_file(folder, kind));
    }
    let keys = folder.join("authorized_keys");
    let defaults = [
        // bash reads the tester's own .bashrc when sshd starts it, unless it seems to be nested.
        "SetEnv=SHLVL=2",
        "ListenAddress=127.0.0.1",
        "PidFile=none",
        "PermitRootLogin=yes",
        "StrictModes=no",
        "UsePAM=no",
        "UseDNS=no",
        "PasswordAuthentication=no",
        "PermitUserEnvironment=no",
    ];
    // The first value of an option counts.
    for option in options.iter().map(String::as_str).chain(defaults) {
        command.args(["-o", option]);
    }
    command
        .arg("-o")
        .arg(format!("AuthorizedKeysFile={}", keys.display()));
    let mut child = command.stderr(Stdio::null()).spawn().expect("sshd");
    let give_up = Instant::now() + Duration::from_secs(10);
    while Instant::now() < give_up {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return None;
        }
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let mut greeting = [0; 4];
            if stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-" {
                return Some((child, port));
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// The server in a mount namespace of its own, in which root has this password.
fn with_password(folder: &Path, password: &str) -> Command {
    let hash = Command::new("openssl")
        .args(["passwd", "-6", password])
        .output()
        .expect("openssl");
    let hash = String::from_utf8(hash.stdout).expect("a hash");
    let shadow = folder.join("shadow");
    fs::write(
        &shadow,
        format!("root:{}:19000:0:99999:7:::\n", hash.trim()),
    )
    .expect("shadow");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c"]);
    command.arg("mount --bind \"$0\" /etc/shadow && exec \"$@\"");
    command.arg(shadow).arg(SSHD);
    command
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Makes a key pair.
pub fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"])
        .arg(file)
        .output()
        .expect("ssh-keygen");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Sshd {
    pub fn start() -> Self {
        Setup::default().start()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new key pair that the server lets in.
    pub fn key(&self, kind: &str, passphrase: &str) -> PathBuf {
        let file = self.stranger(kind, passphrase);
        self.let_in(&file);
        file
    }

    /// A new key pair that the server does not know.
    pub fn stranger(&self, kind: &str, passphrase: &str) -> PathBuf {
        let count = fs::read_dir(self.folder.path())
            .expect("the folder")
            .count();
        let file = self.path(&format!("user_{kind}_{count}"));
        keygen(&file, kind, passphrase);
        file
    }

    pub fn let_in(&self, file: &Path) {
        let known = self.path("authorized_keys");
        let mut text = fs::read_to_string(&known).expect("authorized_keys");
        text += &fs::read_to_string(file.with_extension("pub")).expect("the public key");
        fs::write(known, text).expect("authorized_keys");
    }

    /// An endpoint for root with one fresh key, accepting the host key at the first contact.
    pub fn endpoint(&self) -> Endpoint {
        let key = self.key("ed25519", "");
        self.endpoint_with(vec![key])
    }

    pub fn endpoint_with(&self, identities: Vec<PathBuf>) -> Endpoint {
        Endpoint {
            name: "box".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: "root".to_owned(),
            identities,
            agent: Agent::None,
            unused: Vec::new(),
            password: None,
            host_key: HostKeyPolicy::KnownHosts {
                files: vec![self.path("known_hosts")],
                accept_new: true,
                alias: None,
            },
            timeout: Duration::from_secs(10),
            via: Vec::new(),
        }
    }

    /// The public host key as `type base64`.
    pub fn host_key(&self, kind: &str) -> String {
        let file = host_key_file(self.folder.path(), kind).with_extension("pub");
        let text = fs::read_to_string(file).expect("the host key");
        text.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The processes that serve connections: the listener's descendants.
    pub fn sessions(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut parents = vec![self.listener.id()];
        while let Some(parent) = parents.pop() {
            let file = format!("/proc/{parent}/task/{parent}/children");
            let children = fs::read_to_string(file).unwrap_or_default();
            for child in children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
            {
                found.push(child);
                parents.push(child);
            }
        }
        found
    }

    /// Sends a signal to everything that serves connections, and not to the listener.
    pub fn signal_sessions(&self, signal: &str) {
        for pid in self.sessions() {
            let kill = Command::new("kill")
                .args([signal, &pid.to_string()])
                .stderr(Stdio::null())
                .status();
            kill.expect("kill");
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.signal_sessions("-KILL");
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

/// Collects what is told.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Event>>>);

impl Told {
    pub fn events(&self) -> Events {
        let told = Arc::clone(&self.0);
        Events::to(move |event| told.lock().expect("the events").push(event))
    }

    pub fn notes(&self) -> Vec<String> {
        self.pick(|event| match event {
            Event::Note { text } => Some(text),
            _ => None,
        })
    }

    pub fn details(&self) -> Vec<String> {
        self.pick(|event| match event {
            Event::Detail { text } => Some(text),
            _ => None,
        })
    }

    fn pick(&self, of: impl Fn(Event) -> Option<String>) -> Vec<String> {
        self.0
            .lock()
            .expect("the events")
            .iter()
            .cloned()
            .filter_map(of)
            .collect()
    }
}

//! The tools that are compared: how each is had, how it is told to do the work, and how it says that nothing
//! changed.

use std::fmt::{self, Display};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::boxes::{DWENV, FILES, by_hand, succeed};
use crate::support::{run, text};

/// How many boxes each tool works on at once: dwenv's usual `--jobs`.
pub const AT_ONCE: usize = 16;
/// The peers, as pip names them.
const PEERS: [&str; 3] = ["ansible-core", "pyinfra", "pytest-testinfra"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    Dwenv,
    Script,
    Ansible,
    Pyinfra,
    Testinfra,
    /// `ssh BOX true`: what a login alone costs.
    Ssh,
}

impl Tool {
    pub const PROVISIONING: [Self; 4] = [Self::Dwenv, Self::Script, Self::Ansible, Self::Pyinfra];
    pub const CHECKING: [Self; 3] = [Self::Dwenv, Self::Testinfra, Self::Ssh];
}

impl Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dwenv => "dwenv",
            Self::Script => "shell script",
            Self::Ansible => "ansible-core",
            Self::Pyinfra => "pyinfra",
            Self::Testinfra => "pytest-testinfra",
            Self::Ssh => "`ssh BOX true`",
        })
    }
}

/// A box as all tools reach it.
#[derive(Clone, Debug)]
pub struct Seat {
    pub host: String,
    pub port: u16,
    /// Type and key.
    pub host_public_key: String,
}

/// Who works on the boxes: a home folder of the bench's own, with the peers in it.
pub struct Worker {
    /// Where config.toml is.
    project: PathBuf,
    home: tempfile::TempDir,
    bin: PathBuf,
    user: String,
}

impl Worker {
    /// Installs the peers, into a folder that is kept for the next time.
    pub fn new(project: &Path, user: &str) -> Self {
        let home = tempfile::Builder::new()
            // Short: the sockets of OpenSSH's masters are below it.
            .prefix("peers-")
            .tempdir_in("/var/tmp")
            .expect("a folder in /var/tmp");
        fs::create_dir(home.path().join(".ssh")).expect("a folder");
        Self {
            project: project.to_owned(),
            home,
            bin: installed(),
            user: user.to_owned(),
        }
    }

    /// What is compared, and its versions.
    pub fn versions(&self) -> Vec<String> {
        let asked = |program: &Path, argument: &str| {
            let output = succeed(Command::new(program).arg(argument));
            // OpenSSH tells its version on stderr.
            let told = text(&output.stdout) + &text(&output.stderr);
            told.lines().next().unwrap_or_default().trim().to_owned()
        };
        let listed = succeed(Command::new(self.bin.join("pip")).args(["list", "--format=freeze"]));
        let listed = text(&listed.stdout);
        let peers = PEERS.iter().filter_map(|peer| {
            let version = listed
                .lines()
                .find_map(|line| line.strip_prefix(peer)?.strip_prefix("=="))?;
            Some(format!("{peer} {version}"))
        });
        let own = [
            asked(Path::new(DWENV), "--version"),
            asked(&self.bin.join("python"), "--version"),
            asked(Path::new("ssh"), "-V"),
        ];
        let [dwenv, others @ ..] = own;
        std::iter::once(dwenv).chain(peers).chain(others).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Tells every tool where these boxes are, whose keys are known. They are logged in to with one key.
    pub fn prepare(&self, seats: &[Seat], identity: &Path) {
        let write = |name: &str, content: String| {
            fs::write(self.path(name), content).expect("a file in the bench's home");
        };
        let identity_file = self.path("identity");
        fs::copy(identity, &identity_file).expect("the key can be copied");
        let identity = identity_file.display();
        let known_hosts = self.path(".ssh/known_hosts");
        let known_hosts = known_hosts.display();
        let (user, files) = (&self.user, FILES);
        let known = seats.iter().map(|seat| match seat.port {
            22 => format!("{} {}\n", seat.host, seat.host_public_key),
            port => format!("[{}]:{port} {}\n", seat.host, seat.host_public_key),
        });
        write(".ssh/known_hosts", known.collect());
        let config = format!(
            "Host *\n  User {user}\n  IdentityFile {identity}\n  IdentitiesOnly yes\n  \
             UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n"
        );
        // testinfra asks for one connection for all commands, and without a path gets one for each.
        let masters = self.path("masters");
        let shared = format!("{config}  ControlPath {}/%C\n", masters.display());
        write("ssh_shared", shared);
        write("ssh_config", config);
        let hosts = seats.iter().enumerate().map(|(index, seat)| {
            let Seat { host, port, .. } = seat;
            format!("box{index} ansible_host={host} ansible_port={port}\n")
        });
        write(
            "hosts",
            format!(
                "[boxes]\n{}[boxes:vars]\nansible_user={user}\n\
                 ansible_ssh_common_args=-F {}\nprovision={files}\n",
                hosts.collect::<String>(),
                self.path("ssh_config").display()
            ),
        );
        write(
            "ansible.cfg",
            format!(
                "[defaults]\ninventory = {}\nforks = {AT_ONCE}\ngathering = explicit\n\
                 interpreter_python = /usr/bin/python3\n\
                 [ssh_connection]\npipelining = True\ncontrol_path_dir = {}\n",
                self.path("hosts").display(),
                self.path("masters").display()
            ),
        );
        let hosts = seats.iter().enumerate().map(|(index, seat)| {
            let Seat { host, port, .. } = seat;
            format!(
                "    (\"box{index}\", {{\"ssh_hostname\": \"{host}\", \"ssh_port\": {port}}}),\n"
            )
        });
        write(
            "inventory.py",
            format!(
                "boxes = ([\n{}], {{\n    \"ssh_user\": \"{user}\", \"ssh_key\": \"{identity}\",\n    \
                 \"ssh_known_hosts_file\": \"{known_hosts}\", \"ssh_strict_host_key_checking\": \"yes\",\n    \
                 \"provision\": \"{files}\",\n}})\n",
                hosts.collect::<String>()
            ),
        );
    }

    /// Makes the boxes ready, or looks that they are. True: something was changed.
    pub fn provision(&self, tool: Tool, seats: &[Seat]) -> bool {
        match tool {
            Tool::Dwenv => {
                let output = succeed(self.dwenv("provision", seats).arg("--yes"));
                let told = text(&output.stdout);
                let changed = dwenv_changed(&told, seats.len());
                if changed {
                    println!("{told}");
                }
                changed
            }
            Tool::Script => {
                self.by_hand(seats);
                true
            }
            Tool::Ansible => {
                let playbook = here("playbook.yml");
                let output = succeed(self.program("ansible-playbook").arg(playbook));
                ansible_changed(&text(&output.stdout))
            }
            Tool::Pyinfra => {
                let at_once = AT_ONCE.to_string();
                let mut pyinfra = self.program("pyinfra");
                pyinfra.args(["--yes", "--parallel", &at_once, "inventory.py"]);
                let output = succeed(pyinfra.arg(here("deploy.py")));
                pyinfra_changed(&(text(&output.stdout) + &text(&output.stderr)))
            }
            Tool::Testinfra | Tool::Ssh => panic!("{tool} provisions nothing"),
        }
    }

    /// Looks whether a box is ready; it must be.
    pub fn check(&self, tool: Tool, seat: &Seat) {
        let seats = std::slice::from_ref(seat);
        match tool {
            Tool::Dwenv => {
                succeed(&mut self.dwenv("doctor", seats));
            }
            Tool::Testinfra => {
                let host = format!("--hosts=ssh://{}@{}:{}", self.user, seat.host, seat.port);
                let config = format!("--ssh-config={}", self.path("ssh_shared").display());
                let files = format!("--provision={FILES}");
                let mut pytest = self.program("pytest");
                pytest.args(["-q", "-p", "no:cacheprovider", &host, &config, &files]);
                succeed(pytest.arg(here("test_box.py")));
            }
            Tool::Ssh => drop(succeed(self.ssh(seat).arg("true"))),
            _ => panic!("{tool} checks nothing"),
        }
    }

    /// dwenv on these boxes.
    pub fn dwenv(&self, command: &str, seats: &[Seat]) -> Command {
        let mut dwenv = self.started(Path::new(DWENV));
        dwenv.arg(command).arg("-C").arg(&self.project);
        dwenv.arg("--identity").arg(self.path("identity"));
        for Seat { host, port, .. } in seats {
            dwenv.args(["--target", &format!("ssh://{}@{host}:{port}", self.user)]);
        }
        // Only SSH leads through a proxy.
        if command == "doctor" && seats.iter().any(|seat| seat.port != 22) {
            dwenv.args(["--skip", "laptop.reach"]);
        }
        dwenv
    }

    fn ssh(&self, seat: &Seat) -> Command {
        let mut ssh = self.started(Path::new("ssh"));
        ssh.arg("-F").arg(self.path("ssh_config"));
        ssh.args(["-p", &seat.port.to_string(), &seat.host]);
        ssh
    }

    /// The script on each box, so many at once.
    fn by_hand(&self, seats: &[Seat]) {
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE.min(seats.len()) {
                scope.spawn(|| {
                    let take = || next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    while let Some(seat) = seats.get(take()) {
                        by_hand(self.ssh(seat), &self.user);
                    }
                });
            }
        });
    }

    fn program(&self, name: &str) -> Command {
        self.started(&self.bin.join(name))
    }

    fn started(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("ANSIBLE_CONFIG", self.path("ansible.cfg"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    /// Ends OpenSSH's masters, which stay for a minute: whoever comes back after a break has none.
    pub fn part(&self) {
        let masters = fs::read_dir(self.path("masters"));
        for socket in masters.into_iter().flatten().flatten() {
            let path = format!("-oControlPath={}", socket.path().display());
            // One that has ended by itself needs no end.
            let ended = Command::new("ssh")
                .args([&path, "-Oexit", "-Fnone", "box"])
                .output();
            drop(ended);
        }
        let _ = fs::remove_dir_all(self.path("masters"));
        fs::create_dir(self.path("masters")).expect("a folder for OpenSSH's masters");
    }
}

/// A file beside this one.
fn here(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers")).join(name)
}

/// The folder of the peers' programs, which pip fills; what is there already is brought up to date.
fn installed() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || std::env::home_dir().expect("a home").join(".cache"),
        PathBuf::from,
    );
    let folder = cache.join("dwenv/peers");
    let bin = folder.join("bin");
    if !bin.join("pip").exists() {
        let into = folder.to_str().expect("a plain path");
        run("python3", &["-m", "venv", into]);
    }
    let mut pip = Command::new(bin.join("pip"));
    pip.args(["install", "--quiet", "--upgrade"]).args(PEERS);
    succeed(&mut pip);
    bin
}

/// One box says it in a sentence, a room in a line of its table for each.
fn dwenv_changed(told: &str, boxes: usize) -> bool {
    told.matches("Nothing to do").count() < boxes
}

/// The recap has a line for each box.
fn ansible_changed(told: &str) -> bool {
    let recap = told.split_once("PLAY RECAP").map_or("", |(_, recap)| recap);
    let boxes = recap.lines().filter(|line| line.contains("changed="));
    let still = boxes
        .clone()
        .filter(|line| line.split_whitespace().any(|word| word == "changed=0"));
    assert_ne!(
        boxes.clone().count(),
        0,
        "ansible's recap is missing: {told}"
    );
    still.count() < boxes.count()
}

/// The last line counts operations: all, those that changed something, errors, those that did not.
fn pyinfra_changed(told: &str) -> bool {
    let total = told.lines().rev().find_map(|line| {
        let mut words = line
            .trim_start()
            .strip_prefix("Grand total")?
            .split_whitespace();
        words.nth(1)
    });
    total.unwrap_or_else(|| panic!("pyinfra's total is missing: {told}")) != "-"
}

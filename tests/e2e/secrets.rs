//! A canary stands wherever a secret can, and is looked for everywhere it must not be, while dwenv works and after.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dwenv::quote;
use dwenv::target::sandbox::Suite;

use crate::running::Ran;
use crate::support::run;
use crate::terminal::Terminal;
use crate::venue::Proxy;
use crate::workbox::Workbox;

/// A part of every secret here, and of nothing else on this computer.
const CANARY: &str = "canary-4d81";

/// Looks at all processes of this computer, its boxes' among them, and at the files of some folders, again and
/// again.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<Seen>,
}

/// What a watch has seen.
#[derive(Default)]
struct Seen {
    /// Where a canary was.
    leaks: BTreeSet<String>,
    /// The programs whose command lines were read.
    programs: BTreeSet<String>,
    /// The names of the files that were read.
    files: BTreeSet<String>,
}

impl Watch {
    fn over(folders: Vec<PathBuf>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let seen = thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                seen.look_at_processes();
                for folder in &folders {
                    seen.look_into(folder);
                }
                thread::sleep(Duration::from_millis(20));
            }
            seen
        });
        Self { stop, seen }
    }

    fn end(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.seen.join().expect("a watch")
    }
}

impl Seen {
    fn look_at_processes(&mut self) {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        for process in entries.map(|entry| entry.path()) {
            let number = process.file_name().and_then(|name| name.to_str());
            if !number.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
                continue;
            }
            // A process may end at any moment.
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let name = name.trim_end().trim_matches(['(', ')']).to_owned();
            // Known before it is looked at: once it has ended, nobody tells whose it was.
            let of = if is_of_docker(&process) {
                "dockerd"
            } else {
                &name
            };
            for file in ["cmdline", "environ"] {
                self.look_at(&process.join(file), || format!("{file} of {of}"));
            }
            self.programs.insert(name);
        }
    }

    fn look_into(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look_into(&path),
                // To open a pipe would take what is meant for somebody else.
                Ok(kind) if kind.is_file() => {
                    self.look_at(&path, || format!("file {}", path.display()));
                    let name = entry.file_name().to_string_lossy().into_owned();
                    self.files.insert(name);
                }
                _ => {}
            }
        }
    }

    fn look_at(&mut self, file: &Path, place: impl FnOnce() -> String) {
        let bytes = fs::read(file).unwrap_or_default();
        if bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes())
        {
            self.leaks.insert(place());
        }
    }
}

/// Whether this process, or one that it descends from, is Docker's daemon: what the daemon calls (iptables, runc)
/// inherits its environment.
fn is_of_docker(process: &Path) -> bool {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let Some((before, after)) = stat.rsplit_once(") ") else {
        return false;
    };
    if before.ends_with("(dockerd") {
        return true;
    }
    // After the name: the state, and the number of the parent.
    let parent = after.split(' ').nth(1).unwrap_or("0");
    !matches!(parent, "0" | "1") && is_of_docker(&Path::new("/proc").join(parent))
}

/// The box's own root folder as this computer's `/proc` has it, with what is mounted there.
fn root_of(it: &Workbox) -> PathBuf {
    let systemd = |pid: &String| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.trim_end() == "systemd")
    };
    let groups = it.lab().groups();
    let members = groups.iter().flat_map(|group| {
        let listed = run(
            "find",
            &[&group.display().to_string(), "-name", "cgroup.procs"],
        );
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let pids: Vec<String> = listed
            .lines()
            .flat_map(|file| read(file).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        pids
    });
    let first = members
        .into_iter()
        .find(systemd)
        .expect("the box's systemd");
    PathBuf::from(format!("/proc/{first}/root"))
}

/// Otto, who needs a password for sudo, and is let in with the usual key and with one that has a passphrase.
fn add_otto(it: &Workbox, password: &str, passphrase: &str) -> String {
    let key = it.home().join(".ssh/otto").display().to_string();
    run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", passphrase, "-f", &key],
    );
    let public = fs::read_to_string(format!("{key}.pub")).expect("a key");
    it.run(&format!(
        "set -e; sudo useradd -m -s /bin/bash otto; printf 'otto:%s\\n' {} | sudo chpasswd
        echo 'otto ALL=(ALL) ALL' | sudo tee /etc/sudoers.d/otto >/dev/null
        sudo install -d -m 700 -o otto -g otto /home/otto/.ssh
        {{ cat ~/.ssh/authorized_keys; echo {}; }} | sudo tee /home/otto/.ssh/authorized_keys >/dev/null
        sudo chown otto: /home/otto/.ssh/authorized_keys; sudo chmod 600 /home/otto/.ssh/authorized_keys",
        quote::sh(password),
        quote::sh(public.trim_end()),
    ));
    key
}

/// A box, its secrets, and all that was told of it.
struct Rig {
    it: Workbox,
    target: String,
    identity: String,
    told: Vec<String>,
}

impl Rig {
    /// Writes a secret into a file that only its owner may read.
    fn secret(&self, name: &str, text: &str) -> String {
        let file = self.it.folder().join(name);
        fs::write(&file, format!("{text}\n")).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
        file.display().to_string()
    }

    /// Runs dwenv as otto, and keeps what it told.
    fn dwenv(&mut self, arguments: &str) -> Ran {
        let password = self.it.folder().join("sudo.secret").display().to_string();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let as_otto = ["--target", &self.target, "--identity", &self.identity];
        let given = ["--sudo-password-file", &password];
        let ran = self.it.dwenv(&[&arguments[..], &as_otto, &given].concat());
        self.told.push(ran.to_string());
        ran
    }

    /// Doctor in each of its forms, and with all that it writes.
    fn doctor_in_every_form(&mut self) {
        for form in [
            "-v --deep --log run.log",
            "--format json --save saved.json",
            "--format ndjson -v",
            "--format junit",
            "--format markdown",
            "--share",
            "-q --log run.log",
            "-v --target sandbox --log run.log",
            "--report junit:told.xml --report markdown:told.md",
        ] {
            self.dwenv(&format!("doctor {form}"));
            self.keep_files();
        }
    }

    fn keep_files(&mut self) {
        for name in ["run.log", "saved.json", "told.xml", "told.md"] {
            let text = fs::read_to_string(self.it.folder().join(name));
            self.told.extend(text);
        }
    }

    /// With the key that has a passphrase, which somebody types.
    fn on_a_terminal(&mut self, arguments: &str, key: &str, passphrase: &str) {
        let password = self.it.folder().join("sudo.secret").display().to_string();
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let as_otto = ["--target", &self.target, "--identity", key];
        let given = ["--sudo-password-file", &password];
        let mut terminal = Terminal::start(
            self.it
                .command(&[&arguments[..], &as_otto, &given].concat()),
        );
        let left = terminal
            .await_shown("Passphrase of the key")
            .await_hidden()
            .type_in(&format!("{passphrase}\r"))
            .left();
        assert!(
            left.shown.contains("login as otto with the key"),
            "{}",
            left.shown
        );
        self.told.push(left.shown);
        self.keep_files();
    }
}

#[test]
fn no_secret_is_seen_anywhere_but_where_it_is_used() {
    let mut it = Workbox::bare(Suite::Trixie);
    let secret = |what: &str| format!("{CANARY} {what} 'x'");
    let (password, passphrase) = (secret("of sudo"), secret("of the key"));
    let key = add_otto(&it, &password, &passphrase);
    let temporary = it.lab().folder().join("temporary");
    fs::create_dir(&temporary).expect("a folder");
    it.variable("TMPDIR", temporary.to_str().expect("a name"));
    let proxy = Proxy::start(
        it.lab().address(1),
        &format!("anna:{CANARY}-proxy"),
        Vec::new(),
    );
    it.declare(
        "[postgres]\npassword = { file = \"role.secret\" }\n\
         [network]\nproxy = { file = \"proxy.secret\" }\n",
    );
    let root = root_of(&it);
    let watch = Watch::over(
        ["run/dwenv", "tmp", "var/tmp", "dev/shm", "home/otto"]
            .map(|folder| root.join(folder))
            .into_iter()
            .chain([temporary.clone(), it.folder().join(".dwenv")])
            .collect(),
    );
    let mut rig = Rig {
        target: format!("ssh://otto@{}", it.address()),
        identity: it.machine().identity.display().to_string(),
        it,
        told: Vec::new(),
    };
    let address = |password: &str| format!("http://anna:{password}@{}", proxy.place());
    rig.secret("sudo.secret", &password);
    rig.secret("role.secret", &secret("of the role"));
    rig.secret("proxy.secret", &address(&format!("{CANARY}-proxy")));

    // From a bare box to one that is set up. (How well each run ends is for other tests.)
    rig.dwenv("doctor -v --deep --log run.log");
    rig.dwenv("doctor --format json --save saved.json");
    rig.dwenv("provision --plan --diff -v");
    rig.dwenv("provision --yes -v --diff --format ndjson --log run.log")
        .says("\"event\":\"step_finished\",\"step\":\"Write and start");
    rig.keep_files();
    rig.on_a_terminal("doctor -v", &key, &passphrase);
    rig.on_a_terminal("provision -v --yes --log run.log", &key, &passphrase);

    // Where each is wrong: the role's, which is told and mended; sudo's; the proxy's, by which a step fails.
    rig.secret("role.secret", &secret("of another role"));
    rig.doctor_in_every_form();
    rig.dwenv("provision --yes -v");
    rig.secret("sudo.secret", &secret("of nobody"));
    rig.dwenv("doctor -v")
        .says("the one that was given is wrong");
    rig.dwenv("provision --yes --format json");
    rig.secret("sudo.secret", &password);
    rig.it
        .run("sudo apt-get remove -qq docker-buildx >/dev/null 2>&1; sudo apt-get clean");
    rig.secret("proxy.secret", &address(&format!("{CANARY}-wrong")));
    rig.dwenv("provision --yes -v --log run.log")
        .exit(1)
        .says("407");
    rig.dwenv("provision --yes --format ndjson").exit(1);
    rig.keep_files();
    rig.secret("proxy.secret", &address(&format!("{CANARY}-proxy")));
    rig.dwenv("provision --yes --format json");
    rig.dwenv("provision --yes -q");
    // A room: the other one has its own user.
    rig.dwenv("provision --plan --diff -v --target sandbox --log run.log");
    rig.keep_files();

    let seen = watch.end();
    for told in &rig.told {
        assert!(!told.contains(CANARY), "{told}");
    }
    // Docker's daemon takes its proxy from its environment, which root alone may read.
    let leaks: Vec<&String> = seen.leaks.iter().collect();
    assert_eq!(leaks, ["environ of dockerd"]);
    for program in ["dwenv", "sudo", "apt-get", "psql", "sshd-session"] {
        assert!(seen.programs.contains(program), "{program} was never seen");
    }
    for file in ["program", "output", "current"] {
        assert!(seen.files.contains(file), "{file} was never seen");
    }

    // In the box: the files that are for it, for root or their owner alone.
    let search = format!(
        "printf %s%s can {} | sudo grep -rlFs -f - --devices=skip --exclude-dir=proc --exclude-dir=sys \
         --exclude-dir=credentials / | sort | xargs sudo stat -c '%a %U %n'",
        &CANARY[3..]
    );
    assert_eq!(
        rig.it.run(&search),
        "600 root /etc/apt/apt.conf.d/99dwenv-network\n600 root /etc/dwenv/docker-network.env\n\
         600 root /etc/dwenv/postgres-password\n600 otto /etc/profile.d/dwenv-network.sh"
    );
    let journal = format!(
        "sudo journalctl -q --all -o json | grep -c '[c]{}' || true",
        &CANARY[1..]
    );
    assert_eq!(rig.it.run(&journal), "0");

    // On this computer: the files that the secrets are given in.
    let mut given = Vec::new();
    for folder in [rig.it.folder(), rig.it.home(), temporary] {
        let found = run(
            "sh",
            &[
                "-c",
                "grep -rlF -e \"$1\" \"$2\" || true",
                "sh",
                CANARY,
                &folder.display().to_string(),
            ],
        );
        given.extend(found.lines().map(str::to_owned));
    }
    given.sort();
    let names: Vec<&str> = given
        .iter()
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    assert_eq!(names, ["proxy.secret", "role.secret", "sudo.secret"]);
}

//! Real machines for a test: a network that nobody has, a store of its own, and an end to both
//! whatever becomes of the test.

#![allow(dead_code)] // Each test program uses its own part of this.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dwenv::events::{Event, Events};
use dwenv::target::sandbox::{Running, Spec, Store, Suite};

/// A store and a network of this test's own. Its end destroys every machine of the store.
pub struct Lab {
    pub store: Store,
    folder: Option<tempfile::TempDir>,
    network: [u8; 3],
    bridges: Mutex<BTreeSet<String>>,
    machines: Mutex<BTreeSet<String>>,
    // Bound, so that no test that runs at the same time takes the same network.
    _claim: UnixListener,
}

impl Lab {
    /// Fails with the reason where no machine can be made.
    pub fn new() -> Self {
        let bases = std::env::var_os("DWENV_BASE_DIR")
            .map_or_else(|| PathBuf::from("/var/cache/dwenv/base"), PathBuf::from);
        Self::of(bases)
    }

    /// Its machines are copies of these bases.
    pub fn of(bases: PathBuf) -> Self {
        let uid = run("id", &["-u"]);
        assert_eq!(uid.trim(), "0", "tests on real machines must run as root");
        let (network, claim) = free_network();
        let folder = tempfile::Builder::new()
            .prefix("dwenv-test-")
            .tempdir_in("/var/tmp")
            .expect("a folder in /var/tmp");
        Self {
            store: Store::at(folder.path().to_path_buf(), bases).expect("a store"),
            folder: Some(folder),
            network,
            bridges: Mutex::default(),
            machines: Mutex::default(),
            _claim: claim,
        }
    }

    pub fn folder(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("it is there until the end");
        folder.path().to_path_buf()
    }

    /// The address in this lab's network that ends so; 1 is the host.
    pub fn address(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }

    pub fn network(&self) -> String {
        format!("{}/24", self.address(0))
    }

    pub fn spec(&self, name: &str, last: u8) -> Spec {
        Spec {
            name: name.to_owned(),
            suite: Suite::Trixie,
            address: self.address(last),
            user: "vagrant".to_owned(),
            hostname: format!("{name}-box"),
        }
    }

    /// Makes a machine and waits until it answers; what goes on is shown when the test fails.
    pub fn up(&self, spec: &Spec) -> Running {
        let up = self.store.up(spec, &shown());
        let machine = up.unwrap_or_else(|error| panic!("{error}\n{:?}", error.hints));
        let records = fs::read_dir(self.folder().join("bridges")).expect("records of bridges");
        let name = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
        let names = records.flatten().filter_map(|entry| name(entry.path()));
        self.bridges.lock().expect("no poison").extend(names);
        let called = self.called(&spec.name);
        self.machines.lock().expect("no poison").insert(called);
        machine
    }

    /// What a running machine is called on the host.
    pub fn called(&self, name: &str) -> String {
        let record = self.folder().join(format!("machines/{name}/run/run.json"));
        let record = fs::read(record).expect("a record of what runs");
        let record: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
        record["name"].as_str().expect("a name").to_owned()
    }

    /// Ends every process of this lab's machines at once, as if the power went.
    pub fn cut_power(&self) {
        let homes = self.folder().join("machines");
        // Those that dwenv itself has started are among them.
        for name in names_in(&homes) {
            let called = self.called(&name);
            self.machines.lock().expect("no poison").insert(called);
        }
        for group in self.groups() {
            // What ended with a group above it is gone already.
            let _ = fs::write(group.join("cgroup.kill"), "1");
        }
        // A machine that is ending would be taken for one that is booting.
        let deadline = Instant::now() + Duration::from_secs(60);
        let runs = |name: &String| !inits(&homes.join(name)).is_empty();
        while names_in(&homes).iter().any(runs) {
            assert!(Instant::now() < deadline, "a machine outlives its power");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The control groups on the host that are named after this lab's machines.
    pub fn groups(&self) -> Vec<PathBuf> {
        let names = self.machines.lock().expect("no poison");
        let mut found = Vec::new();
        let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(folder) = folders.pop() {
            if names.iter().any(|name| folder.ends_with(name)) {
                found.push(folder.clone());
            }
            let below = fs::read_dir(folder).into_iter().flatten().flatten();
            let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            folders.extend(below.map(|entry| entry.path()));
        }
        found
    }

    /// The bridges that this lab's machines ever had.
    pub fn bridges(&self) -> Vec<String> {
        self.bridges
            .lock()
            .expect("no poison")
            .iter()
            .cloned()
            .collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let mut left = Vec::new();
        for name in self
            .store
            .list()
            .map(|list| list.into_iter().map(|it| it.0))
            .into_iter()
            .flatten()
        {
            if let Err(error) = self.store.destroy(&name, &Events::nowhere()) {
                left.push(format!("{name}: {error}"));
            }
        }
        if left.is_empty() {
            return;
        }
        // What could not be removed stays where somebody can find it.
        let kept = self.folder.take().map(tempfile::TempDir::keep);
        let told = format!("the test's machines in {kept:?} are still there: {left:?}");
        if std::thread::panicking() {
            eprintln!("{told}");
        } else {
            panic!("{told}");
        }
    }
}

/// Events on the test's own output, which cargo shows when the test fails.
pub fn shown() -> Events {
    Events::to(|event| match event {
        Event::StepProgress { .. } | Event::Detail { .. } => {}
        event => println!("{event:?}"),
    })
}

/// Runs a command in the machine with OpenSSH's own client.
pub fn ssh(machine: &Running, command: &str) -> Output {
    Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=10",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(&machine.identity)
        .args(["-p", &machine.port.to_string()])
        .arg(format!("{}@{}", machine.spec.user, machine.spec.address))
        .arg(command)
        .output()
        .expect("the ssh program")
}

/// Like [`ssh`]; the command must succeed. What it wrote, without the last line's end.
pub fn said(machine: &Running, command: &str) -> String {
    let output = ssh(machine, command);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{command}: {}\n{out}\n{err}",
        output.status
    );
    out.trim_end().to_owned()
}

/// Runs a program on the host; it must succeed.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {err}");
    out
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Says how long something took; cargo shows it with `--nocapture`.
pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let done = work();
    println!("{what}: {:.1} s", started.elapsed().as_secs_f64());
    done
}

/// Nothing of the lab's is left on the host: no interface, rule, process, control group.
pub fn assert_host_is_clean(lab: &Lab) {
    let network = lab.network();
    let subnet = network.trim_end_matches("0/24");
    let addresses = run("ip", &["-4", "-o", "address"]) + &run("ip", &["-4", "route"]);
    assert!(!addresses.contains(subnet), "{addresses}");
    for table in ["filter", "nat"] {
        let rules = run("iptables", &["-w", "-t", table, "-S"]);
        assert!(!rules.contains(subnet), "{rules}");
        for bridge in lab.bridges() {
            assert!(!rules.contains(&bridge), "{rules}");
            assert!(!Path::new("/sys/class/net").join(bridge).exists());
        }
    }
    let folder = lab.folder().display().to_string();
    for process in processes() {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(&folder), "{} {line}", process.display());
    }
    assert_eq!(lab.groups(), [""; 0].map(PathBuf::from));
    for name in names_in(&lab.folder().join("machines")) {
        assert_eq!(inits(&lab.folder().join("machines").join(name)), [0; 0]);
    }
}

/// Host pids of the inits that run from this machine's root.
pub fn inits(home: &Path) -> Vec<u32> {
    let Ok(root) = fs::metadata(home.join("root")) else {
        return Vec::new();
    };
    processes()
        .into_iter()
        .filter(|process| {
            let same = |meta: fs::Metadata| (meta.dev(), meta.ino()) == (root.dev(), root.ino());
            let status = fs::read_to_string(process.join("status")).unwrap_or_default();
            let inner = status
                .lines()
                .any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"));
            inner && fs::metadata(process.join("root")).is_ok_and(same)
        })
        .filter_map(|process| process.file_name()?.to_str()?.parse().ok())
        .collect()
}

pub fn processes() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let number = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().chars().all(|c| c.is_ascii_digit()))
    };
    entries.map(|entry| entry.path()).filter(number).collect()
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// A /24 of 10.0.0.0/8 that no interface and no route of this host touches, and no other test has.
fn free_network() -> ([u8; 3], UnixListener) {
    let taken = run("ip", &["-4", "-o", "address"]) + &run("ip", &["-4", "route"]);
    let start = std::process::id() as usize * 37;
    for step in 0..50 * 250 {
        let at = (start + step) % (50 * 250);
        let network = [10, 200 + (at / 250) as u8, 1 + (at % 250) as u8];
        let prefix = format!("{}.{}.", network[0], network[1]);
        if taken
            .split_whitespace()
            .any(|word| word.starts_with(&prefix) && touches(word, network))
        {
            continue;
        }
        let name = format!(
            "dwenv-test-network-{}.{}.{}",
            network[0], network[1], network[2]
        );
        let address = SocketAddr::from_abstract_name(name).expect("a short name");
        if let Ok(claim) = UnixListener::bind_addr(&address) {
            return (network, claim);
        }
    }
    panic!("no network in 10.200.0.0 to 10.249.0.0 is free");
}

/// Whether an address or route of the host's, in the same /16, is of this /24 or wider than it.
fn touches(word: &str, network: [u8; 3]) -> bool {
    let (address, prefix) = word.split_once('/').unwrap_or((word, "32"));
    let third = address.split('.').nth(2).and_then(|part| part.parse().ok());
    third == Some(network[2]) || prefix.parse().is_ok_and(|prefix: u8| prefix < 24)
}

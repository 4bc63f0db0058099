//! Starting and stopping a machine. What runs is known by what was written down before it ran.

use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files;
use super::groups;
use super::machine::{Home, Machine};
use super::network::{self, Bridge};
use super::process::{self, Folder, Process, Signal, until};
use super::spec::{self, Suite};
use super::step::Step;
use crate::error::{Error, ErrorKind, Result};

const BOOT: Duration = Duration::from_secs(90);
const HALT: Duration = Duration::from_secs(60);

/// Runs systemd-nspawn, and again when the machine reboots: without a service manager around it, it
/// ends with 133 then. The shell and each nspawn write down their own line of `/proc/PID/stat` before
/// anything else happens, so that no cut leaves a machine that nobody knows of. Then the shell enters the
/// machine's control groups, and what it starts is born in them. Descriptors that whoever called dwenv
/// left open are closed: a machine lives longer than them.
const SUPERVISOR: &str = r#"
exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
folder=$1
shift
read -r line </proc/self/stat && printf '%s\n' "$line" >"$folder/supervisor" || exit 1
while [ "$1" != -- ]; do
    echo $$ >"$1/cgroup.procs" || exit 1
    shift
done
shift
while :; do
    sh -c 'read -r line </proc/self/stat && printf "%s\n" "$line" >"$0.new" && mv "$0.new" "$0" && exec "$@"' \
        "$folder/nspawn" "$@"
    [ $? -eq 133 ] || exit
done
"#;

/// What is written down about a machine that was started, until it has been stopped cleanly.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The host's boot in which it ran.
    boot: String,
    /// What systemd-nspawn calls it.
    name: String,
    pub bridge: Bridge,
    root: Folder,
    /// Its own control groups.
    #[serde(default)]
    groups: Vec<PathBuf>,
    /// The machine's own pid 1, as the host counts.
    init: Option<Process>,
}

/// The processes that carry a machine, as far as they live.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alive {
    supervisor: Option<Process>,
    nspawn: Option<Process>,
    init: Option<Process>,
}

impl Alive {
    pub fn any(&self) -> bool {
        self.supervisor.or(self.nspawn).or(self.init).is_some()
    }

    /// Whether nothing is missing of it. While it reboots there is no init for a moment.
    pub fn whole(&self) -> bool {
        self.supervisor.is_some() && (self.nspawn.is_some() || self.init.is_none())
    }
}

impl Home {
    fn run_folder(&self) -> std::path::PathBuf {
        self.0.join("run")
    }

    fn run_record(&self) -> std::path::PathBuf {
        self.run_folder().join("run.json")
    }

    /// What was written down when the machine was last started, unless it was stopped since.
    pub fn run(&self) -> Option<Run> {
        serde_json::from_slice(&fs::read(self.run_record()).ok()?).ok()
    }

    fn write_run(&self, run: &Run) -> Result<()> {
        let text = serde_json::to_vec_pretty(run)
            .map_err(|cause| Error::failed("could not write down a sandbox").because(cause))?;
        files::write_record(&self.run_record(), text)
    }

    /// What lives of the machine now.
    pub fn alive(&self) -> Alive {
        let run = self.run();
        let recorded = |name: &str| {
            let line = fs::read_to_string(self.run_folder().join(name)).ok()?;
            Process::from_stat(&line).filter(Process::is_alive)
        };
        let root = Folder::at(&self.root()).or(run.as_ref().map(|run| run.root));
        // Pids of another boot of the host are somebody else's now.
        let this_boot = (run.as_ref()).is_none_or(|run| run.boot == process::boot_id());
        let known = run.as_ref().and_then(|run| run.init).filter(|_| this_boot);
        Alive {
            supervisor: recorded("supervisor").filter(|_| this_boot),
            nspawn: recorded("nspawn").filter(|_| this_boot),
            init: known
                .filter(Process::is_alive)
                .or_else(|| root.and_then(process::init_of)),
        }
    }
}

/// Writes down what a machine is about to need on the host: from here on it counts as its bridge's user.
pub fn announce(home: &Home, name: &str, bridge: &Bridge) -> Result<Run> {
    files::remove_tree(&home.run_folder(), None)?;
    files::make_folder(&home.run_folder())?;
    let root = Folder::at(&home.root())
        .ok_or_else(|| Error::failed("the sandbox's root folder disappeared"))?;
    let run = Run {
        boot: process::boot_id(),
        name: name.to_owned(),
        bridge: bridge.clone(),
        root,
        groups: groups::of(name),
        init: None,
    };
    home.write_run(&run)?;
    Ok(run)
}

/// Starts a machine that was announced, and waits until its sshd answers.
pub fn start(home: &Home, machine: &Machine, mut run: Run, step: &Step) -> Result<()> {
    groups::make(&run.groups, &run.name)?;
    spawn(home, machine, &run)?;
    let appeared = until(
        Duration::from_secs(20),
        || step.still(),
        || {
            // Looked for first: what is recorded by then lives, or has ended.
            let recorded = home.run_folder().join("nspawn").exists();
            let alive = home.alive();
            run.init = alive.init;
            alive.init.is_some() || (recorded && !alive.any())
        },
    );
    if run.init.is_none() {
        let why = if appeared {
            "it ended at once"
        } else {
            "nothing began to run"
        };
        return Err(boot_failure(home, why));
    }
    home.write_run(&run)?;
    await_sshd(home, machine, step)
}

fn spawn(home: &Home, machine: &Machine, run: &Run) -> Result<()> {
    let failed =
        |cause: std::io::Error| Error::failed("could not start the sandbox").because(cause);
    let log = File::create(home.log()).map_err(failed)?;
    let unified = machine.spec.suite != Suite::Bookworm;
    let mut command = Command::new("setsid");
    command
        // Cut from our terminal and session: neither Ctrl-C nor a hang-up of ours reaches it.
        .args(["--fork", "sh", "-c", SUPERVISOR, "dwenv-sandbox"])
        .arg(home.run_folder())
        .args(&run.groups)
        .args(["--", "systemd-nspawn", "--quiet", "--boot", "--register=no"])
        .args(["--settings=no", "--resolv-conf=off", "--timezone=off"])
        .args(["--link-journal=no", "--console=read-only"])
        .args([
            "--capability=all",
            "--system-call-filter=add_key keyctl bpf",
        ])
        .arg(format!("--machine={}", run.name))
        .arg(format!("--network-bridge={}", run.bridge.name))
        .arg(format!("--directory={}", home.root().display()));
    if !Path::new("/run/systemd/system").exists() {
        // There is no service manager on the host that could give it a unit of its own. It stays in the
        // groups that it is started in, and its machine below them.
        command.arg("--keep-unit");
    }
    let status = command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        // Debian 13 refuses to boot on anything else; Debian 12 follows the host.
        .envs(unified.then_some(("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .status()
        .map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(boot_failure(home, &status.to_string()))
    }
}

/// Waits until the machine's sshd says its name.
pub fn await_sshd(home: &Home, machine: &Machine, step: &Step) -> Result<()> {
    let address = SocketAddr::from((machine.spec.address, 22));
    let mut died = false;
    let answered = until(
        BOOT,
        || step.progress(&last_line(home).unwrap_or_default(), None),
        || {
            died = !home.alive().any();
            died || greets(address)
        },
    );
    match (answered, died) {
        (true, false) => Ok(()),
        (_, true) => Err(boot_failure(home, "it ended while it booted")),
        _ => Err(boot_failure(
            home,
            &format!("its sshd did not answer within {} s", BOOT.as_secs()),
        )),
    }
}

/// Whether an SSH server answers there.
fn greets(address: SocketAddr) -> bool {
    let patience = Duration::from_millis(1000);
    // A packet sent before the machine's network is up is lost, and TCP would wait a second to resend.
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(150)) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(patience)).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}

fn boot_failure(home: &Home, why: &str) -> Error {
    let error = Error::new(ErrorKind::Failed, "the sandbox did not start");
    let error = match last_line(home) {
        Some(line) => error.because(format!("{why}; the last it said was: {line}")),
        None => error.because(why),
    };
    error.hint(format!("Its whole console is in {}.", home.log().display()))
}

/// The last line of the machine's console, without colours.
fn last_line(home: &Home) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(home.log()).ok()?).into_owned();
    let plain = console::strip_ansi_codes(&text);
    let line = plain
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())?;
    Some(line.trim_start_matches("[  OK  ] ").to_owned())
}

/// Stops a machine, whatever is left of it, and forgets that it ran. Its bridge stays for the caller.
pub fn stop(home: &Home, name: &str, step: Option<&Step>) -> Result<()> {
    let tick = || {
        if let Some(step) = step {
            step.still();
        }
    };
    let alive = home.alive();
    let mut own_groups = home.run().map(|run| run.groups).unwrap_or_default();
    // Where the record was lost, the machine still stands in them.
    if let Some(init) = &alive.init {
        own_groups.extend(groups::of_process(init, name));
    }
    if let Some(supervisor) = alive.supervisor {
        // First, or it would take the halt for a reboot that was under way.
        supervisor.signal(Signal::Kill)?;
    }
    if let Some(nspawn) = home.alive().nspawn {
        nspawn.signal(Signal::Terminate)?;
        nspawn.wait(HALT, tick);
    } else if let Some(init) = alive.init {
        init.signal(Signal::PowerOff)?;
        init.wait(HALT, tick);
    }
    // Never nspawn before its machine: the machine would live on, and nobody would know.
    if let Some(init) = home.alive().init {
        init.signal(Signal::Kill)?;
        init.wait(Duration::from_secs(10), tick);
    }
    if let Some(nspawn) = home.alive().nspawn
        && !nspawn.wait(Duration::from_secs(5), tick)
    {
        nspawn.signal(Signal::Kill)?;
        nspawn.wait(Duration::from_secs(5), tick);
    }
    if home.alive().any() {
        return Err(Error::failed("the sandbox could not be stopped")
            .because("a process of it survived being killed"));
    }
    // It goes with the machine's network namespace, which the kernel takes apart at leisure.
    let link = spec::link_name(name);
    if !until(Duration::from_secs(5), tick, || !network::exists(&link)) {
        network::remove_link(&link)?;
    }
    groups::remove(&own_groups, name, tick)?;
    // A systemd-nspawn that was killed leaves these, and a newer one then refuses the name.
    for kind in ["unix-export", "propagate"] {
        files::remove_tree(
            &Path::new("/run/systemd/nspawn").join(kind).join(name),
            step,
        )?;
    }
    files::remove_tree(&home.run_folder(), step)
}

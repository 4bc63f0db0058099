//! What a rig makes on the machine, and how it is removed again, by itself or by the next rig.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

/// What every rig's folder begins with, in the folder for temporary files; its owner's pid follows.
pub const PREFIX: &str = "dwenv-vagrant-rig-";

/// What this process was given already: between the choice and the route of it another test may choose.
static GIVEN: Mutex<Vec<Ipv4Addr>> = Mutex::new(Vec::new());

/// A /24 that no interface and no route of this machine touches, and none of Docker's own pools. Nobody is given
/// the same one again.
pub fn free_subnet() -> Ipv4Addr {
    let mut given = GIVEN.lock().expect("no poison");
    let taken = output(Command::new("ip").args(["-4", "-o", "route", "show", "table", "all"]));
    let taken: Vec<Ipv4Addr> = taken
        .split(|c: char| c.is_whitespace() || c == '/')
        .filter_map(|word| word.parse().ok())
        .chain(given.iter().copied())
        .collect();
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let start = (clock / 1000).wrapping_add(std::process::id().wrapping_mul(7919));
    let free = (0..5000)
        .map(|step| {
            let [_, _, b, c] = start.wrapping_add(step).to_be_bytes();
            Ipv4Addr::new(10, 200 + b % 50, c, 0)
        })
        .find(|subnet| {
            // A whole /16 apart: a wider route is then not hidden either.
            taken
                .iter()
                .all(|other| other.octets()[..2] != subnet.octets()[..2])
        })
        .expect("some network is free");
    given.push(free);
    free
}

/// The three rules that let the box out, without the word that adds or deletes them.
pub fn rules(bridge: &str, network: &str) -> [Vec<String>; 3] {
    let words = |text: String| text.split(' ').map(str::to_owned).collect();
    [
        words(format!(
            "nat POSTROUTING -s {network} ! -o {bridge} -j MASQUERADE"
        )),
        words(format!("filter FORWARD -i {bridge} -j ACCEPT")),
        words(format!("filter FORWARD -o {bridge} -j ACCEPT")),
    ]
}

pub fn insertion(rule: &[String]) -> Vec<&str> {
    let mut words = vec!["-t", &rule[0], "-I", &rule[1]];
    words.extend(rule[2..].iter().map(String::as_str));
    words
}

fn deletion(rule: &[String]) -> Vec<&str> {
    let mut words = insertion(rule);
    words[2] = "-D";
    words
}

/// The control group that holds the rig's boxes: Docker's own would be shared with other engines.
pub fn cgroup(scratch: &Path) -> String {
    let name = scratch.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

pub fn written_network(scratch: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(scratch.join("network")).ok()?;
    let (bridge, network) = text.split_once(' ')?;
    Some((bridge.to_owned(), network.to_owned()))
}

/// Removes what tests that were killed left behind.
pub fn remove_leftovers() {
    for entry in fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|owner| owner.parse::<u32>().ok()) else {
            continue;
        };
        if !Path::new(&format!("/proc/{owner}")).exists() {
            remove(&entry.path());
        }
    }
}

/// Ends every process of a rig, then removes its mounts, its network and its folder.
pub fn remove(scratch: &Path) {
    let here = scratch.to_string_lossy().into_owned();
    // The engine, its containerd and its shims name the folder in their command lines; killing a machine's
    // first process ends all that runs in it.
    for process in processes(&here) {
        for child in
            output(Command::new("ps").args(["-o", "pid=", "--ppid", &process])).split_whitespace()
        {
            quietly(Command::new("kill").args(["-KILL", child]));
        }
        quietly(Command::new("kill").args(["-KILL", &process]));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut points: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|point| Path::new(point).starts_with(scratch))
        .collect();
    points.reverse();
    for point in points {
        quietly(Command::new("umount").args(["-l", point]));
    }
    remove_cgroups(scratch);
    if let Some((bridge, network)) = written_network(scratch) {
        for rule in rules(&bridge, &network) {
            quietly(Command::new("iptables").arg("-w").args(deletion(&rule)));
        }
        quietly(Command::new("ip").args(["link", "del", &bridge]));
    }
    if let Err(error) = fs::remove_dir_all(scratch) {
        eprintln!("{here} is left behind: {error}");
    }
}

/// Removes the rig's control group from every tree there is, from the leaves up.
fn remove_cgroups(scratch: &Path) {
    let tree = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(tree).into_iter().flatten().flatten();
    let trees = below.map(|entry| entry.path()).chain([tree.to_owned()]);
    for group in trees
        .map(|tree| tree.join(cgroup(scratch)))
        .filter(|group| group.is_dir())
    {
        // Processes that were killed a moment ago may still stand in it.
        for _ in 0..50 {
            let leaves = output(
                Command::new("find")
                    .arg(&group)
                    .args(["-depth", "-type", "d"]),
            );
            for leaf in leaves.lines() {
                let _ = fs::remove_dir(leaf);
            }
            if !group.exists() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
    }
}

/// The processes whose command line names the folder, apart from this one.
fn processes(folder: &str) -> Vec<String> {
    let mine = std::process::id().to_string();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != mine)
        .filter(|name| {
            let program = fs::read_link(format!("/proc/{name}/exe")).unwrap_or_default();
            let engine = ["dockerd", "containerd", "containerd-shim-runc-v2"];
            let command = fs::read(format!("/proc/{name}/cmdline")).unwrap_or_default();
            program
                .file_name()
                .is_some_and(|file| engine.iter().any(|one| file == *one))
                && String::from_utf8_lossy(&command).contains(&format!("{folder}/"))
        })
        .collect()
}

pub fn run(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

pub fn output(command: &mut Command) -> String {
    command
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

pub fn quietly(command: &mut Command) {
    let _ = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

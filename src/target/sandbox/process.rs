//! Processes by pid *and* start time: a pid that was given to somebody else is never mistaken.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::program::Program;
use crate::error::Result;

/// One process of this boot of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks from the host's boot to the process's start.
    pub started: u64,
}

/// What to tell a process.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// To `systemd-nspawn`: have the machine halt.
    Terminate,
    /// To a machine's init: power off. `SIGRTMIN+4`, as glibc counts.
    PowerOff,
    Kill,
}

impl Process {
    /// The process that has this pid now, unless it has ended and only waits to be collected.
    pub fn at(pid: u32) -> Option<Self> {
        Self::from_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads a line of `/proc/PID/stat`. The command's name, in parentheses, may contain anything.
    pub fn from_stat(line: &str) -> Option<Self> {
        let pid = line.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        // The start time is field 22 of the line; two stand before those counted here.
        let started = fields.get(19)?.parse().ok()?;
        Some(Self { pid, started })
    }

    pub fn is_alive(&self) -> bool {
        Self::at(self.pid) == Some(*self)
    }

    /// Sends a signal; a process that has gone meanwhile is no error.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let signal = match signal {
            Signal::Terminate => "-15",
            Signal::PowerOff => "-38",
            Signal::Kill => "-9",
        };
        let sent = Program::new("sh")
            .args(["-c", "kill \"$1\" \"$2\"", "sh", signal])
            .args([self.pid.to_string()])
            .run("signal a sandbox's process");
        if self.is_alive() {
            sent.map(drop)
        } else {
            Ok(())
        }
    }

    /// Waits until it has ended; whether it has.
    pub fn wait(&self, patience: Duration, mut tick: impl FnMut()) -> bool {
        until(patience, &mut tick, || !self.is_alive())
    }
}

/// Waits until `done`; whether it came true in time. Calls `tick` at once, and again before two seconds are over
/// even where `done` takes one of them.
pub fn until(patience: Duration, mut tick: impl FnMut(), mut done: impl FnMut() -> bool) -> bool {
    const TICK: Duration = Duration::from_millis(800);
    let started = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        if done() {
            return true;
        }
        if started.elapsed() >= patience {
            return false;
        }
        if told.is_none_or(|told| told.elapsed() >= TICK) {
            told = Some(Instant::now());
            tick();
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A folder by device and inode, which hold across mount namespaces where its path does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    pub device: u64,
    pub inode: u64,
}

impl Folder {
    pub fn at(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
        })
    }
}

/// The init of the machine whose root is this folder: the process that lives in it as pid 1 of a pid
/// namespace of its own. Found even where every record of it is lost.
pub fn init_of(root: Folder) -> Option<Process> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        if Folder::at(&entry.path().join("root"))? != root {
            return None;
        }
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        if !is_inner_init(&status) {
            return None;
        }
        Process::at(pid)
    })
}

/// Whether `/proc/PID/status` tells of a pid 1 inside another namespace than ours.
fn is_inner_init(status: &str) -> bool {
    let Some(pids) = status.lines().find_map(|line| line.strip_prefix("NSpid:")) else {
        return false;
    };
    let pids: Vec<&str> = pids.split_whitespace().collect();
    pids.len() > 1 && pids.last() == Some(&"1")
}

/// Names this boot of the host; pids recorded in another one mean nothing.
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_last_parenthesis() {
        let line =
            "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 1 2 3";
        assert_eq!(
            Process::from_stat(line),
            Some(Process {
                pid: 4711,
                started: 987_654
            })
        );
        assert_eq!(Process::from_stat(&line.replace(") S", ") Z")), None);
        assert_eq!(Process::from_stat("4711 (cut"), None);
        assert_eq!(Process::from_stat(""), None);
    }

    #[test]
    fn this_process_is_alive_and_one_with_its_pid_from_another_time_is_not() {
        let me = Process::at(std::process::id()).unwrap();
        assert!(me.is_alive());
        let other = Process {
            started: me.started + 1,
            ..me
        };
        assert!(!other.is_alive());
        // Must not reach this very process.
        other.signal(Signal::Kill).unwrap();
    }

    #[test]
    fn only_pid_1_of_an_inner_namespace_is_an_inner_init() {
        assert!(is_inner_init("Name:\tsystemd\nNSpid:\t812\t1\n"));
        assert!(!is_inner_init("Name:\tsystemd\nNSpid:\t1\n"));
        assert!(!is_inner_init("Name:\tsshd\nNSpid:\t812\t31\n"));
        assert!(!is_inner_init("Name:\tx\n"));
    }
}

//! What the host must give: root, and a few of Debian's programs, installed where they are missing.

use std::fs;
use std::time::Duration;

use super::apt;
use super::program::{self, Program};
use super::step::Step;
use crate::error::{Error, Result};
use crate::events::Events;

/// The programs that make and run a sandbox, and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("ssh-keygen", "openssh-client"),
    ("chroot", "coreutils"),
    ("flock", "util-linux"),
    ("setsid", "util-linux"),
];

/// Says so where the person is not root: everything about a sandbox is root's business.
pub fn require_root() -> Result<()> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    if effective == Some("0") {
        return Ok(());
    }
    Err(Error::usage("a sandbox needs root")
        .because("it is a machine of its own, with its own network and users")
        .hint("Run the same command again with `sudo`, or use Vagrant or an `ssh://` target."))
}

/// Installs the programs that are missing, and says which.
pub fn require_programs(events: &Events) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(", ");
    if program::find("apt-get").is_none() {
        return Err(Error::failed(format!("a sandbox needs {list}"))
            .because("they are not here, and this machine has no apt-get to install them")
            .hint("A sandbox runs on Debian and Ubuntu. Use Vagrant or an `ssh://` target here."));
    }
    events.note(format!(
        "Installing what a sandbox needs on this machine: {list}"
    ));
    Step::run(events, &format!("Installing {list}"), |step| {
        let apt = |args: &[&str]| {
            Program::new("apt-get")
                .args(["-o", "DPkg::Lock::Timeout=120", "-y"])
                .args(args)
                .within(Duration::from_secs(900))
                .watch(&format!("install {list}"), |line| step.heard(line))
        };
        apt(&["update"])?;
        apt(&[&["install", "--no-install-recommends"], &missing[..]].concat())?;
        Ok(())
    })
}

fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> = PROGRAMS
        .iter()
        .filter(|(name, _)| program::find(name).is_none())
        .map(|(_, package)| *package)
        .collect();
    if !std::path::Path::new(apt::KEYRING).exists() {
        packages.push("debian-archive-keyring");
    }
    packages.sort_unstable();
    packages.dedup();
    packages
}

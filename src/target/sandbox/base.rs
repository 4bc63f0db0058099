//! The bare Debian that every sandbox of a release is a copy of, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::lock::{Lock, Mode};
use super::program::Program;
use super::spec::Suite;
use super::step::Step;
use super::{apt, files};
use crate::error::{Error, Result};
use crate::events::Events;

/// What a freshly installed Debian server has beyond its essential packages, and no more: the rest is
/// for provision to bring.
const PACKAGES: &[&str] = &[
    "ca-certificates",
    "dbus",
    "iproute2",
    "netbase",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
];

/// Units that cannot work in a machine that shares the host's kernel, or that would change the machine
/// behind the back of whoever is watching it.
const MASKED: &[&str] = &[
    // Loading modules is the host's business; where this fails a healthy machine reads "degraded".
    "systemd-modules-load.service",
    // Its standard input is empty, so a login prompt there would end and start again for ever.
    "console-getty.service",
    // The host key is made before the first boot; this would add others, and seconds.
    "sshd-keygen.service",
    "apt-daily.service",
    "apt-daily.timer",
    "apt-daily-upgrade.service",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
];

/// A login while the machine still boots is refused, in words that look like a wrong key. So sshd
/// answers only once logins are allowed.
const SSH_AFTER_BOOT: &str = "[Unit]\nAfter=systemd-user-sessions.service\n";

const LOCALE: &str = "LANG=C.UTF-8\n";

/// Under a host with version 1 control groups a Debian 12 machine gets them read-only, and Docker needs
/// to write there. Where they are version 2 there is nothing mounted below, and nothing to do.
const WRITABLE_CGROUPS: &str = "\
[Unit]
Description=Let Docker write to the control groups
Before=docker.service containerd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for group in /sys/fs/cgroup/*; do if mountpoint -q \"$group\"; then mount -o remount,rw,bind \"$group\"; fi; done'

[Install]
WantedBy=multi-user.target
";

/// A finished base. It is not replaced as long as this value lives.
pub struct Base {
    pub root: PathBuf,
    _lock: Lock,
}

/// Where the base of a release is, or will be.
pub fn folder_of(folder: &Path, suite: Suite) -> PathBuf {
    folder.join(format!("{}-{}", suite.name(), recipe(suite)))
}

/// Finds the base of a release, or makes it. Another run that is making it is waited for.
pub fn get(folder: &Path, suite: Suite, events: &Events) -> Result<Base> {
    files::make_folder(folder)?;
    let root = folder_of(folder, suite);
    let lock_path = folder.join(format!("{}.lock", suite.name()));
    let patience = Duration::from_secs(1200);
    let waiting = || {
        events.note(format!(
            "Another run is making the base of {suite}; waiting for it"
        ))
    };
    for _ in 0..3 {
        let lock = Lock::take(&lock_path, Mode::Shared, patience, waiting)?;
        if root.is_dir() {
            return Ok(Base { root, _lock: lock });
        }
        drop(lock);
        let lock = Lock::take(&lock_path, Mode::Exclusive, patience, waiting)?;
        if !root.is_dir() {
            make(folder, &root, suite, &lock, events)?;
        }
    }
    Err(Error::failed(format!("the base of {suite} disappeared"))
        .because(format!("something removes {}", root.display())))
}

/// Changes with whatever goes into a base: versions of dwenv that differ in it, side by side on one
/// host, each keep their own.
fn recipe(suite: Suite) -> String {
    let mut hash = Sha256::new();
    for part in PACKAGES.iter().chain(MASKED) {
        hash.update(part);
        hash.update("\n");
    }
    hash.update(SSH_AFTER_BOOT);
    hash.update(LOCALE);
    if suite == Suite::Bookworm {
        hash.update(WRITABLE_CGROUPS);
    }
    let digest = hash.finalize();
    format!("{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
}

fn make(folder: &Path, root: &Path, suite: Suite, lock: &Lock, events: &Events) -> Result<()> {
    let sources = apt::sources(suite)?;
    Step::run(events, &format!("Making the base of {suite}"), |step| {
        let half = folder.join(format!(".{}.new", suite.name()));
        files::remove_tree(&half, Some(step))?;
        bootstrap(&half, suite, &sources, lock, step)?;
        step.progress("settling it", None);
        settle(&half, suite)?;
        fs::rename(&half, root)
            .map_err(|cause| Error::failed("could not finish the base").because(cause))
    })
}

fn bootstrap(
    root: &Path,
    suite: Suite,
    sources: &[String],
    lock: &Lock,
    step: &Step,
) -> Result<()> {
    let mut program = Program::new("mmdebstrap").args([
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        "--verbose",
        &format!("--include={}", PACKAGES.join(",")),
    ]);
    for file in apt::settings() {
        program = program.args([format!("--aptopt={}", file.display())]);
    }
    program
        .args([suite.name()])
        .args([root])
        .args(sources)
        // Should dwenv be killed, the next run waits until this has noticed.
        .stdin(lock.stdin()?)
        .within(Duration::from_secs(1200))
        .watch(&format!("make the base of {suite}"), |line| {
            match line.and_then(|line| line.strip_prefix("I: ")) {
                Some(phase) => step.progress(phase.trim_end_matches('.'), None),
                None => step.heard(line),
            }
        })
        .map_err(|error| {
            error.hint(format!(
                "If the mirror is at fault, give another one in the environment variable {}.",
                apt::MIRROR_VARIABLE
            ))
        })?;
    Ok(())
}

/// Makes it the same for every machine, and nobody's in particular.
fn settle(root: &Path, suite: Suite) -> Result<()> {
    for folder in ["etc/ssh", "etc/apt/apt.conf.d"] {
        for entry in fs::read_dir(root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What the packages made, and what mmdebstrap was told for this one run.
            if name.starts_with("ssh_host_") || name == "99mmdebstrap" {
                fs::remove_file(entry.path()).map_err(|cause| {
                    Error::failed(format!("could not remove {name} from the base")).because(cause)
                })?;
            }
        }
    }
    files::write(
        root,
        "/etc/systemd/system/ssh.service.d/dwenv.conf",
        0o644,
        SSH_AFTER_BOOT,
    )?;
    // Debian 13 reads the first, Debian 12 the second.
    for path in ["/etc/locale.conf", "/etc/default/locale"] {
        files::write(root, path, 0o644, LOCALE)?;
    }
    let mut enabled = vec!["enable", "systemd-networkd.service"];
    if suite == Suite::Bookworm {
        let unit = "dwenv-cgroups.service";
        let path = format!("/etc/systemd/system/{unit}");
        files::write(root, &path, 0o644, WRITABLE_CGROUPS)?;
        enabled.push(unit);
    }
    for args in [enabled, [&["mask"], MASKED].concat()] {
        chroot(root, "systemctl", &args, "set the base's units")?;
    }
    Ok(())
}

/// Runs one of the machine's own programs in its root, before it has booted.
pub fn chroot(root: &Path, program: &str, args: &[&str], purpose: &str) -> Result<String> {
    Program::new("chroot")
        .args([root])
        .args([program])
        .args(args)
        .within(Duration::from_secs(60))
        .run(purpose)
}

/// Copies a base to a new machine's root.
pub fn copy(base: &Base, root: &Path, lock: &Lock, step: &Step) -> Result<()> {
    step.progress("copying its base", None);
    Program::new("cp")
        .args(["-a", "--reflink=auto", "--"])
        .args([base.root.as_path(), root])
        // Should dwenv be killed, nobody touches the machine until this has ended.
        .stdin(lock.stdin()?)
        .within(Duration::from_secs(300))
        .watch("copy the sandbox's base", |line| {
            if line.is_none() {
                step.still();
            }
        })?;
    Ok(())
}

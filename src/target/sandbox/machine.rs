//! A machine's own folder: its root, its keys, its record; made whole or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::base::{self, Base};
use super::lock::Lock;
use super::network::Bridge;
use super::program::Program;
use super::spec::Spec;
use super::step::Step;
use super::{apt, files};
use crate::error::{Error, Result};

const RESOLVER_MARK: &str = "# The host's, copied at every start by dwenv.\n";

/// What is known of a machine that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Random, given once: also the machine's own `/etc/machine-id`.
    pub id: String,
    pub spec: Spec,
}

/// Where the parts of one machine are.
pub struct Home(pub PathBuf);

impl Home {
    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub fn identity(&self) -> PathBuf {
        self.0.join("identity")
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("console.log")
    }

    fn record(&self) -> PathBuf {
        self.0.join("machine.json")
    }

    /// What was written down about the machine when it was made.
    pub fn machine(&self) -> Result<Machine> {
        let failed = |cause: String| {
            Error::failed(format!("the sandbox in {} is damaged", self.0.display()))
                .because(cause)
                .hint("Remove it with `dwenv destroy`, then make it anew with `dwenv up`.")
        };
        let text = fs::read(self.record()).map_err(|cause| failed(cause.to_string()))?;
        let machine: Machine =
            serde_json::from_slice(&text).map_err(|cause| failed(cause.to_string()))?;
        if self.root().is_dir() {
            Ok(machine)
        } else {
            Err(failed("its root folder is missing".to_owned()))
        }
    }

    pub fn write_machine(&self, machine: &Machine) -> Result<()> {
        let text = serde_json::to_vec_pretty(machine)
            .map_err(|cause| Error::failed("could not write down a sandbox").because(cause))?;
        files::write_record(&self.record(), text)
    }

    pub fn host_public_key(&self) -> Result<String> {
        let path = self.0.join("host_key.pub");
        let text = fs::read_to_string(&path).map_err(|cause| {
            Error::failed(format!("could not read {}", path.display())).because(cause)
        })?;
        Ok(text
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" "))
    }
}

/// Makes a machine in `half`; the caller moves it to its place when all is done.
pub fn make(half: &Home, spec: &Spec, base: &Base, lock: &Lock, step: &Step) -> Result<Machine> {
    files::make_folder(&half.0)?;
    base::copy(base, &half.root(), lock, step)?;
    step.progress("making its keys and its user", None);
    let id = random_id()?;
    let root = half.root();
    make_keys(half, spec, &id)?;
    make_user(half, spec)?;
    files::write(&root, "/etc/machine-id", 0o444, format!("{id}\n"))?;
    files::write(&root, "/etc/timezone", 0o644, "Etc/UTC\n")?;
    write_host_settings(&root, spec)?;
    write_identity(&root, spec)?;
    let machine = Machine {
        id,
        spec: spec.clone(),
    };
    half.write_machine(&machine)?;
    Ok(machine)
}

/// Settings that may differ at every start: the host's network does.
pub fn prepare_start(
    home: &Home,
    machine: &mut Machine,
    spec: &Spec,
    bridge: &Bridge,
) -> Result<()> {
    let root = home.root();
    if machine.spec != *spec {
        write_identity(&root, spec)?;
        machine.spec = spec.clone();
        home.write_machine(machine)?;
    }
    let network = format!(
        "# Written at every start by dwenv.\n[Match]\nName=host0\n\n[Link]\nMTUBytes={}\n\n\
         [Network]\nAddress={}/24\nGateway={}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
        bridge.mtu(),
        spec.address,
        bridge.network.router(),
    );
    files::write(
        &root,
        "/etc/systemd/network/10-dwenv.network",
        0o644,
        network,
    )?;
    // A machine where somebody installed a resolver of its own keeps that.
    let resolver = "/etc/resolv.conf";
    let theirs = || {
        let text = fs::read_to_string(root.join("etc/resolv.conf")).unwrap_or_default();
        !text.is_empty() && !text.starts_with(RESOLVER_MARK)
    };
    if files::is_plain(&root, resolver) && !theirs() {
        files::write(&root, resolver, 0o644, resolver_settings())?;
    }
    Ok(())
}

fn random_id() -> Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
        .map(|id| id.trim().replace('-', ""))
        .map_err(|cause| Error::failed("could not make a machine's id").because(cause))
}

/// The key to log in with, and the machine's own, which are known before it first boots.
fn make_keys(half: &Home, spec: &Spec, id: &str) -> Result<()> {
    let generate = |path: &Path, comment: &str| {
        Program::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"])
            .args([path])
            .run("make the sandbox's keys")
    };
    generate(&half.identity(), &format!("dwenv-sandbox-{}", spec.name))?;
    let host_key = half.0.join("host_key");
    generate(&host_key, &format!("root@{id}"))?;
    let failed =
        |cause: std::io::Error| Error::failed("could not move the sandbox's keys").because(cause);
    let read = |path: &Path| fs::read(path).map_err(failed);
    let root = half.root();
    let place = "/etc/ssh/ssh_host_ed25519_key";
    files::write(&root, place, 0o600, read(&host_key)?)?;
    let public = read(&half.0.join("host_key.pub"))?;
    files::write(&root, &format!("{place}.pub"), 0o644, public)?;
    fs::remove_file(&host_key).map_err(failed)
}

fn make_user(half: &Home, spec: &Spec) -> Result<()> {
    let (root, user) = (half.root(), spec.user.as_str());
    let home = if user == "root" {
        "/root".to_owned()
    } else {
        let purpose = "make the sandbox's user";
        let args = ["-m", "-U", "-s", "/bin/bash", user];
        base::chroot(&root, "useradd", &args, purpose)?;
        let rule = format!("{user} ALL=(ALL:ALL) NOPASSWD: ALL\n");
        files::write(&root, &format!("/etc/sudoers.d/{user}"), 0o440, rule)?;
        format!("/home/{user}")
    };
    let public = fs::read(half.0.join("identity.pub"))
        .map_err(|cause| Error::failed("could not read the sandbox's key").because(cause))?;
    let folder = format!("{home}/.ssh");
    files::write(&root, &format!("{folder}/authorized_keys"), 0o600, public)?;
    fs::set_permissions(
        root.join(folder.trim_start_matches('/')),
        fs::Permissions::from_mode(0o700),
    )
    .map_err(|cause| Error::failed("could not protect the sandbox's key").because(cause))?;
    let owner = format!("{user}:");
    let args = ["-R", owner.as_str(), folder.as_str()];
    base::chroot(&root, "chown", &args, "give the sandbox's user its key").map(drop)
}

/// What the host knows and the machine needs too, to reach the same mirror and trust the same servers.
fn write_host_settings(root: &Path, spec: &Spec) -> Result<()> {
    let sources = apt::sources(spec.suite)?.join("\n") + "\n";
    files::write(root, "/etc/apt/sources.list", 0o644, sources)?;
    let mut copied: Vec<(PathBuf, String)> = apt::settings()
        .into_iter()
        .map(|path| (path, "/etc/apt/apt.conf.d".to_owned()))
        .collect();
    let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
    copied.push((certificates.into(), "/etc/ssl/certs".into()));
    // A later `update-ca-certificates` builds the file above anew, from these.
    for entry in fs::read_dir("/usr/local/share/ca-certificates")
        .into_iter()
        .flatten()
        .flatten()
    {
        copied.push((entry.path(), "/usr/local/share/ca-certificates".into()));
    }
    for (from, folder) in copied {
        let Some(name) = from.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        // What the host does not have, the machine need not have.
        if let Ok(content) = fs::read(&from) {
            files::write(root, &format!("{folder}/{name}"), 0o644, content)?;
        }
    }
    Ok(())
}

fn write_identity(root: &Path, spec: &Spec) -> Result<()> {
    let name = &spec.hostname;
    files::write(root, "/etc/hostname", 0o644, format!("{name}\n"))?;
    let hosts = format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    );
    files::write(root, "/etc/hosts", 0o644, hosts)
}

/// The host's resolvers, except those that only the host itself can ask.
fn resolver_settings() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (plain, behind) = (
        read("/etc/resolv.conf"),
        read("/run/systemd/resolve/resolv.conf"),
    );
    let reachable = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| {
                let mut words = line.split_whitespace();
                match (words.next(), words.next()) {
                    (Some("nameserver"), Some(server)) => {
                        !server.starts_with("127.") && server != "::1"
                    }
                    (Some("search" | "options" | "domain"), _) => true,
                    _ => false,
                }
            })
            .map(str::to_owned)
            .collect()
    };
    let mut lines = reachable(&plain);
    if !lines.iter().any(|line| line.starts_with("nameserver")) {
        lines = reachable(&behind);
    }
    format!("{RESOLVER_MARK}{}\n", lines.join("\n"))
}

/// Removes a machine's folder. It is renamed first, so that a cut leaves no machine that looks whole.
pub fn remove(home: &Home, gone: &Path, step: Option<&Step>) -> Result<()> {
    files::remove_tree(gone, step)?;
    if home.0.exists() {
        fs::rename(&home.0, gone).map_err(|cause| {
            Error::failed(format!("could not remove {}", home.0.display())).because(cause)
        })?;
        files::remove_tree(gone, step)?;
    }
    Ok(())
}

/// How long another run may take with a machine before this one gives up waiting for it.
pub const PATIENCE: Duration = Duration::from_secs(600);

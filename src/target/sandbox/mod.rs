//! Sandboxes: real Debian machines with systemd and sshd, each in its own network namespace on this
//! host, made, started, found again, stopped and removed by dwenv. Linux and root only.
//!
//! A store holds `machines/NAME` (root, keys, record, and `run/` while it runs), `bridges/` and `locks/`.
//! What a machine needs on the host is written down before it is made there, so that a later run finds
//! and removes what a cut one left.

mod apt;
mod base;
mod bridges;
mod files;
mod groups;
mod host;
mod lock;
mod machine;
mod network;
mod power;
mod process;
mod program;
mod spec;
mod step;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::events::Events;
use lock::{Lock, Mode};
use machine::{Home, Machine};
pub use spec::{Network, Spec, Suite};
use step::Step;

/// Where sandboxes live on this host.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    bases: PathBuf,
}

/// A sandbox that answers.
#[derive(Clone, Debug)]
pub struct Running {
    /// Random, given to this machine when it was made: what its host key is pinned by.
    pub id: String,
    pub spec: Spec,
    pub port: u16,
    /// The private key to log in with.
    pub identity: PathBuf,
    /// Type and key, as in `ssh-ed25519 AAAA…`.
    pub host_public_key: String,
}

/// How a sandbox is.
#[derive(Clone, Debug)]
pub enum State {
    Running(Running),
    Stopped(Spec),
    /// Something is left of it that `up` or `destroy` will clean up: what.
    Broken(String),
}

impl Store {
    /// The folders that `DWENV_STATE_DIR` and `DWENV_BASE_DIR` name, or the usual ones.
    pub fn from_env() -> Result<Self> {
        let folder = |variable: &str, usual: &str| {
            std::env::var_os(variable)
                .filter(|value| !value.is_empty())
                .map_or_else(|| PathBuf::from(usual), PathBuf::from)
        };
        Self::at(
            folder("DWENV_STATE_DIR", "/var/lib/dwenv"),
            folder("DWENV_BASE_DIR", "/var/cache/dwenv/base"),
        )
    }

    /// A store in `folder`, its machines copied from the bases in `bases`.
    pub fn at(folder: PathBuf, bases: PathBuf) -> Result<Self> {
        for path in [&folder, &bases] {
            if !path.is_absolute() {
                return Err(
                    Error::usage(format!("{} is no place for sandboxes", path.display()))
                        .because("it must be an absolute path"),
                );
            }
        }
        // The names of bridges and machines follow from it: one place has one name.
        let folder = fs::canonicalize(&folder).unwrap_or(folder);
        Ok(Self { folder, bases })
    }

    /// The folder of the base that machines of this release are copies of, whether it is made already or not.
    #[must_use]
    pub fn base_of(&self, suite: Suite) -> PathBuf {
        base::folder_of(&self.bases, suite)
    }

    /// Makes the sandbox if it is missing, starts it if it is stopped, and returns once its sshd answers.
    pub fn up(&self, spec: &Spec, events: &Events) -> Result<Running> {
        spec.check()?;
        host::require_root()?;
        host::require_programs(events)?;
        let store = self.made()?;
        let lock = store.lock(&spec.name, events)?;
        let home = store.home(&spec.name);
        store.clear_halves(&spec.name)?;
        let mut machine = store.machine(&home, spec, &lock, events)?;
        let bridge = store.bridge(spec);
        if home.alive().whole() {
            if machine.spec.address != spec.address || machine.spec.hostname != spec.hostname {
                return Err(Error::usage(format!(
                    "the sandbox `{}` runs as {} at {}",
                    spec.name, machine.spec.hostname, machine.spec.address
                ))
                .hint(
                    "Stop it with `dwenv down`, then `dwenv up` starts it with its new settings.",
                ));
            }
            store.make_bridge(&bridge)?;
            let name = format!("Waiting for the sandbox `{}`", spec.name);
            if home.alive().any() {
                Step::run(events, &name, |step| {
                    power::await_sshd(&home, &machine, step)
                })?;
                return running(&home, machine);
            }
        }
        let name = spec::machine_name(&store.folder, &spec.name);
        Step::run(
            events,
            &format!("Starting the sandbox `{}`", spec.name),
            |step| {
                if home.run().is_some() || home.alive().any() {
                    step.progress("ending what an earlier run left", None);
                    power::stop(&home, &name, Some(step))?;
                }
                store.refuse_taken_address(spec)?;
                let run = power::announce(&home, &name, &bridge)?;
                let started = store.make_bridge(&bridge).and_then(|()| {
                    machine::prepare_start(&home, &mut machine, spec, &bridge)?;
                    power::start(&home, &machine, run, step)
                });
                if started.is_err() {
                    // The first failure is the one to tell; what this leaves, the next run finds.
                    let _ = power::stop(&home, &name, Some(step));
                    let _ = store.release_bridges(&spec.name);
                }
                started
            },
        )?;
        running(&home, machine)
    }

    /// How a sandbox is; `None` where nothing of that name is left.
    pub fn find(&self, name: &str) -> Result<Option<State>> {
        spec::check_name(name)?;
        host::require_root()?;
        let home = self.home(name);
        if !home.0.exists() {
            let left = self.halves(name).into_iter().find(|path| path.exists());
            return Ok(left.map(|path| State::Broken(format!("{} is left", path.display()))));
        }
        let machine = match home.machine() {
            Ok(machine) => machine,
            Err(error) => return Ok(Some(State::Broken(error.to_string()))),
        };
        let alive = home.alive();
        Ok(Some(if alive.whole() {
            State::Running(running(&home, machine)?)
        } else if alive.any() {
            State::Broken("it runs, but what watched over it has ended".to_owned())
        } else {
            State::Stopped(machine.spec)
        }))
    }

    /// All sandboxes of this store by name, and what is left of such.
    pub fn list(&self) -> Result<Vec<(String, State)>> {
        host::require_root()?;
        let mut found = Vec::new();
        for name in self.names() {
            if let Some(state) = self.find(&name)? {
                found.push((name, state));
            }
        }
        Ok(found)
    }

    /// Stops a sandbox and keeps it. One that is stopped, or not there, is no error.
    pub fn down(&self, name: &str, events: &Events) -> Result<()> {
        spec::check_name(name)?;
        host::require_root()?;
        if !self.folder.exists() {
            return Ok(());
        }
        let store = self.made()?;
        let _lock = store.lock(name, events)?;
        store.clear_halves(name)?;
        store.power_off(name, events)?;
        store.release_bridges(name)
    }

    /// Stops a sandbox and removes all of it. One that is not there is no error.
    pub fn destroy(&self, name: &str, events: &Events) -> Result<()> {
        spec::check_name(name)?;
        host::require_root()?;
        if !self.folder.exists() {
            return Ok(());
        }
        let store = self.made()?;
        let _lock = store.lock(name, events)?;
        store.power_off(name, events)?;
        let home = store.home(name);
        if home.0.exists() {
            Step::run(events, &format!("Removing the sandbox `{name}`"), |step| {
                machine::remove(&home, &store.halves(name)[1], Some(step))
            })?;
        }
        store.clear_halves(name)?;
        store.release_bridges(name)
    }

    /// The same store, its folder there and by its one name.
    fn made(&self) -> Result<Self> {
        files::make_folder(&self.machines())?;
        Self::at(self.folder.clone(), self.bases.clone())
    }

    fn machines(&self) -> PathBuf {
        self.folder.join("machines")
    }

    fn home(&self, name: &str) -> Home {
        Home(self.machines().join(name))
    }

    /// Where a machine of that name is while it is being made, and while it is being removed.
    fn halves(&self, name: &str) -> [PathBuf; 2] {
        ["new", "gone"].map(|end| self.machines().join(format!(".{name}.{end}")))
    }

    fn lock_path(&self, name: &str) -> PathBuf {
        self.folder.join("locks").join(format!("{name}.lock"))
    }

    /// Held by whoever changes a machine.
    fn lock(&self, name: &str, events: &Events) -> Result<Lock> {
        let waiting = || {
            events.note(format!(
                "Another run works on the sandbox `{name}`; waiting for it"
            ))
        };
        Lock::take(
            &self.lock_path(name),
            Mode::Exclusive,
            machine::PATIENCE,
            waiting,
        )
    }

    fn clear_halves(&self, name: &str) -> Result<()> {
        self.halves(name)
            .iter()
            .try_for_each(|path| files::remove_tree(path, None))
    }

    /// The machine as it was made, or made now.
    fn machine(&self, home: &Home, spec: &Spec, lock: &Lock, events: &Events) -> Result<Machine> {
        if home.0.exists() {
            let machine = home.machine()?;
            if (machine.spec.suite, &machine.spec.user) != (spec.suite, &spec.user) {
                return Err(Error::usage(format!(
                    "the sandbox `{}` is a {} of user `{}`, not a {} of user `{}`",
                    spec.name, machine.spec.suite, machine.spec.user, spec.suite, spec.user
                ))
                .hint("Remove it with `dwenv destroy`, then make it anew with `dwenv up`."));
            }
            return Ok(machine);
        }
        let base = base::get(&self.bases, spec.suite, events)?;
        Step::run(
            events,
            &format!("Making the sandbox `{}`", spec.name),
            |step| {
                let [half, _] = self.halves(&spec.name);
                let machine = machine::make(&Home(half.clone()), spec, &base, lock, step)?;
                fs::rename(&half, &home.0).map_err(|cause| {
                    Error::failed("could not finish the sandbox").because(cause)
                })?;
                Ok(machine)
            },
        )
    }

    fn power_off(&self, name: &str, events: &Events) -> Result<()> {
        let home = self.home(name);
        if home.run().is_none() && !home.alive().any() {
            return Ok(());
        }
        let machine = spec::machine_name(&self.folder, name);
        Step::run(events, &format!("Stopping the sandbox `{name}`"), |step| {
            power::stop(&home, &machine, Some(step))
        })
    }

    /// The names of all machines, also of those half made or half removed.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.machines())
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| name_of(&entry.path()))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let name = match name.strip_prefix('.') {
        Some(half) => half.strip_suffix(".new").or(half.strip_suffix(".gone"))?,
        None => name,
    };
    spec::check_name(name).is_ok().then(|| name.to_owned())
}

fn running(home: &Home, machine: Machine) -> Result<Running> {
    Ok(Running {
        host_public_key: home.host_public_key()?,
        identity: home.identity(),
        port: 22,
        id: machine.id,
        spec: machine.spec,
    })
}

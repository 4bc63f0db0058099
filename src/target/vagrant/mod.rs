//! Boxes that the real Vagrant makes: asked, started and stopped through its own commands.

mod cache;
mod run;
pub mod said;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::cache::{Cache, Entry, Stamp};
use self::said::{Machine, State};
use super::names::{Target, near};
use super::program::Environment;
use super::ssh_config::{self, Asked, Settings};
use super::{CONNECT_TIMEOUT, Located, Person, Provider, Reach, folder, hostonly, laptop, ssh};
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::transport::endpoint::{Endpoint, HostKeyPolicy};
use crate::workshop::Workshop;

/// How long Vagrant may take to answer a question. It starts a Ruby, and a scanner may look over its shoulder.
const ANSWER: Duration = Duration::from_secs(60);

/// How long stopping or removing a box may take.
const STOPPING: Duration = Duration::from_secs(300);

/// The file in `.dwenv/` that holds the host keys of this folder's boxes, by machine id.
pub const HOST_KEYS: &str = "host_keys";

/// The Vagrant environment of one folder.
#[derive(Clone, Debug)]
pub struct Vagrant {
    /// Where the Vagrantfile stands.
    folder: PathBuf,
    vagrantfile: PathBuf,
    environment: Environment,
}

impl Vagrant {
    /// Finds the Vagrantfile in `dir` or above, as Vagrant does.
    pub fn in_folder(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        let named = std::env::var_os("VAGRANT_VAGRANTFILE").map(PathBuf::from);
        let names = match named {
            Some(name) => vec![name],
            None => vec!["Vagrantfile".into(), "vagrantfile".into()],
        };
        for folder in dir.ancestors() {
            for name in &names {
                let vagrantfile = folder.join(name);
                if vagrantfile.is_file() {
                    return Ok(Self {
                        folder: folder.to_owned(),
                        vagrantfile,
                        environment: Environment::new(),
                    });
                }
            }
        }
        Err(Error::usage(format!(
            "there is no Vagrantfile in {} or above",
            dir.display()
        ))
        .hint("write the workshop's files here: `dwenv init`, with the same `--config` where you gave one")
        .hint("or go to the workshop's folder, or name it: `dwenv -C FOLDER …`"))
    }

    /// Runs Vagrant with these variables beside those of this process.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The folder of the Vagrantfile.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All machines of the Vagrantfile and their states. Asks Vagrant.
    pub async fn status(&self) -> Result<Vec<Machine>> {
        let output = self.ask(&["status", "--machine-readable"], ANSWER).await?;
        let machines = said::machines(&output.stdout);
        if !output.status.success() || machines.is_empty() {
            // A Vagrant that fails very early, as at a wrong Vagrantfile, writes no rows.
            let text = said::error_exit(&output.stdout)
                .unwrap_or_else(|| format!("{}\n{}", output.stderr.trim(), output.stdout.trim()));
            return Err(said::error(
                "Vagrant could not tell the state of the box",
                &text,
            ));
        }
        Ok(machines)
    }

    /// The provider of a machine, also of one that is not made yet. Asks Vagrant.
    pub async fn provider(&self, machine: Option<&str>) -> Result<String> {
        Ok(pick(&self.status().await?, machine)?.provider.clone())
    }

    /// The provider that made a machine, from what Vagrant keeps in the folder: where Vagrant itself is too slow to
    /// be asked. `None`: nothing is made, or several providers made what could be meant.
    #[must_use]
    pub fn made_by(&self, machine: Option<&str>) -> Option<String> {
        let names = match machine {
            Some(name) => vec![name.to_owned()],
            None => names_in(&self.machines()),
        };
        let mut made: Vec<String> = names
            .iter()
            .flat_map(|name| {
                let providers = names_in(&self.machines().join(name));
                providers
                    .into_iter()
                    .filter(|provider| self.id(name, provider).is_some())
            })
            .collect();
        made.sort_unstable();
        made.dedup();
        let provider = made.pop()?;
        made.is_empty().then_some(provider)
    }

    /// Finds the box: from what Vagrant said last, while that holds, else by asking.
    ///
    /// After a connection that failed, [`Self::forget`] and locate once more: the box may have moved.
    pub async fn locate(
        &self,
        machine: Option<&str>,
        workshop: &Workshop,
        events: &Events,
    ) -> Result<Located> {
        let cache = self.cache();
        if let Some((name, entry)) = cache.find(machine, |name, provider| self.id(name, provider)) {
            events.detail(format!(
                "the address of {name} is known from an earlier run"
            ));
            if let Ok(located) = self.located(machine, &name, &entry, workshop) {
                return Ok(located);
            }
        }
        let machines = self.status().await?;
        let found = pick(&machines, machine)?;
        self.must_run(found, machine)?;
        let id = self.id(&found.name, &found.provider).ok_or_else(|| {
            Error::failed(format!(
                "Vagrant says that `{}` runs, and its id is not where Vagrant keeps it",
                found.name
            ))
            .because(format!(
                "there is no {}",
                self.data(&found.name, &found.provider).join("id").display()
            ))
        })?;
        let ssh_config = self.ssh_config(&found.name).await?;
        let mut entry = Entry {
            provider: found.provider.clone(),
            id,
            ssh_config,
            stamps: Vec::new(),
        };
        let located = self.located(machine, &found.name, &entry, workshop)?;
        let data = self.data(&found.name, &found.provider);
        // Vagrant writes the second file whenever it starts a machine, and the port may be another one then.
        entry.stamps = [data.join("private_key"), data.join("synced_folders")]
            .iter()
            .chain(&located.endpoint.identities)
            .map(|path| Stamp::of(path))
            .collect();
        let names = machines.iter().map(|machine| machine.name.clone());
        cache.keep(names.collect(), &found.name, entry);
        Ok(located)
    }

    /// Drops what is remembered about a machine, or about all: the box did not answer where it should.
    /// Returns whether anything was.
    pub fn forget(&self, machine: Option<&str>) -> bool {
        self.cache().forget(machine)
    }

    /// Makes and starts the box; its progress goes to `events`.
    pub async fn up(
        &self,
        machine: Option<&str>,
        workshop: &Workshop,
        events: &Events,
    ) -> Result<()> {
        let machines = self.status().await?;
        let found = pick(&machines, machine)?;
        if found.provider == "virtualbox" && found.state != State::Running {
            self.check_address(workshop).await?;
        }
        self.forget(Some(&found.name));
        let step = format!("Starting the box with Vagrant ({})", found.provider);
        run::up(self, &found.name, &step, events).await
    }

    /// Powers the box off.
    pub async fn down(&self, machine: Option<&str>) -> Result<()> {
        self.end(machine, &["halt"], "stop").await
    }

    /// Removes the box and everything in it.
    pub async fn destroy(&self, machine: Option<&str>) -> Result<()> {
        self.end(machine, &["destroy", "-f"], "remove").await
    }

    async fn end(&self, machine: Option<&str>, verb: &[&str], what: &str) -> Result<()> {
        let machines = self.status().await?;
        let found = pick(&machines, machine)?;
        self.forget(Some(&found.name));
        let mut arguments = verb.to_vec();
        arguments.push(&found.name);
        let output = self.ask(&arguments, STOPPING).await?;
        if output.status.success() {
            return Ok(());
        }
        let text = format!("{}\n{}", output.stderr.trim(), output.stdout.trim());
        let message = format!("Vagrant could not {what} `{}`", found.name);
        Err(said::error(message, &text))
    }

    /// VirtualBox's allowed addresses, judged before it downloads and imports for minutes.
    async fn check_address(&self, workshop: &Workshop) -> Result<()> {
        let laptop::Installed::Yes { version, .. } = laptop::virtualbox(&self.environment).await
        else {
            // That VirtualBox is missing or broken, Vagrant says itself, and at once.
            return Ok(());
        };
        let conf = std::fs::read_to_string(hostonly::NETWORKS_CONF).ok();
        hostonly::check(laptop::Os::this(), &version, conf.as_deref(), workshop.machine.ip).map_err(
            |error| {
                if conf.is_none() && Path::new("/etc/vbox/network.conf").exists() {
                    return error.hint("there is a file /etc/vbox/network.conf: VirtualBox reads networks.conf, with an s");
                }
                error
            },
        )
    }

    async fn ssh_config(&self, name: &str) -> Result<String> {
        let output = self.ask(&["ssh-config", name], ANSWER).await?;
        match said::ssh_config(&output.stdout) {
            Some(text) if output.status.success() => Ok(text.to_owned()),
            _ => {
                let text = format!("{}\n{}", output.stderr.trim(), output.stdout.trim());
                let message = format!("Vagrant could not tell how to log in to `{name}`");
                Err(said::error(message, &text))
            }
        }
    }

    /// From Vagrant's configuration to a box that was found.
    fn located(
        &self,
        asked: Option<&str>,
        name: &str,
        entry: &Entry,
        workshop: &Workshop,
    ) -> Result<Located> {
        let person = Person::this()?;
        let settings = person.with_surroundings(|surroundings| {
            let asked = Asked {
                host: name,
                ..Asked::default()
            };
            ssh_config::resolve(
                &entry.ssh_config,
                "vagrant ssh-config",
                &asked,
                surroundings,
            )
        })?;
        if !settings.named {
            return Err(
                Error::failed(format!("`vagrant ssh-config` says nothing about `{name}`"))
                    .because(entry.ssh_config.trim()),
            );
        }
        let target = Target::Vagrant {
            machine: asked.map(str::to_owned),
        };
        let via = ssh::way(&settings, name, &person)?;
        let reach = reach(&settings, &entry.provider, workshop);
        let agent = settings.agent();
        Ok(Located {
            endpoint: Endpoint {
                name: target.to_string(),
                host: settings.host_name,
                port: settings.port.unwrap_or(22),
                user: settings.user.unwrap_or_else(|| "vagrant".to_owned()),
                identities: settings.identity_files.unwrap_or_default(),
                agent,
                unused: settings.unused,
                password: None,
                host_key: HostKeyPolicy::Pinned {
                    machine_id: entry.id.clone(),
                    file: folder::path(&self.folder).join(HOST_KEYS),
                },
                timeout: CONNECT_TIMEOUT,
                via,
            },
            provider: Provider::Vagrant(entry.provider.clone()),
            reach,
        })
    }

    fn must_run(&self, found: &Machine, asked: Option<&str>) -> Result<()> {
        let up = match asked {
            Some(name) => format!("`dwenv up --target vagrant:{name}`"),
            None => "`dwenv up`".to_owned(),
        };
        let (what, hint) = match &found.state {
            State::Running => return Ok(()),
            State::NotCreated => ("is not created yet".to_owned(), format!("make it: {up}")),
            state @ State::Off(_) => (format!("is {state}"), format!("start it: {up}")),
        };
        Err(Error::new(
            ErrorKind::Unreachable,
            format!("the Vagrant machine `{}` {what}", found.name),
        )
        .hint(hint))
    }

    fn cache(&self) -> Cache<'_> {
        Cache {
            folder: &self.folder,
            vagrantfile: &self.vagrantfile,
        }
    }

    /// Where Vagrant keeps what it knows about machines.
    fn machines(&self) -> PathBuf {
        let dot = std::env::var_os("VAGRANT_DOTFILE_PATH").unwrap_or_else(|| ".vagrant".into());
        self.folder.join(dot).join("machines")
    }

    fn data(&self, name: &str, provider: &str) -> PathBuf {
        self.machines().join(name).join(provider)
    }

    fn id(&self, name: &str, provider: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.data(name, provider).join("id")).ok()?;
        let id = text.trim();
        (!id.is_empty()).then(|| id.to_owned())
    }
}

/// The names in a folder; none where it cannot be read.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// The machine that is meant.
fn pick<'a>(machines: &'a [Machine], asked: Option<&str>) -> Result<&'a Machine> {
    let names = || {
        let names: Vec<&str> = machines
            .iter()
            .map(|machine| machine.name.as_str())
            .collect();
        names.join(", ")
    };
    match (asked, machines) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Error::usage(format!(
            "this Vagrantfile has {} machines: {}",
            machines.len(),
            names()
        ))
        .hint("name one: `--target vagrant:MACHINE`")),
        (Some(name), _) => machines
            .iter()
            .find(|machine| machine.name == name)
            .ok_or_else(|| {
                let error = Error::usage(format!(
                    "this Vagrantfile has no machine `{name}`, only: {}",
                    names()
                ));
                match near(name, machines.iter().map(|machine| &machine.name)) {
                    Some(near) => error.hint(format!("did you mean `vagrant:{near}`?")),
                    None => error,
                }
            }),
    }
}

/// How the laptop reaches the box's services.
fn reach(settings: &Settings, provider: &str, workshop: &Workshop) -> Vec<Reach> {
    let host = &settings.host_name;
    let loopback = host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    if !loopback {
        return vec![Reach::Address(host.clone())];
    }
    let mut ways = Vec::new();
    if provider == "virtualbox" {
        ways.push(Reach::Address(workshop.machine.ip.to_string()));
    }
    let forwards = &workshop.machine.forwards;
    if !forwards.is_empty() {
        let pairs = forwards.iter().map(|forward| (forward.guest, forward.host));
        ways.push(Reach::Forwarded(pairs.collect()));
    }
    ways
}

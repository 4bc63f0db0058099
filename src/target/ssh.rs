//! Machines that were there before dwenv came: an address, a name of the declaration, an alias of OpenSSH.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::choose::ROOM;
use super::names::{SshAddress, Target, near};
use super::ssh_config::{self, Asked, Settings};
use super::{CONNECT_TIMEOUT, Located, Person, Provider, Reach};
use crate::error::{Error, Result};
use crate::transport::endpoint::{Endpoint, HostKeyPolicy};
use crate::workshop::{NamedTarget, Workshop};

/// The key files that OpenSSH tries where none is named; the strongest first.
const DEFAULT_KEYS: &[&str] = &["id_ed25519", "id_ecdsa", "id_rsa"];

/// What was said about the machine outside OpenSSH's files; it goes before them.
#[derive(Clone, Debug, Default)]
struct Given {
    host: String,
    port: Option<u16>,
    user: Option<String>,
    identity: Option<PathBuf>,
}

/// Resolves `ssh://USER@HOST:PORT`.
pub fn address(address: &SshAddress, identity: Option<&Path>, person: &Person) -> Result<Located> {
    let given = Given {
        host: address.host.clone(),
        port: address.port,
        user: address.user.clone(),
        identity: None,
    };
    let settings = settings(&given, person)?;
    located(
        &Target::Ssh(address.clone()),
        given,
        settings,
        identity,
        person,
    )
}

/// Resolves a name: the declaration's own go before OpenSSH's aliases.
pub fn named(
    name: &str,
    workshop: &Workshop,
    dir: &Path,
    identity: Option<&Path>,
    person: &Person,
) -> Result<Located> {
    let target = Target::Named(name.to_owned());
    if let Some(entry) = workshop.targets.get(name) {
        let given = declared(entry, workshop, dir, person);
        let settings = settings(&given, person)?;
        return located(&target, given, settings, identity, person);
    }
    let given = Given {
        host: name.to_owned(),
        ..Given::default()
    };
    let settings = settings(&given, person)?;
    if !settings.named {
        return Err(unknown(name, workshop, person));
    }
    located(&target, given, settings, identity, person)
}

/// Whether a name is known at all; the error lists what it may have been meant to be.
pub fn check_name(name: &str, workshop: &Workshop, person: &Person) -> Result<()> {
    if workshop.targets.contains_key(name) {
        return Ok(());
    }
    let given = Given {
        host: name.to_owned(),
        ..Given::default()
    };
    if settings(&given, person)?.named {
        return Ok(());
    }
    Err(unknown(name, workshop, person))
}

fn unknown(name: &str, workshop: &Workshop, person: &Person) -> Error {
    let aliases = match config_text(person) {
        Ok(Some(text)) => person.with_surroundings(|all| ssh_config::aliases(&text, all)),
        _ => Vec::new(),
    };
    let error = Error::usage(format!("there is no target `{name}`"));
    if name == ROOM {
        return error.hint("list the room's boxes in config.toml: `[room]` with `targets = […]`");
    }
    let room = (!workshop.room.is_empty()).then_some(ROOM);
    let words = ["vagrant", "sandbox"].into_iter().chain(room);
    let known = words
        .map(str::to_owned)
        .chain(workshop.targets.keys().cloned())
        .chain(aliases);
    match near(name, known) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error
            .hint(format!(
                "declare it: `[target.{}]` with `host = …` in config.toml",
                toml_key(name)
            ))
            .hint(format!("or give its address: `ssh://USER@{name}`")),
    }
}

/// A name as a key of TOML: quoted where it is more than a bare word.
fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// A declaration's relative path starts where the declaration stands.
fn declared(entry: &NamedTarget, workshop: &Workshop, dir: &Path, person: &Person) -> Given {
    let base = workshop
        .origin
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(dir);
    let identity = entry
        .identity
        .as_ref()
        .map(|file| match file.strip_prefix("~") {
            Ok(rest) => person.home.join(rest),
            Err(_) => base.join(file),
        });
    Given {
        host: entry.host.clone(),
        port: entry.port,
        user: entry.user.clone(),
        identity,
    }
}

fn config_text(person: &Person) -> Result<Option<String>> {
    let file = person.ssh_config();
    match fs::read(&file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::config(format!("cannot read {}", file.display())).because(error)),
    }
}

fn settings(given: &Given, person: &Person) -> Result<Settings> {
    let text = config_text(person)?.unwrap_or_default();
    let asked = Asked {
        host: &given.host,
        user: given.user.as_deref(),
        port: given.port,
    };
    let origin = person.ssh_config();
    person.with_surroundings(|surroundings| {
        ssh_config::resolve(&text, &origin.to_string_lossy(), &asked, surroundings)
    })
}

fn located(
    target: &Target,
    given: Given,
    settings: Settings,
    identity: Option<&Path>,
    person: &Person,
) -> Result<Located> {
    let via = way(&settings, &given.host, person)?;
    Ok(Located {
        endpoint: Endpoint {
            via,
            ..endpoint(target.to_string(), &given, &settings, identity, person)?
        },
        provider: Provider::Ssh,
        reach: vec![Reach::Address(settings.host_name)],
    })
}

/// How to log in at one machine, as if nothing stood before it.
fn endpoint(
    name: String,
    given: &Given,
    settings: &Settings,
    identity: Option<&Path>,
    person: &Person,
) -> Result<Endpoint> {
    let user = settings
        .user
        .clone()
        .or_else(|| person.user.clone())
        .ok_or_else(|| {
            Error::usage(format!("nothing says who logs in to `{}`", given.host))
                .hint(format!("write `ssh://USER@{}`", given.host))
        })?;
    Ok(Endpoint {
        name,
        host: settings.host_name.clone(),
        port: settings.port.unwrap_or(22),
        user,
        identities: identities(identity, given, settings, person)?,
        agent: settings.agent(),
        unused: settings.unused.clone(),
        password: None,
        host_key: HostKeyPolicy::KnownHosts {
            files: known_hosts(settings, person),
            accept_new: !settings.known_hosts_only,
            alias: settings.host_key_alias.clone(),
        },
        timeout: settings.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
        via: Vec::new(),
    })
}

/// The machines on the way, each as its own entry of OpenSSH's configuration has it. `host` is what the
/// settings speak of.
pub(super) fn way(settings: &Settings, host: &str, person: &Person) -> Result<Vec<Endpoint>> {
    let mut way = Vec::new();
    let mut asked = vec![host.to_owned()];
    let mut jump = settings.jump.clone();
    let mut place = settings.jump_place.clone();
    // The machines of one list follow one another. Only the nearest may itself have one before it.
    while !jump.is_empty() {
        let mut before = Vec::new();
        let mut part = Vec::new();
        for (index, hop) in jump.into_iter().enumerate() {
            let given = Given {
                host: hop.host.clone(),
                port: hop.port,
                user: hop.user.clone(),
                identity: None,
            };
            if asked.contains(&given.host) {
                return Err(Error::config(format!(
                    "{place}: the way to `{host}` leads over `{}` twice",
                    given.host
                ))
                .hint(format!(
                    "give `{}` an entry with `ProxyJump none`",
                    given.host
                )));
            }
            asked.push(given.host.clone());
            let entry = self::settings(&given, person)?;
            let name = hop.to_string();
            let name = name.trim_start_matches("ssh://").to_owned();
            part.push(endpoint(name, &given, &entry, None, person)?);
            if index == 0 {
                before = entry.jump;
                place = entry.jump_place;
            }
        }
        way.splice(0..0, part);
        jump = before;
    }
    Ok(way)
}

fn identities(
    identity: Option<&Path>,
    given: &Given,
    settings: &Settings,
    person: &Person,
) -> Result<Vec<PathBuf>> {
    if let Some(file) = identity
        .map(Path::to_owned)
        .or_else(|| given.identity.clone())
    {
        return Ok(vec![readable(&file)?]);
    }
    match &settings.identity_files {
        None => {
            let keys = DEFAULT_KEYS
                .iter()
                .map(|name| person.home.join(".ssh").join(name));
            Ok(keys.filter(|key| key.exists()).collect())
        }
        Some(files) => {
            let there: Vec<PathBuf> = files.iter().filter(|file| file.exists()).cloned().collect();
            // OpenSSH passes over a file that is missing. With all of them missing the names are what a
            // person needs to hear.
            Ok(if there.is_empty() {
                files.clone()
            } else {
                there
            })
        }
    }
}

/// A key file that somebody named is there, or that is the error.
pub(super) fn readable(file: &Path) -> Result<PathBuf> {
    match fs::File::open(file) {
        Ok(_) => Ok(file.to_owned()),
        Err(error) => Err(Error::usage(format!(
            "the private key {} cannot be read",
            file.display()
        ))
        .because(error)),
    }
}

/// The person's own file comes first: that is where a first contact is written.
fn known_hosts(settings: &Settings, person: &Person) -> Vec<PathBuf> {
    let usual = || vec![person.home.join(".ssh").join("known_hosts")];
    let mut files = match &settings.user_known_hosts {
        None => usual(),
        // With `/dev/null` or `none` no key would ever be compared; dwenv always does.
        Some(files) => {
            let real = files.iter().filter(|file| !is_null(file)).cloned();
            let files: Vec<PathBuf> = real.collect();
            if files.is_empty() { usual() } else { files }
        }
    };
    match &settings.global_known_hosts {
        None => files.push(everybodys("ssh_known_hosts")),
        Some(named) => files.extend(named.iter().filter(|file| !is_null(file)).cloned()),
    }
    files
}

/// A file of OpenSSH's client that counts for everybody on this computer.
#[must_use]
pub fn everybodys(file: &str) -> PathBuf {
    if cfg!(windows) {
        let data = std::env::var_os("ProgramData").unwrap_or_else(|| "C:\\ProgramData".into());
        PathBuf::from(data).join("ssh").join(file)
    } else {
        PathBuf::from("/etc/ssh").join(file)
    }
}

fn is_null(file: &Path) -> bool {
    file == Path::new("/dev/null")
        || file
            .file_name()
            .is_some_and(|name| name.eq_ignore_ascii_case("nul"))
}

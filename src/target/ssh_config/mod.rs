//! OpenSSH client configuration: what it says about one host. Text in, settings out.
//!
//! It reads `~/.ssh/config` and what `vagrant ssh-config` prints. Only what dwenv acts on is read. An option
//! that would lead the connection elsewhere, and that dwenv cannot follow, is refused by its name when it
//! applies to the host: a connection to the wrong machine is worse than none. Another way to log in is named
//! where the login is refused.

mod lines;
pub(crate) mod pattern;
mod reader;
mod values;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::names::SshAddress;
use crate::error::Result;
use crate::transport::endpoint::Agent;

/// Which host is asked for. What the person gave on the command line goes before any file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    pub host: &'a str,
    pub user: Option<&'a str>,
    pub port: Option<u16>,
}

/// Files with their texts, in order.
pub type Included = Vec<(PathBuf, String)>;

/// What the text may refer to: the person's home and name, variables, other files.
pub struct Surroundings<'a> {
    pub home: &'a Path,
    pub local_user: &'a str,
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The files that an `Include` names, with their texts, in order. The path is absolute and may hold `*`
    /// and `?`; no file at all is no error.
    pub include: &'a dyn Fn(&Path) -> io::Result<Included>,
}

/// What a configuration says about one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `HostName`, or the host that was asked for.
    pub host_name: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// `None`: none named, so OpenSSH's own defaults. Empty: `IdentityFile none`.
    pub identity_files: Option<Vec<PathBuf>>,
    pub identities_only: bool,
    /// `IdentityAgent none`.
    pub no_agent: bool,
    /// `None`: none named, so OpenSSH's own defaults.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// `None`: none named, so OpenSSH's own default.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// `StrictHostKeyChecking yes`: a host that is not known yet is refused.
    pub known_hosts_only: bool,
    /// The name that the host key is filed under.
    pub host_key_alias: Option<String>,
    /// `ProxyJump`: the machines on the way, the nearest first.
    pub jump: Vec<SshAddress>,
    /// The line that says so, for messages.
    pub jump_place: String,
    pub connect_timeout: Option<Duration>,
    /// Other ways to log in, which dwenv does not take, by their names and places.
    pub unused: Vec<String>,
    /// Whether some line speaks of this host in particular, and not only of every host.
    pub named: bool,
}

impl Settings {
    /// `IdentitiesOnly` chooses among the agent's keys, and does not do without it.
    #[must_use]
    pub fn agent(&self) -> Agent {
        match (self.no_agent, self.identities_only) {
            (true, _) => Agent::None,
            (false, true) => Agent::OfFiles,
            (false, false) => Agent::All,
        }
    }
}

/// Reads what `text` says about a host. `origin` is what messages call the text.
pub fn resolve(
    text: &str,
    origin: &str,
    asked: &Asked<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<Settings> {
    let mut reader = reader::Reader::new(asked, surroundings);
    reader.read(text, origin)?;
    reader.settle()
}

/// The names that a configuration gives to hosts, without patterns. A text that cannot be read has none:
/// the list serves suggestions, and [`resolve`] reports the fault.
#[must_use]
pub fn aliases(text: &str, surroundings: &Surroundings<'_>) -> Vec<String> {
    let mut names = Vec::new();
    reader::collect_aliases(text, surroundings, 0, &mut names);
    names
}

/// The files that an `Include` with this path names, read from the disk.
pub fn include_from_disk(path: &Path) -> io::Result<Included> {
    let mut found = vec![PathBuf::new()];
    for part in path.components() {
        let part = part.as_os_str();
        let wild = part
            .to_str()
            .filter(|name| name.contains(['*', '?']))
            .map(str::to_owned);
        let mut next = Vec::new();
        for folder in found {
            let Some(wild) = &wild else {
                next.push(folder.join(part));
                continue;
            };
            // A folder that is not there, or closed to us, holds no match, as for a shell.
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            let mut names: Vec<String> = entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .filter(|name| pattern::matches(wild, name))
                .filter(|name| !name.starts_with('.') || wild.starts_with('.'))
                .collect();
            names.sort();
            next.extend(names.into_iter().map(|name| folder.join(name)));
        }
        found = next;
    }
    let mut files = Vec::new();
    for file in found {
        match std::fs::read(&file) {
            Ok(bytes) => files.push((file, String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound || file.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

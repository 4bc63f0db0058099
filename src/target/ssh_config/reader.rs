//! Walks through the lines in order and keeps the first value of each option, as `ssh` does.

use std::path::PathBuf;

use super::lines::{self, Line};
use super::pattern::{list_matches, only_wildcards};
use super::values::{self, Tokens};
use super::{Asked, Settings, Surroundings};
use crate::error::{Error, Result};

/// OpenSSH's own limit on files that include files.
const DEEPEST_INCLUDE: usize = 16;

/// The options that dwenv acts on, or that it must refuse.
const HEEDED: &[&str] = &[
    "hostname",
    "port",
    "user",
    "identityfile",
    "identitiesonly",
    "identityagent",
    "userknownhostsfile",
    "globalknownhostsfile",
    "revokedhostkeys",
    "knownhostscommand",
    "stricthostkeychecking",
    "hostkeyalias",
    "connecttimeout",
    "include",
    "proxyjump",
    "proxycommand",
    "canonicalizehostname",
    "bindaddress",
    "bindinterface",
    "certificatefile",
    "pkcs11provider",
];

/// Those of them that are only named where the login is refused.
const ONLY_NAMED: &[&str] = &["certificatefile", "pkcs11provider"];

/// Those that only have to do with which keys are offered, and how long that may take: where only ssh can tell
/// whether they hold, they are named where the login is refused.
const OF_KEYS: &[&str] = &[
    "identityagent",
    "identityfile",
    "identitiesonly",
    "connecttimeout",
];

/// Whether the lines that follow speak of the host.
#[derive(Clone)]
enum Applies {
    Yes,
    No,
    /// A `Match` that only `ssh` itself could decide: the reason to refuse what stands in it.
    Unclear(Error),
}

/// The first value of each option, with its place where a later step may have to name it.
#[derive(Default)]
struct Found {
    host_name: Option<(String, String)>,
    port: Option<u16>,
    user: Option<String>,
    identity_files: Vec<(String, String)>,
    identities_only: Option<bool>,
    no_agent: Option<bool>,
    user_known_hosts: Option<(Vec<String>, String)>,
    global_known_hosts: Option<(Vec<String>, String)>,
    known_hosts_only: Option<bool>,
    host_key_alias: Option<String>,
    connect_timeout: Option<Option<std::time::Duration>>,
    /// `ProxyJump` and `ProxyCommand` exclude one another: the first of either counts.
    proxy_seen: bool,
    proxy_jump: Option<(String, String)>,
    unused: Vec<String>,
}

pub(super) struct Reader<'a> {
    asked: &'a Asked<'a>,
    surroundings: &'a Surroundings<'a>,
    applies: Applies,
    found: Found,
    named: bool,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(asked: &'a Asked<'a>, surroundings: &'a Surroundings<'a>) -> Self {
        Self {
            asked,
            surroundings,
            applies: Applies::Yes,
            found: Found {
                port: asked.port,
                user: asked.user.map(str::to_owned),
                ..Found::default()
            },
            named: false,
            depth: 0,
        }
    }

    pub(super) fn read(&mut self, text: &str, origin: &str) -> Result<()> {
        for line in lines::read(text, origin)? {
            match line.keyword.as_str() {
                "host" => self.host(&line),
                "match" => self.applies = self.criteria(&line)?,
                keyword if HEEDED.contains(&keyword) => match &self.applies {
                    Applies::Yes => self.option(&line)?,
                    Applies::No => {}
                    Applies::Unclear(_) if ONLY_NAMED.contains(&keyword) => {}
                    Applies::Unclear(_) if OF_KEYS.contains(&keyword) => self.of_keys(&line),
                    Applies::Unclear(refusal) => return Err(refusal.clone()),
                },
                _ => {}
            }
        }
        Ok(())
    }

    /// Of what may hold and chooses keys, what forbids some is heeded: none is offered that should not be.
    fn of_keys(&mut self, line: &Line) {
        self.found.unused.push(unused(line));
        match line.keyword.as_str() {
            "identityagent" if says(line, "none") => {
                self.found.no_agent.get_or_insert(true);
            }
            "identitiesonly" if says(line, "yes") => {
                self.found.identities_only.get_or_insert(true);
            }
            _ => {}
        }
    }

    fn host(&mut self, line: &Line) {
        let patterns = line.words.iter().map(String::as_str);
        self.applies = match list_matches(patterns, self.asked.host) {
            Some(pattern) => {
                self.named |= !only_wildcards(pattern);
                Applies::Yes
            }
            None => Applies::No,
        };
    }

    /// Decides the criteria that need no more than the names; the others are left unclear.
    fn criteria(&mut self, line: &Line) -> Result<Applies> {
        let mut unclear = None;
        let mut words = line.words.iter();
        let mut named = false;
        while let Some(word) = words.next() {
            let (negated, name) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, word.as_str()),
            };
            let name = name.to_ascii_lowercase();
            let subject = match name.as_str() {
                "all" => continue,
                "canonical" | "final" => {
                    unclear.get_or_insert(name);
                    continue;
                }
                "host" => self.host_name()?,
                "originalhost" => self.asked.host.to_owned(),
                "user" => self.user().to_owned(),
                "localuser" => self.surroundings.local_user.to_owned(),
                _ => {
                    unclear.get_or_insert(name);
                    words.next();
                    continue;
                }
            };
            let Some(patterns) = words.next() else {
                return Err(Error::config(format!(
                    "{}: `Match {word}` needs a pattern",
                    line.place
                )));
            };
            let found = list_matches(patterns.split(','), &subject);
            if found.is_some() == negated {
                return Ok(Applies::No);
            }
            named |= name.ends_with("host") && found.is_some_and(|p| !only_wildcards(p));
        }
        self.named |= named && unclear.is_none();
        Ok(match unclear {
            None => Applies::Yes,
            Some(criterion) => Applies::Unclear(
                Error::config(format!(
                    "{}: `Match {criterion}` may apply to `{}`, and dwenv does not support it yet",
                    line.place, self.asked.host
                ))
                .hint("name the box as `ssh://USER@HOST:PORT` under an address that the block does not cover"),
            ),
        })
    }

    fn option(&mut self, line: &Line) -> Result<()> {
        let found = &mut self.found;
        match line.keyword.as_str() {
            "hostname" => {
                let value = (values::one(line)?.to_owned(), line.place.clone());
                found.host_name.get_or_insert(value);
            }
            "port" => {
                found.port.get_or_insert(values::port(line)?);
            }
            "user" => {
                found.user.get_or_insert(values::one(line)?.to_owned());
            }
            "identityfile" => {
                let value = (values::one(line)?.to_owned(), line.place.clone());
                if !found
                    .identity_files
                    .iter()
                    .any(|(file, _)| *file == value.0)
                {
                    found.identity_files.push(value);
                }
            }
            "identitiesonly" => {
                found
                    .identities_only
                    .get_or_insert(values::yes_or_no(line)?);
            }
            "identityagent" => {
                let agent = values::one(line)?;
                let none = agent.eq_ignore_ascii_case("none");
                if found.no_agent.is_none() && !none && agent != "SSH_AUTH_SOCK" {
                    found.unused.push(unused(line));
                }
                found.no_agent.get_or_insert(none);
            }
            // Without these a login may be refused, and then they are named.
            "certificatefile" | "pkcs11provider" if says(line, "none") => {}
            "certificatefile" | "pkcs11provider" => found.unused.push(unused(line)),
            "userknownhostsfile" => {
                found
                    .user_known_hosts
                    .get_or_insert_with(|| (line.words.clone(), line.place.clone()));
            }
            "globalknownhostsfile" => {
                found
                    .global_known_hosts
                    .get_or_insert_with(|| (line.words.clone(), line.place.clone()));
            }
            "stricthostkeychecking" => {
                let strict = match values::one(line)?.to_ascii_lowercase().as_str() {
                    "yes" | "true" => true,
                    "no" | "false" | "off" | "ask" | "accept-new" => false,
                    _ => {
                        return Err(values::wrong(line, "is `yes`, `accept-new`, `ask` or `no`"));
                    }
                };
                found.known_hosts_only.get_or_insert(strict);
            }
            "hostkeyalias" => {
                found
                    .host_key_alias
                    .get_or_insert(values::one(line)?.to_owned());
            }
            "connecttimeout" => {
                found.connect_timeout.get_or_insert(values::time(line)?);
            }
            "include" => self.include(line)?,
            "proxyjump" | "proxycommand" => self.proxy(line)?,
            "canonicalizehostname" if says(line, "no") => {}
            // Other places where a key is looked up: passed over, a key might be trusted that they refuse.
            "revokedhostkeys" | "knownhostscommand" if says(line, "none") => {}
            _ => return Err(self.refusal(line)),
        }
        Ok(())
    }

    fn proxy(&mut self, line: &Line) -> Result<()> {
        if self.found.proxy_seen {
            return Ok(());
        }
        self.found.proxy_seen = true;
        if says(line, "none") {
            return Ok(());
        }
        if line.keyword == "proxycommand" {
            return Err(self.refusal(line).hint(
                "a machine on the way that is itself reached over SSH can be written as `ProxyJump`",
            ));
        }
        self.found.proxy_jump = Some((values::one(line)?.to_owned(), line.place.clone()));
        Ok(())
    }

    fn refusal(&self, line: &Line) -> Error {
        Error::config(format!(
            "{}: `{}` applies to `{}`, and dwenv does not support it yet",
            line.place, line.written, self.asked.host
        ))
        .hint("name an address that this computer reaches directly, as `ssh://USER@HOST:PORT`")
    }

    fn include(&mut self, line: &Line) -> Result<()> {
        if self.depth == DEEPEST_INCLUDE {
            return Err(Error::config(format!(
                "{}: files include one another more than {DEEPEST_INCLUDE} deep",
                line.place
            )));
        }
        for word in &line.words {
            let path = include_path(word, self.surroundings);
            let files = (self.surroundings.include)(&path).map_err(|error| {
                Error::config(format!("{}: cannot read `{word}`", line.place)).because(error)
            })?;
            for (file, text) in files {
                // A `Host` line inside the file ends with the file.
                let outside = self.applies.clone();
                self.depth += 1;
                self.read(&text, &file.to_string_lossy())?;
                self.depth -= 1;
                self.applies = outside;
            }
        }
        Ok(())
    }

    fn host_name(&self) -> Result<String> {
        match &self.found.host_name {
            None => Ok(self.asked.host.to_owned()),
            Some((pattern, place)) => values::fill(pattern, place, |token| {
                (token == 'h').then(|| self.asked.host.to_owned())
            }),
        }
    }

    fn user(&self) -> &str {
        match &self.found.user {
            Some(user) => user,
            None => self.surroundings.local_user,
        }
    }

    pub(super) fn settle(self) -> Result<Settings> {
        let host_name = self.host_name()?;
        let tokens = Tokens {
            original_host: self.asked.host,
            host: &host_name,
            port: self.found.port.unwrap_or(22),
            remote_user: self.user(),
        };
        let path = |word: &str, place: &str| -> Result<PathBuf> {
            values::path(word, place, &tokens, self.surroundings)
        };
        let is_none = |word: &str| word.eq_ignore_ascii_case("none");

        let files = &self.found.identity_files;
        let identity_files = files
            .iter()
            .filter(|(word, _)| !is_none(word))
            .map(|(word, place)| path(word, place))
            .collect::<Result<Vec<_>>>()?;
        let known_hosts = |found: &Option<(Vec<String>, String)>| -> Result<Option<Vec<PathBuf>>> {
            let Some((words, place)) = found else {
                return Ok(None);
            };
            let named = words.iter().filter(|word| !is_none(word));
            named
                .map(|word| path(word, place))
                .collect::<Result<_>>()
                .map(Some)
        };
        let user_known_hosts = known_hosts(&self.found.user_known_hosts)?;
        let global_known_hosts = known_hosts(&self.found.global_known_hosts)?;
        let jump = match &self.found.proxy_jump {
            None => Vec::new(),
            Some((word, place)) => values::hops(word, place, &tokens)?,
        };
        Ok(Settings {
            identity_files: (!files.is_empty()).then_some(identity_files),
            user_known_hosts,
            global_known_hosts,
            jump,
            jump_place: self
                .found
                .proxy_jump
                .map(|(_, place)| place)
                .unwrap_or_default(),
            host_name,
            port: self.found.port,
            user: self.found.user,
            identities_only: self.found.identities_only.unwrap_or(false),
            no_agent: self.found.no_agent.unwrap_or(false),
            known_hosts_only: self.found.known_hosts_only.unwrap_or(false),
            host_key_alias: self.found.host_key_alias,
            connect_timeout: self.found.connect_timeout.flatten(),
            unused: self.found.unused,
            named: self.named,
        })
    }
}

/// How a line is named that is passed over.
fn unused(line: &Line) -> String {
    format!("`{}` ({})", line.written, line.place)
}

/// Whether this is all that the line says.
fn says(line: &Line, word: &str) -> bool {
    matches!(line.words.as_slice(), [only] if only.eq_ignore_ascii_case(word))
}

/// A relative path stands beside the person's own configuration.
fn include_path(word: &str, surroundings: &Surroundings<'_>) -> PathBuf {
    let path = values::home(word, surroundings);
    if path.is_absolute() || word.starts_with('/') {
        path
    } else {
        surroundings.home.join(".ssh").join(path)
    }
}

pub(super) fn collect_aliases(
    text: &str,
    surroundings: &Surroundings<'_>,
    depth: usize,
    names: &mut Vec<String>,
) {
    for line in lines::read(text, "").unwrap_or_default() {
        match line.keyword.as_str() {
            "host" => {
                let plain = |word: &&String| !word.contains(['*', '?', '!']);
                names.extend(line.words.iter().filter(plain).cloned());
            }
            "include" if depth < DEEPEST_INCLUDE => {
                for word in &line.words {
                    let path = include_path(word, surroundings);
                    for (_, text) in (surroundings.include)(&path).unwrap_or_default() {
                        collect_aliases(&text, surroundings, depth + 1, names);
                    }
                }
            }
            _ => {}
        }
    }
}

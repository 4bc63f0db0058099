//! Whether the key that a server shows is the one on record, and what to say when it is not.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::endpoint::{Endpoint, HostKeyPolicy};
use super::known_hosts;
use super::private_file::append_line;
use super::private_key::PublicKey;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::quote;

/// Everything on record about one endpoint.
pub(super) struct Record {
    known: Vec<Known>,
}

/// One key on record.
struct Known {
    file: PathBuf,
    line: usize,
    key: PublicKey,
    revoked: bool,
    /// It is no host's key: it signs those of hosts.
    authority: bool,
    /// Recorded for this very address, not for the same host on another port.
    exact: bool,
}

impl Known {
    fn is_a_hosts(&self) -> bool {
        !self.revoked && !self.authority
    }

    /// Whether it signs the key of this very address.
    fn vouches(&self) -> bool {
        self.authority && !self.revoked && self.exact
    }

    fn place(&self) -> String {
        format!("{} line {}", self.file.display(), self.line)
    }
}

/// The fingerprint as `ssh-keygen -l` prints it.
fn fingerprint(key: &PublicKey) -> String {
    let digest = STANDARD_NO_PAD.encode(Sha256::digest(&key.blob));
    format!("SHA256:{digest} ({})", key.kind)
}

impl Record {
    /// Reads the files of the policy. A missing file holds nothing; an unreadable one is an error,
    /// because it may hold the very line that would refuse this server.
    pub(super) fn read(endpoint: &Endpoint, events: &Events) -> Result<Self> {
        let mut known = Vec::new();
        match &endpoint.host_key {
            HostKeyPolicy::KnownHosts { files, .. } => {
                for file in files {
                    read_known_hosts(endpoint, file, events, &mut known)?;
                }
            }
            HostKeyPolicy::Pinned { machine_id, file } => {
                let id = pin_id(machine_id);
                for (line, text) in (1..).zip(read_text(file)?.lines()) {
                    let Some((of, key)) = text.trim().split_once(char::is_whitespace) else {
                        continue;
                    };
                    if of != id {
                        continue;
                    }
                    let Some(key) = PublicKey::from_line(key) else {
                        events.detail(format!("{} line {line} is damaged", file.display()));
                        continue;
                    };
                    known.push(Known {
                        file: file.clone(),
                        line,
                        key,
                        revoked: false,
                        authority: false,
                        exact: true,
                    });
                }
            }
        }
        Ok(Self { known })
    }

    /// The order in which to ask for host key algorithms: those of the types on record first, so
    /// that a server with several keys shows the one that can be compared.
    pub(super) fn preference(&self, supported: &[&str]) -> String {
        let rank = |algorithm: &str| {
            let kind = match algorithm {
                "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
                kind => kind,
            };
            let on_record = |known: &Known| known.is_a_hosts() && known.key.kind == kind;
            let general = match kind {
                "ssh-ed25519" => 0,
                "ssh-rsa" if algorithm == kind => 3,
                "ssh-rsa" => 2,
                _ => 1,
            };
            (!self.known.iter().any(on_record), general)
        };
        let mut order: Vec<&str> = supported
            .iter()
            .copied()
            .filter(|name| !name.contains("-cert-") && *name != "ssh-dss")
            .collect();
        order.sort_by_key(|algorithm| rank(algorithm));
        order.join(",")
    }

    /// Judges the key that the server proved to hold; a first contact is recorded here.
    pub(super) fn verify(
        &self,
        endpoint: &Endpoint,
        shown: &PublicKey,
        events: &Events,
    ) -> Result<()> {
        let same = |known: &&Known| known.key == *shown;
        if let Some(revoked) = self.known.iter().filter(same).find(|known| known.revoked) {
            return Err(Error::new(
                ErrorKind::HostKey,
                format!("{} showed a host key that is revoked", endpoint.place()),
            )
            .because(format!(
                "{} is marked @revoked in {}",
                fingerprint(shown),
                revoked.place()
            ))
            .hint("Do not connect: somebody who holds a stolen key answers there"));
        }
        let mut trusted = self.known.iter().filter(|known| known.is_a_hosts());
        if trusted.clone().any(|known| known.key == *shown) {
            return Ok(());
        }
        let mut exact = trusted.clone().filter(|known| known.exact);
        if let Some(other) = exact.clone().find(|known| known.key.kind == shown.kind) {
            return Err(changed(endpoint, shown, other));
        }
        // A type that nobody recorded proves nothing, and offering only that one is how an impostor
        // would get around the record.
        if let Some(other) = exact.next() {
            return Err(other_type(endpoint, shown, other));
        }
        if let Some(elsewhere) = trusted.next() {
            events.detail(format!(
                "{} knows this host on another port, by another key",
                elsewhere.place()
            ));
        }
        if let Some(authority) = self.known.iter().find(|known| known.vouches()) {
            return Err(vouched_for(endpoint, shown, authority));
        }
        first_contact(endpoint, shown, events)
    }
}

fn read_text(file: &Path) -> Result<String> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::new(
            ErrorKind::HostKey,
            format!(
                "The recorded host keys in {} cannot be read",
                file.display()
            ),
        )
        .because(error)
        .hint("Without them no host key can be verified: make the file readable for you")),
    }
}

fn read_known_hosts(
    endpoint: &Endpoint,
    file: &Path,
    events: &Events,
    known: &mut Vec<Known>,
) -> Result<()> {
    let (entries, skipped) = known_hosts::parse(&read_text(file)?);
    for skipped in skipped {
        let (file, line) = (file.display(), skipped.line);
        events.detail(format!("{file} line {line} is skipped: {}", skipped.reason));
    }
    let name = filed_under(endpoint);
    // An alias stands for itself, whatever the port.
    let bare = match alias(endpoint) {
        Some(_) => name.clone(),
        None => known_hosts::name(&endpoint.host, 22),
    };
    for entry in entries {
        let exact = entry.is_for(&name);
        if exact || entry.is_for(&bare) {
            known.push(Known {
                file: file.to_owned(),
                line: entry.line,
                key: PublicKey {
                    kind: entry.kind,
                    blob: entry.key,
                },
                revoked: entry.revoked,
                authority: entry.authority,
                exact,
            });
        }
    }
    Ok(())
}

fn alias(endpoint: &Endpoint) -> Option<&str> {
    match &endpoint.host_key {
        HostKeyPolicy::KnownHosts { alias, .. } => alias.as_deref(),
        HostKeyPolicy::Pinned { .. } => None,
    }
}

/// The name that a known_hosts file has this endpoint's keys under.
fn filed_under(endpoint: &Endpoint) -> String {
    match alias(endpoint) {
        Some(alias) => known_hosts::name(alias, 22),
        None => known_hosts::name(&endpoint.host, endpoint.port),
    }
}

/// The machine's id as the first word of a line.
fn pin_id(machine_id: &str) -> String {
    machine_id.split_whitespace().collect::<Vec<_>>().join("_")
}

fn first_contact(endpoint: &Endpoint, shown: &PublicKey, events: &Events) -> Result<()> {
    let print = fingerprint(shown);
    match &endpoint.host_key {
        HostKeyPolicy::Pinned { machine_id, file } => {
            let line = format!("{} {}", pin_id(machine_id), shown.line());
            match append_line(file, &line) {
                Ok(()) => events.detail(format!(
                    "first contact with {}: its host key {print} was pinned to machine \
                     {machine_id} in {}",
                    endpoint.place(),
                    file.display()
                )),
                Err(error) => not_recorded(endpoint, &print, file, &error, events),
            }
            Ok(())
        }
        HostKeyPolicy::KnownHosts {
            files, accept_new, ..
        } => {
            if !accept_new {
                return Err(unknown(endpoint, shown, files));
            }
            let Some(file) = files.first() else {
                events.warning(format!(
                    "First contact with {}: its host key {print} was accepted and, without a \
                     known_hosts file, not recorded",
                    endpoint.place()
                ));
                return Ok(());
            };
            let name = filed_under(endpoint);
            match append_line(file, &format!("{name} {}", shown.line())) {
                Ok(()) => events.note(format!(
                    "First contact with {}: its host key {print} was recorded in {}",
                    endpoint.place(),
                    file.display()
                )),
                Err(error) => not_recorded(endpoint, &print, file, &error, events),
            }
            Ok(())
        }
    }
}

fn not_recorded(endpoint: &Endpoint, print: &str, file: &Path, error: &io::Error, events: &Events) {
    events.warning(format!(
        "First contact with {}: its host key {print} was accepted, and could not be recorded in \
         {}: {error}",
        endpoint.place(),
        file.display()
    ));
}

fn unknown(endpoint: &Endpoint, shown: &PublicKey, files: &[PathBuf]) -> Error {
    let files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Error::new(
        ErrorKind::HostKey,
        format!("The host key of {} is not known", endpoint.place()),
    )
    .because(format!(
        "it is {}, and no key of this host is recorded in {}",
        fingerprint(shown),
        files.join(", ")
    ))
    .hint(format!(
        "Compare it with what the box itself says (ssh-keygen -lf \
         /etc/ssh/ssh_host_ed25519_key.pub), then record it: ssh -o StrictHostKeyChecking=ask{} -p {} {}",
        options(endpoint),
        endpoint.port,
        quote::typed(&format!("{}@{}", endpoint.user, endpoint.host))
    ))
}

/// Who has an authority for a host's key does not want another one to be taken on trust.
fn vouched_for(endpoint: &Endpoint, shown: &PublicKey, authority: &Known) -> Error {
    Error::new(
        ErrorKind::HostKey,
        format!("The host key of {} cannot be verified", endpoint.place()),
    )
    .because(format!(
        "{} has a certificate authority for it, and dwenv reads no host certificates: it shows {}",
        authority.place(),
        fingerprint(shown)
    ))
    .hint(format!(
        "Compare it with what the box itself says (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then add it to \
         known_hosts as a key of its own: {} {}",
        filed_under(endpoint),
        shown.line()
    ))
}

/// What OpenSSH has to be told beside the address, to come to the same machine and file its key so.
fn options(endpoint: &Endpoint) -> String {
    let mut options = String::new();
    if !endpoint.via.is_empty() {
        let via: Vec<&str> = endpoint.via.iter().map(|hop| hop.name.as_str()).collect();
        options += &format!(" -J {}", quote::typed(&via.join(",")));
    }
    if let Some(alias) = alias(endpoint) {
        options += &format!(" -o {}", quote::typed(&format!("HostKeyAlias={alias}")));
    }
    options
}

fn changed(endpoint: &Endpoint, shown: &PublicKey, known: &Known) -> Error {
    let error = match &endpoint.host_key {
        HostKeyPolicy::Pinned { machine_id, .. } => Error::new(
            ErrorKind::HostKey,
            format!(
                "The host key of machine {machine_id} ({}) has changed",
                endpoint.name
            ),
        ),
        HostKeyPolicy::KnownHosts { .. } => Error::new(
            ErrorKind::HostKey,
            format!("The host key of {} has changed", endpoint.place()),
        ),
    };
    let error = error.because(format!(
        "it shows {}, but {} records {}",
        fingerprint(shown),
        known.place(),
        fingerprint(&known.key)
    ));
    how_to_forget(error, endpoint, known)
}

fn other_type(endpoint: &Endpoint, shown: &PublicKey, known: &Known) -> Error {
    let error = Error::new(
        ErrorKind::HostKey,
        format!("The host key of {} cannot be verified", endpoint.place()),
    )
    .because(format!(
        "{} records {}, and the server no longer has a key of that type: it shows {}",
        known.place(),
        fingerprint(&known.key),
        fingerprint(shown)
    ));
    how_to_forget(error, endpoint, known)
}

fn how_to_forget(error: Error, endpoint: &Endpoint, known: &Known) -> Error {
    let remedy = match &endpoint.host_key {
        HostKeyPolicy::Pinned { .. } => format!(
            "If that machine was really rebuilt, delete line {} of {} and run this again",
            known.line,
            known.file.display()
        ),
        HostKeyPolicy::KnownHosts { .. } => format!(
            "If the box was rebuilt, forget its old keys: ssh-keygen -f {} -R {}",
            quote::typed(&known.file.display().to_string()),
            quote::typed(&filed_under(endpoint))
        ),
    };
    error
        .hint(remedy)
        .hint("Otherwise do not connect: another machine answers at this address")
}

//! OpenSSH's `known_hosts` files, read as data. Nothing here does I/O.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};

/// One line of a file that names hosts and one key of theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Counted from one.
    pub(super) line: usize,
    hosts: Hosts,
    pub(super) revoked: bool,
    /// The key is no host's: it signs those of hosts.
    pub(super) authority: bool,
    /// Such as `ssh-ed25519`.
    pub(super) kind: String,
    pub(super) key: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// A line that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) line: usize,
    pub(super) reason: &'static str,
}

/// Reads a whole file. One bad line costs that line only.
pub(super) fn parse(text: &str) -> (Vec<Entry>, Vec<Skipped>) {
    let mut entries = Vec::new();
    let mut skipped = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(number, line) {
            Ok(entry) => entries.push(entry),
            Err(reason) => skipped.push(Skipped {
                line: number,
                reason,
            }),
        }
    }
    (entries, skipped)
}

fn entry(number: usize, line: &str) -> Result<Entry, &'static str> {
    let mut words = line.split_whitespace();
    let mut next = || words.next().ok_or("it has too few fields");
    let mut hosts = next()?;
    let (mut revoked, mut authority) = (false, false);
    if let Some(marker) = hosts.strip_prefix('@') {
        match marker {
            "revoked" => revoked = true,
            "cert-authority" => authority = true,
            _ => return Err("its marker is unknown"),
        }
        hosts = next()?;
    }
    let kind = next()?.to_owned();
    let key = BASE64
        .decode(next()?)
        .map_err(|_| "its key is not base64 text")?;
    // The blob repeats its type; a line in which they differ was edited or cut.
    if !key
        .get(4..)
        .is_some_and(|rest| rest.starts_with(kind.as_bytes()))
    {
        return Err("its key is not of the type it names");
    }
    Ok(Entry {
        line: number,
        hosts: parse_hosts(hosts)?,
        revoked,
        authority,
        kind,
        key,
    })
}

fn parse_hosts(field: &str) -> Result<Hosts, &'static str> {
    let Some(hashed) = field.strip_prefix("|1|") else {
        let patterns = field.split(',').map(str::to_ascii_lowercase).collect();
        return Ok(Hosts::Patterns(patterns));
    };
    let (salt, hash) = hashed.split_once('|').ok_or("its hashed name is damaged")?;
    let decode = |text: &str| {
        BASE64
            .decode(text)
            .map_err(|_| "its hashed name is damaged")
    };
    Ok(Hosts::Hashed {
        salt: decode(salt)?,
        hash: decode(hash)?,
    })
}

/// How a host is written in these files: with its port unless that is 22.
pub(super) fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        return host;
    }
    format!("[{host}]:{port}")
}

impl Entry {
    /// Whether the line speaks of this name, as `name` writes it.
    pub(super) fn is_for(&self, name: &str) -> bool {
        match &self.hosts {
            Hosts::Hashed { salt, hash } => match Hmac::<sha1::Sha1>::new_from_slice(salt) {
                Ok(mac) => mac.chain_update(name).verify_slice(hash).is_ok(),
                Err(_) => false,
            },
            Hosts::Patterns(patterns) => {
                let mut found = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        // One exclusion outweighs every match of the same line.
                        Some(excluded) if matches(excluded, name) => return false,
                        Some(_) => {}
                        None => found |= matches(pattern, name),
                    }
                }
                found
            }
        }
    }
}

/// Shell-like patterns of `*` and `?` only; brackets stand for themselves.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star, should what follows it not fit.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    p = star + 1;
                    n = taken + 1;
                    retry = Some((star, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key blob that names its type and says nothing more.
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5";

    fn only(line: &str) -> Entry {
        let (mut entries, skipped) = parse(line);
        assert_eq!(skipped, []);
        assert_eq!(entries.len(), 1);
        entries.remove(0)
    }

    #[test]
    fn plain_names_lists_and_ports() {
        let entry = only(&format!("Box.example,[127.0.0.1]:2222 {ED25519} a comment"));
        assert!(entry.is_for("box.example"));
        assert!(entry.is_for("[127.0.0.1]:2222"));
        assert!(!entry.is_for("127.0.0.1"));
        assert_eq!(name("BOX", 22), "box");
        assert_eq!(name("127.0.0.1", 2222), "[127.0.0.1]:2222");
    }

    #[test]
    fn patterns_and_their_exclusions() {
        let entry = only(&format!("*.lab,!bad.lab,box-? {ED25519}"));
        assert!(entry.is_for("a.lab"));
        assert!(entry.is_for("a.b.lab"));
        assert!(!entry.is_for("bad.lab"));
        assert!(entry.is_for("box-1"));
        assert!(!entry.is_for("box-12"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*b*c", "a-b-b-d"));
        assert!(matches("[*]:22?2", "[host]:2222"));
    }

    #[test]
    fn hashed_names_as_ssh_keygen_writes_them() {
        // ssh-keygen -H over "[box.lab]:2222"
        let salt = BASE64.encode([7_u8; 20]);
        let mac = Hmac::<sha1::Sha1>::new_from_slice(&[7; 20]).unwrap();
        let hash = BASE64.encode(mac.chain_update("[box.lab]:2222").finalize().into_bytes());
        let entry = only(&format!("|1|{salt}|{hash} {ED25519}"));
        assert!(entry.is_for("[box.lab]:2222"));
        assert!(!entry.is_for("box.lab"));
    }

    #[test]
    fn markers() {
        assert!(only(&format!("@revoked * {ED25519}")).revoked);
        assert!(only(&format!("@cert-authority *.lab {ED25519}")).authority);
    }

    #[test]
    fn a_bad_line_costs_that_line_only() {
        let text = format!(
            "# comment\n\nhost\nhost ssh-ed25519 ???\nhost ssh-rsa AAAAC3NzaC1lZDI1NTE5\n\
             |1|x {ED25519}\nhost {ED25519}\r\n"
        );
        let (entries, skipped) = parse(&text);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].line, 7);
        let lines: Vec<usize> = skipped.iter().map(|skipped| skipped.line).collect();
        assert_eq!(lines, [3, 4, 5, 6]);
    }
}

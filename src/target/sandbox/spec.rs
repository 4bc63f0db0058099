//! What a sandbox is asked to be, and the names that follow from it.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The Debian release of a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    #[default]
    Trixie,
}

impl Suite {
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Bookworm => "Debian 12 (bookworm)",
            Self::Trixie => "Debian 13 (trixie)",
        })
    }
}

/// What a sandbox is asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// What the sandbox is called on the command line, such as `default`.
    pub name: String,
    pub suite: Suite,
    /// Its address. The network is its /24; the host is `.1` of it.
    pub address: Ipv4Addr,
    /// Who logs in there, with sudo and no password.
    pub user: String,
    pub hostname: String,
}

impl Spec {
    /// Whether a machine can be made from this: every value of it becomes part of a path, a program's
    /// argument or a configuration file.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        if !is_label(&self.hostname) {
            return Err(Error::config(format!(
                "`{}` cannot be a sandbox's host name",
                self.hostname
            ))
            .hint("Use up to 63 lower-case letters, digits and hyphens."));
        }
        if !is_user(&self.user) {
            return Err(Error::config(format!(
                "`{}` cannot be a sandbox's user",
                self.user
            ))
            .hint("Use up to 32 lower-case letters, digits, hyphens and underscores, a letter first."));
        }
        let last = self.address.octets()[3];
        if !self.address.is_private() || matches!(last, 0 | 1 | 255) {
            return Err(
                Error::config(format!("{} cannot be a sandbox's address", self.address))
                    .because(
                        "it must be a private one, and .0, .1 and .255 of its network are taken",
                    )
                    .hint(
                        "Set `ip` in `[box]` of config.toml to an address such as 192.168.33.10.",
                    ),
            );
        }
        Ok(())
    }

    pub fn network(&self) -> Network {
        Network::of(self.address)
    }
}

/// The /24 that a sandbox lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network(Ipv4Addr);

impl Network {
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        Self(Ipv4Addr::new(a, b, c, 0))
    }

    /// The host's own address in it, which the sandboxes use as their router.
    pub fn router(self) -> Ipv4Addr {
        let [a, b, c, _] = self.0.octets();
        Ipv4Addr::new(a, b, c, 1)
    }

    /// Whether it shares an address with `address/prefix`.
    pub fn overlaps(self, address: Ipv4Addr, prefix: u8) -> bool {
        let shared = u32::from(prefix.min(24));
        let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
        u32::from(self.0) & mask == u32::from(address) & mask
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/24", self.0)
    }
}

/// Whether a sandbox can be called that: it becomes the name of a folder.
pub fn check_name(name: &str) -> Result<()> {
    if is_label(name) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` cannot be a sandbox's name"))
        .hint("Use up to 63 lower-case letters, digits and hyphens."))
}

/// The machine's name to systemd-nspawn: of one store only, and short enough that the interface
/// `vb-NAME` on the host carries it whole.
pub fn machine_name(store: &Path, name: &str) -> String {
    format!("dwenv{}", digest(store, name, 7))
}

/// The interface on the host that leads to that machine; systemd-nspawn names it so.
pub fn link_name(machine: &str) -> String {
    format!("vb-{machine}")
}

/// The bridge of one network of one store; two stores never share one.
pub fn bridge_name(store: &Path, network: Network) -> String {
    format!("dwbr-{}", digest(store, &network.to_string(), 10))
}

fn digest(store: &Path, text: &str, length: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(store.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(text);
    let hex = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        hex.push_str(&format!("{byte:02x}"));
        hex
    });
    hex[..length].to_owned()
}

fn is_label(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn is_user(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec {
            name: "default".into(),
            suite: Suite::Trixie,
            address: Ipv4Addr::new(192, 168, 33, 10),
            user: "vagrant".into(),
            hostname: "docker-workshop".into(),
        }
    }

    #[test]
    fn what_could_leave_its_folder_or_its_line_is_refused() {
        spec().check().unwrap();
        for name in ["", ".", "..", "a/b", "-a", "a-", "A", "a b", "a\nb", "ü"] {
            assert!(
                Spec {
                    name: name.into(),
                    ..spec()
                }
                .check()
                .is_err(),
                "{name}"
            );
            assert!(
                Spec {
                    hostname: name.into(),
                    ..spec()
                }
                .check()
                .is_err()
            );
        }
        for user in ["", "1a", "a:b", "a b", "$(id)", "../x"] {
            assert!(
                Spec {
                    user: user.into(),
                    ..spec()
                }
                .check()
                .is_err(),
                "{user}"
            );
        }
        for address in ["192.168.33.1", "192.168.33.255", "8.8.8.8", "127.0.0.2"] {
            let address = address.parse().unwrap();
            assert!(Spec { address, ..spec() }.check().is_err(), "{address}");
        }
    }

    #[test]
    fn names_fit_an_interface_and_differ_by_store() {
        let (one, two) = (Path::new("/var/lib/dwenv"), Path::new("/other"));
        let network = spec().network();
        for name in [
            bridge_name(one, network),
            link_name(&machine_name(one, "default")),
            link_name(&machine_name(one, &"x".repeat(63))),
        ] {
            assert!(name.len() <= 15, "{name}");
        }
        assert_ne!(bridge_name(one, network), bridge_name(two, network));
        assert_ne!(machine_name(one, "a"), machine_name(two, "a"));
        assert_ne!(machine_name(one, "a"), machine_name(one, "b"));
    }

    #[test]
    fn networks_overlap_whichever_is_the_wider() {
        let network = spec().network();
        let address = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        assert_eq!(network.to_string(), "192.168.33.0/24");
        assert_eq!(network.router(), address("192.168.33.1"));
        assert!(network.overlaps(address("192.168.33.77"), 32));
        assert!(network.overlaps(address("192.168.33.1"), 24));
        assert!(network.overlaps(address("192.168.0.1"), 16));
        assert!(network.overlaps(address("0.0.0.0"), 0));
        assert!(!network.overlaps(address("192.168.34.1"), 24));
        assert!(!network.overlaps(address("10.0.0.1"), 8));
    }
}

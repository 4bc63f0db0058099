//! Everything that is needed to open a connection to one box.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// Where an SSH server listens, who logs in there, with what, and which host key is expected.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What people call this box: the target as written, such as `vagrant` or `ssh://me@host`.
    pub name: String,
    /// Name or address to connect to.
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Private keys to offer, in this order, each in OpenSSH or PEM format.
    pub identities: Vec<PathBuf>,
    pub agent: Agent,
    /// What OpenSSH's configuration offers beside, and dwenv does not take: named where the login is refused.
    pub unused: Vec<String>,
    /// Offered last, by the methods `password` and `keyboard-interactive`.
    pub password: Option<Secret>,
    pub host_key: HostKeyPolicy,
    /// How long the whole of connecting may take: TCP, handshake and login together, at every machine on
    /// the way.
    pub timeout: Duration,
    /// The machines on the way there, the nearest first; each is logged in to like any other, and carries
    /// the connection to the next. What stands in their own `via` is not looked at.
    pub via: Vec<Endpoint>,
}

/// Which identities of the agent are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    None,
    /// Those of the files in `identities`, whose private halves may be in the agent alone.
    OfFiles,
    /// Those first, and after the files all others.
    All,
}

/// Which host key is the right one.
#[derive(Clone, Debug)]
pub enum HostKeyPolicy {
    /// As OpenSSH does: look the host up in these files, and write a first contact to the first one.
    KnownHosts {
        files: Vec<PathBuf>,
        accept_new: bool,
        /// The name that the key is filed under, where that is not the host's own.
        alias: Option<String>,
    },
    /// A box that dwenv or Vagrant made: its key is recorded under the machine's own id at the first
    /// contact, because all such boxes share one address.
    Pinned { machine_id: String, file: PathBuf },
}

impl Endpoint {
    /// What people call the box, with its address where the name does not say it.
    #[must_use]
    pub fn place(&self) -> String {
        if self.name.contains(&self.host) {
            return self.name.clone();
        }
        format!("{} ({}:{})", self.name, self.host, self.port)
    }
}

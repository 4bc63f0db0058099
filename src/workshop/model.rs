//! The workshop as the rest of the program sees it: checked values, no TOML.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use semver::Version;

use super::authors::{AuthorsCheck, Ignore};
use crate::secret::Secret;

/// Everything that is declared for one workshop.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// Short name, a host name label: it names the Vagrant machine and the server's unit.
    pub name: String,
    pub laptop: Laptop,
    pub machine: Machine,
    pub venue: Venue,
    pub docker: Docker,
    pub postgres: Postgres,
    pub server: Server,
    /// `[target.NAME]` entries: names for SSH targets.
    pub targets: BTreeMap<String, NamedTarget>,
    /// `[room]`: the boxes that `--target room` stands for, as `--target` would take them.
    pub room: Vec<String>,
    /// `[checks.NAME]`: the author's own checks.
    pub checks: Vec<AuthorsCheck>,
    /// Checks that are shown and not counted.
    pub ignores: Vec<Ignore>,
    /// Where the declaration was read from; `None` for the one inside the program.
    pub origin: Option<PathBuf>,
}

/// What the attendee's own machine must have.
#[derive(Clone, Debug)]
pub struct Laptop {
    pub vagrant: Version,
    pub virtualbox: Version,
}

/// The box that Vagrant, or the sandbox, makes (`[box]`).
#[derive(Clone, Debug)]
pub struct Machine {
    pub hostname: String,
    /// Vagrant box names by the laptop's processor.
    pub amd64: String,
    pub arm64: String,
    pub memory_mb: u32,
    pub cpus: u32,
    /// The private address. Its /24 is the network between laptop and box.
    pub ip: Ipv4Addr,
    pub forwards: Vec<Forward>,
}

/// A forwarded port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    pub guest: u16,
    pub host: u16,
}

/// What the network of the place asks of every box in it (`[network]`); empty where nothing is declared.
#[derive(Clone, Debug, Default)]
pub struct Venue {
    pub proxy: Option<Proxy>,
    /// Names and networks that are reached without the proxy, beside the box's own.
    pub no_proxy: Vec<String>,
    /// Authorities whose certificates the box trusts: PEM files, one certificate each.
    pub certificates: Vec<DeclaredFile>,
    /// A web address below which copies of the distribution's archives lie, by their usual names.
    pub apt_mirror: Option<String>,
    /// Web addresses of copies of Docker Hub.
    pub registry_mirrors: Vec<String>,
}

impl Venue {
    /// Whether Docker's daemon has to be told of anything.
    #[must_use]
    pub fn concerns_docker(&self) -> bool {
        self.proxy.is_some() || !self.certificates.is_empty() || !self.registry_mirrors.is_empty()
    }
}

/// The web address of a proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub address: Secret,
    /// Whether it may be shown: it holds no password, and stands in `config.toml` itself.
    pub is_public: bool,
}

#[derive(Clone, Debug)]
pub struct Docker {
    pub source: DockerSource,
    /// Where Docker's own apt repository is: its URL, to which the distribution's id is appended.
    pub repository: String,
    /// The fingerprint of the key that signs it, 40 hexadecimal digits.
    pub key_fingerprint: String,
    /// The oldest Docker Engine that will do.
    pub minimum: Version,
    /// Whether Compose has to be there.
    pub compose: bool,
    /// Image references that the box must hold, such as `python:3-slim`.
    pub images: Vec<String>,
}

/// Which apt repository Docker comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerSource {
    /// The distribution's own packages.
    Distribution,
    /// Docker's own apt repository.
    Docker,
}

#[derive(Clone, Debug)]
pub struct Postgres {
    /// The oldest major version that will do.
    pub minimum_major: u32,
    pub port: u16,
    pub listen_addresses: String,
    /// `pg_hba.conf` addresses from which the role may log in, always with scram-sha-256:
    /// CIDR blocks, or the keywords `samehost` and `samenet`.
    pub allow_from: Vec<String>,
    pub role: String,
    pub database: String,
    pub password: Password,
    /// Creates role and database, run as the superuser.
    pub create_database: DeclaredFile,
    /// Creates tables and fixtures, run as the role.
    pub create_schema: DeclaredFile,
    /// The text of `create_schema` as part of a transaction that dwenv begins and ends.
    pub schema_sql: String,
    pub tables: Vec<Table>,
}

/// Whether a command needs the secrets that a declaration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Each is read, and one that is not there is an error.
    Read,
    /// They stay where they are, and their values are empty: whoever stops a box or looks at its name has no use
    /// for them, and may not have them.
    Leave,
}

/// The role's password.
#[derive(Clone, Debug)]
pub enum Password {
    /// Written in `config.toml`, so public: the lab's own value.
    Public(String),
    /// Given by the author from outside the declaration.
    Secret(Secret),
}

impl Password {
    #[must_use]
    pub fn reveal(&self) -> &str {
        match self {
            Self::Public(text) => text,
            Self::Secret(secret) => secret.reveal(),
        }
    }
}

/// A table that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

/// A column, in the words of PostgreSQL's catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// As `format_type` prints it: `integer`, `text`, `timestamp with time zone`.
    pub data_type: String,
    pub not_null: bool,
    /// As `pg_get_expr` prints it: `now()`, `''::text`. `None`: no default.
    pub default: Option<String>,
    pub primary_key: bool,
}

/// The small Python server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Folder in the box, relative to the login user's home.
    pub directory: String,
    pub port: u16,
    /// The name of the systemd unit, with `.service`.
    pub unit: String,
    /// The unit's text, with `@USER@` and `@DIRECTORY@` to be filled in for the box.
    pub unit_file: DeclaredFile,
    /// Files that are put into `directory`, the SQL files among them.
    pub files: Vec<DeclaredFile>,
}

/// A file of the declaration, read when the declaration was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredFile {
    /// Its path as `config.toml` names it.
    pub path: String,
    /// Its last part: the name it has in the box.
    pub name: String,
    /// Its text, with line ends made `\n` (an editor on Windows may have written others).
    pub content: String,
}

impl DeclaredFile {
    /// Its name without what stands behind the last dot.
    #[must_use]
    pub fn stem(&self) -> &str {
        let parts = self.name.rsplit_once('.');
        parts.map_or(self.name.as_str(), |(stem, _)| stem)
    }
}

/// A `[target.NAME]` entry.
#[derive(Clone, Debug, Default)]
pub struct NamedTarget {
    pub host: String,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identity: Option<PathBuf>,
}

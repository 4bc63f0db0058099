//! The declaration: what a workshop needs, read from `config.toml`.

pub mod authors;
mod builtin;
mod check;
mod column;
mod declaration;
mod document;
mod fetch;
mod folder;
mod identifier;
mod init;
pub mod model;
mod network;
mod secrets;
mod section;
mod source;
pub(crate) mod sql;
mod vagrantfile;
mod venue;

pub use authors::{AuthorsCheck, Ignore};
pub use init::{Initialised, init, init_with};
pub use model::*;
pub use source::{CONFIG_FILE, Source, load};
pub use vagrantfile::{DWENV_UP, is_untouched, vagrantfile};

use crate::error::Result;

/// Role, database and password of `server.py` itself.
const LAB: &str = "dockerworkshop";

impl Workshop {
    /// The declaration that the program carries inside.
    pub fn builtin() -> Result<Self> {
        declaration::read(None, None, Secrets::Read)
    }

    /// The variables by which the server learns what this declaration has other than its own defaults. A
    /// secret password is not among them: the server reads that from systemd's credential `postgres-password`.
    #[must_use]
    pub fn server_environment(&self) -> Vec<(&'static str, String)> {
        let postgres = &self.postgres;
        let password = match &postgres.password {
            Password::Public(text) => text.clone(),
            Password::Secret(_) => LAB.to_owned(),
        };
        let all = [
            ("PORT", self.server.port.to_string(), "8080"),
            (
                "POSTGRES_PORT_5432_TCP_PORT",
                postgres.port.to_string(),
                "5432",
            ),
            ("POSTGRES_USER", postgres.role.clone(), LAB),
            ("POSTGRES_DB", postgres.database.clone(), LAB),
            ("POSTGRES_PASSWORD", password, LAB),
        ];
        all.into_iter()
            .filter(|(_, value, default)| value != default)
            .map(|(name, value, _)| (name, value))
            .collect()
    }
}

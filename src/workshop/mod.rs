//! The declaration: what a workshop needs, read from `config.toml`.

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
mod section;
mod source;
mod vagrantfile;

pub use init::{Initialised, init};
pub use model::*;
pub use source::{CONFIG_FILE, Source, load};
pub use vagrantfile::{DWENV_UP, vagrantfile};

use crate::error::Result;

impl Workshop {
    /// The declaration that the program carries inside.
    pub fn builtin() -> Result<Self> {
        declaration::read(None, None)
    }
}

//! The declaration: what a workshop needs, read from `config.toml`.

pub mod model;

pub use model::*;

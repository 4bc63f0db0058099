//! `dwenv` makes sure that every machine of a hands-on Docker workshop is ready before it starts.
//!
//! `docs/architecture.md` is the map of these rooms.

pub mod cli;
pub mod commands;
pub mod date;
pub mod doctor;
pub mod error;
pub mod events;
pub mod facts;
pub mod interrupt;
pub mod lint;
pub mod output;
pub mod provision;
pub mod quote;
pub mod resources;
pub mod secret;
pub mod target;
pub mod transport;
pub mod workshop;

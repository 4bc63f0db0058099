//! Sandboxes as targets.

use std::path::Path;

use super::{Located, TargetRow};
use crate::error::{Error, Result};
use crate::events::Events;
use crate::workshop::Workshop;

/// Finds a sandbox.
pub async fn sandbox_located(
    _name: Option<&str>,
    _workshop: &Workshop,
    _dir: &Path,
    _events: &Events,
) -> Result<Located> {
    Err(not_here())
}

/// The sandboxes of this computer, as rows of `dwenv targets`.
pub async fn sandbox_rows(_dir: &Path) -> Result<Vec<TargetRow>> {
    Ok(Vec::new())
}

fn not_here() -> Error {
    Error::usage("sandboxes are not available on this system")
        .hint("they need Linux; elsewhere use `--target vagrant`, or `ssh://USER@HOST`")
}

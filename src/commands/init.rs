//! Writes the workshop's files into a folder, for an author to change.

use std::path::{Path, PathBuf};

use super::Environment;
use crate::error::{Error, ExitCode, Result};
use crate::output::Done;
use crate::workshop;

pub fn run(environment: &Environment, into: &Path) -> Result<ExitCode> {
    if environment.global.config.is_some() {
        return Err(Error::usage(
            "init writes the workshop that dwenv carries, and takes no --config",
        )
        .hint(
            "For another workshop, copy its folder; in there `dwenv init` writes the Vagrantfile",
        ));
    }
    // `.` at the end is left out of what is told.
    let folder: PathBuf = environment.folder.join(into).components().collect();
    let initialised = workshop::init(&folder)?;
    let mut done = Done::new(
        "init",
        match initialised.written.len() {
            0 => format!("All files are in {} already.", folder.display()),
            1 => format!("1 file was written into {}.", folder.display()),
            count => format!("{count} files were written into {}.", folder.display()),
        },
    );
    done.paths = initialised
        .written
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    done.hints = vec!["Change config.toml as you like, then run `dwenv up` there".to_owned()];
    environment.tell(|output| output.done(&done))?;
    Ok(ExitCode::Ready)
}

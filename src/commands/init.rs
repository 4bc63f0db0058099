//! Writes a workshop's files into a folder: those that dwenv carries, or those of `--config`.

use std::path::{Path, PathBuf};

use super::Environment;
use crate::error::{Error, ExitCode, Result};
use crate::output::Done;
use crate::workshop::{self, Secrets};

pub async fn run(environment: &Environment, into: &Path) -> Result<ExitCode> {
    // `.` at the end is left out of what is told.
    let folder: PathBuf = environment.folder.join(into).components().collect();
    if folder.is_file() {
        let what = format!(
            "{} is a file, and the workshop's files need a folder",
            folder.display()
        );
        return Err(Error::usage(what));
    }
    let initialised = match environment.global.config {
        Some(_) => {
            let workshop = environment.workshop(Secrets::Leave).await?;
            workshop::init_with(&folder, &workshop)?
        }
        None => workshop::init(&folder)?,
    };
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

//! `.dwenv/`: what dwenv remembers about one folder. Losing it loses nothing but time and trust on first use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder itself, whether it exists or not.
#[must_use]
pub fn path(dir: &Path) -> PathBuf {
    dir.join(".dwenv")
}

/// Makes the folder, so that nothing in it is committed by accident: it speaks of this computer only.
pub fn make(dir: &Path) -> io::Result<PathBuf> {
    let folder = path(dir);
    fs::create_dir_all(&folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(ignore, "*\n")?;
    }
    Ok(folder)
}

/// Writes one file whole: a cut leaves the old one.
pub fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let folder = make(dir)?;
    let partial = folder.join(format!("{name}.{}.part", std::process::id()));
    fs::write(&partial, text)?;
    fs::rename(&partial, folder.join(name)).inspect_err(|_| {
        let _ = fs::remove_file(&partial);
    })
}

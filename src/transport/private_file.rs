//! Appending to a file that only its owner may read. The one place here that knows of Unix modes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

/// Adds one line, creating the file and its folder where they are missing.
pub(super) fn append_line(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        restrict_folder(&mut builder);
        builder.create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    restrict_file(&mut options);
    let mut file = options.open(path)?;
    // In one write, so that two runs that append at the same time do not mix their lines.
    let start = if ends_in_the_middle_of_a_line(&mut file)? {
        "\n"
    } else {
        ""
    };
    file.write_all(format!("{start}{line}\n").as_bytes())
}

fn ends_in_the_middle_of_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(unix)]
fn restrict_folder(builder: &mut DirBuilder) {
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700);
}

#[cfg(unix)]
fn restrict_file(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn restrict_folder(_: &mut DirBuilder) {}

#[cfg(not(unix))]
fn restrict_file(_: &mut OpenOptions) {}

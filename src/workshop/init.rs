//! `dwenv init`: a declaration and its files written out, to be changed, or for Vagrant.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::source::{self, CONFIG_FILE};
use super::vagrantfile::{is_untouched, vagrantfile};
use super::{Secrets, Workshop, builtin};
use crate::error::{Error, Result};

const VAGRANTFILE: &str = "Vagrantfile";

/// What `init` did, file by file, each named as seen from its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Initialised {
    /// New, or written anew.
    pub written: Vec<PathBuf>,
    /// They were there, just as they would have been written.
    pub unchanged: Vec<PathBuf>,
}

/// What stands at a path already.
enum Present {
    Nothing,
    Same,
    /// Written by dwenv from another declaration, and not touched since.
    Outdated,
    /// Somebody's work.
    Theirs,
}

/// Writes `config.toml`, `Vagrantfile` and `provision/` into `dir`. Where an author's own `config.toml` is
/// there already, writes the `Vagrantfile` that follows from it.
///
/// Somebody's work is never overwritten: where a file differs, nothing at all is written.
pub fn init(dir: &Path) -> Result<Initialised> {
    write_all(dir, wanted(dir)?)
}

/// The same with a workshop that was read elsewhere: its declaration, every file that this names, and the
/// `Vagrantfile` that follows from it.
pub fn init_with(dir: &Path, workshop: &Workshop) -> Result<Initialised> {
    let Some(config) = &workshop.origin else {
        return init(dir);
    };
    let vagrantfile = (PathBuf::from(VAGRANTFILE), vagrantfile(workshop));
    let (text, named) = source::with_files(config)?;
    let mut files = vec![vagrantfile];
    for (path, content) in named {
        if !is_only_the_workshops(&path) {
            return Err(Error::usage(format!(
                "the workshop names {path} as a file of its server, and that is not written here"
            ))
            .hint("Vagrant, a shell or dwenv itself would take it for theirs: give it another name")
            .hint("Or copy the workshop's folder yourself, once you have looked at it"));
        }
        files.push((PathBuf::from(path), content));
    }
    // Last, so that a folder with a declaration always has its files too.
    files.push((CONFIG_FILE.into(), text));
    write_all(dir, files)
}

/// Whether nobody but the workshop's server makes anything of a file by this name: neither Vagrant, which runs its
/// Vagrantfile, nor dwenv, nor a shell or another program that keeps what it obeys in hidden files. Whoever wrote the
/// workshop, perhaps at the other end of a web address, must not get that by a file that is copied.
fn is_only_the_workshops(path: &str) -> bool {
    let is_free = |part: &str| {
        // Windows and macOS do not tell capitals apart, and Windows leaves dots at the end out.
        let part = part.trim_end_matches('.').to_lowercase();
        let taken = [VAGRANTFILE, CONFIG_FILE].map(str::to_lowercase);
        !part.starts_with('.') && !taken.contains(&part)
    };
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let in_the_open = folders.is_empty() || folders.split('/').all(is_free);
    in_the_open && (is_free(name) || name == ".dockerignore")
}

/// Writes these files by their paths; where one would be written over somebody's work, none of them.
fn write_all(
    dir: &Path,
    files: impl IntoIterator<Item = (PathBuf, String)>,
) -> Result<Initialised> {
    let mut done = Initialised::default();
    let mut theirs = Vec::new();
    let mut to_write = Vec::new();
    for (path, content) in files {
        match present(dir, &path, &content)? {
            Present::Nothing | Present::Outdated => to_write.push((path, content)),
            Present::Same => done.unchanged.push(path),
            Present::Theirs => theirs.push(path.display().to_string()),
        }
    }
    if !theirs.is_empty() {
        let message = format!(
            "{} in {} would be overwritten; nothing was written",
            theirs.join(", "),
            dir.display()
        );
        return Err(Error::usage(message).hint(
            "these files differ from what init writes: move them away, or give init an empty folder",
        ));
    }
    for (path, content) in to_write {
        write(&dir.join(&path), &content)
            .map_err(|error| failed(&dir.join(&path), "written", &error))?;
        done.written.push(path);
    }
    Ok(done)
}

/// The files that belong into `dir`, and their texts.
fn wanted(dir: &Path) -> Result<Vec<(PathBuf, String)>> {
    let config = PathBuf::from(CONFIG_FILE);
    if let Present::Theirs = present(dir, &config, builtin::CONFIG)? {
        // With its own declaration, a folder's other files are the author's as well.
        let workshop = source::load(&dir.join(CONFIG_FILE), Secrets::Leave)?;
        return Ok(vec![(VAGRANTFILE.into(), vagrantfile(&workshop))]);
    }
    let mut files: Vec<_> = builtin::FILES
        .iter()
        .map(|(path, content)| (PathBuf::from(path), (*content).to_owned()))
        .collect();
    files.push((VAGRANTFILE.into(), vagrantfile(&Workshop::builtin()?)));
    // Last, so that a folder with a declaration always has its files too.
    files.push((config, builtin::CONFIG.to_owned()));
    Ok(files)
}

fn present(dir: &Path, path: &Path, content: &str) -> Result<Present> {
    let full = dir.join(path);
    let bytes = match fs::read(&full) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A link that leads nowhere is somebody's too.
            return Ok(match full.symlink_metadata() {
                Ok(_) => Present::Theirs,
                Err(_) => Present::Nothing,
            });
        }
        Err(_) if full.is_dir() => return Ok(Present::Theirs),
        Err(error) => return Err(failed(&full, "read", &error)),
    };
    // Git on Windows may have given it other line ends.
    let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    Ok(if text == content {
        Present::Same
    } else if path == Path::new(VAGRANTFILE) && is_untouched(&text) {
        Present::Outdated
    } else {
        Present::Theirs
    })
}

/// Writes beside and moves, so that a cut never leaves half a file that looks like somebody's work.
fn write(file: &Path, content: &str) -> std::io::Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let fresh = file.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&fresh, content)
        .and_then(|()| fs::rename(&fresh, file))
        .inspect_err(|_| {
            // What matters is why it could not be written.
            let _ = fs::remove_file(&fresh);
        })
}

fn failed(file: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::usage(format!("{} cannot be {what}", file.display())).because(error)
}

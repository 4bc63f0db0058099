//! The files that a declaration names, wherever it came from.

use std::cell::RefCell;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::builtin;
use super::check;
use super::model::DeclaredFile;
use super::section::{Problem, Value};
use crate::error::Result;

/// No file of a workshop's server comes near this; a wrong path may.
pub const SIZE_LIMIT: u64 = 1024 * 1024;

/// Where the files of one declaration lie.
#[derive(Debug)]
pub enum Folder {
    /// Inside the program.
    Builtin,
    /// Beside the author's `config.toml`.
    Local(PathBuf),
    /// The copy of what a URL had.
    Cached(PathBuf),
    /// Only notes what is named: by a declaration from a URL it has to be fetched, by another one copied.
    Wanted(RefCell<Vec<String>>, Origin),
}

/// Whose a declaration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file of this person's, who may read and run here what they like.
    Here,
    Url,
}

impl Value<'_> {
    /// The file that this value names.
    pub fn file(&self) -> Result<DeclaredFile> {
        let path = self.parse(check::relative)?;
        let content = self
            .folder()
            .read(&path)
            .map_err(|problem| self.error(problem))?;
        let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
        Ok(DeclaredFile {
            path,
            name,
            content,
        })
    }
}

impl Folder {
    /// Whether the declaration came from a URL: whoever is given a web address is not to run its author's commands
    /// by that alone, nor to hand out files and variables of their own.
    pub fn is_of_url(&self) -> bool {
        matches!(self, Self::Cached(_) | Self::Wanted(_, Origin::Url))
    }

    /// The text of the file at this path.
    pub fn read(&self, path: &str) -> Result<String, Problem> {
        match self {
            Self::Builtin => match builtin::file(path) {
                Some(content) => Ok(content.to_owned()),
                None => Err(Problem::new("dwenv carries no such file inside")),
            },
            Self::Local(root) | Self::Cached(root) => tidy(&bytes(root, path)?),
            Self::Wanted(paths, _) => {
                paths.borrow_mut().push(path.to_owned());
                Ok("(to be fetched)\n".to_owned())
            }
        }
    }
}

/// A text file's bytes as text with `\n` line ends.
pub fn tidy(bytes: &[u8]) -> Result<String, Problem> {
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(Problem::new("the file is larger than 1 MiB"));
    }
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| Problem::new("the file is not UTF-8 text").hint("save it as UTF-8"))?;
    // Editors on Windows write both.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Problem::new("the file is empty"));
    }
    Ok(text.replace("\r\n", "\n"))
}

fn bytes(root: &Path, path: &str) -> Result<Vec<u8>, Problem> {
    // Joined name by name, a path is told as this system spells it.
    let mut full = root.to_owned();
    full.extend(path.split('/'));
    let real = full
        .canonicalize()
        .map_err(|error| unreadable(&full, &error))?;
    // A link could lead to the private files of whoever runs somebody else's workshop.
    let inside = root.canonicalize().is_ok_and(|root| real.starts_with(root));
    if !inside {
        return Err(Problem::new("it is a link that leads out of the folder"));
    }
    read_limited(&real).map_err(|error| unreadable(&full, &error))
}

/// A file's bytes, at most one more than [`SIZE_LIMIT`].
pub fn read_limited(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end, reading a folder fails with words for programmers.
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Why the file at `path` could not be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    if error.kind() == ErrorKind::NotFound {
        Problem::new("there is no such file").hint(format!("looked for {}", path.display()))
    } else {
        Problem::new(format!("the file cannot be read ({error})"))
    }
}

//! Which declaration a run works with: the author's, one from a URL, or the one inside the program.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::declaration;
use super::document::Document;
use super::fetch;
use super::folder::{self, Folder, Origin};
use super::model::{Secrets, Workshop};
use crate::error::{Error, Result};
use crate::events::Events;

/// What a declaration is called in its folder.
pub const CONFIG_FILE: &str = "config.toml";

/// Where a declaration comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Builtin,
    File(PathBuf),
    Url(String),
}

impl Source {
    /// `config` is what `--config` says: a URL, or a file as seen from `dir`. Without it the one in `dir`
    /// holds, and where there is none, the one inside the program.
    #[must_use]
    pub fn choose(dir: &Path, config: Option<&str>) -> Self {
        match config {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
                Self::Url(url.to_owned())
            }
            Some(file) => Self::File(dir.join(file)),
            None => {
                let file = dir.join(CONFIG_FILE);
                // A link that leads nowhere is a mistake to be told, not an empty folder.
                if file.symlink_metadata().is_ok() {
                    Self::File(file)
                } else {
                    Self::Builtin
                }
            }
        }
    }

    /// Reads and checks the declaration; a URL is fetched unless a copy from before is there.
    pub async fn load(&self, secrets: Secrets, events: &Events) -> Result<Workshop> {
        match self {
            Self::Builtin => Workshop::builtin(),
            Self::File(file) => load(file, secrets),
            Self::Url(url) => fetch::load(url, &fetch::cache_folder()?, secrets, events).await,
        }
    }
}

/// Reads the declaration in `file`, and the files that it names relative to itself.
pub fn load(file: &Path, secrets: Secrets) -> Result<Workshop> {
    let text = read(file)?;
    let document = Document::new(shown(file), text, folder_of(file));
    declaration::read(Some(&document), Some(file.to_owned()), secrets)
}

/// Where the files lie that a declaration in `file` names.
fn folder_of(file: &Path) -> Folder {
    let folder = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    Folder::Local(folder.to_owned())
}

/// The file as errors name it: `config.toml`, not `./config.toml`, nor with the folder that one is in.
fn shown(file: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let file = [Path::new("."), &here]
        .iter()
        .find_map(|folder| file.strip_prefix(folder).ok())
        .unwrap_or(file);
    file.display().to_string()
}

/// The files that a declaration names, by the paths it gives them. All its other values are checked on the way.
pub fn named_files(name: &str, text: String, origin: Origin) -> Result<Vec<String>> {
    let document = Document::new(name, text, Folder::Wanted(RefCell::default(), origin));
    declaration::read(Some(&document), None, Secrets::Leave)?;
    match document.folder {
        Folder::Wanted(paths, _) => {
            let mut paths = paths.into_inner();
            paths.sort();
            paths.dedup();
            Ok(paths)
        }
        _ => Ok(Vec::new()),
    }
}

/// The text of the declaration in `file`, and the files that it names, each by its path from there. What it may look
/// at on this machine was decided when it was loaded.
pub fn with_files(file: &Path) -> Result<(String, Vec<(String, String)>)> {
    let text = read(file)?;
    let folder = folder_of(file);
    let mut files = Vec::new();
    for path in named_files(&shown(file), text.clone(), Origin::Here)? {
        let content = folder
            .read(&path)
            .map_err(|problem| Error::config(format!("{path} cannot be read: {}", problem.what)))?;
        files.push((path, content));
    }
    Ok((text, files))
}

fn read(file: &Path) -> Result<String> {
    let name = shown(file);
    let bytes = folder::read_limited(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::config(format!("there is no {name}"))
            .hint("`dwenv init` writes one to start from"),
        _ => Error::config(format!("{name} cannot be read")).because(&error),
    })?;
    text(&name, &bytes)
}

/// The text of a declaration; an empty one is complete, since every key may be left out.
pub fn text(name: &str, bytes: &[u8]) -> Result<String> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(String::new());
    }
    folder::tidy(bytes).map_err(|problem| {
        let error = Error::config(format!("{name} cannot be used: {}", problem.what));
        match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

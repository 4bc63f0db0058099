//! The files of a workshop, as text: everything that the rules look at.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::workshop::{self, CONFIG_FILE, Secrets, Workshop};

/// No file of a workshop that is larger is written by hand.
const LARGEST: u64 = 1024 * 1024;
/// How deep folders within `provision` and `README` may lie.
const DEEPEST: usize = 4;
/// Folders of a workshop, beside what lies at its top.
const FOLDERS: &[&str] = &["provision", "README"];

/// A workshop as its author wrote it.
#[derive(Debug, Default)]
pub struct Sources {
    pub files: Vec<Source>,
    /// What `config.toml` declares, where there is one.
    pub declared: Option<Workshop>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As seen from the workshop's folder, with `/` between its parts.
    pub path: String,
    pub language: Language,
    pub text: String,
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Config,
    Vagrantfile,
    Dockerfile,
    Compose,
    Shell,
    Sql,
    Requirements,
    /// `pg_hba.conf`, or a part of it.
    Rules,
    Markdown,
    Python,
}

impl Language {
    /// By the name of a file; `None` for files that no rule looks at.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
        Some(match name.as_str() {
            CONFIG_FILE => Self::Config,
            "vagrantfile" => Self::Vagrantfile,
            _ if name == "dockerfile" || name.starts_with("dockerfile.") => Self::Dockerfile,
            _ if yaml && name.contains("compose") => Self::Compose,
            _ if name.ends_with(".sh") || name.ends_with(".bash") => Self::Shell,
            _ if name.ends_with(".sql") => Self::Sql,
            _ if name.starts_with("requirements") && name.ends_with(".txt") => Self::Requirements,
            _ if name.contains("pg_hba") => Self::Rules,
            _ if name.ends_with(".md") => Self::Markdown,
            _ if name.ends_with(".py") => Self::Python,
            _ => return None,
        })
    }
}

impl Sources {
    /// Reads the workshop in `folder`: the one place here that touches a disk.
    ///
    /// # Errors
    /// When `config.toml` is wrong, or there is nothing of a workshop.
    pub fn read(folder: &Path) -> Result<Self> {
        let config = folder.join(CONFIG_FILE);
        let declared = match config.is_file() {
            true => Some(workshop::load(&config, Secrets::Leave)?),
            false => None,
        };
        let mut files = Vec::new();
        gather(folder, "", 0, &mut files);
        for name in FOLDERS {
            gather(&folder.join(name), &format!("{name}/"), DEEPEST, &mut files);
        }
        if let Some(workshop) = &declared {
            for file in &workshop.server.files {
                add(folder, &file.path, &mut files);
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        if files.is_empty() {
            return Err(
                Error::usage(format!("there is no workshop in {}", folder.display()))
                    .hint("`dwenv init` writes one to start from"),
            );
        }
        Ok(Self { files, declared })
    }

    pub fn of(&self, language: Language) -> impl Iterator<Item = &Source> {
        self.files
            .iter()
            .filter(move |file| file.language == language)
    }
}

/// The files of one folder; `deeper` says how many levels of folders within count too.
fn gather(folder: &Path, prefix: &str, deeper: usize, files: &mut Vec<Source>) {
    // A folder that is not there or may not be read has nothing to be looked at.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = format!("{prefix}{name}");
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && deeper > 0 && !name.starts_with('.') {
            gather(&entry.path(), &format!("{path}/"), deeper - 1, files);
        } else if !is_folder {
            add_at(&entry.path(), path, files);
        }
    }
}

fn add(folder: &Path, path: &str, files: &mut Vec<Source>) {
    add_at(&folder.join(path), path.to_owned(), files);
}

fn add_at(file: &Path, path: String, files: &mut Vec<Source>) {
    let Some(language) = Language::of(&path) else {
        return;
    };
    let small = file
        .metadata()
        .is_ok_and(|data| data.is_file() && data.len() <= LARGEST);
    if !small || files.iter().any(|known| known.path == path) {
        return;
    }
    if let Ok(bytes) = fs::read(file) {
        files.push(Source {
            path,
            language,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        });
    }
}

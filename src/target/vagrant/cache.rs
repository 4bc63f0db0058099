//! What Vagrant said last, kept beside the Vagrantfile: asking it takes seconds, and a box seldom moves.
//!
//! An entry holds while the machine has the same id and none of the files that Vagrant writes when it makes
//! or starts a machine has changed. Everything else (a box that moved while nobody looked) shows as a
//! connection that fails, and then the entry is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::target::folder;

const FILE: &str = "vagrant.json";

/// Raised when the file's form changes; a file with another number is no entry.
const FORM: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Content {
    form: u32,
    /// The Vagrantfile these machines were read from.
    vagrantfile: Option<Stamp>,
    machines: Vec<String>,
    located: BTreeMap<String, Entry>,
}

/// What is known about one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub provider: String,
    pub id: String,
    pub ssh_config: String,
    /// The files whose change ends this entry.
    pub stamps: Vec<Stamp>,
}

/// A file, and when it was written last; `None`: it was not there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Stamp {
    path: PathBuf,
    written: Option<u64>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let modified = fs::metadata(path).and_then(|data| data.modified());
        let since = modified
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            path: path.to_owned(),
            written: since.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        }
    }

    fn holds(&self) -> bool {
        Self::of(&self.path) == *self
    }
}

/// The cache of one Vagrantfile's folder.
pub(super) struct Cache<'a> {
    pub folder: &'a Path,
    pub vagrantfile: &'a Path,
}

impl Cache<'_> {
    fn file(&self) -> PathBuf {
        folder::path(self.folder).join(FILE)
    }

    /// A file that cannot be read, or not understood, is no cache and no error: Vagrant will be asked.
    fn read(&self) -> Content {
        let text = fs::read_to_string(self.file()).unwrap_or_default();
        let content: Content = serde_json::from_str(&text).unwrap_or_default();
        if content.form == FORM && content.vagrantfile.as_ref().is_some_and(Stamp::holds) {
            content
        } else {
            Content::default()
        }
    }

    /// What is known about a machine, or about the only one there is.
    pub(super) fn find(
        &self,
        machine: Option<&str>,
        id: impl Fn(&str, &str) -> Option<String>,
    ) -> Option<(String, Entry)> {
        let content = self.read();
        let name = match (machine, content.machines.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, _) => return None,
        };
        let entry = content.located.get(name)?;
        let same = id(name, &entry.provider).as_deref() == Some(entry.id.as_str());
        (same && entry.stamps.iter().all(Stamp::holds)).then(|| (name.to_owned(), entry.clone()))
    }

    /// Keeps an entry. That it cannot be kept costs time at the next run, and nothing else.
    pub(super) fn keep(&self, machines: Vec<String>, name: &str, entry: Entry) {
        let mut content = self.read();
        content.form = FORM;
        content.vagrantfile = Some(Stamp::of(self.vagrantfile));
        content.machines = machines;
        content.located.insert(name.to_owned(), entry);
        self.write(&content);
    }

    /// Drops what is known about a machine, or about all; returns whether anything was.
    pub(super) fn forget(&self, machine: Option<&str>) -> bool {
        let mut content = self.read();
        let before = content.located.len();
        content
            .located
            .retain(|name, _| machine.is_some_and(|one| one != name));
        let dropped = content.located.len() < before;
        if dropped {
            self.write(&content);
        }
        dropped
    }

    fn write(&self, content: &Content) {
        if let Ok(text) = serde_json::to_string_pretty(content) {
            let _ = folder::write(self.folder, FILE, &text);
        }
    }
}

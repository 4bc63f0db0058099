//! Files and folders of the laptop, as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::places::Places;

/// What is kept of one file: the first processor of many, the beginning of a long table.
const LONGEST: u64 = 64 * 1024;
/// How many names of a folder, and how many files of one, are kept.
const MOST: usize = 400;
/// How deep Vagrant's own folder in a project goes.
const DEPTH: usize = 5;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    Absent,
    /// A file's content.
    Text(String),
    /// A folder's names.
    Names(Vec<String>),
    /// It is there; why it cannot be read.
    Unread {
        unread: String,
    },
}

impl Entry {
    #[must_use]
    pub fn is_there(&self) -> bool {
        *self != Self::Absent
    }
}

/// Reads every path; one that ends with `/*` stands for the files of that folder.
pub fn read(paths: &[&str], places: &Places) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    for path in paths {
        let Some(filled) = places.fill(path) else {
            continue;
        };
        let Some(folder) = filled.strip_suffix("/*") else {
            entries.insert((*path).to_owned(), entry(Path::new(&filled)));
            continue;
        };
        let found = entry(Path::new(folder));
        if let Entry::Names(names) = &found {
            for name in names {
                let path = Path::new(folder).join(name);
                entries.insert(path.to_string_lossy().into_owned(), entry(&path));
            }
        }
        entries.insert(folder.to_owned(), found);
    }
    entries
}

fn entry(path: &Path) -> Entry {
    let unread = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Entry::Absent,
        _ => Entry::Unread {
            unread: error.to_string(),
        },
    };
    let kind = match fs::metadata(path) {
        Ok(data) => data.file_type(),
        Err(error) => return unread(error),
    };
    if kind.is_dir() {
        return match fs::read_dir(path) {
            Ok(names) => Entry::Names(sorted(names)),
            Err(error) => unread(error),
        };
    }
    if !kind.is_file() {
        // Reading from a device may wait for ever, or do something.
        return Entry::Unread {
            unread: "not a file".to_owned(),
        };
    }
    let mut bytes = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes)) {
        Ok(_) => Entry::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => unread(error),
    }
}

fn sorted(names: fs::ReadDir) -> Vec<String> {
    let mut names: Vec<String> = names
        .flatten()
        .map(|name| name.file_name().to_string_lossy().into_owned())
        .take(MOST)
        .collect();
    names.sort();
    names
}

/// A process that may use KVM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KvmUser {
    pub pid: u32,
    pub name: String,
    /// `None` for somebody else's process, whose open files are not shown.
    pub has_kvm_open: Option<bool>,
}

/// The processes that have `/dev/kvm` open, and virtual machines of others, which do not show theirs.
pub fn kvm_users() -> Vec<KvmUser> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let folder = process.path();
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            let name = name.trim().to_owned();
            let open = fs::read_dir(folder.join("fd")).ok().map(|files| {
                files.flatten().any(|file| {
                    fs::read_link(file.path()).is_ok_and(|target| target == Path::new("/dev/kvm"))
                })
            });
            let counts = open.unwrap_or_else(|| name.starts_with("qemu"));
            counts.then_some(KvmUser {
                pid,
                name,
                has_kvm_open: open,
            })
        })
        .collect()
}

/// A file that Vagrant keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptFile {
    /// Below `{project}` or `{vagrant_home}`, which it begins with.
    pub path: String,
    /// `None` on systems without.
    pub owner: Option<u32>,
    pub mode: Option<u32>,
    /// Of the one small file that says who made the machine.
    pub content: Option<String>,
}

/// Everything in the project's `.vagrant`, and what stands right in Vagrant's home.
pub fn kept(places: &Places) -> Vec<KeptFile> {
    let mut found = Vec::new();
    let here = &places.here;
    let project = Path::new(&here.project).join(".vagrant");
    walk(&project, "{project}/.vagrant", DEPTH, &mut found);
    walk(
        Path::new(&here.vagrant_home),
        "{vagrant_home}",
        1,
        &mut found,
    );
    found
}

fn walk(path: &Path, shown: &str, depth: usize, found: &mut Vec<KeptFile>) {
    let Ok(data) = fs::symlink_metadata(path) else {
        return;
    };
    if found.len() >= MOST {
        return;
    }
    let (owner, mode) = owner_and_mode(&data);
    let is_creator = path.ends_with("creator_uid") && data.is_file();
    found.push(KeptFile {
        path: shown.to_owned(),
        owner,
        mode,
        content: is_creator.then(|| fs::read_to_string(path).ok()).flatten(),
    });
    if data.is_dir() && depth > 0 {
        let names = fs::read_dir(path).map(sorted).unwrap_or_default();
        for name in names {
            let shown = format!("{shown}/{name}");
            walk(&path.join(&name), &shown, depth - 1, found);
        }
    }
}

#[cfg(unix)]
fn owner_and_mode(data: &fs::Metadata) -> (Option<u32>, Option<u32>) {
    use std::os::unix::fs::MetadataExt;
    (Some(data.uid()), Some(data.mode() & 0o7777))
}

#[cfg(not(unix))]
fn owner_and_mode(_: &fs::Metadata) -> (Option<u32>, Option<u32>) {
    (None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_told_apart_from_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text\n").unwrap();
        assert_eq!(entry(&file), Entry::Text("text\n".to_owned()));
        assert_eq!(entry(folder.path()), Entry::Names(vec!["file".to_owned()]));
        assert_eq!(entry(&folder.path().join("none")), Entry::Absent);
        assert_eq!(entry(&file.join("below")), Entry::Absent);
        for entry in [
            Entry::Absent,
            Entry::Text("x".to_owned()),
            Entry::Names(vec!["a".to_owned()]),
            Entry::Unread {
                unread: "permission denied".to_owned(),
            },
        ] {
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        }
    }
}

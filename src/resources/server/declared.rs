//! The server's files as they shall be in the box, and how those that are there differ.

use super::super::files::{self, BoxFile};
use super::super::system::Login;
use super::super::units::Unit;
use super::facts::{Files, FoundFile};
use crate::provision::outcome::Difference;
use crate::quote;
use crate::workshop::{Password, Workshop};

/// Where a password that is a secret lies in the box: for root and, by systemd, the server alone.
pub const CREDENTIAL: &str = "/etc/dwenv/postgres-password";

pub fn unit_path(workshop: &Workshop) -> String {
    format!("/etc/systemd/system/{}", workshop.server.unit)
}

/// What the server reads when it starts: a change of these shows only after a restart. Of its own files those are
/// programs, or named in its unit, such as a file of variables.
pub fn read_at_start(workshop: &Workshop, login: &Login) -> Vec<String> {
    let server = &workshop.server;
    let folder = folder(workshop, login);
    let is_read = |name: &&str| name.ends_with(".py") || server.unit_file.content.contains(name);
    let names = server.files.iter().map(|file| file.name.as_str());
    let own = names.filter(is_read).map(|name| format!("{folder}/{name}"));
    let others = [
        unit_path(workshop),
        drop_in_path(workshop),
        CREDENTIAL.to_owned(),
    ];
    own.chain(others).collect()
}

/// Whether the password is there, for root alone.
pub fn credential_is_safe(found: &Files) -> bool {
    found
        .0
        .get(CREDENTIAL)
        .is_some_and(|file| file.owner == "root" && file.mode == "600")
}

pub fn drop_in_path(workshop: &Workshop) -> String {
    format!("{}.d/dwenv.conf", unit_path(workshop))
}

/// The files that change the unit and are not dwenv's.
pub fn overriding(workshop: &Workshop, unit: &Unit) -> Vec<String> {
    let own = drop_in_path(workshop);
    let foreign = |path: &&String| **path != own;
    unit.drop_ins.iter().filter(foreign).cloned().collect()
}

pub fn folder(workshop: &Workshop, login: &Login) -> String {
    format!("{}/{}", login.home, workshop.server.directory)
}

/// The server's own files, as they shall be.
pub fn own_files(workshop: &Workshop, login: &Login) -> Vec<BoxFile> {
    let folder = folder(workshop, login);
    let file = |file: &crate::workshop::DeclaredFile| BoxFile {
        path: format!("{folder}/{}", file.name),
        owner: login.user.clone(),
        mode: "644",
        content: file.content.clone(),
    };
    workshop.server.files.iter().map(file).collect()
}

/// The unit, and the drop-in with what the declaration has other than the server's own defaults.
pub fn units(workshop: &Workshop, login: &Login) -> Vec<BoxFile> {
    let text = &workshop.server.unit_file.content;
    let mut drop_in = "# Kept by `dwenv provision`.\n[Service]\n".to_owned();
    for (name, value) in workshop.server_environment() {
        let assignment = quote::systemd(&format!("{name}={value}"));
        drop_in.push_str(&format!("Environment={assignment}\n"));
    }
    if matches!(workshop.postgres.password, Password::Secret(_)) {
        drop_in.push_str(&format!("LoadCredential=postgres-password:{CREDENTIAL}\n"));
    }
    let unit = text
        .replace("@USER@", &login.user)
        .replace("@DIRECTORY@", &folder(workshop, login));
    let root = |path: String, content: String| BoxFile {
        path,
        owner: "root".to_owned(),
        mode: "644",
        content,
    };
    vec![
        root(unit_path(workshop), unit),
        root(drop_in_path(workshop), drop_in),
    ]
}

/// Those of the server's own files whose lines end as Windows has it, with the content that they would have
/// without that.
pub fn with_carriage_returns(workshop: &Workshop, login: &Login, found: &Files) -> Vec<BoxFile> {
    let read_wrongly = |file: BoxFile| {
        let text = found.0.get(&file.path)?.content.as_deref()?;
        let is_so = text.contains("\r\n") && !file.content.contains("\r\n");
        is_so.then(|| BoxFile {
            content: text.replace("\r\n", "\n"),
            ..file
        })
    };
    let own = own_files(workshop, login).into_iter();
    own.filter_map(read_wrongly).collect()
}

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDrift {
    pub file: BoxFile,
    /// What is in the box instead; `None` when nothing is.
    pub found: Option<FoundFile>,
}

/// The differences in words, files that differ in the same way together.
pub fn summary_of_all(drifts: &[FileDrift]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for drift in drifts {
        let how = drift.how();
        match groups.iter_mut().find(|(known, _)| *known == how) {
            Some((_, paths)) => paths.push(&drift.file.path),
            None => groups.push((how, vec![&drift.file.path])),
        }
    }
    let words = |(how, paths): &(String, Vec<&str>)| match paths[..] {
        [path] => format!("{how}: {path}"),
        _ => in_one_folder(how, paths),
    };
    groups.iter().map(words).collect::<Vec<_>>().join("; ")
}

/// Several paths, their folder named once where they share one.
fn in_one_folder(how: &str, paths: &[&str]) -> String {
    let split: Vec<(&str, &str)> = paths
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .collect();
    match split.first() {
        Some((folder, _)) if split.iter().all(|(other, _)| other == folder) => {
            let names: Vec<&str> = split.iter().map(|(_, name)| *name).collect();
            format!("{how}, in {folder}: {}", names.join(", "))
        }
        _ => format!("{how}: {}", paths.join(", ")),
    }
}

/// Those of `declared` that are not in the box as they shall be.
pub fn drifts(declared: Vec<BoxFile>, found: &Files) -> Vec<FileDrift> {
    let drifted = |file: BoxFile| {
        let found = found.0.get(&file.path).cloned();
        let same = found.as_ref().is_some_and(|found| {
            found.sha256 == files::sha256(&file.content)
                && found.owner == file.owner
                && found.mode == file.mode
        });
        (!same).then_some(FileDrift { file, found })
    };
    declared.into_iter().filter_map(drifted).collect()
}

impl FileDrift {
    pub fn name(&self) -> &str {
        self.file.path.rsplit('/').next().unwrap_or(&self.file.path)
    }

    fn how(&self) -> String {
        match &self.found {
            None => "Missing".to_owned(),
            // What `docker run -v` makes of a file that is not there.
            Some(found) if found.is_folder => "A folder, not a file".to_owned(),
            Some(found) if found.sha256.is_empty() => "Cannot be read".to_owned(),
            Some(found)
                if found.sha256 == files::sha256(&self.file.content)
                    && found.owner == self.file.owner =>
            {
                format!("Has the mode {}, not {}", found.mode, self.file.mode)
            }
            Some(found) if found.sha256 == files::sha256(&self.file.content) => {
                format!("Belongs to {}, not to {}", found.owner, self.file.owner)
            }
            Some(_) => "Differs from the declared one".to_owned(),
        }
    }

    /// Whether a file of other content has the place.
    pub fn replaces(&self) -> bool {
        self.found.as_ref().is_some_and(|found| {
            !found.is_folder && found.sha256 != files::sha256(&self.file.content)
        })
    }

    pub fn difference(&self) -> Difference {
        let found = self.found.as_ref();
        let old = found
            .and_then(|found| found.content.clone())
            .unwrap_or_default();
        Difference {
            subject: self.file.path.clone(),
            text: files::unified_diff(&self.file.path, &old, &self.file.content),
        }
    }
}

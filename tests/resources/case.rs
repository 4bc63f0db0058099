//! A case: a box that was recorded once, the edits that make it another box, and a declaration.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dwenv::facts::{Facts, Record, RecordStatus, Records};
use dwenv::resources::Context;
use dwenv::resources::files::sha256;
use dwenv::target::Provider;
use dwenv::target::laptop::Os;
use dwenv::workshop::{Secrets, Workshop};
use serde::Deserialize;
use tempfile::TempDir;

use crate::laptops;

/// The only content that the unit's drop-in has where the declaration is the server's own default.
const DROP_IN: &str = "# Kept by `dwenv provision`.\n[Service]\n";
/// Where the password is a secret.
const SECRET_DROP_IN: &str = "# Kept by `dwenv provision`.\n[Service]\nLoadCredential=postgres-password:/etc/dwenv/postgres-password\n";

/// One case of a file in `tests/data/cases`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What this box is.
    about: String,
    /// A file of `tests/data/records`.
    base: String,
    /// `ssh`, `sandbox`, or Vagrant's provider such as `virtualbox`.
    #[serde(default = "sandbox")]
    provider: String,
    /// Whether the answers to the deep probes are among the records.
    #[serde(default)]
    deep: bool,
    #[serde(default)]
    edits: Vec<Edit>,
    /// A `config.toml`; nothing: the declaration inside the program.
    #[serde(default)]
    config: String,
    /// Files beside it.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Whether the snapshot shows also what every script has.
    #[serde(default)]
    whole_scripts: bool,
}

fn sandbox() -> String {
    "sandbox".to_owned()
}

/// One difference from the recorded box.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    probe: String,
    /// What stands there once or more often, and what stands there instead.
    replace: Option<[String; 2]>,
    output: Option<String>,
    /// `done N`, `refused: WORDS`, `timed out`, `missing`, or `absent`.
    status: Option<String>,
}

pub struct Case {
    /// `FILE/NAME`, as its snapshot is called.
    pub name: String,
    pub about: String,
    pub workshop: Workshop,
    pub provider: Provider,
    pub records: Records,
    pub whole_scripts: bool,
}

impl Case {
    pub fn context(&self) -> Context<'_> {
        Context {
            workshop: &self.workshop,
            provider: &self.provider,
            laptop: Os::Linux,
            before: false,
            deep: self.records.deep,
            target: match &self.provider {
                Provider::Vagrant(_) => "vagrant",
                Provider::Sandbox => "sandbox",
                Provider::Ssh => "ssh://admin@room-1",
            },
        }
    }

    pub fn facts(&self) -> Facts {
        Facts::new(self.records.clone())
    }
}

pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Every case of every file, in order.
pub fn all() -> Vec<Case> {
    files().iter().flat_map(|file| read(file)).collect()
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(data().join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn read(file: &Path) -> Vec<Case> {
    let named = |(name, written)| made(name, written);
    written(file).into_iter().map(named).collect()
}

fn written(file: &Path) -> Vec<(String, Written)> {
    let text = fs::read_to_string(file).unwrap();
    let cases: BTreeMap<String, Written> =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let group = file.file_stem().unwrap().to_str().unwrap();
    let named = |(name, written)| (format!("{group}/{name}"), written);
    cases.into_iter().map(named).collect()
}

/// What happened to a box in one case, so that it can happen to it beside others.
#[derive(Clone, Debug)]
pub struct Mishap {
    pub name: String,
    deep: bool,
    edits: Vec<Edit>,
}

/// What happens to a sandbox of this kind in all cases of the usual declaration.
pub fn mishaps(base: &str) -> Vec<Mishap> {
    let usual = |written: &Written| {
        written.base == base && written.provider == sandbox() && written.config.is_empty()
    };
    files()
        .iter()
        .flat_map(|file| written(file))
        .filter(|(_, written)| usual(written) && !written.edits.is_empty())
        .map(|(name, written)| Mishap {
            name,
            deep: written.deep,
            edits: written.edits,
        })
        .collect()
}

/// A box to which all of these happened, one after the other. What an earlier one took away, a later one does not
/// find.
pub fn after(base: &str, mishaps: &[Mishap]) -> Case {
    let mut records = recorded(base);
    for mishap in mishaps {
        records.deep |= mishap.deep;
        for edit in &mishap.edits {
            // Not there any more.
            let _ = apply(edit, &mut records);
        }
    }
    let names: Vec<&str> = mishaps.iter().map(|mishap| mishap.name.as_str()).collect();
    Case {
        name: names.join(" + "),
        about: String::new(),
        workshop: Workshop::builtin().unwrap(),
        provider: Provider::Sandbox,
        records,
        whole_scripts: false,
    }
}

fn made(name: String, written: Written) -> Case {
    let mut records = recorded(&written.base);
    if !matches!(written.provider.as_str(), "ssh" | "sandbox") {
        add_laptop(&mut records);
    }
    for edit in &written.edits {
        apply(edit, &mut records).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
    records.deep |= written.deep;
    Case {
        workshop: declared(&written.config, &written.files),
        provider: match written.provider.as_str() {
            "ssh" => Provider::Ssh,
            "sandbox" => Provider::Sandbox,
            provider => Provider::Vagrant(provider.to_owned()),
        },
        about: written.about,
        records,
        whole_scripts: written.whole_scripts,
        name,
    }
}

/// A laptop that is well beside the box: the laptop's own faults have tests of their own.
pub fn add_laptop(records: &mut Records) {
    let laptop = laptops::healthy("debian-12");
    records.add(Records {
        deep: records.deep,
        ..laptop
    });
}

/// The records of a box, with what depends on the declared files filled in.
pub fn recorded(base: &str) -> Records {
    let file = data().join(format!("records/{base}.json"));
    serde_json::from_str(&filled(&fs::read_to_string(&file).unwrap())).unwrap()
}

/// `{sha256:NAME}` and `{base64:NAME}` made what they are of the files inside the program: records outlive
/// the files that were declared when they were taken.
fn filled(text: &str) -> String {
    static BUILTIN: LazyLock<Workshop> = LazyLock::new(|| Workshop::builtin().unwrap());
    if !text.contains('{') {
        return text.to_owned();
    }
    let workshop = &*BUILTIN;
    let unit = &workshop.server.unit_file;
    let unit_text = unit
        .content
        .replace("@USER@", "vagrant")
        .replace("@DIRECTORY@", "/home/vagrant/docker-workshop");
    let own = [
        (unit.name.as_str(), unit_text.as_str()),
        ("dwenv.conf", DROP_IN),
        ("secret dwenv.conf", SECRET_DROP_IN),
    ];
    let files = workshop.server.files.iter();
    let files = files.map(|file| (file.name.as_str(), file.content.as_str()));
    let mut text = text.to_owned();
    for (name, content) in files.chain(own) {
        let base64 = BASE64_STANDARD.encode(content);
        text = text
            .replace(&format!("{{sha256:{name}}}"), &sha256(content))
            .replace(&format!("{{base64:{name}}}"), &base64);
    }
    assert!(!text.contains("{sha256:"), "not declared: {text}");
    text
}

fn apply(edit: &Edit, records: &mut Records) -> Result<(), String> {
    let place = format!("the probe {}", edit.probe);
    if edit.status.as_deref() == Some("absent") {
        let gone = records.records.remove(&edit.probe);
        return gone
            .map(|_| ())
            .ok_or(format!("{place} is not there anyway"));
    }
    let record = records
        .records
        .entry(edit.probe.clone())
        .or_insert_with(|| Record::done(""));
    if let Some([from, to]) = &edit.replace {
        let (from, to) = (&filled(from), &filled(to));
        if !record.output.contains(from) {
            return Err(format!("{place} does not hold {from}"));
        }
        record.output = record.output.replace(from, to);
    }
    if let Some(output) = &edit.output {
        record.output.clone_from(output);
        record.status = RecordStatus::Done(0);
    }
    match edit.status.as_deref() {
        None => {}
        Some("timed out") => *record = Record::timed_out(),
        Some("missing") => {
            record.output.clear();
            record.status = RecordStatus::Missing;
        }
        Some(status) => match (
            status.strip_prefix("done "),
            status.strip_prefix("refused: "),
        ) {
            (Some(number), _) => record.status = RecordStatus::Done(number.parse().unwrap()),
            (_, Some(reason)) => *record = Record::refused(reason),
            _ => return Err(format!("{place}: no status is called {status}")),
        },
    }
    Ok(())
}

fn declared(config: &str, files: &BTreeMap<String, String>) -> Workshop {
    if config.is_empty() {
        return Workshop::builtin().unwrap();
    }
    let folder = TempDir::new().unwrap();
    let write = |path: &str, content: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    write("config.toml", config);
    for (path, content) in files {
        write(path, content);
    }
    dwenv::workshop::load(&folder.path().join("config.toml"), Secrets::Read).unwrap()
}

//! Laptops that nobody here has, as data: what their programs and files say, healthy and with one fault.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dwenv::facts::{Record, RecordStatus, Records};
use serde::Deserialize;
use toml::Value;

/// The laptops that are well; `faults.toml` makes others of them.
pub const HEALTHY: &[&str] = &[
    "debian-12",
    "ubuntu-24.04",
    "fedora-43",
    "windows-11",
    "macos-intel",
    "macos-arm",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What this laptop is.
    #[allow(dead_code, reason = "for whoever reads the file")]
    about: String,
    /// Where the forms of its answers are from.
    source: String,
    records: BTreeMap<String, Value>,
}

/// One fault: the laptop that has it, the check that names it, and what is different.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub laptop: String,
    /// The check that must name it.
    pub check: String,
    /// `fail`, `warn` or `unknown`.
    pub status: String,
    /// Whether the laptop is looked at before the day.
    #[serde(default)]
    pub before: bool,
    /// Words of the finding.
    pub says: String,
    /// Words of a command of the remedy.
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// For each probe: what stands there, and what instead.
    #[serde(default)]
    pub replace: BTreeMap<String, [String; 2]>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/laptops")
}

/// The records of a healthy laptop.
pub fn healthy(name: &str) -> Records {
    let path = folder().join(format!("{name}.toml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let written: Written =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    assert!(!written.source.is_empty(), "{name} names no source");
    let mut records = Records {
        taken_at: 1_795_446_000,
        deep: true,
        ..Records::default()
    };
    for (probe, value) in &written.records {
        records.insert(probe, record(value));
    }
    records
}

pub fn faults() -> BTreeMap<String, Fault> {
    let path = folder().join("faults.toml");
    let text = fs::read_to_string(&path).unwrap();
    toml::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

impl Fault {
    pub fn records(&self, name: &str) -> Records {
        let mut records = healthy(&self.laptop);
        for (probe, value) in &self.set {
            // A table changes only the keys that it names.
            let merged = match (value, records.get(probe)) {
                (Value::Table(new), Some(old)) if !new.contains_key("status") => {
                    let mut old: serde_json::Value = serde_json::from_str(&old.output).unwrap();
                    for (key, value) in new {
                        old[key] = entry(key, value);
                    }
                    Record::done(old.to_string())
                }
                _ => record(value),
            };
            records.insert(probe, merged);
        }
        for (probe, [from, to]) in &self.replace {
            let (from, to) = (&certificates(from), &certificates(to));
            let record = records.records.get_mut(probe);
            let record = record.unwrap_or_else(|| panic!("{name}: there is no {probe}"));
            assert!(record.output.contains(from), "{name}: {probe} lacks {from}");
            record.output = record.output.replace(from, to);
        }
        records
    }
}

/// A text is what a program printed; a table with `status` also says how it ended; another table or a list
/// is recorded as JSON.
fn record(value: &Value) -> Record {
    match value {
        Value::String(text) => Record::done(certificates(text)),
        Value::Table(table) if table.contains_key("status") => {
            let output = table.get("output").and_then(Value::as_str).unwrap_or("");
            let status = match &table["status"] {
                Value::Integer(status) => RecordStatus::Done(i32::try_from(*status).unwrap()),
                Value::String(word) if word == "missing" => RecordStatus::Missing,
                Value::String(word) if word == "timed out" => RecordStatus::TimedOut,
                other => panic!("no status is called {other}"),
            };
            Record {
                status,
                ..Record::done(output)
            }
        }
        other => Record::done(json(other).to_string()),
    }
}

/// A path is what a file is asked for by; `false` there means that nothing stands at it.
fn entry(key: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::Boolean(false) if key.starts_with(['/', '{']) => serde_json::Value::Null,
        value => json(value),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Table(table) => table
            .iter()
            .map(|(key, value)| (key.clone(), entry(key, value)))
            .collect(),
        Value::Array(items) => items.iter().map(json).collect(),
        other => serde_json::to_value(other).unwrap(),
    }
}

/// `{public}` and `{company}`: certificates that a public authority and a company's proxy would have.
fn certificates(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["public", "company"] {
        let word = format!("{{{name}}}");
        if text.contains(&word) {
            let base64 = fs::read_to_string(folder().join(format!("{name}.der.base64"))).unwrap();
            text = text.replace(&word, base64.trim());
        }
    }
    text
}

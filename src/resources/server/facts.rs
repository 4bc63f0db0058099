//! What the server is in the box: its files, and its answer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::files;
use super::declared;
use crate::facts::server::Answer;
use crate::facts::{Fact, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

/// A file in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFile {
    pub sha256: String,
    pub owner: String,
    pub mode: String,
    /// Something that bears the file's name and is none.
    pub is_folder: bool,
    /// Last written, in microseconds since 1970.
    pub written_at: u64,
    /// Only of a file that differs, and only its first 64 KiB.
    pub content: Option<String>,
}

/// The server's files in the box, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, FoundFile>);

impl Files {
    pub const PROBE: &str = "files";
}

impl Fact for Files {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let server = &workshop.server;
        let folder = quote::sh(&server.directory);
        let names = server.files.iter().map(|file| quote::sh(&file.name));
        let paths: Vec<String> = names
            .map(|name| format!("\"$1\"/{folder}/{name}"))
            .chain([
                declared::unit_path(workshop),
                declared::drop_in_path(workshop),
            ])
            .collect();
        let sums: Vec<String> = server
            .files
            .iter()
            .map(|f| files::sha256(&f.content))
            .collect();
        // Whoever may not read a file still sees that it is there. The password's is never read.
        let fragment = format!(
            r#"set -- {paths}
stat -c 'stat|%a|%U|%.6Y|%F|%n' "$@" {credential} 2>/dev/null
sha256sum "$@" 2>/dev/null | while read -r sum path; do
  echo "sum|$sum|$path"
  case ' {sums} ' in
    *" $sum "*) ;;
    *) echo "content|$(head -c 65536 "$path" | base64 -w 0)|$path" ;;
  esac
done
true"#,
            paths = paths.join(" "),
            credential = declared::CREDENTIAL,
            sums = sums.join(" "),
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut found: BTreeMap<String, FoundFile> = BTreeMap::new();
        for line in records.text(Self::PROBE)?.lines() {
            let words: Vec<&str> = line.split('|').collect();
            match words[..] {
                ["stat", mode, owner, written_at, kind, path] if kind.starts_with("regular") => {
                    let file = found.entry(path.to_owned()).or_default();
                    file.mode = mode.to_owned();
                    file.owner = owner.to_owned();
                    file.written_at = written_at.replace('.', "").parse().unwrap_or(0);
                }
                ["stat", mode, owner, _, "directory", path] => {
                    let file = found.entry(path.to_owned()).or_default();
                    file.is_folder = true;
                    file.mode = mode.to_owned();
                    file.owner = owner.to_owned();
                }
                ["stat", ..] => {}
                ["sum", sum, path] => {
                    found.entry(path.to_owned()).or_default().sha256 = sum.to_owned();
                }
                ["content", base64, path] => {
                    let bytes = BASE64_STANDARD.decode(base64).unwrap_or_default();
                    found.entry(path.to_owned()).or_default().content =
                        Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                _ => {
                    return Err(Unobserved(format!(
                        "stat's answer is not understood: {line}"
                    )));
                }
            }
        }
        Ok(Self(found))
    }
}

/// The server's answer to `GET /`, asked inside the box; `None` when nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http(pub Option<Answer>);

impl Http {
    pub const PROBE: &str = "http";
}

impl Fact for Http {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let port = workshop.server.port;
        vec![Probe::new(Self::PROBE, Question::Http { port })]
    }

    fn observe(records: &Records) -> Observed<Self> {
        match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::Refused(_)) => Ok(Self(None)),
            _ => records.json(Self::PROBE).map(|answer| Self(Some(answer))),
        }
    }
}

//! What came of the boxes of the last run in this folder, for `--limit failed`.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Target, folder};
use crate::error::{Error, Result};

const FILE: &str = "last-run.json";

/// The boxes of a run, in its order.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    boxes: Vec<Ended>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    target: String,
    exit_code: u8,
}

impl LastRun {
    /// What the last run left behind; nothing where there was none.
    ///
    /// # Errors
    /// When what it left cannot be read: a box that failed must not be left out in silence.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = folder::path(dir).join(FILE);
        let unreadable = |cause: String| {
            Error::usage(format!(
                "cannot tell from {} which boxes failed",
                file.display()
            ))
            .because(cause)
            .hint("name the boxes: `--target …`")
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| unreadable(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty()
    }

    /// The boxes that did not end well.
    ///
    /// # Errors
    /// When one of them is no target.
    pub fn failed(&self) -> Result<Vec<Target>> {
        let failed = self.boxes.iter().filter(|ended| ended.exit_code != 0);
        failed.map(|ended| ended.target.parse()).collect()
    }

    /// A run over these boxes takes the place of the one before.
    pub fn replace(&mut self, run: impl IntoIterator<Item = (String, u8)>) {
        self.boxes = run
            .into_iter()
            .map(|(target, exit_code)| Ended { target, exit_code })
            .collect();
    }

    /// A run over some of the boxes: the others are as they were.
    pub fn update(&mut self, run: impl IntoIterator<Item = (String, u8)>) {
        for (target, exit_code) in run {
            let known = self.boxes.iter_mut().find(|known| known.target == target);
            if let Some(known) = known {
                known.exit_code = exit_code;
            }
        }
    }

    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let written = serde_json::to_string_pretty(self)
            .map_err(std::io::Error::from)
            .and_then(|text| folder::write(dir, FILE, &text));
        let file = folder::path(dir).join(FILE);
        let told = |error| Error::failed(format!("cannot write {}", file.display())).because(error);
        written.map_err(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_run_changes_it_and_another_run_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        assert!(LastRun::read(folder.path()).unwrap().is_empty());
        let mut last = LastRun::default();
        let failed = |last: &LastRun| -> Vec<String> {
            let failed = last.failed().unwrap();
            failed.iter().map(ToString::to_string).collect()
        };
        last.replace([
            ("a".to_owned(), 0),
            ("b".to_owned(), 1),
            ("c".to_owned(), 3),
        ]);
        assert_eq!(failed(&last), ["b", "c"]);
        last.update([("c".to_owned(), 0), ("sandbox:e".to_owned(), 1)]);
        assert_eq!(failed(&last), ["b"]);
        last.write(folder.path()).unwrap();
        assert_eq!(LastRun::read(folder.path()).unwrap(), last);
        last.replace([("sandbox:d".to_owned(), 4)]);
        assert_eq!(failed(&last), ["sandbox:d"]);
        std::fs::write(folder::path(folder.path()).join(FILE), "{").unwrap();
        assert!(LastRun::read(folder.path()).is_err());
    }
}

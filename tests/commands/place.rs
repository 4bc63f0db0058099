//! A folder, a home and a search path of one test's own, and what dwenv says there.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub struct Place {
    scratch: TempDir,
    variables: Vec<(&'static str, &'static str)>,
}

impl Place {
    /// An empty folder, an empty home, and no program on the search path.
    pub fn new() -> Self {
        let place = Self {
            scratch: scratch(),
            variables: Vec::new(),
        };
        for folder in ["folder", "home", "path", "state"] {
            fs::create_dir(place.scratch.path().join(folder)).unwrap();
        }
        place
    }

    pub fn folder(&self) -> PathBuf {
        self.scratch.path().join("folder")
    }

    pub fn with(self, file: &str, content: &str) -> Self {
        self.write(file, content);
        self
    }

    pub fn write(&self, file: &str, content: &str) {
        let file = self.folder().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder().join(file)).unwrap()
    }

    pub fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// A program of this name on the search path, written in sh.
    #[cfg(unix)]
    pub fn program(self, name: &str, script: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let path = self.scratch.path().join("path").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let within = |name: &str| self.scratch.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_dwenv"));
        command
            .args(arguments)
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .env_clear()
            .env("HOME", within("home"))
            .env("USERPROFILE", within("home"))
            .env("PATH", within("path"))
            .env("DWENV_STATE_DIR", within("state"))
            .env("LANG", "C.UTF-8")
            .envs(self.variables.iter().copied());
        // Windows starts no program without it.
        if let Some(root) = std::env::var_os("SystemRoot") {
            command.env("SystemRoot", root);
        }
        command
    }

    /// Runs `dwenv` with these words.
    pub fn dwenv(&self, arguments: &str) -> Ran {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        self.ran(self.command(&words))
    }

    /// Runs a command that [`Self::command`] began.
    pub fn ran(&self, mut command: Command) -> Ran {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| self.without_paths(&String::from_utf8(bytes).unwrap());
        Ran {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code(),
        }
    }

    fn without_paths(&self, text: &str) -> String {
        let scratch = self.scratch.path();
        let real = fs::canonicalize(scratch).unwrap();
        [real.as_path(), scratch]
            .iter()
            .fold(text.to_owned(), |text, path: &&Path| {
                text.replace(&path.display().to_string(), "[SCRATCH]")
            })
            .replace(".exe", "")
    }
}

/// Where its own path is short: what is told wraps at the same words everywhere.
fn scratch() -> TempDir {
    if cfg!(unix) {
        TempDir::new_in("/tmp").unwrap()
    } else {
        TempDir::new().unwrap()
    }
}

/// How a run ended.
pub struct Ran {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl Ran {
    /// The one JSON document on stdout.
    pub fn document(&self) -> Value {
        let value: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("not one document: {error}\n{self}"));
        assert_eq!(value["schema_version"], 1, "{self}");
        value
    }

    /// Whether it ended as documented, and said nothing like a fault of its own.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.err.contains("panicked"), "{self}");
        self
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.out)?;
        if !self.err.is_empty() {
            write!(out, "--- stderr ---\n{}", self.err)?;
        }
        match self.code {
            Some(code) => write!(out, "[exit {code}]"),
            None => write!(out, "[killed]"),
        }
    }
}

//! Values that an author may give from outside the declaration: `{ env = … }` or `{ file = … }`.

use std::path::{Path, PathBuf};

use super::check;
use super::folder::{self, Folder};
use super::model::Secrets;
use super::section::{Problem, Value};
use crate::error::Result;
use crate::secret::Secret;

/// What such a text has to be like; what is wrong with it is said without repeating it.
type Check = fn(&str) -> Result<String, Problem>;

/// The text that a table with one source names; empty where `secrets` are left where they are.
pub fn read(value: &Value, secrets: Secrets, check: Check) -> Result<Secret> {
    let section = value.section()?;
    let (variable, file) = (section.find("env"), section.find("file"));
    section.finish()?;
    let secret = match (variable, file) {
        (Some(variable), None) => {
            let name = variable_name(&variable)?;
            match secrets {
                Secrets::Read => from_environment(&variable, &name, check)?,
                Secrets::Leave => String::new(),
            }
        }
        (None, Some(file)) => {
            may_be_read(&file)?;
            match secrets {
                Secrets::Read => from_file(&file, check)?,
                Secrets::Leave => String::new(),
            }
        }
        _ => {
            return Err(value.error(
                Problem::new("it names one source")
                    .hint("{ env = \"VARIABLE\" } or { file = \"PATH\" }"),
            ));
        }
    };
    Ok(Secret::new(secret))
}

/// A declaration from elsewhere must not reach for whatever else is in this person's environment.
fn variable_name(value: &Value) -> Result<String> {
    let name = value.parse(check::variable)?;
    if value.folder().is_of_url() && !name.starts_with("DWENV_") {
        return Err(value.error(
            Problem::new("a declaration from a URL reads only variables made for dwenv")
                .hint(format!("call it DWENV_{name}")),
        ));
    }
    Ok(name)
}

fn from_environment(value: &Value, name: &str, check: Check) -> Result<String> {
    let hint = format!("set {name} in the environment that dwenv runs in");
    match std::env::var(name) {
        Ok(text) => check(&text).map_err(|problem| {
            value.error(Problem::new(format!("{}, as its content is", problem.what)).hint(hint))
        }),
        Err(std::env::VarError::NotPresent) => {
            Err(value.error(Problem::new("it is not set").hint(hint)))
        }
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(value.error(Problem::new("its content is not UTF-8").hint(hint)))
        }
    }
}

fn may_be_read(value: &Value) -> Result<()> {
    if value.folder().is_of_url() {
        return Err(value.error(
            Problem::new("a declaration from a URL reads no files of this machine")
                .hint("{ env = \"DWENV_…\" }"),
        ));
    }
    Ok(())
}

fn from_file(value: &Value, check: Check) -> Result<String> {
    let root = match value.folder() {
        Folder::Local(root) => root.as_path(),
        _ => Path::new("."),
    };
    // Unlike the other files, a secret may well lie outside the folder: it must not be published with it.
    let path = expand(root, value.text()?);
    let bytes = folder::read_limited(&path)
        .map_err(|error| value.error(folder::unreadable(&path, &error)))?;
    let text = folder::tidy(&bytes).map_err(|problem| value.error(problem))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    check(line).map_err(|problem| value.error(problem))
}

/// `~/` is the person's home; other relative paths start at the declaration.
pub fn expand(root: &Path, text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => root.join(text),
    }
}

//! What Vagrant says, read: its machine-readable rows, its progress, its errors.

use std::fmt;

use crate::doctor::explain;
use crate::error::{Error, ErrorKind};
use crate::events::Known;

/// One machine of a Vagrantfile, as `vagrant status` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    /// Such as `virtualbox`.
    pub provider: String,
    pub state: State,
}

/// A machine's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    NotCreated,
    Running,
    /// Made and not running, in Vagrant's word: `poweroff`, `saved`, `aborted`, `stopped`, …
    Off(String),
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCreated => out.write_str("not created"),
            Self::Running => out.write_str("running"),
            Self::Off(word) => match word.as_str() {
                "poweroff" | "stopped" => out.write_str("powered off"),
                word => out.write_str(&word.replace('_', " ")),
            },
        }
    }
}

/// One row of `--machine-readable` output: `time,target,kind,data…`.
struct Row<'a> {
    target: &'a str,
    kind: &'a str,
    data: Vec<String>,
}

/// The rows of an output. Lines of another form are passed over: plugins and Ruby print what they like.
fn rows(output: &str) -> impl Iterator<Item = Row<'_>> {
    output.lines().filter_map(|line| {
        let mut fields = line.trim_end_matches('\r').split(',');
        let time = fields.next()?;
        if time.is_empty() || !time.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Row {
            target: fields.next()?,
            kind: fields.next()?,
            data: fields.map(unescape).collect(),
        })
    })
}

fn unescape(data: &str) -> String {
    data.replace("%!(VAGRANT_COMMA)", ",")
        .replace("\\n", "\n")
        .replace("\\r", "\r")
}

/// The machines of `vagrant status --machine-readable`, in the Vagrantfile's order.
#[must_use]
pub fn machines(output: &str) -> Vec<Machine> {
    let mut machines: Vec<Machine> = Vec::new();
    for row in rows(output) {
        let (false, Some(value)) = (row.target.is_empty(), row.data.first()) else {
            continue;
        };
        if !matches!(row.kind, "provider-name" | "state") {
            continue;
        }
        let index = match machines.iter().position(|known| known.name == row.target) {
            Some(index) => index,
            None => {
                machines.push(Machine {
                    name: row.target.to_owned(),
                    provider: String::new(),
                    state: State::NotCreated,
                });
                machines.len() - 1
            }
        };
        let machine = &mut machines[index];
        if row.kind == "provider-name" {
            machine.provider.clone_from(value);
        } else {
            machine.state = match value.as_str() {
                "not_created" => State::NotCreated,
                "running" => State::Running,
                other => State::Off(other.to_owned()),
            };
        }
    }
    machines
}

/// The text of the error that ended a `--machine-readable` run.
#[must_use]
pub fn error_exit(output: &str) -> Option<String> {
    rows(output)
        .filter(|row| row.kind == "error-exit")
        .last()
        // The first field is the error's class in Ruby.
        .map(|row| row.data.into_iter().skip(1).collect::<Vec<_>>().join(","))
}

/// The part of `vagrant ssh-config` output that is configuration: notes may stand before it.
#[must_use]
pub fn ssh_config(output: &str) -> Option<&str> {
    let mut offset = 0;
    for line in output.split_inclusive('\n') {
        if line.starts_with("Host ") {
            return Some(&output[offset..]);
        }
        offset += line.len();
    }
    None
}

/// How far a download or an import is, from 0 to 1: `Progress: 45% (Rate: 2M/s, …)`, `Progress: 90%`.
#[must_use]
pub fn fraction(line: &str) -> Option<f64> {
    let (_, after) = line.split_once("Progress: ")?;
    let (percent, _) = after.split_once('%')?;
    let percent: f64 = percent.trim().parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// A line as a person wants it: without the `==> name:` or `    name:` in front, and without escapes that
/// clear the line.
#[must_use]
pub fn plain(line: &str, machine: &str) -> String {
    let line = console::strip_ansi_codes(line);
    let line = line.trim();
    let line = line.strip_prefix("==>").unwrap_or(line).trim_start();
    line.strip_prefix(machine)
        .and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or(line)
        .trim()
        .to_owned()
}

/// Vagrant's own error as ours: its words are the cause, and what is known of them is the hint.
#[must_use]
pub fn error(message: impl Into<String>, text: &str) -> Error {
    const VAGRANTFILE: &[&str] = &[
        "syntax error in the following Vagrantfile",
        "error loading a Vagrantfile",
        "errors in the configuration of this machine",
    ];
    let text = text.trim();
    let kind = if VAGRANTFILE.iter().any(|part| text.contains(part)) {
        ErrorKind::Config
    } else {
        ErrorKind::Failed
    };
    let mut error = Error::new(kind, message);
    if !text.is_empty() {
        error = error.because(text);
    }
    let known = explain::cause_on_laptop(text);
    let Some(Known { cause, remedy, .. }) = known else {
        return error;
    };
    let error = error.hint(format!("{cause} {}", remedy.text));
    let commands = remedy.commands.iter().map(|command| format!("`{command}`"));
    commands.fold(error, Error::hint)
}

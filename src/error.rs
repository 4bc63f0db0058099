//! One error type for the whole program: what happened, why, and what to do next.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How a run ended, as the number the shell sees. The same in every output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitCode {
    /// Ready (warnings allowed), or done.
    Ready = 0,
    /// A check failed, or a change failed.
    Failed = 1,
    /// Usage or configuration: nothing was touched.
    Usage = 2,
    /// Nothing failed, but something could not be determined.
    Undetermined = 3,
    /// Another run holds this box.
    Locked = 4,
    /// Interrupted: run it again.
    Interrupted = 5,
}

impl ExitCode {
    /// That of several boxes: a failure counts more than what could not be determined. One box that could not be
    /// begun with, as without its key, is a failure among others: it is not true that nothing was touched.
    #[must_use]
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        let gravity = |code: &Self| match code {
            Self::Ready => 0,
            Self::Undetermined => 1,
            Self::Locked => 2,
            Self::Interrupted => 3,
            Self::Failed => 4,
            Self::Usage => 5,
        };
        let codes: Vec<Self> = codes.into_iter().collect();
        let worst = codes.iter().copied().max_by_key(gravity);
        match worst.unwrap_or(Self::Ready) {
            Self::Usage if codes.iter().any(|code| *code != Self::Usage) => Self::Failed,
            worst => worst,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// What sort of thing went wrong; it decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The command line asks for something that cannot be done.
    Usage,
    /// `config.toml`, or a file that it names, is wrong.
    Config,
    /// The box did not answer: no route, closed port, silent port, unknown host.
    Unreachable,
    /// The box answered and refused the login.
    Authentication,
    /// The box showed another host key than the one on record.
    HostKey,
    /// Something was attempted and did not succeed.
    Failed,
    /// Another run holds this box.
    Locked,
    /// The person, or a signal, ended the run.
    Interrupted,
    /// Too many others had failed, so nothing was begun.
    NotTried,
}

/// An error for its reader: what happened to which thing, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    pub kind: ErrorKind,
    /// What happened, to which thing. One sentence, no trailing full stop.
    pub message: String,
    /// Why, in the words of the program or system that said it.
    pub cause: Option<String>,
    /// What to do next, one sentence or command each; a command may stand in backticks.
    pub hints: Vec<String>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
            hints: Vec::new(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Adds why it happened.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Adds something to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            ErrorKind::Usage | ErrorKind::Config => ExitCode::Usage,
            ErrorKind::Unreachable
            | ErrorKind::Authentication
            | ErrorKind::HostKey
            | ErrorKind::NotTried => ExitCode::Undetermined,
            ErrorKind::Failed => ExitCode::Failed,
            ErrorKind::Locked => ExitCode::Locked,
            ErrorKind::Interrupted => ExitCode::Interrupted,
        }
    }
}

/// With the number that a run which it ends gives to the shell.
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Error", 5)?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("cause", &self.cause)?;
        fields.serialize_field("hints", &self.hints)?;
        fields.serialize_field("exit_code", &(self.exit_code() as u8))?;
        fields.end()
    }
}

/// A hint as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advice<'a> {
    /// To be typed as it stands.
    Command(&'a str),
    /// Beginning with a capital letter.
    Sentence(String),
}

impl<'a> Advice<'a> {
    #[must_use]
    pub fn of(hint: &'a str) -> Self {
        const PROGRAMS: &[&str] = &["cd", "dwenv", "ssh", "ssh-keygen", "sudo"];
        let quoted = hint.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
        if let Some(command) = quoted.filter(|it| !it.contains('`')) {
            return Self::Command(command);
        }
        let first = hint.split_whitespace().next().unwrap_or_default();
        if hint.contains('\n') || PROGRAMS.contains(&first) {
            return Self::Command(hint);
        }
        let mut letters = hint.chars();
        let first = letters.next().map(char::to_uppercase);
        Self::Sentence(first.into_iter().flatten().chain(letters).collect())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(out, ": {cause}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_boxes_is_true_of_all() {
        use ExitCode::{Failed, Interrupted, Ready, Undetermined, Usage};
        for (codes, worst) in [
            (vec![], Ready),
            (vec![Ready, Undetermined], Undetermined),
            (vec![Failed, Interrupted, Ready], Failed),
            (vec![Usage, Usage], Usage),
            (vec![Ready, Usage], Failed),
        ] {
            assert_eq!(ExitCode::worst(codes), worst);
        }
    }

    #[test]
    fn a_hint_is_a_command_or_a_sentence() {
        let sentence = |text: &str| Advice::Sentence(text.to_owned());
        for (hint, advice) in [
            (
                "dwenv up --target vagrant",
                Advice::Command("dwenv up --target vagrant"),
            ),
            (
                "cd workshop && dwenv up",
                Advice::Command("cd workshop && dwenv up"),
            ),
            (
                "install it, and open a new terminal",
                sentence("Install it, and open a new terminal"),
            ),
            (
                "`dwenv up` starts it again",
                sentence("`dwenv up` starts it again"),
            ),
            (
                "Stop it with `dwenv down`.",
                sentence("Stop it with `dwenv down`."),
            ),
            ("`vagrant box prune`", Advice::Command("vagrant box prune")),
            (
                "`dwenv down`, then `dwenv up`",
                sentence("`dwenv down`, then `dwenv up`"),
            ),
        ] {
            assert_eq!(Advice::of(hint), advice);
        }
    }
}

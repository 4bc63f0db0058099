//! What `--target` says, as a value. Only the text is judged here, not whether such a box exists.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A box, as the person names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `vagrant`, `vagrant:MACHINE`
    Vagrant { machine: Option<String> },
    /// `sandbox`, `sandbox:NAME`
    Sandbox { name: Option<String> },
    /// `ssh://USER@HOST:PORT`
    Ssh(SshAddress),
    /// `[target.NAME]` of the declaration, or an alias of `~/.ssh/config`.
    Named(String),
}

/// `ssh://USER@HOST:PORT`, where user and port may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SshAddress {
    pub user: Option<String>,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    pub port: Option<u16>,
}

/// What a target may look like, for messages.
pub const FORMS: &str = "a target is `vagrant`, `vagrant:MACHINE`, `sandbox`, `sandbox:NAME`, \
     `ssh://USER@HOST:PORT`, or a name from `[target.NAME]` or `~/.ssh/config`";

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::usage("the target is empty").hint(FORMS));
        }
        if text.starts_with(['\'', '"']) {
            let text = text.escape_debug();
            return Err(
                Error::usage(format!("the target `{text}` begins with a quote"))
                    .hint("this terminal passes quotes on: leave them out"),
            );
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            return ssh_address(rest).map(Self::Ssh);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(Error::usage(format!("`{scheme}://` is no kind of target")).hint(FORMS));
        }
        let (kind, name) = match text.split_once(':') {
            Some((kind, name)) => (kind, Some(name)),
            None => (text, None),
        };
        let name = match name {
            None => None,
            Some("") => {
                return Err(Error::usage(format!(
                    "the target `{text}` ends where a name was expected"
                ))
                .hint(format!("write `{kind}:NAME`, or `{kind}` alone")));
            }
            Some(name) => Some(name.to_owned()),
        };
        if let Some(name) = &name {
            plain_word(text, name)?;
        }
        match kind {
            "vagrant" => Ok(Self::Vagrant { machine: name }),
            "sandbox" => Ok(Self::Sandbox { name }),
            _ if text.contains('@') => Err(Error::usage(format!("`{text}` is no target")).hint(
                format!("for a machine that SSH reaches, write `ssh://{text}`"),
            )),
            _ if name.is_some() => {
                let error = Error::usage(format!("`{kind}` is no kind of target"));
                Err(match near(kind, ["vagrant", "sandbox"]) {
                    Some(near) => error.hint(format!(
                        "did you mean `{near}:{}`?",
                        &text[kind.len() + 1..]
                    )),
                    None => error.hint(FORMS),
                })
            }
            _ => {
                plain_word(text, text)?;
                Ok(Self::Named(text.to_owned()))
            }
        }
    }
}

/// A name never reaches a shell or a program as an option: it starts with no `-`, and holds no space.
fn plain_word(target: &str, word: &str) -> Result<()> {
    let fine = |c: char| c.is_alphanumeric() || "._-".contains(c);
    if word.starts_with('-') || !word.chars().all(fine) {
        return Err(Error::usage(format!(
            "`{word}` in the target `{}` is no name",
            target.escape_debug()
        ))
        .hint("a name has letters, digits, `.`, `_` and `-`, and does not begin with `-`"));
    }
    Ok(())
}

/// Reads `USER@HOST:PORT`, where user and port may be left out.
pub(super) fn ssh_address(rest: &str) -> Result<SshAddress> {
    let text = format!("ssh://{rest}");
    let wrong = |what: &str| {
        Error::usage(format!("{what} in the target `{}`", text.escape_debug()))
            .hint("write `ssh://USER@HOST:PORT`; user and port may be left out")
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (user, host_and_port) = match rest.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    if let Some(user) = user {
        if user.contains(':') {
            // The text is not repeated: it holds what should not be seen.
            return Err(Error::usage("a password stands in the target")
                .hint("leave it out: a target is seen by everybody who lists processes")
                .hint("dwenv logs in with keys, or asks"));
        }
        let strange = |c: char| c.is_whitespace() || c.is_control() || "/?#@".contains(c);
        if user.is_empty() || user.starts_with('-') || user.contains(strange) {
            return Err(wrong("there is no usable user name"));
        }
    }
    let (host, port) = if let Some(bracketed) = host_and_port.strip_prefix('[') {
        let (host, after) = bracketed
            .split_once(']')
            .ok_or_else(|| wrong("a bracket is opened and never closed"))?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(wrong("there is text behind the bracket")),
        };
        (host, port)
    } else if host_and_port.matches(':').count() > 1 {
        return Err(wrong("there is more than one `:`").hint(format!(
            "an IPv6 address stands in brackets: `ssh://[{host_and_port}]`"
        )));
    } else {
        match host_and_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_and_port, None),
        }
    };
    if host.is_empty() {
        return Err(wrong("there is no host"));
    }
    let fine = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
    if host.starts_with('-') || !host.chars().all(fine) {
        return Err(wrong(&format!("`{}` is no host name", host.escape_debug())));
    }
    let port = match port {
        None => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(0) | Err(_) => {
                return Err(wrong(&format!(
                    "`{}` is no port from 1 to 65535",
                    digits.escape_debug()
                )));
            }
            Ok(port) => Some(port),
        },
    };
    Ok(SshAddress {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vagrant { machine: None } => out.write_str("vagrant"),
            Self::Vagrant {
                machine: Some(name),
            } => write!(out, "vagrant:{name}"),
            Self::Sandbox { name: None } => out.write_str("sandbox"),
            Self::Sandbox { name: Some(name) } => write!(out, "sandbox:{name}"),
            Self::Ssh(address) => address.fmt(out),
            Self::Named(name) => out.write_str(name),
        }
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(out, "{user}@")?;
        }
        if self.host.contains(':') {
            write!(out, "[{}]", self.host)?;
        } else {
            out.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The known name that `text` was most likely meant to be.
pub(super) fn near<S: AsRef<str>>(
    text: &str,
    known: impl IntoIterator<Item = S>,
) -> Option<String> {
    known
        .into_iter()
        .map(|name| {
            let name = name.as_ref();
            let distance = strsim::damerau_levenshtein(&text.to_lowercase(), &name.to_lowercase());
            (distance, name.to_owned())
        })
        .filter(|(distance, name)| *distance <= 1 + name.chars().count() / 4)
        .min()
        .map(|(_, name)| name)
}

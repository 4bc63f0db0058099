//! From words to values: numbers, times, yes and no, paths with `~`, `%` and `${}`.

use std::path::PathBuf;
use std::time::Duration;

use super::Surroundings;
use super::lines::Line;
use crate::error::{Error, Result};
use crate::target::names::{SshAddress, ssh_address};

/// The one word of a line that takes one.
pub(super) fn one(line: &Line) -> Result<&str> {
    match line.words.as_slice() {
        [word] => Ok(word),
        _ => Err(wrong(line, "takes one value")
            .hint("a value with spaces in it stands in double quotes")),
    }
}

pub(super) fn yes_or_no(line: &Line) -> Result<bool> {
    let word = one(line)?;
    match word.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err(wrong(line, "is `yes` or `no`")),
    }
}

pub(super) fn port(line: &Line) -> Result<u16> {
    match one(line)?.parse() {
        Ok(0) | Err(_) => Err(wrong(line, "is a number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

/// `10`, `10s`, `1m30s`; `none` and `0` mean that nothing is said.
pub(super) fn time(line: &Line) -> Result<Option<Duration>> {
    let word = one(line)?.to_ascii_lowercase();
    if word == "none" {
        return Ok(None);
    }
    let bad = || wrong(line, "is a time such as `10` or `1m30s`");
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in word.chars().chain(std::iter::once('s')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        // The closing `s` of the chain has nothing to close where the text has its own unit.
        if digits.is_empty() && total > 0 {
            continue;
        }
        let unit: u64 = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(bad()),
        };
        let number: u64 = digits.parse().map_err(|_| bad())?;
        total = number
            .checked_mul(unit)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(bad)?;
        digits.clear();
    }
    Ok((total > 0).then(|| Duration::from_secs(total)))
}

/// What the `%` tokens of a path stand for.
pub(super) struct Tokens<'a> {
    /// `%n`, as the person wrote it.
    pub original_host: &'a str,
    /// `%h`
    pub host: &'a str,
    /// `%p`
    pub port: u16,
    /// `%r`
    pub remote_user: &'a str,
}

/// A path with `${VARIABLE}`, `%` tokens and a leading `~` filled in.
pub(super) fn path(
    word: &str,
    place: &str,
    tokens: &Tokens<'_>,
    surroundings: &Surroundings<'_>,
) -> Result<PathBuf> {
    let word = variables(word, place, surroundings)?;
    let word = fill(&word, place, |token| {
        Some(match token {
            'd' => surroundings.home.to_string_lossy().into_owned(),
            'h' => tokens.host.to_owned(),
            'n' => tokens.original_host.to_owned(),
            'p' => tokens.port.to_string(),
            'r' => tokens.remote_user.to_owned(),
            'u' => surroundings.local_user.to_owned(),
            _ => return None,
        })
    })?;
    Ok(home(&word, surroundings))
}

/// The machines of a `ProxyJump`, the nearest first.
pub(super) fn hops(word: &str, place: &str, tokens: &Tokens<'_>) -> Result<Vec<SshAddress>> {
    let filled = fill(word, place, |token| {
        Some(match token {
            'h' => tokens.host.to_owned(),
            'n' => tokens.original_host.to_owned(),
            'p' => tokens.port.to_string(),
            'r' => tokens.remote_user.to_owned(),
            _ => return None,
        })
    })?;
    let hop = |hop: &str| {
        let hop = hop.trim();
        ssh_address(hop.strip_prefix("ssh://").unwrap_or(hop)).map_err(|error| {
            Error::config(format!(
                "{place}: `ProxyJump` takes machines as `USER@HOST:PORT`, with commas between them"
            ))
            .because(error.message)
        })
    };
    filled.split(',').map(hop).collect()
}

/// A leading `~` is the home folder.
pub(super) fn home(word: &str, surroundings: &Surroundings<'_>) -> PathBuf {
    match word.strip_prefix('~') {
        Some("") => surroundings.home.to_owned(),
        Some(rest) if rest.starts_with(['/', '\\']) => surroundings.home.join(&rest[1..]),
        _ => PathBuf::from(word),
    }
}

/// Fills `%` tokens in; `%%` is a percent sign.
pub(super) fn fill(
    word: &str,
    place: &str,
    value: impl Fn(char) -> Option<String>,
) -> Result<String> {
    let mut filled = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => filled.push('%'),
            Some(token) => match value(token) {
                Some(text) => filled.push_str(&text),
                None => {
                    return Err(Error::config(format!(
                        "{place}: dwenv does not know `%{token}` in `{word}`"
                    ))
                    .hint("write the value itself; a percent sign is written `%%`"));
                }
            },
            None => {
                return Err(Error::config(format!("{place}: `{word}` ends in `%`"))
                    .hint("a percent sign is written `%%`"));
            }
        }
    }
    Ok(filled)
}

fn variables(word: &str, place: &str, surroundings: &Surroundings<'_>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let value = (surroundings.variable)(name).ok_or_else(|| {
            Error::config(format!(
                "{place}: the variable `{name}` in `{word}` is not set"
            ))
        })?;
        filled.push_str(before);
        filled.push_str(&value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The error for a value that is none of those the option takes.
pub(super) fn wrong(line: &Line, what: &str) -> Error {
    Error::config(format!(
        "{}: `{}` {what}, not `{}`",
        line.place,
        line.written,
        line.words.join(" ")
    ))
}

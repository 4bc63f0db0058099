//! A report that can be pasted in public.
//!
//! What people's machines say holds names: of people, of computers, of networks. Nobody can list them all, so
//! what may be told is listed instead: the words with which dwenv itself speaks, numbers, versions, and the
//! addresses of the box. Every other word becomes an ellipsis.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use super::report::{Finding, Remedy, Report};
use crate::resources::Context;

/// What stands for a word that is not told.
const HIDDEN: &str = "…";

/// More digits than these are no size and no count, but may be somebody's number.
const LONGEST_NUMBER: usize = 9;

/// The words of dwenv's own findings; one that is missing here only makes a report vaguer.
static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    const TEXTS: &[&str] = &[
        include_str!("../../data/words.txt"),
        include_str!("../../docs/checks.md"),
    ];
    let words = TEXTS
        .iter()
        .flat_map(|text| text.split(|c: char| !is_of_word(c)));
    words.map(|word| trimmed(word).to_lowercase()).collect()
});

/// The same report with nothing in it that says whose machine it is.
#[must_use]
pub fn shareable(report: &Report, context: Context) -> Report {
    let allowed = Allowed {
        addresses: vec![IpAddr::V4(context.workshop.machine.ip)],
    };
    let told = |text: &str| allowed.text(text);
    let finding = |finding: &Finding| Finding {
        summary: told(&finding.summary),
        remedy: finding.remedy.as_ref().map(|remedy| Remedy {
            text: told(&remedy.text),
            commands: remedy
                .commands
                .iter()
                .map(|command| told(command))
                .collect(),
            by: remedy.by,
        }),
        ..finding.clone()
    };
    Report {
        target: told(&report.target),
        notes: report.notes.iter().map(|note| told(note)).collect(),
        checks: report.checks.iter().map(finding).collect(),
        ..report.clone()
    }
}

struct Allowed {
    /// The box's own, beside those that every machine has.
    addresses: Vec<IpAddr>,
}

impl Allowed {
    fn text(&self, text: &str) -> String {
        let mut told = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let is_space = |c: char| c.is_whitespace();
            let end = rest
                .find(|c| is_space(c) != is_space(next))
                .unwrap_or(rest.len());
            let (piece, behind) = rest.split_at(end);
            if is_space(next) {
                told.push_str(piece);
            } else {
                told.push_str(&self.piece(piece));
            }
            rest = behind;
        }
        told
    }

    /// What stands between two spaces: addresses and words, and the signs between them.
    fn piece(&self, piece: &str) -> String {
        let is_part = |c: char| is_of_word(c) || c == ':';
        let mut told = String::new();
        let mut rest = piece;
        while let Some(next) = rest.chars().next() {
            let end = rest
                .find(|c| is_part(c) != is_part(next))
                .unwrap_or(rest.len());
            let (part, behind) = rest.split_at(end);
            told.push_str(&self.part(part));
            rest = behind;
        }
        told
    }

    /// Signs, or one address, or words with colons between them.
    fn part(&self, part: &str) -> String {
        if looks_like_address(part) {
            let told = if self.is_address(part) { part } else { HIDDEN };
            return told.to_owned();
        }
        let words: Vec<String> = part.split(':').map(|word| self.word(word)).collect();
        words.join(":")
    }

    fn word(&self, word: &str) -> String {
        let bare = trimmed(word);
        let is_sign = |c: char| !is_of_word(c);
        if bare.chars().all(is_sign) || self.is_told(bare) {
            word.to_owned()
        } else {
            word.replacen(bare, HIDDEN, 1)
        }
    }

    fn is_told(&self, word: &str) -> bool {
        if word.parse::<IpAddr>().is_ok() {
            return self.is_address(word);
        }
        let word = word.to_lowercase();
        is_number(&word)
            || WORDS.contains(&word)
            || word.split(['-', '_']).all(|part| WORDS.contains(part))
    }

    /// The box's own address, or one that every machine has.
    fn is_address(&self, text: &str) -> bool {
        text.parse::<IpAddr>().is_ok_and(|address| {
            address.is_loopback() || address.is_unspecified() || self.addresses.contains(&address)
        })
    }
}

/// An address of IPv6 or of a network card: hexadecimal digits with colons between them. A time of the day is
/// none.
fn looks_like_address(text: &str) -> bool {
    let colons = text.matches(':').count();
    let is_time = text.len() == 8 && text.chars().all(|c| c.is_ascii_digit() || c == ':');
    colons >= 2
        && !is_time
        && text
            .chars()
            .all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

/// A number or a version: digits with dots between them.
fn is_number(word: &str) -> bool {
    word.split('.').all(|part| {
        (1..=LONGEST_NUMBER).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
    })
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || "._-".contains(letter)
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(['.', '_', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_is_not_told() {
        let allowed = Allowed {
            addresses: vec!["192.168.33.10".parse().unwrap()],
        };
        for (text, told) in [
            ("Docker's daemon runs.", "Docker's daemon runs."),
            ("/home/canary/docker-workshop", "/home/…/docker-workshop"),
            (
                "192.168.33.10:5432 and 127.0.0.1:2222",
                "192.168.33.10:5432 and 127.0.0.1:2222",
            ),
            ("10.20.30.40 (canary.example.org)", "… (…)"),
            ("[fd00:1:2::3]:22", "[…]:22"),
            ("08:00:27:aa:bb:cc, 08-00-27-AA-BB-CC", "…, …"),
            ("[::1]:22, at 17:12:04", "[::1]:22, at 17:12:04"),
            ("HTTP_PROXY=http://canary:3128", "…=http://…:3128"),
            ("version 2.4.9", "version 2.4.9"),
        ] {
            assert_eq!(allowed.text(text), told);
        }
    }
}

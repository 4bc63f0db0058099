//! Recognises failures of the catalogue in what programs said. Pure: text in, rows out.
//!
//! The time is linear in the length of the text, whatever the text is.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

use super::catalogue::{Catalogue, Place, Row, System};
use super::pasted::{Flat, Pasted};
use super::report::Remedy;
use crate::events::Known;

/// A failure that was recognised.
#[derive(Clone, Debug)]
pub struct Recognised {
    pub row: &'static Row,
    /// The line where its words begin, counted from 1.
    pub line: usize,
    /// That line.
    pub said: String,
    /// What the row's named groups caught, such as a port.
    pub values: BTreeMap<String, String>,
    /// The recognised row that brought this one about.
    pub because: Option<&'static str>,
}

/// What was read, and what was recognised in it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub lines: usize,
    /// Causes first, in the order of the text; then what follows from them.
    pub recognised: Vec<Recognised>,
}

/// Looks for everything that the catalogue knows.
#[must_use]
pub fn read(bytes: &[u8]) -> Reading {
    let pasted = Pasted::new(bytes);
    let mut found = matched(&pasted, &pasted.flat);
    if let Some(joined) = &pasted.joined {
        for (row, recognised) in matched(&pasted, joined) {
            found.entry(row).or_insert(recognised);
        }
    }
    Reading {
        lines: pasted.line_count(),
        recognised: in_order(found),
    }
}

/// What brought about a failure in the box of `target` that ended with these words, where that is known.
#[must_use]
pub fn cause_in_box(said: &str, target: Option<&str>) -> Option<Known> {
    // What is wrong with a laptop, or in the workshop's files, is not said by a program in the box.
    cause_of(said, target, |place| {
        matches!(place, Place::Box | Place::Network)
    })
}

/// What brought about a failure of a program on this laptop that ended with these words, where that is known.
#[must_use]
pub fn cause_on_laptop(said: &str) -> Option<Known> {
    cause_of(said, None, |_| true)
}

fn cause_of(said: &str, target: Option<&str>, can_be: fn(Place) -> bool) -> Option<Known> {
    let recognised = read(said.as_bytes()).recognised;
    let is_cause = |one: &&Recognised| one.because.is_none() && can_be(one.row.place);
    let one = recognised.iter().find(is_cause)?;
    let fill = |text: &str| filled(one.row, text, &one.values);
    Some(Known {
        id: one.row.id.clone(),
        cause: fill(&one.row.cause),
        remedy: Remedy {
            text: fill(&one.row.cure),
            commands: one
                .row
                .commands_on(System::this())
                .map(|command| to_target(fill(command), target))
                .collect(),
            by: one.row.by,
        },
    })
}

/// A command of the catalogue, which speaks of a folder's one box, for this box.
fn to_target(command: String, target: Option<&str>) -> String {
    const OF_A_BOX: [&str; 6] = ["destroy", "doctor", "down", "provision", "ssh", "up"];
    let words = command
        .strip_prefix("dwenv ")
        .map(|rest| rest.split_once(' ').unwrap_or((rest, "")));
    match (words, target) {
        (Some((verb, arguments)), Some(target)) if OF_A_BOX.contains(&verb) => {
            let told = format!("dwenv {verb} --target {target} {arguments}");
            told.trim_end().to_owned()
        }
        _ => command,
    }
}

/// Whether there is anything but space in it.
#[must_use]
pub fn is_blank(bytes: &[u8]) -> bool {
    Pasted::new(bytes).is_empty()
}

/// `text` with its names in braces filled: with what was caught, or else with the name in capitals, for the
/// reader to fill.
#[must_use]
pub fn filled(row: &Row, text: &str, values: &BTreeMap<String, String>) -> String {
    let mut filled = text.to_owned();
    for name in MATCHER.names.get(row.id.as_str()).into_iter().flatten() {
        let value = values.get(name).filter(|value| is_harmless(value));
        let capitals = name.to_uppercase();
        filled = filled.replace(&format!("{{{name}}}"), value.unwrap_or(&capitals));
    }
    filled
}

/// Whether a caught value may stand in a command that somebody copies: the text is anybody's.
fn is_harmless(value: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte);
    !value.starts_with('-') && value.len() <= 100 && value.bytes().all(safe)
}

struct Matcher {
    /// All patterns at once: which of them are in a text.
    set: RegexSet,
    /// The same patterns one by one: where.
    each: Vec<(&'static Row, Regex)>,
    /// The named groups of each row.
    names: HashMap<&'static str, Vec<String>>,
}

static MATCHER: LazyLock<Matcher> = LazyLock::new(|| {
    let patterns: Vec<(&Row, String)> = Catalogue::get()
        .rows
        .iter()
        .flat_map(|row| patterns(row).map(move |pattern| (row, pattern)))
        .collect();
    let set = RegexSetBuilder::new(patterns.iter().map(|(_, pattern)| pattern))
        .unicode(false)
        .multi_line(true)
        .size_limit(SIZE)
        .build()
        .expect("a test builds the patterns that are compiled in");
    let each: Vec<(&Row, Regex)> = patterns
        .into_iter()
        .map(|(row, pattern)| {
            let regex = RegexBuilder::new(&pattern)
                .unicode(false)
                .multi_line(true)
                .size_limit(SIZE)
                .build();
            (row, regex.expect("the set was built of the same"))
        })
        .collect();
    let mut names: HashMap<&str, Vec<String>> = HashMap::new();
    for (row, regex) in &each {
        let of_row = names.entry(row.id.as_str()).or_default();
        of_row.extend(regex.capture_names().flatten().map(str::to_owned));
    }
    Matcher { set, each, names }
});

/// Bytes that the patterns may take when compiled.
const SIZE: usize = 64 << 20;

/// A row's patterns as regular expressions: a space in them also stands for a line break.
fn patterns(row: &Row) -> impl Iterator<Item = String> {
    let literal = row.says.iter().map(|text| regex::escape(text));
    literal
        .chain(row.matches.iter().cloned())
        .map(|pattern| pattern.replace(' ', "[ \n]"))
}

type Found = BTreeMap<&'static str, Recognised>;

fn matched(pasted: &Pasted, flat: &Flat) -> Found {
    let text = flat.text.as_bytes();
    let mut found = Found::new();
    let mut begins: HashMap<&str, usize> = HashMap::new();
    for index in MATCHER.set.matches(text) {
        let (row, regex) = &MATCHER.each[index];
        let Some(captures) = regex.captures(text) else {
            continue;
        };
        let begin = captures.get_match().start();
        let earliest = begins.entry(row.id.as_str()).or_insert(usize::MAX);
        if begin >= *earliest {
            continue;
        }
        *earliest = begin;
        let values = regex.capture_names().flatten().filter_map(|name| {
            let value = String::from_utf8_lossy(captures.name(name)?.as_bytes());
            Some((name.to_owned(), value.into_owned()))
        });
        let line = flat.line_of(begin);
        let recognised = Recognised {
            row,
            line,
            said: excerpt(pasted.line(line)),
            values: values.collect(),
            because: None,
        };
        found.insert(row.id.as_str(), recognised);
    }
    found
}

/// A line, short enough to be shown.
fn excerpt(line: &str) -> String {
    const LONGEST: usize = 240;
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn in_order(found: Found) -> Vec<Recognised> {
    let cause = |row: &Row| {
        let cause = row
            .follows
            .iter()
            .find(|id| found.contains_key(id.as_str()));
        cause.and_then(|id| Catalogue::get().row(id))
    };
    let root = |row: &'static Row| {
        let mut root = None;
        let mut next = cause(row);
        // A test holds that rows do not follow each other in a circle.
        while let Some(row) = next {
            root = Some(row.id.as_str());
            next = cause(row);
        }
        root
    };
    let mut recognised: Vec<Recognised> = found
        .values()
        .map(|recognised| Recognised {
            because: root(recognised.row),
            ..recognised.clone()
        })
        .collect();
    recognised.sort_by_key(|recognised| (recognised.because.is_some(), recognised.line));
    recognised
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_for_the_box_of_a_folder_becomes_one_for_a_box_of_a_room() {
        for (command, told) in [
            ("dwenv ssh -- df -h", "dwenv ssh --target room-1 -- df -h"),
            ("dwenv up", "dwenv up --target room-1"),
            ("dwenv explain box.ssh", "dwenv explain box.ssh"),
            ("vagrant reload", "vagrant reload"),
        ] {
            assert_eq!(to_target(command.to_owned(), Some("room-1")), told);
            assert_eq!(to_target(command.to_owned(), None), command);
        }
    }

    #[test]
    fn what_somebody_else_wrote_is_not_put_into_a_command() {
        for (value, harmless) in [
            ("8080", true),
            ("/home/a/x.key", true),
            ("8080; reboot", false),
            ("$(reboot)", false),
            ("--force", false),
        ] {
            assert_eq!(is_harmless(value), harmless, "{value}");
        }
    }
}

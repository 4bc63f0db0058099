//! What is told of several targets: those of which there is the same to tell are told once.

use std::io::{self, Write};

use super::parts::{INDENT, heading, number};
use crate::output::style::{Label, Style, put};
use crate::output::text::Text;

/// No line is this long.
const UNWRAPPED: usize = 1 << 16;

/// Writes what is told of one target.
type Tell<'a> = Box<dyn Fn(&mut dyn Write, &Style) -> io::Result<()> + 'a>;

/// What is told of one target of several.
pub(super) struct Section<'a> {
    target: &'a str,
    tell: Tell<'a>,
    /// What is told, without what only tells this target from the others.
    gist: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        target: &'a str,
        tell: impl Fn(&mut dyn Write, &Style) -> io::Result<()> + 'a,
    ) -> io::Result<Self> {
        let unwrapped = Style {
            width: UNWRAPPED,
            ..Style::PLAIN
        };
        let mut told = Vec::new();
        tell(&mut told, &unwrapped)?;
        Ok(Self {
            target,
            tell: Box::new(tell),
            gist: masked(&String::from_utf8_lossy(&told), target),
        })
    }
}

/// A section for each target; one that differs from another by its own name and address alone is only named there.
pub(super) fn sections(
    out: &mut dyn Write,
    style: &Style,
    sections: Vec<Section<'_>>,
) -> io::Result<()> {
    for group in together(sections, |one, other| one.gist == other.gist) {
        let names: Vec<&str> = group.iter().map(|section| section.target).collect();
        heading(out, style, names[0])?;
        (group[0].tell)(out, style)?;
        if let [_, others @ ..] = &names[..]
            && !others.is_empty()
        {
            let count = number(others.len(), "other");
            let line = format!("The same is so of {count}: {}", others.join(", "));
            put(out, &style.wrap(0, INDENT, &Text::of(Label::Heading, line)))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Puts together what is the same, each group where its first stands.
pub(super) fn together<T>(
    items: impl IntoIterator<Item = T>,
    same: impl Fn(&T, &T) -> bool,
) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|group| same(&group[0], &item)) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// A text about a target without what is its alone: its name, and the address that stands in that or behind it.
fn masked(text: &str, target: &str) -> String {
    let mut names = vec![target.to_owned()];
    if let Some(place) = target.strip_prefix("ssh://") {
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        names.push(place.to_owned());
        names.extend(address_of(place));
    }
    // As in `room-1 (10.20.0.11:22) refuses connections`.
    if let Some((_, behind)) = text.split_once(&format!("{target} ("))
        && let Some((place, _)) = behind.split_once(')')
    {
        names.extend(address_of(place));
    }
    names
        .iter()
        .fold(text.to_owned(), |text, name| without_word(&text, name))
}

/// The host of `HOST`, `HOST:PORT` or `[HOST]:PORT`. A number alone is no name that could be told from others.
fn address_of(place: &str) -> Option<String> {
    let host = match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => place.split(':').next()?,
    };
    let is_name = host.contains(|c: char| !c.is_ascii_digit());
    is_name.then(|| host.to_owned())
}

/// A text with a mark in place of each whole word `name`.
fn without_word(text: &str, name: &str) -> String {
    const MARK: &str = "\u{2026}";
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut rest = text;
    let mut masked = String::new();
    while let Some(at) = rest.find(name) {
        let (before, behind) = (&rest[..at], &rest[at + name.len()..]);
        let begins = !before.ends_with(|c| goes_on(c) || c == '.');
        let ends = !behind.starts_with(goes_on)
            && !behind
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(goes_on));
        masked.push_str(before);
        masked.push_str(if begins && ends { MARK } else { name });
        rest = behind;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_name_and_address_tell_no_two_targets_apart() {
        let dead = |target: &str, place: &str, address: &str| {
            let text = format!("{place} refuses connections: {address}:22: refused. 3 checks.");
            masked(&text, target)
        };
        let seat = |last: u8| {
            let (target, address) = (
                format!("ssh://vagrant@192.168.33.{last}"),
                format!("192.168.33.{last}"),
            );
            dead(&target, &target, &address)
        };
        assert_eq!(seat(1), seat(12));
        assert!(seat(1).ends_with(":22: refused. 3 checks."), "{}", seat(1));
        let sandbox =
            |name: &str, address: &str| dead(name, &format!("{name} ({address}:22)"), address);
        assert_eq!(
            sandbox("sandbox:1", "10.1.2.1"),
            sandbox("sandbox:2", "10.1.2.2")
        );
        let v6 = |host: &str| dead(&format!("ssh://[{host}]:22"), "it", host);
        assert_eq!(v6("fd00::1"), v6("fd00::2"));
    }

    #[test]
    fn what_differs_otherwise_is_told_apart() {
        let seen = |target: &str, what: &str| masked(what, target);
        for (one, other) in [
            ("1 GB are free", "2 GB are free"),
            ("it listens on 127.0.0.1", "it listens on 10.0.0.5"),
            ("it asks 192.168.1.1", "it asks 8.8.8.8"),
        ] {
            assert_ne!(seen("sandbox:1", one), seen("sandbox:2", other));
        }
        // Another one's address that begins alike is not its own.
        let near = seen("ssh://10.0.0.1", "10.0.0.12 answers");
        assert_eq!(near, "10.0.0.12 answers");
    }
}

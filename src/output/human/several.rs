//! What is told of several targets: those of which there is the same to tell are told once.

use std::io::{self, Write};
use std::net::Ipv4Addr;

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

/// A section for each target; one that differs from another by names and addresses alone is only named there.
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

/// A text about a target without its name, the parts of that, and addresses.
fn masked(text: &str, target: &str) -> String {
    const MASK: &str = "\u{2026}";
    let place = target.rsplit('@').next().unwrap_or(target);
    let (host, port) = place.split_once(':').unwrap_or((place, ""));
    let mut masked = text.to_owned();
    for name in [target, place, host, port] {
        if !name.is_empty() {
            masked = masked.replace(name, MASK);
        }
    }
    let is_address = |word: &str| word.trim_end_matches('.').parse::<Ipv4Addr>().is_ok();
    masked
        .split_inclusive(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_digit() && c != '.');
            match is_address(word) {
                true => piece.replacen(word, MASK, 1),
                false => piece.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_tell_no_two_targets_apart() {
        let dead = |target: &str, address: &str| {
            let text = format!("{target} refuses connections: {address}:22 answered. 3 checks.");
            masked(&text, target)
        };
        let first = dead("ssh://vagrant@192.168.33.11", "192.168.33.11");
        assert_eq!(first, dead("ssh://vagrant@192.168.33.12", "192.168.33.12"));
        assert_eq!(first, dead("sandbox:seat-01", "10.1.2.3"));
        assert!(first.ends_with(":22 answered. 3 checks."), "{first}");
    }
}

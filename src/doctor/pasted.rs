//! What somebody pasted, made fit for looking for sentences in it.
//!
//! Logs come with colours, Windows line ends, PowerShell's UTF-16, the name of the machine before every line,
//! and sentences that were broken wherever the terminal ended. All of that is taken away, and every byte
//! that is left knows its line.

use std::collections::BTreeSet;

/// Text in lines of single-spaced words.
pub struct Pasted {
    /// The lines as they were, without what a terminal would obey.
    lines: Vec<String>,
    /// Sentences as programs meant them, as far as that can be told: lines cut at spaces.
    pub flat: Flat,
    /// The same, with lines that fill the widest line's columns joined to the next: cut within words.
    pub joined: Option<Flat>,
}

/// Lines of single-spaced words, each ended by a line feed, none empty.
pub struct Flat {
    pub text: String,
    /// Where each line begins in `text`, and its number among the pasted ones.
    starts: Vec<(usize, usize)>,
}

impl Pasted {
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let lines: Vec<String> = plain(&decoded(bytes))
            .split('\n')
            .map(str::to_owned)
            .collect();
        let machines = machines(&lines);
        let bare: Vec<&str> = lines.iter().map(|line| bare(line, &machines)).collect();
        let width = wrapped_at(&lines);
        Self {
            flat: Flat::of(&bare, |_| false),
            joined: width.map(|width| {
                Flat::of(&bare, |index| {
                    lines[index].chars().count() == width && index + 1 < lines.len()
                })
            }),
            lines,
        }
    }

    /// A line as it was pasted, counted from 1.
    #[must_use]
    pub fn line(&self, number: usize) -> &str {
        number
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .map_or("", |line| line.trim())
    }

    /// Whether there is anything to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.flat.text.is_empty()
    }

    /// Lines as people count them: what ends with a line end has none behind it.
    #[must_use]
    pub fn line_count(&self) -> usize {
        let open = self.lines.last().is_some_and(|line| !line.is_empty());
        self.lines.len() - usize::from(!open)
    }
}

impl Flat {
    fn of(lines: &[&str], goes_on: impl Fn(usize) -> bool) -> Self {
        let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        let mut starts = Vec::new();
        let mut going_on = false;
        for (index, line) in lines.iter().enumerate() {
            starts.push((text.len(), index + 1));
            let begins = line.starts_with(char::is_whitespace) || !going_on;
            for (word, place) in line.split_whitespace().zip(0..) {
                if place > 0 || (going_on && begins) {
                    text.push(' ');
                }
                text.push_str(word);
            }
            going_on = goes_on(index);
            if !going_on && !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
        }
        Self { text, starts }
    }

    /// The number of the pasted line that holds this byte.
    #[must_use]
    pub fn line_of(&self, byte: usize) -> usize {
        let after = self.starts.partition_point(|(start, _)| *start <= byte);
        after
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .map_or(1, |(_, number)| *number)
    }
}

/// Bytes as text: UTF-8, or UTF-16 as PowerShell writes it. What is neither becomes U+FFFD.
fn decoded(bytes: &[u8]) -> String {
    let units = |from_bytes: fn([u8; 2]) -> u16| -> String {
        let pairs = bytes[2..].chunks_exact(2);
        let units: Vec<u16> = pairs.map(|pair| from_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
            .into_owned(),
    }
}

/// Without escape sequences and control characters; every kind of line end is a line feed; the quotes and
/// spaces that chats and word processors put in are those that the program printed.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\x1b' => skip_escape(&mut characters),
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    plain.push('\n');
                }
            }
            '\n' => plain.push('\n'),
            '\t' | '\u{a0}' => plain.push(' '),
            '\u{2018}' | '\u{2019}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            _ if character.is_control() => {}
            _ => plain.push(character),
        }
    }
    plain
}

/// Passes over what follows an escape: colours, cursor movements, and titles. A sequence that does not end is
/// passed over up to the end of its line.
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.peek() {
        Some('[') => {
            characters.next();
            while let Some(next) = characters.next_if(|next| *next != '\n') {
                if ('\x40'..='\x7e').contains(&next) {
                    return;
                }
            }
        }
        Some(']') => {
            while let Some(next) = characters.next_if(|next| *next != '\n') {
                if next == '\x07' || next == '\x1b' {
                    return;
                }
            }
        }
        Some('\n') | None => {}
        Some(_) => drop(characters.next()),
    }
}

/// A line of a mail or a chat without the marks of a quotation.
fn unquoted(line: &str) -> &str {
    let mut line = line;
    while let Some(quoted) = line.strip_prefix("> ") {
        line = quoted;
    }
    line
}

/// The machines of this log, as Vagrant names them before its lines.
fn machines(lines: &[String]) -> BTreeSet<&str> {
    lines
        .iter()
        .filter_map(|line| {
            let line = unquoted(line).trim_start();
            line.strip_prefix("==> ")?.split_once(": ")
        })
        .map(|(machine, _)| machine)
        .filter(|machine| !machine.contains(' '))
        .chain(["default"])
        .collect()
}

/// A line without the mark of a quotation, and without the machine that Vagrant names before it.
fn bare<'a>(line: &'a str, machines: &BTreeSet<&str>) -> &'a str {
    let line = unquoted(line);
    let trimmed = line.trim_start();
    let named = trimmed.strip_prefix("==> ").unwrap_or(trimmed);
    match named.split_once(':') {
        Some((machine, rest)) if machines.contains(machine) => rest,
        _ => line,
    }
}

/// The column at which a terminal cut these lines, if one did.
fn wrapped_at(lines: &[String]) -> Option<usize> {
    // Narrower is no terminal, wider is no cut.
    const TERMINALS: std::ops::RangeInclusive<usize> = 40..=250;
    let widest = lines.iter().map(|line| line.chars().count()).max()?;
    TERMINALS.contains(&widest).then_some(widest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_terminal_and_to_vagrant_is_gone() {
        let pasted = Pasted::new(
            b"\x1b[1m==> docker-workshop: Timed out\x1b[0m while\r\n    docker-workshop: waiting\r\n\r\n> E: x\x00y\n",
        );
        assert_eq!(pasted.flat.text, "Timed out while\nwaiting\nE: xy\n");
        assert_eq!(pasted.line(4), "> E: xy");
        assert_eq!(pasted.flat.line_of(pasted.flat.text.find('E').unwrap()), 4);
    }

    #[test]
    fn powershell_writes_utf_16() {
        let mut bytes = vec![0xff, 0xfe];
        bytes.extend(
            "It\u{2019}s\r\nhere"
                .encode_utf16()
                .flat_map(u16::to_le_bytes),
        );
        assert_eq!(Pasted::new(&bytes).flat.text, "It's\nhere\n");
    }

    #[test]
    fn words_that_the_terminal_cut_are_joined() {
        let wide = "x".repeat(40);
        let pasted = Pasted::new(format!("{wide}\nyz a\nb\n").as_bytes());
        let joined = pasted.joined.unwrap();
        assert_eq!(joined.text, format!("{wide}yz a\nb\n"));
        assert_eq!(joined.line_of(42), 2);
        assert_eq!(joined.line_of(46), 3);
    }

    #[test]
    fn an_escape_that_does_not_end_takes_its_line_only() {
        assert_eq!(
            Pasted::new(b"a\x1b[12\nb\x1b]0;t\nc\x1b").flat.text,
            "a\nb\nc\n"
        );
    }
}

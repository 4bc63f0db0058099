//! A TOML text that knows its name, so that every error can say where, show the line and point at it.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeTable;

use super::folder::Folder;
use crate::error::{Error, Result};

/// How much of an offending text an error repeats.
const QUOTED_CHARS: usize = 60;

/// The text of a `config.toml`.
#[derive(Debug)]
pub struct Document {
    /// What errors call it: a path as the person gave it, or a URL.
    name: String,
    text: String,
    /// Where the files lie that it names.
    pub folder: Folder,
}

impl Document {
    pub fn new(name: impl Into<String>, text: impl Into<String>, folder: Folder) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            folder,
        }
    }

    pub fn parse(&self) -> Result<DeTable<'_>> {
        DeTable::parse(&self.text)
            .map(Spanned::into_inner)
            .map_err(|error| {
                let span = error.span().unwrap_or(0..0);
                let said = error.message();
                let told = self.error(span, format!("not TOML: {said}"));
                match hint(said) {
                    Some(hint) => told.hint(hint),
                    None => told,
                }
            })
    }

    /// An error at `span`: file, line, column and what is wrong there, then the line itself.
    pub fn error(&self, span: Range<usize>, what: impl AsRef<str>) -> Error {
        let position = Position::of(&self.text, span);
        Error::config(format!(
            "{}:{}:{}: {}\n{}",
            self.name,
            position.line,
            position.column,
            printable(what.as_ref()),
            position.snippet()
        ))
    }

    /// The text at `span` as an error repeats it: one line, not too long.
    pub fn quote(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let short: String = printable(first).chars().take(QUOTED_CHARS).collect();
        if short.len() < text.len() {
            format!("{short}…")
        } else {
            short
        }
    }
}

/// What is meant by the parser's words for the commonest slips.
fn hint(said: &str) -> Option<&'static str> {
    let is_about = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if is_about(&["escape", "unicode"]) {
        Some(
            "a backslash has a meaning in text between `\"`: write `/` for it, or put the text between `'`",
        )
    } else if is_about(&[
        "invalid boolean",
        "invalid float",
        "invalid integer",
        "invalid datetime",
        "quoted",
    ]) {
        Some("text stands between quotes, such as `ip = \"192.168.33.10\"`")
    } else {
        None
    }
}

/// How many characters of a line are shown: they fit into a narrow terminal beside the number and the frame.
const LONGEST: usize = 60;
/// How many of them stand behind what is wrong.
const BEHIND: usize = 4;

/// Where a span lies, counted as editors do: from 1, in characters.
struct Position<'a> {
    line: usize,
    column: usize,
    /// The whole line, without its end.
    source: &'a str,
    /// What of the line the span covers.
    marked: &'a str,
}

impl<'a> Position<'a> {
    fn of(text: &'a str, span: Range<usize>) -> Self {
        // The parser may point behind the end, or (never seen) between the bytes of a character.
        let start = boundary(text, span.start);
        let end = boundary(text, span.end).max(start);
        let begin = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let length = text[begin..].find('\n').unwrap_or(text.len() - begin);
        let source = text[begin..begin + length].trim_end_matches('\r');
        let until = end.min(begin + source.len()).max(start);
        Self {
            line: text[..begin].matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            source,
            marked: text.get(start..until).unwrap_or_default(),
        }
    }

    /// The line with what is wrong marked. Of a long line only what is around that: a terminal that breaks it would
    /// leave the mark under something else.
    fn snippet(&self) -> String {
        let line: Vec<char> = self.source.chars().collect();
        let marked = self.column - 1;
        let wanted = marked + self.marked.chars().count().min(LONGEST / 2);
        let from = (wanted + BEHIND).saturating_sub(LONGEST);
        let to = line.len().min(from + LONGEST);
        let cut = |is_cut: bool| if is_cut { "…" } else { "" };
        let (before, after) = (cut(from > 0), cut(to < line.len()));
        let of = |range: Range<usize>| line[range].iter().collect::<String>();
        let end = to.min(marked + self.marked.chars().count()).max(marked);
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent = " ".repeat(width(before) + width(&of(from..marked.min(to))));
        let caret = "^".repeat(width(&of(marked.min(to)..end.min(line.len()))).max(1));
        format!(
            "{gutter} |\n{number} | {before}{}{after}\n{gutter} | {indent}{caret}",
            printable(&of(from..to))
        )
    }
}

/// The last place at or before `index` where a character begins.
fn boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}

fn width(text: &str) -> usize {
    console::measure_text_width(&printable(text))
}

/// A declaration may come from anywhere: nothing in it may steer the reader's terminal. A tab becomes one
/// blank, so that the caret stays under what it points at.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document::new("f", text, Folder::Builtin)
    }

    fn message(text: &str, marked: &str) -> String {
        let start = text.find(marked).unwrap();
        document(text)
            .error(start..start + marked.len(), "wrong")
            .message
    }

    #[test]
    fn the_caret_stands_under_wide_characters_and_tabs() {
        insta::assert_snapshot!(message("a = 1\n\t日本 = é9", "é9"), @r"
        f:2:7: wrong
          |
        2 |  日本 = é9
          |         ^^
        ");
    }

    #[test]
    fn of_a_long_line_what_is_around_the_mark_is_shown() {
        let long = format!("a = [{}]", "\"quite a word\", ".repeat(9));
        let behind = format!("{long} nonsense");
        for (text, marked) in [
            (&long, "a ="),
            (&behind, "nonsense"),
            (&behind, "] nonsense"),
            (&long, &long[..100]),
        ] {
            let told = message(text, marked);
            let [_, _, line, caret] = told.lines().collect::<Vec<_>>()[..] else {
                panic!("{told}");
            };
            assert!(width(line) <= "1 | ".len() + LONGEST + 2, "{told}");
            let under: String = line
                .chars()
                .zip(caret.chars())
                .filter_map(|(above, mark)| (mark == '^').then_some(above))
                .collect();
            assert!(!under.is_empty() && marked.starts_with(&under), "{told}");
            assert!(under == marked || line.ends_with('…'), "{told}");
        }
    }

    #[test]
    fn windows_line_ends_are_no_part_of_a_line() {
        insta::assert_snapshot!(message("a = 1\r\nb = 2\r\n", "2\r\n"), @r"
        f:2:5: wrong
          |
        2 | b = 2
          |     ^
        ");
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        let document = document("a =");
        let error = document.parse().unwrap_err();
        assert!(error.message.starts_with("f:1:4: not TOML: "), "{error}");
        assert_eq!(
            document.error(99..99, "x").message.lines().next(),
            Some("f:1:4: x")
        );
    }

    #[test]
    fn escape_sequences_are_not_repeated() {
        let document = document("a = \u{1b}[31m");
        assert_eq!(document.quote(4..9), "\u{fffd}[31m");
        assert!(!document.parse().unwrap_err().message.contains('\u{1b}'));
    }
}

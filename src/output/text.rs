//! Text with labels, broken into lines as wide as the terminal.

use super::style::{Label, Style};

/// Text whose pieces have labels.
#[derive(Clone, Debug, Default)]
pub struct Text(Vec<(Label, String)>);

impl Text {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Text of one label.
    #[must_use]
    pub fn of(label: Label, text: impl AsRef<str>) -> Self {
        Self::new().add(label, text)
    }

    /// Appends a piece.
    #[must_use]
    pub fn add(mut self, label: Label, text: impl AsRef<str>) -> Self {
        self.0.push((label, clean(text.as_ref())));
        self
    }

    /// Appends a piece without label.
    #[must_use]
    pub fn plain(self, text: impl AsRef<str>) -> Self {
        self.add(Label::Plain, text)
    }

    /// Appends all pieces of `other`.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.0.extend(other.0.iter().cloned());
        self
    }

    /// The same text, to stay on one line.
    #[must_use]
    pub fn unbroken(&self) -> Self {
        let pieces = self.0.iter();
        Self(
            pieces
                .map(|(label, text)| (*label, text.replace([' ', '\n'], &UNBROKEN.to_string())))
                .collect(),
        )
    }

    /// Columns that the text takes on one line.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| columns(text)).sum()
    }

    fn words(&self) -> Vec<Word> {
        let mut words = Vec::new();
        let mut word = Word::default();
        let mut quoted = false;
        for (label, piece) in &self.0 {
            for (at, character) in piece.char_indices() {
                match character {
                    '\n' => {
                        words.extend(word.end());
                        word = Word {
                            on_new_line: true,
                            ..Word::default()
                        };
                    }
                    ' ' if !quoted => {
                        let begun = word.end();
                        if begun.is_some() {
                            word = Word::default();
                        }
                        words.extend(begun);
                        word.gap += 1;
                    }
                    _ => {
                        if character == '`' {
                            quoted = !quoted && closes(&piece[at + 1..]);
                        }
                        word.push(*label, character);
                    }
                }
            }
        }
        words.extend(word.end());
        words
    }
}

/// Whether a command that a backtick opened before `rest` ends on the same line.
fn closes(rest: &str) -> bool {
    rest.lines().next().is_some_and(|line| line.contains('`'))
}

/// What is never broken, with the spaces before it.
#[derive(Clone, Debug, Default)]
struct Word {
    gap: usize,
    on_new_line: bool,
    pieces: Vec<(Label, String)>,
    width: usize,
}

impl Word {
    fn push(&mut self, label: Label, character: char) {
        match self.pieces.last_mut() {
            Some((last, text)) if *last == label => text.push(character),
            _ => self.pieces.push((label, character.to_string())),
        }
    }

    /// The word, if it has begun.
    fn end(&self) -> Option<Self> {
        let mut word = self.clone();
        word.width = self.pieces.iter().map(|(_, text)| columns(text)).sum();
        (!self.pieces.is_empty()).then_some(word)
    }
}

struct Line {
    start: usize,
    used: usize,
    pieces: Vec<(Label, String)>,
}

impl Line {
    fn at(start: usize) -> Self {
        Self {
            start,
            used: start,
            pieces: Vec::new(),
        }
    }

    fn push(&mut self, word: Word) {
        // A line that the text itself begins keeps its indentation.
        let broken = self.pieces.is_empty() && !word.on_new_line;
        let gap = if broken { 0 } else { word.gap };
        self.used += gap + word.width;
        let spaces = " ".repeat(gap);
        for (index, (label, text)) in word.pieces.into_iter().enumerate() {
            let before = if index == 0 { spaces.as_str() } else { "" };
            match self.pieces.last_mut() {
                Some((last, line)) if *last == label => {
                    line.push_str(before);
                    line.push_str(&text);
                }
                _ => {
                    if !before.is_empty() {
                        self.pieces.push((Label::Plain, before.to_owned()));
                    }
                    self.pieces.push((label, text));
                }
            }
        }
    }

    fn render(&self, style: &Style) -> String {
        let mut line = " ".repeat(if self.pieces.is_empty() {
            0
        } else {
            self.start
        });
        for (index, (label, text)) in self.pieces.iter().enumerate() {
            let text = text.replace(UNBROKEN, " ");
            let last = index + 1 == self.pieces.len();
            line.push_str(&style.paint(*label, if last { text.trim_end() } else { &text }));
        }
        line.push('\n');
        line
    }
}

/// A space at which no line ends.
pub(crate) const UNBROKEN: char = '\u{a0}';

/// Terminal columns that `text` takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

/// What is told of a target where its name stands already: without that name before its verb. A name with an address
/// behind it stays whole.
#[must_use]
pub fn without_name(text: &str, target: &str) -> String {
    let name = format!("{target} ");
    match text.split_once(&name) {
        Some((before, rest))
            if (before.is_empty() || before.ends_with('(')) && !rest.starts_with('(') =>
        {
            format!("{before}{rest}")
        }
        _ => text.to_owned(),
    }
}

/// `text` without anything that a terminal would obey: what comes from a box is shown, not executed.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push('\n'),
            '\r' => {}
            '\t' => shown.push_str("    "),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

impl Style {
    /// `text` broken into lines: the first starts at column `indent`, the others at `hang`.
    ///
    /// A word wider than the line, and a command between backticks, is never broken: it is there to be
    /// copied.
    #[must_use]
    pub fn wrap(&self, indent: usize, hang: usize, text: &Text) -> String {
        let mut lines = vec![Line::at(indent)];
        for word in text.words() {
            let mut line = lines.last_mut().expect("there is always a line");
            let crowded = line.used > line.start && line.used + word.gap + word.width > self.width;
            if word.on_new_line || crowded {
                lines.push(Line::at(hang));
                line = lines.last_mut().expect("just pushed");
            }
            line.push(word);
        }
        lines.iter().map(|line| line.render(self)).collect()
    }

    /// Every line of `text` from column `indent` on, unbroken, so that it can be copied.
    #[must_use]
    pub fn verbatim(&self, indent: usize, label: Label, text: &str) -> String {
        clean(text)
            .lines()
            .map(|line| {
                let margin = if line.is_empty() { 0 } else { indent };
                format!("{:margin$}{}\n", "", self.paint(label, line))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hang_and_wide_characters_count_twice() {
        let style = Style {
            width: 14,
            ..Style::PLAIN
        };
        let text = Text::new().plain("数据库 数据库 ab `sudo systemctl start` x\ny");
        assert_eq!(
            style.wrap(0, 2, &text),
            "数据库 数据库\n  ab\n  `sudo systemctl start`\n  x\n  y\n"
        );
    }

    #[test]
    fn a_label_is_painted_once_a_line() {
        let style = Style {
            color: true,
            ..Style::PLAIN
        };
        let text = Text::of(Label::Pass, "one two").plain(" three");
        assert_eq!(style.wrap(1, 1, &text), " \x1b[32mone two\x1b[0m three\n");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(
            clean("a\x1b[31mb\tc\r\n\u{9b}"),
            "a\\u{1b}[31mb    c\n\\u{9b}"
        );
    }
}

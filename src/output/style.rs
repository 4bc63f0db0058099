//! How words look: the one place where meaning becomes colour, symbols and line breaks.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use console::Term;

/// What a piece of text is. Renderers name the meaning; only this file knows the look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    #[default]
    Plain,
    Pass,
    Warn,
    Fail,
    Skip,
    Unknown,
    Heading,
    /// Something to type.
    Command,
    Path,
    /// True, and seldom read.
    Dim,
    /// A line that a difference adds.
    Added,
    /// A line that a difference takes away.
    Removed,
}

impl Label {
    /// The colours and weight of this label.
    fn look(self) -> console::Style {
        let plain = console::Style::new().force_styling(true);
        match self {
            Self::Plain => plain,
            Self::Pass | Self::Added => plain.green(),
            Self::Warn => plain.yellow(),
            Self::Fail => plain.red().bold(),
            Self::Command => plain.cyan(),
            Self::Unknown => plain.magenta(),
            Self::Heading => plain.bold(),
            Self::Path => plain.underlined(),
            Self::Skip | Self::Dim => plain.dim(),
            Self::Removed => plain.red(),
        }
    }
}

/// A sign that stands beside a word, never instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Pass,
    Warn,
    Fail,
    Skip,
    Unknown,
    /// Leads to what to do.
    Next,
    Ellipsis,
}

/// When to use colour: the values of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// In a terminal that can show it
    #[default]
    Auto,
    /// Everywhere, also in a file
    Always,
    /// Nowhere
    Never,
}

/// A stream that a person may be looking at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn term(self) -> Term {
        match self {
            Self::Stdout => Term::stdout(),
            Self::Stderr => Term::stderr(),
        }
    }

    /// Whether this stream is a terminal.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
        }
    }

    /// Columns of the terminal, 80 where there is none.
    #[must_use]
    pub fn width(self) -> usize {
        let columns = self.term().size_checked().map(|(_, columns)| columns);
        columns.map_or(Style::PLAIN.width, |columns| {
            usize::from(columns).max(Style::NARROWEST)
        })
    }

    /// Whether a line on this stream can be drawn over again.
    #[must_use]
    pub fn can_redraw(self) -> bool {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        self.is_terminal() && !dumb && self.understands_escapes()
    }

    /// On Windows this also switches the console to understanding them.
    fn understands_escapes(self) -> bool {
        !cfg!(windows) || self.term().features().colors_supported()
    }
}

/// What a stream can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    pub color: bool,
    /// Whether symbols beyond ASCII come out right.
    pub unicode: bool,
    /// Columns to wrap at.
    pub width: usize,
}

impl Style {
    /// No colour, all symbols, 80 columns: what a file gets.
    pub const PLAIN: Self = Self {
        color: false,
        unicode: true,
        width: 80,
    };

    const NARROWEST: usize = 24;

    /// What `stream` can show here and now.
    #[must_use]
    pub fn detect(when: ColorWhen, stream: Stream) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let terminal = stream.is_terminal();
        Self {
            color: wants_color(when, terminal, variable)
                && (!terminal || stream.understands_escapes() || when == ColorWhen::Always),
            unicode: shows_unicode(cfg!(windows), terminal, variable),
            width: stream.width(),
        }
    }

    /// `text` in the look of `label`.
    #[must_use]
    pub fn paint(&self, label: Label, text: &str) -> String {
        if self.color && label != Label::Plain && !text.is_empty() {
            label.look().apply_to(text).to_string()
        } else {
            text.to_owned()
        }
    }

    /// The sign itself, in plain ASCII where the terminal wants that.
    #[must_use]
    pub fn symbol(&self, symbol: Symbol) -> &'static str {
        let (unicode, ascii) = match symbol {
            Symbol::Pass => ("✓", "+"),
            Symbol::Warn => ("!", "!"),
            Symbol::Fail => ("✗", "x"),
            Symbol::Skip => ("–", "-"),
            Symbol::Unknown => ("?", "?"),
            Symbol::Next => ("→", ">"),
            Symbol::Ellipsis => ("…", "..."),
        };
        if self.unicode { unicode } else { ascii }
    }

    /// The frames of something that turns while work goes on.
    #[must_use]
    pub fn spinner(&self) -> &'static [&'static str] {
        if self.unicode {
            &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
        } else {
            &["|", "/", "-", "\\"]
        }
    }

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

/// Writes already rendered text.
pub(crate) fn put(out: &mut dyn Write, rendered: &str) -> io::Result<()> {
    out.write_all(rendered.as_bytes())
}

fn wants_color(when: ColorWhen, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if variable("NO_COLOR").is_some() => false,
        ColorWhen::Auto if variable("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        ColorWhen::Auto => {
            terminal
                && variable("TERM").is_none_or(|term| term != "dumb")
                && variable("CLICOLOR").is_none_or(|value| value != "0")
        }
    }
}

fn shows_unicode(windows: bool, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    if windows {
        // The old console draws boxes for what its raster fonts lack; its successors say who they are.
        let modern = ["WT_SESSION", "TERM_PROGRAM", "ConEmuTask", "TERM"];
        return !terminal || modern.into_iter().any(|name| variable(name).is_some());
    }
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(variable)
        .is_some_and(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
        let auto = |terminal, pairs| wants_color(ColorWhen::Auto, terminal, set(pairs));
        assert!(auto(true, &[]));
        assert!(!auto(false, &[]));
        assert!(!auto(true, &[("NO_COLOR", "1")]));
        assert!(auto(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!auto(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!auto(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]));
        assert!(!auto(true, &[("TERM", "dumb")]));
        assert!(!auto(true, &[("CLICOLOR", "0")]));
        assert!(wants_color(
            ColorWhen::Always,
            false,
            set(&[("NO_COLOR", "1")])
        ));
        assert!(!wants_color(ColorWhen::Never, true, set(&[])));
    }

    #[test]
    fn symbols_follow_the_locale_and_the_kind_of_console() {
        let unix = |pairs| shows_unicode(false, true, set(pairs));
        assert!(unix(&[("LANG", "de_DE.UTF-8")]));
        assert!(unix(&[("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!unix(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!unix(&[]));
        assert!(!shows_unicode(true, true, set(&[])));
        assert!(shows_unicode(true, true, set(&[("WT_SESSION", "1")])));
        assert!(shows_unicode(true, false, set(&[])));
    }

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

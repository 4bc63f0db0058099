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
        self.size().1
    }

    /// Lines and columns of the terminal, 24 and 80 where there is none.
    #[must_use]
    pub fn size(self) -> (usize, usize) {
        let size = self.term().size_checked();
        size.map_or((24, Style::PLAIN.width), |(lines, columns)| {
            let columns = usize::from(columns).max(Style::NARROWEST);
            (lines.into(), columns)
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
}

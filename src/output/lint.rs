//! What lint found, as a person reads it: like a compiler's words, so that editors find the places.

use std::io::{self, Write};

use serde::Serialize;

use super::human::parts::number;
use super::style::{Label, Style, Symbol, put};
use super::text::{Text, UNBROKEN};
use crate::date::Date;
use crate::events::SCHEMA_VERSION;
use crate::lint::{self, Finding, Severity};

/// Columns before what belongs to a finding.
const INDENT: usize = 4;

/// What `lint` found in one workshop.
#[derive(Clone, Debug, Serialize)]
pub struct Linted {
    pub schema_version: u32,
    /// How many files were looked at.
    pub files: usize,
    pub fail: usize,
    pub warn: usize,
    /// When the oldest of the tables behind it was last compared with the world.
    pub tables_of: Date,
    pub findings: Vec<Finding>,
}

impl Linted {
    #[must_use]
    pub fn new(files: usize, findings: Vec<Finding>) -> Self {
        let count = |severity| {
            let of = findings.iter().filter(|found| found.severity == severity);
            of.count()
        };
        Self {
            schema_version: SCHEMA_VERSION,
            files,
            fail: count(Severity::Fail),
            warn: count(Severity::Warn),
            tables_of: lint::tables_of(),
            findings,
        }
    }
}

pub fn linted(out: &mut dyn Write, style: &Style, linted: &Linted) -> io::Result<()> {
    for found in &linted.findings {
        let (label, symbol, word) = match found.severity {
            Severity::Fail => (Label::Fail, Symbol::Fail, "fail"),
            Severity::Warn => (Label::Warn, Symbol::Warn, "warn"),
        };
        let place = format!("{}:{}:{}", found.file, found.line, found.column);
        let heading = Text::of(label, format!("{} {word}", style.symbol(symbol)))
            .plain(": ")
            .add(Label::Path, &place)
            .plain(" ")
            .add(Label::Dim, format!("[{}]", found.id));
        put(out, &style.wrap(0, INDENT, &heading))?;
        put(out, &style.verbatim(INDENT, Label::Command, &found.text))?;
        let why = Text::new().plain(capital(&found.why)).plain(".");
        put(out, &style.wrap(INDENT, INDENT, &why))?;
        let remedy = Text::of(Label::Heading, style.symbol(Symbol::Next))
            .plain(UNBROKEN.to_string())
            .plain(capital(&found.remedy));
        put(out, &style.wrap(INDENT - 2, INDENT, &remedy))?;
        writeln!(out)?;
    }
    let (label, text) = verdict(linted);
    let seen = format!(
        "{} looked at, by tables of {}.",
        number(linted.files, "file"),
        linted.tables_of
    );
    put(out, &style.wrap(0, 0, &Text::of(Label::Dim, seen)))?;
    put(out, &style.wrap(0, 0, &Text::of(label, text)))
}

fn verdict(linted: &Linted) -> (Label, String) {
    let warnings = number(linted.warn, "warning");
    match (linted.fail, linted.warn) {
        (0, 0) => (
            Label::Pass,
            "Nothing is known to be wrong with this workshop.".to_owned(),
        ),
        (0, _) => (
            Label::Warn,
            format!("Nothing in this workshop is known to fail; {warnings}."),
        ),
        (fail, 0) => (
            Label::Fail,
            format!("{} to solve.", number(fail, "problem")),
        ),
        (fail, _) => (
            Label::Fail,
            format!("{} to solve, and {warnings}.", number(fail, "problem")),
        ),
    }
}

/// With a capital letter, unless it begins with something to be typed.
fn capital(text: &str) -> String {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.chars().all(|c| c.is_ascii_lowercase() || c == '\'') {
        return text.to_owned();
    }
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

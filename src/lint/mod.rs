//! `dwenv lint`: a workshop's own files against what is known to go wrong with them. For its author.
//!
//! A rule is a value in a list; it looks at [`Sources`] and nothing else. To add one: write its line into the
//! list of its group in `rules/`, and a case of its own into `tests/data/lint`.

mod commands;
mod lines;
mod rules;
mod sources;
mod tables;

use serde::Serialize;

use crate::date::Date;
pub use lines::{Line, Place, Written};
pub use sources::{Language, Source, Sources};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It does not work, or is not safe.
    Fail,
    /// It works, but not for everybody, or not for long.
    Warn,
}

/// One thing that is wrong with a workshop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable: `lint.NAME`.
    pub id: &'static str,
    pub severity: Severity,
    pub file: String,
    /// From 1; in characters.
    pub line: usize,
    pub column: usize,
    /// What stands there.
    pub text: String,
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// A rule: what it looks for, with its id.
pub struct Rule {
    pub id: &'static str,
    find: fn(&Looked) -> Vec<Hit>,
}

/// Everything a rule looks at.
pub struct Looked<'a> {
    sources: &'a Sources,
    lines: &'a [Line<'a>],
    today: Date,
}

/// What a rule found; the rule's id comes to it.
struct Hit {
    severity: Severity,
    file: String,
    place: Place,
    text: String,
    why: String,
    remedy: String,
}

/// The ids of all rules.
pub fn ids() -> impl Iterator<Item = &'static str> {
    rules::all().map(|rule| rule.id)
}

/// When the oldest of the tables was last compared with the world.
#[must_use]
pub fn tables_of() -> Date {
    let checked = [
        tables::DEAD_HOSTS.checked,
        tables::END_OF_LIFE.checked,
        tables::ONE_ARCHITECTURE.checked,
    ];
    checked.into_iter().min().unwrap_or(checked[0])
}

/// Everything that is wrong with a workshop, file by file.
#[must_use]
pub fn lint(sources: &Sources, today: Date) -> Vec<Finding> {
    let lines: Vec<Line> = sources
        .files
        .iter()
        .filter(|file| !rules::is_generated(file))
        .flat_map(lines::lines)
        .collect();
    let looked = Looked {
        sources,
        lines: &lines,
        today,
    };
    let mut findings: Vec<Finding> = Vec::new();
    for rule in rules::all() {
        for hit in (rule.find)(&looked) {
            let finding = hit.told(rule.id);
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    findings.sort_by(|one, other| {
        let place = |finding: &Finding| (finding.file.clone(), finding.line, finding.column);
        place(one).cmp(&place(other))
    });
    findings
}

impl Hit {
    fn told(self, id: &'static str) -> Finding {
        Finding {
            id,
            severity: self.severity,
            file: self.file,
            line: self.place.line,
            column: self.place.column,
            text: self.text,
            why: self.why,
            remedy: self.remedy,
        }
    }

    /// What stands at `range` of a line is wrong.
    fn at(
        line: &Line,
        range: std::ops::Range<usize>,
        severity: Severity,
        why: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let place = line.place(range.start);
        Self {
            severity,
            file: line.file.path.clone(),
            place,
            text: line.text.get(range).unwrap_or_default().to_owned(),
            why: why.into(),
            remedy: remedy.into(),
        }
    }
}

/// Every place where `expression` stands in a line that `fits`; its first group, or else the whole.
fn places(
    looked: &Looked,
    expression: &str,
    fits: impl Fn(&Line) -> bool,
) -> Vec<(usize, std::ops::Range<usize>)> {
    // The expressions stand in the rules; a test runs each of them.
    let regex = regex::Regex::new(expression).expect("an expression of a rule");
    let mut places = Vec::new();
    for (index, line) in looked.lines.iter().enumerate() {
        if !fits(line) {
            continue;
        }
        for found in regex.captures_iter(&line.text) {
            let whole = found.get(1).or(found.get(0));
            places.extend(whole.map(|found| (index, found.range())));
        }
    }
    places
}

/// The like, each as a finding with the same words.
fn each(
    looked: &Looked,
    expression: &str,
    fits: impl Fn(&Line) -> bool,
    severity: Severity,
    why: &str,
    remedy: &str,
) -> Vec<Hit> {
    let places = places(looked, expression, fits);
    let hit =
        |(index, range): (usize, _)| Hit::at(&looked.lines[index], range, severity, why, remedy);
    places.into_iter().map(hit).collect()
}

//! What doctor says and provision plans for a case, as its snapshot has it.

use std::collections::BTreeMap;
use std::fmt::Write;

use dwenv::doctor;
use dwenv::doctor::report::{Finding, Report, Status};
use dwenv::provision::outcome::Difference;
use dwenv::provision::plan::{self, Plans};
use dwenv::resources::change::Action;
use dwenv::resources::files;
use dwenv::workshop::Workshop;

use super::case::Case;

/// A difference that is longer stands in the snapshot by its first line only: it is a declared file.
const SHOWN_LINES: usize = 14;

pub fn told(case: &Case) -> String {
    let findings = doctor::judge(case.context(), &case.facts());
    let plans = plan::plan(case.context(), &case.facts());
    let mut text = doctor_says(findings);
    text.push('\n');
    text += &provision_plans(case, &plans);
    text
}

fn doctor_says(findings: Vec<Finding>) -> String {
    let report = Report::new("", findings);
    let counts = report.counts;
    let mut text = format!(
        "doctor: {} pass, {} warn, {} fail, {} unknown, {} skip",
        counts.pass, counts.warn, counts.fail, counts.unknown, counts.skip
    );
    text += &match counts.ignored {
        0 => "\n".to_owned(),
        ignored => format!(", {ignored} ignored\n"),
    };
    let mut skipped: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in &report.checks {
        match finding.status {
            Status::Pass => {}
            Status::Skip => skipped
                .entry(finding.because.as_deref().unwrap())
                .or_default()
                .push(&finding.id),
            _ => text += &problem(finding),
        }
    }
    for (cause, ids) in skipped {
        writeln!(text, "skip because of {cause}: {}", ids.join(", ")).unwrap();
    }
    text
}

fn problem(finding: &Finding) -> String {
    let status = format!("{:?}", finding.status).to_lowercase();
    let mut text = format!("{status} {}: {}\n", finding.id, finding.summary);
    if let Some(ignored) = &finding.ignored {
        let until = ignored.until.map(|until| format!(" until {until}"));
        let until = until.unwrap_or_default();
        let word = if ignored.expired {
            "was ignored"
        } else {
            "ignored"
        };
        writeln!(text, "    {word}{until}: {}", ignored.reason).unwrap();
    }
    if let Some(remedy) = &finding.remedy {
        let by = format!("{:?}", remedy.by).to_lowercase();
        writeln!(text, "    {} ({by})", remedy.text).unwrap();
        for command in &remedy.commands {
            writeln!(text, "    $ {command}").unwrap();
        }
    }
    text
}

fn provision_plans(case: &Case, plans: &Plans) -> String {
    let mut text = format!("provision: {} steps\n", plans.steps.len());
    for (index, step) in plans.steps.iter().enumerate() {
        let change = &step.change;
        writeln!(
            text,
            "{}. {} [{}]",
            index + 1,
            change.title,
            step.checks.join(", ")
        )
        .unwrap();
        match &change.action {
            Action::Install(install) => {
                for (path, content) in &install.settings {
                    text += &indented(&format!("   {path} | "), content);
                }
            }
            Action::Pull(pull) => writeln!(text, "   {pull:?}").unwrap(),
            Action::Script(script) => {
                text += &indented("   | ", &without_lengths(&shortened(case, &script.sh)));
            }
        }
        for difference in &change.differences {
            text += &shown(&case.workshop, difference);
        }
    }
    for left in &plans.unchanged {
        let status = format!("{:?}", left.status).to_lowercase();
        writeln!(text, "left {} ({status}): {}", left.check, left.reason).unwrap();
    }
    text
}

fn indented(lead: &str, text: &str) -> String {
    text.lines()
        .map(|line| format!("{}\n", format!("{lead}{line}").trim_end()))
        .collect()
}

/// The script without the functions and loops that many scripts share.
fn shortened(case: &Case, script: &str) -> String {
    if case.whole_scripts {
        return script.to_owned();
    }
    // What keeps files as they were is the same in every script that does.
    let script = script.replace(files::KEEP, "");
    let mut text = cut(&script, "check() {\n", "\n}\n", "");
    text = cut(&text, "put() {\n", "\n}\n", "put() { … }\n");
    text = cut(&text, "unit=\nfor conf in", "exit 1; }\n", "(find $unit)\n");
    cut(&text, "tries=150\n", "\ndone\n", "(wait for the port)\n")
}

fn cut(text: &str, from: &str, to: &str, instead: &str) -> String {
    let Some((before, rest)) = text.split_once(from) else {
        return text.to_owned();
    };
    let (_, after) = rest.split_once(to).expect("the end of what begins here");
    format!("{before}{instead}{after}")
}

/// The lengths of declared files are theirs: they change without any resource changing.
fn without_lengths(script: &str) -> String {
    let line = |line: &str| match line.rsplit_once(' ') {
        Some((put, _)) if line.starts_with("put ") => format!("{put} LENGTH\n"),
        _ => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}

fn shown(workshop: &Workshop, difference: &Difference) -> String {
    let postgres = &workshop.postgres;
    let mut text = difference.text.clone();
    for file in [&postgres.create_database, &postgres.create_schema] {
        text = text.replace(&file.content, &format!("({})\n", file.path));
    }
    let schema = &postgres.create_schema.path;
    text = text.replace(&postgres.schema_sql, &format!("({schema})\n"));
    let lines = if text.lines().count() > SHOWN_LINES {
        "(the whole of it)\n".to_owned()
    } else {
        text
    };
    format!("   {}\n{}", difference.subject, indented("   > ", &lines))
}

//! What is pasted into a page, a chat or an issue.

use std::io::{self, Write};

use super::human::{mending, verdict, word};
use crate::doctor::report::{Finding, Report, Status};

pub fn reports(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    for (index, report) in reports.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        self::report(out, report)?;
    }
    Ok(())
}

fn report(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let (_, verdict) = verdict(report, "below");
    writeln!(
        out,
        "## {}\n\n**{}**",
        plain(&report.target),
        plain(&verdict)
    )?;
    for note in &report.notes {
        writeln!(out, "\n{}", plain(note))?;
    }
    let whose = mending(report.to_mend);
    if !whose.is_empty() {
        writeln!(out, "\nWho can mend it: {whose}.")?;
    }
    writeln!(out, "\n| Result | Check | |\n|---|---|---|")?;
    for finding in &report.checks {
        writeln!(
            out,
            "| {} | {} | `{}` |",
            word(finding.status),
            plain(&finding.title),
            finding.id
        )?;
    }
    let told = |finding: &&Finding| !matches!(finding.status, Status::Pass | Status::Skip);
    for finding in report.checks.iter().filter(told) {
        problem(out, finding)?;
    }
    Ok(())
}

fn problem(out: &mut dyn Write, finding: &Finding) -> io::Result<()> {
    writeln!(
        out,
        "\n### {}: {}\n\n`{}`: {}",
        word(finding.status),
        plain(&finding.title),
        finding.id,
        plain(&finding.summary)
    )?;
    let Some(remedy) = &finding.remedy else {
        return Ok(());
    };
    writeln!(out, "\n{}: {}", remedy.by.who(), plain(&remedy.text))?;
    if !remedy.commands.is_empty() {
        writeln!(out)?;
        // An indented block ends at nothing that a command can hold.
        for line in remedy.commands.iter().flat_map(|command| command.lines()) {
            writeln!(out, "    {}", without_controls(line))?;
        }
    }
    Ok(())
}

/// Text in which no sign is taken for Markdown's or HTML's.
fn plain(text: &str) -> String {
    let mut safe = String::new();
    for letter in without_controls(text).chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                safe.push('\\');
                safe.push(letter);
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// One line without what a terminal could take for more than text.
fn without_controls(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

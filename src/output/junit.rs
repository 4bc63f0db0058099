//! What a build server reads: JUnit's XML. A suite is a target, a case is a check.
//!
//! What failed is a failure, what could not be determined an error. A warning passes and is told beside it,
//! unless warnings count as problems.

use std::io::{self, Write};

use crate::doctor::report::{Finding, Report, Status};

pub fn reports(out: &mut dyn Write, reports: &[Report]) -> io::Result<()> {
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, r#"<testsuites name="dwenv doctor">"#)?;
    for report in reports {
        suite(out, report)?;
    }
    writeln!(out, "</testsuites>")
}

fn suite(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let failures = report.problems() - report.counts.unknown;
    writeln!(
        out,
        r#"  <testsuite name="{}" tests="{}" failures="{failures}" errors="{}" skipped="{}">"#,
        escaped(&report.target),
        report.checks.len(),
        report.counts.unknown,
        report.counts.skip,
    )?;
    for finding in &report.checks {
        case(out, report, finding)?;
    }
    for note in &report.notes {
        writeln!(out, "    <system-out>{}</system-out>", escaped(note))?;
    }
    writeln!(out, "  </testsuite>")
}

fn case(out: &mut dyn Write, report: &Report, finding: &Finding) -> io::Result<()> {
    write!(
        out,
        r#"    <testcase classname="{}" name="{}" time="{:.3}""#,
        escaped(&report.target),
        escaped(&format!("{}: {}", finding.id, finding.title)),
        finding.duration.as_secs_f64(),
    )?;
    let (element, kind) = match finding.status {
        Status::Pass => return writeln!(out, "/>"),
        Status::Warn if !report.strict => {
            writeln!(out, ">")?;
            let text = escaped(&told(finding));
            writeln!(out, "      <system-out>warning: {text}</system-out>")?;
            return writeln!(out, "    </testcase>");
        }
        Status::Skip => {
            writeln!(out, ">")?;
            let message = escaped(&finding.summary);
            writeln!(out, r#"      <skipped message="{message}"/>"#)?;
            return writeln!(out, "    </testcase>");
        }
        Status::Warn => ("failure", "warn"),
        Status::Fail => ("failure", "fail"),
        Status::Unknown => ("error", "unknown"),
    };
    writeln!(out, ">")?;
    writeln!(
        out,
        r#"      <{element} type="{kind}" message="{}">{}</{element}>"#,
        escaped(&finding.summary),
        escaped(&told(finding)),
    )?;
    writeln!(out, "    </testcase>")
}

/// What was seen and what to do about it, as lines.
fn told(finding: &Finding) -> String {
    let mut lines = vec![finding.summary.clone()];
    if let Some(remedy) = &finding.remedy {
        lines.push(format!("{}: {}", remedy.by.who(), remedy.text));
        lines.extend(remedy.commands.iter().cloned());
    }
    lines.join("\n")
}

/// Text for an element or an attribute. What XML cannot hold at all is left out.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                safe.push(letter);
            }
            _ => {}
        }
    }
    safe
}

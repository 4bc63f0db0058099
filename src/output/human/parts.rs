//! What all these texts are made of.

use std::io::{self, Write};
use std::time::Duration;

use crate::doctor::report::{By, Status};
use crate::events::Failure;
use crate::output::style::{Label, Style, Symbol, put};
use crate::output::text::{Text, UNBROKEN, columns};

/// Columns before what belongs to a heading.
pub(super) const INDENT: usize = 4;

/// A title, underlined.
pub(super) fn heading(out: &mut dyn Write, style: &Style, title: &str) -> io::Result<()> {
    put(out, &style.wrap(0, 0, &Text::of(Label::Heading, title)))?;
    let rule = "-".repeat(columns(title).min(style.width));
    put(out, &style.wrap(0, 0, &Text::of(Label::Dim, rule)))
}

/// Fewer columns than this are no place for words.
const NARROWEST: usize = 12;

/// Columns as wide as their widest cell; only the last one wraps. Where they leave that one no place, each row
/// becomes a paragraph.
pub(super) fn table<const N: usize>(
    out: &mut dyn Write,
    style: &Style,
    titles: [&str; N],
    rows: &[[Text; N]],
) -> io::Result<()> {
    let titles = titles.map(|title| Text::of(Label::Dim, title));
    let all = || std::iter::once(&titles).chain(rows);
    let widths: [usize; N] =
        std::array::from_fn(|column| all().map(|row| row[column].width()).max().unwrap_or(0));
    let last: usize = widths[..N - 1].iter().map(|width| width + 2).sum();
    if last + widths[N - 1].min(NARROWEST) > style.width {
        return paragraphs(out, style, &titles, rows);
    }
    for row in all() {
        let mut line = Text::new();
        for (column, cell) in row.iter().enumerate() {
            line = if column + 1 < N {
                let filler = widths[column] + 2 - cell.width();
                line.join(&cell.unbroken())
                    .plain(UNBROKEN.to_string().repeat(filler - 1))
                    .plain(" ")
            } else {
                line.join(cell)
            };
        }
        put(out, &style.wrap(0, last, &line))?;
    }
    Ok(())
}

/// The first cell of each row, and the others under it by their titles.
fn paragraphs<const N: usize>(
    out: &mut dyn Write,
    style: &Style,
    titles: &[Text; N],
    rows: &[[Text; N]],
) -> io::Result<()> {
    for row in rows {
        put(out, &style.wrap(0, INDENT, &row[0]))?;
        for (title, cell) in titles.iter().zip(row).skip(1) {
            if cell.width() > 0 {
                let line = title.clone().plain(": ").join(cell);
                put(out, &style.wrap(INDENT, 2 * INDENT, &line))?;
            }
        }
    }
    Ok(())
}

/// A last line: what stands before its first colon or comma is what catches the eye.
pub(in crate::output) fn emphasised(label: Label, text: &str) -> Text {
    let end = text.find([':', ',']).unwrap_or(text.len());
    Text::of(label, &text[..end]).plain(&text[end..])
}

pub(super) fn bracketed(id: &str) -> String {
    format!("[{id}]")
}

pub(super) fn marked(style: &Style, status: Status) -> String {
    format!("{} {}", style.symbol(symbol(status)), word(status))
}

#[must_use]
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Pass => "pass",
        Status::Warn => "warn",
        Status::Fail => "fail",
        Status::Skip => "skip",
        Status::Unknown => "unknown",
    }
}

pub(super) fn symbol(status: Status) -> Symbol {
    match status {
        Status::Pass => Symbol::Pass,
        Status::Warn => Symbol::Warn,
        Status::Fail => Symbol::Fail,
        Status::Skip => Symbol::Skip,
        Status::Unknown => Symbol::Unknown,
    }
}

pub(super) fn label(status: Status) -> Label {
    match status {
        Status::Pass => Label::Pass,
        Status::Warn => Label::Warn,
        Status::Fail => Label::Fail,
        Status::Skip => Label::Skip,
        Status::Unknown => Label::Unknown,
    }
}

/// Why a change failed: what was said, by which command, and what is known of that.
pub(super) fn why_failed(out: &mut dyn Write, style: &Style, failure: &Failure) -> io::Result<()> {
    if failure.reason.contains('\n') {
        // What a program on the box said: its lines are left as they are.
        put(out, &style.verbatim(INDENT, Label::Plain, &failure.reason))?;
    } else {
        let reason = Text::new().plain(&failure.reason);
        put(out, &style.wrap(INDENT, INDENT, &reason))?;
    }
    let mut point = |name: &str, text: String| {
        let line = Text::of(Label::Heading, format!("{name}:")).plain(format!(" {text}"));
        put(out, &style.wrap(INDENT, 2 * INDENT, &line))
    };
    if let Some(command) = &failure.command {
        point("Command", command.clone())?;
    }
    let Some(known) = &failure.known else {
        return Ok(());
    };
    point("Cause", format!("{} {}", known.cause, bracketed(&known.id)))?;
    let remedy = next_step(style)
        .add(Label::Heading, who(known.remedy.by))
        .plain(&known.remedy.text);
    put(out, &style.wrap(INDENT, INDENT + 2, &remedy))?;
    commands(out, style, &known.remedy.commands, INDENT + 2)
}

/// "1 check", "2 checks".
pub(in crate::output) fn number(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// "1 check was", "2 checks were".
pub(super) fn number_were(count: usize, noun: &str) -> String {
    let were = if count == 1 { "was" } else { "were" };
    format!("{} {were}", number(count, noun))
}

/// So many bytes as people say it, to two or three digits.
pub(super) fn size(bytes: u64) -> String {
    let mut unit = 1;
    for name in ["B", "kB", "MB"] {
        if bytes / unit < 1000 {
            return size_in(bytes, unit, name);
        }
        unit *= 1000;
    }
    size_in(bytes, unit, "GB")
}

fn size_in(bytes: u64, unit: u64, name: &str) -> String {
    let tenths = bytes * 10 / unit;
    match tenths {
        0..100 if unit > 1 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{} {name}", tenths / 10),
    }
}

/// A duration as people say it.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", (duration.as_secs_f64() * 10.0).floor() / 10.0),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// What a remedy begins with that is not for the reader to do.
pub(in crate::output) fn who(by: By) -> &'static str {
    match by {
        By::You => "",
        By::Organiser => "The organiser has to do this: ",
        By::It => "Your company's IT has to do this: ",
    }
}

pub(in crate::output) fn next_step(style: &Style) -> Text {
    Text::of(Label::Heading, style.symbol(Symbol::Next)).plain(UNBROKEN.to_string())
}

pub(in crate::output) fn commands(
    out: &mut dyn Write,
    style: &Style,
    commands: &[String],
    indent: usize,
) -> io::Result<()> {
    for command in commands {
        put(out, &style.verbatim(indent, Label::Command, command))?;
    }
    Ok(())
}

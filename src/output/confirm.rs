//! Questions to the person at the terminal. Where nobody is there, nobody is asked.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::hidden;
use super::style::{Label, Style};
use crate::secret::Secret;

/// Whether the input has ended. A terminal tells it once, to one question; a further one would wait for ever.
static ENDED: AtomicBool = AtomicBool::new(false);
/// Whether a question stands on the terminal without an answer.
static STANDS: AtomicBool = AtomicBool::new(false);

/// A yes or no; `None` where stdin or stderr is no terminal. Only a clear yes is a yes: once the input has
/// ended, every answer is a no.
#[must_use]
pub fn ask(style: &Style, question: &str) -> Option<bool> {
    if !somebody_is_there() {
        return None;
    }
    if has_ended() {
        return Some(false);
    }
    STANDS.store(true, Ordering::Relaxed);
    let answer = answer(
        &mut io::stdin().lock(),
        // Not locked: whoever is interrupted while this waits has to say so.
        &mut io::stderr(),
        style,
        question,
    );
    STANDS.store(false, Ordering::Relaxed);
    // A terminal that hung up says nothing more either.
    let answer = answer.unwrap_or_default();
    if answer.is_none() {
        ENDED.store(true, Ordering::Relaxed);
    }
    Some(answer.unwrap_or(false))
}

/// A passphrase, not shown while it is typed; `None` where stdin or stderr is no terminal, or the input has
/// ended.
#[must_use]
pub fn passphrase(style: &Style, question: &str) -> Option<Secret> {
    if !somebody_is_there() || has_ended() {
        return None;
    }
    let question = style.paint(Label::Heading, question);
    // Whoever does not see the question gives no answer.
    write!(io::stderr(), "{question}: ").ok()?;
    STANDS.store(true, Ordering::Relaxed);
    let line = hidden::read_line().ok().flatten();
    STANDS.store(false, Ordering::Relaxed);
    if line.is_none() {
        ENDED.store(true, Ordering::Relaxed);
    }
    line.map(Secret::new)
}

/// Leaves the terminal as it was where a question was interrupted: the one who waits in it cannot any more.
pub fn leave() {
    hidden::show();
    if STANDS.load(Ordering::Relaxed) {
        // Where stderr is gone nobody sees what stands there.
        let _ = writeln!(io::stderr());
    }
}

fn has_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// Whether stdin and stderr are terminals.
#[must_use]
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until the answer is one; `None`: the input ended. An empty line is a no.
pub fn answer(
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    style: &Style,
    question: &str,
) -> io::Result<Option<bool>> {
    loop {
        write!(
            out,
            "{} {} ",
            style.paint(Label::Heading, question),
            style.paint(Label::Dim, "[y/N]")
        )?;
        out.flush()?;
        let mut line = String::new();
        input.read_line(&mut line)?;
        // Nobody has said Enter to what stands there.
        if !line.ends_with('\n') {
            writeln!(out)?;
            return Ok(None);
        }
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(Some(true)),
            "" | "n" | "no" => return Ok(Some(false)),
            _ => writeln!(out, "Please answer y (yes) or n (no).")?,
        }
    }
}

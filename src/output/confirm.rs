//! Questions to the person at the terminal. Where nobody is there, nobody is asked.

use std::io::{self, BufRead, IsTerminal, Write};

use console::Term;

use super::style::{Label, Style};
use crate::secret::Secret;

/// A yes or no; `None` where stdin or stderr is no terminal. Only a clear yes is a yes.
#[must_use]
pub fn ask(style: &Style, question: &str) -> Option<bool> {
    if !somebody_is_there() {
        return None;
    }
    answer(
        &mut io::stdin().lock(),
        // Not locked: whoever is interrupted while this waits has to say so.
        &mut io::stderr(),
        style,
        question,
    )
    .ok()
}

/// A passphrase, not shown while it is typed; `None` where stdin or stderr is no terminal.
#[must_use]
pub fn passphrase(style: &Style, question: &str) -> Option<Secret> {
    if !somebody_is_there() {
        return None;
    }
    let terminal = Term::stderr();
    let question = style.paint(Label::Heading, question);
    terminal.write_str(&format!("{question}: ")).ok()?;
    terminal.read_secure_line().ok().map(Secret::new)
}

/// Makes typing visible again where a passphrase was interrupted: the one who waits for it cannot any more.
pub fn show_typing() {
    #[cfg(unix)]
    if io::stdin().is_terminal() {
        // Without stty nothing can be done about it.
        let _ = std::process::Command::new("stty").arg("echo").status();
    }
}

/// Whether stdin and stderr are terminals.
#[must_use]
pub fn somebody_is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until the answer is one. The end of the input is a no, and so is an empty line.
pub fn answer(
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    style: &Style,
    question: &str,
) -> io::Result<bool> {
    loop {
        write!(
            out,
            "{} {} ",
            style.paint(Label::Heading, question),
            style.paint(Label::Dim, "[y/N]")
        )?;
        out.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            writeln!(out)?;
            return Ok(false);
        }
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "" | "n" | "no" => return Ok(false),
            _ => writeln!(out, "Please answer y (yes) or n (no).")?,
        }
    }
}

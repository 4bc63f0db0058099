//! A line that is not shown while it is typed.

use std::io;
#[cfg(unix)]
use std::io::Write as _;

/// The line without its end; `None` where the input ended before it.
#[cfg(unix)]
pub fn read_line() -> io::Result<Option<String>> {
    unix::hide()?;
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    unix::show();
    read?;
    // The person's Enter was not shown either. Where stderr is gone nobody misses it.
    let _ = writeln!(io::stderr());
    let ended = line.ends_with('\n');
    Ok(ended.then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(not(unix))]
pub fn read_line() -> io::Result<Option<String>> {
    console::Term::stderr().read_secure_line().map(Some)
}

/// Makes typing visible again where [`read_line`] was interrupted: the one who waits in it cannot any more.
pub fn show() {
    #[cfg(unix)]
    unix::show();
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    /// How the terminal was before it hid anything; there is one.
    static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

    fn before() -> MutexGuard<'static, Option<Termios>> {
        BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hide() -> io::Result<()> {
        let shown = tcgetattr(io::stdin())?;
        let mut hidden = shown.clone();
        *before() = Some(shown);
        hidden.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead is not thrown away: an end of the input would never come again.
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &hidden)?)
    }

    pub fn show() {
        if let Some(shown) = before().take() {
            // A terminal that is gone shows nothing anyway.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &shown);
        }
    }
}

//! A fault of dwenv's own in one check costs that check only.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does `work`; if it panics, says in one line where and why, for a bug report.
///
/// # Errors
/// The line, for a person.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    hold_back();
    let outer = GUARDED.replace(true);
    // What the work borrowed is given back while it unwinds, and a fact that was not read stays unread.
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    done.map_err(|_| {
        let fault = FAULT.take().unwrap_or_default();
        format!(
            "this check broke off, by a fault of dwenv itself. Please report this line: dwenv {}, {}, {fault}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
        )
    })
}

/// Keeps what is said of a guarded panic from the terminal: it is told as a finding.
fn hold_back() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if GUARDED.get() {
                let said = info.to_string();
                let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
                FAULT.set(Some(line));
            } else {
                usual(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_line_with_its_place() {
        assert_eq!(guarded(|| 7), Ok(7));
        let line = guarded(|| -> u8 { panic!("no such\nthing") }).unwrap_err();
        assert!(line.contains("src/doctor/guard.rs:"), "{line}");
        assert!(line.contains("no such thing"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }
}

//! Questions at a terminal, and every way to leave one.
#![cfg(unix)]

#[path = "commands/place.rs"]
#[allow(dead_code, reason = "the tests of the commands use the rest of it")]
mod place;
#[path = "support/terminal.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest of it")]
mod terminal;

use std::process::Command;

use place::Place;
use terminal::{CTRL_C, CTRL_D, Terminal};

const QUESTION: &str = "Remove the box sandbox and everything in it? [y/N]";
const CONFIG: &str = "[box]\nip = \"192.168.33.10\"\n";

/// `dwenv destroy` at its question.
fn asked() -> Terminal {
    let place = Place::new().with("config.toml", CONFIG);
    let mut terminal = Terminal::start(place.command(&["destroy", "--target", "sandbox"]));
    terminal.await_shown(QUESTION);
    terminal
}

#[test]
fn a_no_however_it_is_said_touches_nothing() {
    for keys in ["n\n", "\n", "No\n", CTRL_D, "perhaps\nn\n"] {
        let left = asked().type_in(keys).left();
        assert_eq!(left.code, Some(2), "{keys:?}");
        assert!(left.shown.contains("nothing was touched"), "{keys:?}");
        assert!(left.echoes, "{keys:?}");
    }
}

#[test]
fn a_yes_that_nobody_entered_is_a_no() {
    let left = asked().type_in(&format!("y{CTRL_D}{CTRL_D}")).left();
    assert_eq!(left.code, Some(2));
    assert!(left.shown.contains("nothing was touched"));
}

#[test]
fn a_yes_is_taken() {
    let left = asked().type_in("y\n").left();
    // There is no such machine, which only whoever was let go on finds out.
    assert!(!left.shown.contains("nothing was touched"));
}

#[test]
fn ctrl_c_ends_the_run_on_a_line_of_its_own() {
    let left = asked().type_in(CTRL_C).left();
    assert_eq!(left.code, Some(5));
    assert!(left.shown.contains("\nerror: interrupted"));
    assert!(left.echoes);
}

#[test]
fn a_terminal_that_hangs_up_is_a_no() {
    // Whoever hears of it ends by that, or finds before that nobody answers.
    assert!(matches!(asked().hang_up(), None | Some(2)));
    // Whoever was told not to listen finds that nobody answers.
    let place = Place::new().with("config.toml", CONFIG);
    let dwenv = place.command(&["destroy", "--target", "sandbox"]);
    let mut deaf = Command::new("/bin/sh");
    deaf.args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(dwenv.get_program())
        .args(dwenv.get_args())
        .current_dir(place.folder())
        .env_clear()
        .envs(
            dwenv
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let mut terminal = Terminal::start(deaf);
    assert_eq!(terminal.await_shown(QUESTION).hang_up(), Some(2));
}

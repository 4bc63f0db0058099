//! What programs read.

use super::place::{Place, Ran};

#[test]
fn a_usage_error_is_a_document_too() {
    let place = Place::new();
    for arguments in [
        "--format json docter",
        "doctor --format=json --targt x",
        "--format json",
        "doctor --format json -v -q",
        "completions --format json ksh",
        "provision --format json --timeout 0",
        "-C nowhere doctor --format json",
        "doctor --format json --target ftp://box",
    ] {
        let ran = place.dwenv(arguments).ended(2);
        let document = ran.document();
        assert_eq!(document["error"]["kind"], "usage", "{arguments}");
        assert_eq!(document["error"]["exit_code"], 2, "{arguments}");
        assert_ne!(ran.err, "", "{arguments}: people read it on stderr");
    }
}

#[test]
fn what_could_be_meant_is_apart_from_the_mistake() {
    let document = Place::new()
        .dwenv("doctor --format json --targt x")
        .ended(2)
        .document();
    assert_eq!(
        document["error"]["message"],
        "unexpected argument '--targt' found"
    );
    let hints = document["error"]["hints"].as_array().unwrap();
    assert_eq!(hints[0], "a similar argument exists: '--target'");
    assert!(hints.len() > 1, "{hints:?}: and the usage");
}

#[test]
fn help_and_completions_are_not_json() {
    let place = Place::new();
    for arguments in [
        "--format json --help",
        "--format json --version",
        "--format json completions bash",
    ] {
        let ran = place.dwenv(arguments).ended(0);
        assert_ne!(ran.out, "", "{arguments}");
        assert!(!ran.out.starts_with('{'), "{arguments}");
    }
}

#[test]
fn colours_come_when_they_are_wanted() {
    let place = Place::new();
    let colored = |ran: Ran| ran.ended(1).out.contains('\x1b');
    assert!(!colored(place.dwenv("doctor")), "no terminal");
    assert!(colored(place.dwenv("doctor --color always")));
    assert!(!colored(place.dwenv("doctor --color never")));
    let place = Place::new().variable("NO_COLOR", "1");
    assert!(!colored(place.dwenv("doctor")));
    assert!(
        colored(place.dwenv("doctor --color always")),
        "what was asked for counts more"
    );
    let place = Place::new()
        .variable("CLICOLOR_FORCE", "1")
        .variable("NO_COLOR", "1");
    assert!(!colored(place.dwenv("doctor")));
}

#[test]
fn a_terminal_without_unicode_gets_ascii() {
    let ran = Place::new()
        .variable("LC_ALL", "C")
        .dwenv("doctor")
        .ended(1);
    assert!(ran.out.is_ascii(), "{ran}");
}

/// `dwenv … | head -1`
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    use std::process::Stdio;
    let place = Place::new();
    for arguments in [&["completions", "bash"][..], &["doctor", "-v"], &["--help"]] {
        let mut child = place
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "", "{arguments:?}");
        assert!(output.status.code().is_some(), "{arguments:?}");
    }
}

//! What the other commands tell.

use dwenv::output::style::Style;
use dwenv::output::{Done, human};
use dwenv::provision::outcome::{ChangeStatus, Up};
use dwenv::target::TargetRow;
use insta::assert_snapshot;

use super::doctor::all_pass;
use super::provision::{change, outcome};
use super::told;

pub fn up() -> Up {
    let done = vec![change(
        "box.server.files",
        "Write server.py",
        ChangeStatus::Done,
    )];
    Up {
        provision: Some(outcome(true, done)),
        doctor: Some(all_pass()),
        address: Some("http://192.168.33.10:8080".to_owned()),
        ..Up::new("sandbox")
    }
}

pub fn ups() -> [(String, dwenv::error::Result<Up>); 1] {
    [("sandbox".to_owned(), Ok(up()))]
}

pub fn listed() -> [TargetRow; 2] {
    [
        TargetRow {
            name: "vagrant".to_owned(),
            provider: "vagrant (virtualbox)".to_owned(),
            state: "running".to_owned(),
            address: Some("192.168.33.10".to_owned()),
            default: true,
        },
        TargetRow {
            name: "sandbox:b".to_owned(),
            provider: "sandbox".to_owned(),
            state: "not made yet".to_owned(),
            address: None,
            default: false,
        },
    ]
}

pub fn initialised() -> Done {
    Done {
        paths: vec![
            "workshop/config.toml".to_owned(),
            "workshop/Vagrantfile".to_owned(),
        ],
        hints: vec!["cd workshop && dwenv up".to_owned()],
        ..Done::new("init", "The workshop's files are in workshop:")
    }
}

#[test]
fn up_ends_with_the_servers_address() {
    assert_snapshot!(told(|out| human::up(out, &Style::PLAIN, &ups(), false)), @r"
    Done: 1 change made, the box is as declared.
    3 checks: 3 pass
    Ready for the workshop.
    The workshop's server answers at http://192.168.33.10:8080
    ");
}

#[test]
fn a_table_without_place_becomes_paragraphs() {
    let narrow = Style {
        width: 40,
        ..Style::PLAIN
    };
    assert_snapshot!(told(|out| human::targets(out, &narrow, &listed())), @r"
    vagrant (default)
        Provider: vagrant (virtualbox)
        State: running
        Address: 192.168.33.10
    sandbox:b
        Provider: sandbox
        State: not made yet
    ");
}

#[test]
fn targets_are_a_table() {
    assert_snapshot!(told(|out| human::targets(out, &Style::PLAIN, &listed())), @r"
    Target             Provider              State         Address
    vagrant (default)  vagrant (virtualbox)  running       192.168.33.10
    sandbox:b          sandbox               not made yet
    ");
    assert_snapshot!(told(|out| human::targets(out, &Style::PLAIN, &[])), @"No targets are known in this folder. `dwenv init` writes the workshop's files, and `dwenv up` makes its box.");
}

#[test]
fn a_command_that_is_done_says_what_comes_next() {
    assert_snapshot!(told(|out| human::done(out, &Style::PLAIN, &initialised())), @r"
    The workshop's files are in workshop:
        workshop/config.toml
        workshop/Vagrantfile
    → cd workshop && dwenv up
    ");
}

//! The author's own checks: provision ends with them as doctor does.

use std::collections::BTreeMap;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::running::Ran;
use crate::workbox::Workbox;

const CHECKS: &str = r#"
[checks.page]
title = "The page is served"
http = "http://127.0.0.1:8080/"
contains = "count"

[checks.rows]
title = "The fixture is there"
sql = "select payload from call"
rows = 1

[checks.notes]
title = "The notes are there"
file = "notes.txt"
hint = "Ask the trainer for them"

[checks.tidy]
title = "The notes are short"
command = "test \"$(wc -l <notes.txt)\" -lt 3"
needs = ["box.custom.notes"]

[checks.colour]
title = "The shell is colourful"
command = "false"
severity = "warn"

[checks.editor]
title = "An editor is on the laptop"
place = "laptop"
command = "exit 1"
"#;

/// The checks of the box that did not pass and follow from no other: how they ended, and what was seen.
fn seen_by_doctor(it: &Workbox) -> BTreeMap<String, (String, String)> {
    let checks = it.doctor().checks().into_iter();
    checks
        .filter(|check| check.id.starts_with("box.") && check.status != "pass")
        .filter(|check| check.status != "skip")
        .map(|check| (check.id, (check.status, check.summary)))
        .collect()
}

/// The same from what provision left.
fn left_by_provision(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let document = ran.json();
    let left = document["unchanged"].as_array().expect("a list");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    left.iter()
        .map(|one| {
            (
                text(&one["check"]),
                (text(&one["status"]), text(&one["reason"])),
            )
        })
        .collect()
}

/// Both name the same checks, as grave, by what was seen.
fn agree(it: &Workbox, ran: &Ran, expected: &[&str]) {
    let (doctor, provision) = (seen_by_doctor(it), left_by_provision(ran));
    assert!(doctor.keys().eq(expected), "{doctor:?}");
    assert!(provision.keys().eq(expected), "{provision:?}");
    for (id, (status, reason)) in provision {
        assert_eq!(status, doctor[&id].0, "{id}");
        assert!(reason.starts_with(&doctor[&id].1), "{id}: {reason}");
    }
}

#[test]
fn provision_ends_with_the_authors_checks_as_doctor_judges_them() {
    let it = Workbox::stocked(Suite::Trixie);
    it.declare(CHECKS);

    // What a change makes of them is seen after it, in the same run.
    let first = it.provision_as_json();
    first.exit(1);
    assert_ne!(first.json()["changes"].as_array().map(Vec::len), Some(0));
    agree(&it, &first, &["box.custom.colour", "box.custom.notes"]);
    it.provision()
        .exit(1)
        .says("[box.custom.notes] is not as declared, and was left as it is")
        .says("There is no notes.txt. Ask the trainer for them")
        .never_says("box.custom.tidy");

    // A warning is told, and spoils nothing. The laptop's are doctor's alone.
    it.run("echo '# Notes' >notes.txt");
    let second = it.provision_as_json();
    second.exit(0).never_says("laptop.custom.editor");
    agree(&it, &second, &["box.custom.colour"]);
    it.doctor().exit(1).says("laptop.custom.editor");

    it.run("seq 9 >notes.txt");
    let third = it.provision_as_json();
    third.exit(1);
    agree(&it, &third, &["box.custom.colour", "box.custom.tidy"]);
}

//! What `doctor --fix` tells.

use dwenv::doctor::fix::{Compared, Fixed, Mended, Offer};
use dwenv::doctor::report::{Report, Status};
use dwenv::error::{Error, ErrorKind, Result};
use dwenv::events::BoxResult;
use dwenv::output::human;
use dwenv::output::style::Style;
use dwenv::provision::outcome::ChangeStatus;
use insta::assert_snapshot;
use serde_json::Value;

use super::doctor::ssh;
use super::{run_of, told};

fn mended() -> Fixed {
    Fixed {
        schema_version: 1,
        target: "sandbox".to_owned(),
        changes: vec![Mended {
            title: "Start PostgreSQL".to_owned(),
            checks: vec![Compared {
                id: "box.postgres.running".to_owned(),
                before: Status::Fail,
                after: Status::Pass,
            }],
            status: ChangeStatus::Done,
        }],
        needs_yes: vec![Offer {
            title: "Let the laptop and the containers in to PostgreSQL".to_owned(),
            checks: vec!["box.postgres.listen".to_owned()],
            containers: vec!["db".to_owned()],
            differences: Vec::new(),
            unattended: false,
        }],
        unchanged: Vec::new(),
        notes: Vec::new(),
        after: Report::new("sandbox", vec![ssh()]),
    }
}

fn one_of_two() -> [(String, Result<Fixed>); 2] {
    let held = Error::new(ErrorKind::Locked, "another run holds this box: ada")
        .hint("Wait until it has ended, then run the same command again");
    [
        ("sandbox".to_owned(), Ok(mended())),
        ("vagrant".to_owned(), Err(held)),
    ]
}

#[test]
fn what_was_mended_on_one_target_is_told_whatever_comes_of_the_next() {
    assert_snapshot!(told(|out| human::fixed(
        out,
        &Style::PLAIN,
        &one_of_two(),
        false
    )));
}

#[test]
fn a_program_sees_each_target_and_the_error_of_one() {
    let one = run_of(
        "doctor",
        &[("sandbox".to_owned(), Ok(mended()))],
        BoxResult::Fix,
    );
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["changes"][0]["checks"][0]["before"], "fail");
    assert_eq!(one["changes"][0]["checks"][0]["after"], "pass");
    assert_eq!(one["changes"][0]["state"], "done");
    assert_eq!(one["needs_yes"][0]["containers"][0], "db");
    assert_eq!(one["doctor"]["ready"], true);

    let both = run_of("doctor", &one_of_two(), BoxResult::Fix);
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both["ready"], false);
    assert_eq!(both["targets"][0], one);
    assert_eq!(both["targets"][1]["target"], "vagrant");
    assert_eq!(both["targets"][1]["error"]["exit_code"], 4);
}

//! What `provision` tells.

use dwenv::doctor::report::Status;
use dwenv::error::{Error, ErrorKind};
use dwenv::output::style::Style;
use dwenv::output::{human, json};
use dwenv::provision::outcome::{ChangeStatus, Difference, Outcome, PlannedChange, Unchanged};
use insta::assert_snapshot;
use serde_json::Value;

use super::{COLOR, document, told};

pub fn change(check: &str, title: &str, status: ChangeStatus) -> PlannedChange {
    PlannedChange {
        checks: vec![check.to_owned()],
        title: title.to_owned(),
        differences: Vec::new(),
        status,
    }
}

pub fn outcome(applied: bool, changes: Vec<PlannedChange>) -> Outcome {
    Outcome {
        schema_version: 1,
        target: "sandbox".to_owned(),
        applied,
        changes,
        unchanged: Vec::new(),
        notes: Vec::new(),
        remaining: Vec::new(),
    }
}

pub fn planned() -> Outcome {
    let mut packages = change(
        "box.docker.package",
        "Install docker.io, docker-cli, docker-compose, postgresql, python3-psycopg and what they need",
        ChangeStatus::Planned,
    );
    packages.differences.clear();
    let mut files = change("box.server.files", "Write server.py", ChangeStatus::Planned);
    files.differences.push(Difference {
        subject: "/home/vagrant/docker-workshop/server.py".to_owned(),
        text: "--- in the box\n+++ declared\n@@ -1,3 +1,3 @@\n import http.server\n-PORT = 8081\n+PORT = 8080\n \n".to_owned(),
    });
    let mut schema = change(
        "box.postgres.schema",
        "Create the tables and the fixtures",
        ChangeStatus::Planned,
    );
    schema.differences.push(Difference {
        subject: "database dockerworkshop".to_owned(),
        text: "CREATE TABLE call (\n    id serial PRIMARY KEY\n);\n".to_owned(),
    });
    Outcome {
        unchanged: vec![Unchanged {
            check: "box.port.8080".to_owned(),
            reason: "Port 8080 is held by nginx, process 812. It is not the workshop's, so it is left alone: stop it with `sudo systemctl stop nginx`, then run `dwenv provision` again.".to_owned(),
            status: Status::Fail,
        }],
        ..outcome(false, vec![packages, files, schema])
    }
}

fn provisioned(outcome: Outcome, differences: bool, verbose: bool) -> String {
    let outcomes = [(outcome.target.clone(), Ok(outcome))];
    told(|out| human::provision(out, &Style::PLAIN, &outcomes, differences, verbose))
}

#[test]
fn a_plan_is_a_numbered_list() {
    assert_snapshot!(provisioned(planned(), false, false), @r"
    3 changes to make on sandbox
    ----------------------------
    1. Install docker.io, docker-cli, docker-compose, postgresql, python3-psycopg
       and what they need [box.docker.package]
    2. Write server.py [box.server.files]
    3. Create the tables and the fixtures [box.postgres.schema]

    ✗ fail: [box.port.8080] is not as declared, and was left as it is
        Port 8080 is held by nginx, process 812. It is not the workshop's, so it is
        left alone: stop it with `sudo systemctl stop nginx`, then run
        `dwenv provision` again.

    Nothing was changed: run this again without --plan to make these changes.
    ");
}

#[test]
fn a_plan_can_show_its_differences() {
    assert_snapshot!(provisioned(planned(), true, false), @r"
    3 changes to make on sandbox
    ----------------------------
    1. Install docker.io, docker-cli, docker-compose, postgresql, python3-psycopg
       and what they need [box.docker.package]
    2. Write server.py [box.server.files]
       /home/vagrant/docker-workshop/server.py
         --- in the box
         +++ declared
         @@ -1,3 +1,3 @@
          import http.server
         -PORT = 8081
         +PORT = 8080

    3. Create the tables and the fixtures [box.postgres.schema]
       database dockerworkshop
         CREATE TABLE call (
             id serial PRIMARY KEY
         );

    ✗ fail: [box.port.8080] is not as declared, and was left as it is
        Port 8080 is held by nginx, process 812. It is not the workshop's, so it is
        left alone: stop it with `sudo systemctl stop nginx`, then run
        `dwenv provision` again.

    Nothing was changed: run this again without --plan to make these changes.
    ");
    let colored = told(|out| human::plan(out, &COLOR, &planned(), true));
    assert!(colored.contains("\x1b[32m+PORT = 8080\x1b[0m"), "{colored}");
    assert!(colored.contains("\x1b[31m-PORT = 8081\x1b[0m"), "{colored}");
}

#[test]
fn an_empty_plan_says_so() {
    assert_snapshot!(provisioned(outcome(false, Vec::new()), false, false), @"Nothing to do: the box is as declared.");
    assert_snapshot!(provisioned(outcome(true, Vec::new()), false, false), @"Nothing to do: the box is as declared.");
}

fn with_a_failure() -> Outcome {
    Outcome {
        notes: vec![
            "/home/vagrant/docker-workshop/server.py was edited; your version is kept beside it as server.py.orig-2025-11-23".to_owned(),
        ],
        ..outcome(
            true,
            vec![
                change("box.server.files", "Write server.py", ChangeStatus::Done),
                change(
                    "box.docker.package",
                    "Install docker.io",
                    ChangeStatus::Failed("apt-get ended with status 100:\nE: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)\nE: Unable to acquire the dpkg frontend lock".to_owned()),
                ),
                change("box.docker.daemon", "Start Docker's daemon", ChangeStatus::NotTried),
            ],
        )
    }
}

#[test]
fn a_failed_change_shows_why_and_what_was_not_tried() {
    assert_snapshot!(provisioned(with_a_failure(), false, false), @r"
    ✗ failed: Install docker.io [box.docker.package]
        apt-get ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
    – not tried: Start Docker's daemon [box.docker.daemon]

    note: /home/vagrant/docker-workshop/server.py was edited; your version is kept
          beside it as server.py.orig-2025-11-23

    1 change failed, 1 not tried: mend the cause above, then run `dwenv provision`
    again.
    ");
    assert_snapshot!(provisioned(with_a_failure(), false, true), @r"
    ✓ done: Write server.py [box.server.files]
    ✗ failed: Install docker.io [box.docker.package]
        apt-get ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
    – not tried: Start Docker's daemon [box.docker.daemon]

    note: /home/vagrant/docker-workshop/server.py was edited; your version is kept
          beside it as server.py.orig-2025-11-23

    1 change failed, 1 not tried: mend the cause above, then run `dwenv provision`
    again.
    ");
}

#[test]
fn a_provisioned_box_is_one_line() {
    let done = vec![change(
        "box.server.files",
        "Write server.py",
        ChangeStatus::Done,
    )];
    assert_snapshot!(provisioned(outcome(true, done.clone()), false, false), @"Done: 1 change made, the box is as declared.");
    let remaining = Outcome {
        remaining: vec!["box.server.unit".to_owned()],
        ..outcome(true, done.clone())
    };
    assert_snapshot!(provisioned(remaining, false, false), @r"
    1 change was made, and the box is still not as declared: [box.server.unit].
    `dwenv doctor` says more.
    ");
    let undetermined = Outcome {
        unchanged: vec![Unchanged {
            check: "box.postgres.schema".to_owned(),
            reason: "PostgreSQL did not answer within 5 s.".to_owned(),
            status: Status::Unknown,
        }],
        ..outcome(true, done)
    };
    assert_snapshot!(provisioned(undetermined, false, false), @r"
    ? unknown: [box.postgres.schema] could not be judged, and was left as it is
        PostgreSQL did not answer within 5 s.

    Could not tell whether the box is as declared: start with [box.postgres.schema]
    above.
    ");
}

#[test]
fn several_boxes_are_provisioned_side_by_side() {
    let refused =
        Error::new(ErrorKind::Locked, "Another run holds sandbox:b").because("process 4711");
    let outcomes = [
        ("sandbox:a".to_owned(), Ok(outcome(true, Vec::new()))),
        ("sandbox:b".to_owned(), Err(refused)),
        ("sandbox:c".to_owned(), Ok(with_a_failure())),
    ];
    let shown = told(|out| human::provision(out, &Style::PLAIN, &outcomes, false, false));
    assert_snapshot!(shown, @r"
    sandbox:b
    ---------
    error: Another run holds sandbox:b
      cause: process 4711

    sandbox:c
    ---------
    ✗ failed: Install docker.io [box.docker.package]
        apt-get ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
    – not tried: Start Docker's daemon [box.docker.daemon]

    note: /home/vagrant/docker-workshop/server.py was edited; your version is kept
          beside it as server.py.orig-2025-11-23

    1 change failed, 1 not tried: mend the cause above, then run `dwenv provision`
    again.

       Target     Result
    ✓  sandbox:a  Nothing to do: the box is as declared.
    ✗  sandbox:b  Another run holds sandbox:b.
    ✗  sandbox:c  1 change failed, 1 not tried: mend the cause above, then run
                  `dwenv provision` again.

    2 of 3 targets did not end well: mend the causes, then run
    `dwenv provision --limit failed`.
    ");
    let json = document(|out| json::provision(out, &outcomes));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["targets"][0]["changes"], Value::Array(Vec::new()));
    assert_eq!(json["targets"][1]["error"]["exit_code"], 4);
    assert_eq!(
        json["targets"][2]["changes"][1]["status"]["state"],
        "failed"
    );
}

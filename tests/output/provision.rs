//! What `provision` tells.

use dwenv::date::Date;
use dwenv::doctor::explain;
use dwenv::doctor::report::Status;
use dwenv::error::{Error, ErrorKind};
use dwenv::events::{BoxResult, Failure};
use dwenv::output::human;
use dwenv::output::style::Style;
use dwenv::provision::outcome::{
    ChangeStatus, Difference, Foreseen, Outcome, PackageChange, PlannedChange, Transaction,
    Unchanged,
};
use insta::assert_snapshot;
use serde_json::Value;

use super::{COLOR, json_schema, run_of, told};

pub fn document(outcomes: &[(String, dwenv::error::Result<Outcome>)]) -> String {
    run_of("provision", outcomes, BoxResult::Provision)
}

pub fn change(check: &str, title: &str, status: ChangeStatus) -> PlannedChange {
    PlannedChange {
        checks: vec![check.to_owned()],
        title: title.to_owned(),
        differences: Vec::new(),
        packages: None,
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

fn installing(packages: Foreseen) -> Outcome {
    let mut change = change(
        "box.docker.package",
        "Install docker.io, postgresql",
        ChangeStatus::Planned,
    );
    change.packages = Some(packages);
    outcome(false, vec![change])
}

fn foreseen() -> Foreseen {
    let package = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
        name: name.to_owned(),
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    Foreseen::Transaction(Transaction {
        packages: vec![
            package("docker.io", None, Some("26.1.5+dfsg1-9")),
            package("postgresql", Some("17+277"), Some("17+278+deb13u1")),
            package("vim-gtk3", Some("2:9.1.1230-2"), None),
        ],
        download_bytes: 149_236_036,
        disk_bytes: 618_000_000,
        lists_of: Date::parse("2026-11-27").unwrap(),
    })
}

#[test]
fn packages_are_told_by_their_size_and_one_by_one_where_that_is_asked() {
    let plan =
        |packages, each| told(|out| human::plan(out, &Style::PLAIN, &installing(packages), each));
    assert_snapshot!(plan(foreseen(), false), @r"
    1 change to make on sandbox
    ---------------------------
    1. Install docker.io, postgresql [box.docker.package]
       3 packages: 149 MB to download, 618 MB more on disk (lists of 2026-11-27)
    ");
    assert_snapshot!(plan(foreseen(), true), @r"
    1 change to make on sandbox
    ---------------------------
    1. Install docker.io, postgresql [box.docker.package]
       3 packages: 149 MB to download, 618 MB more on disk (lists of 2026-11-27)
         docker.io 26.1.5+dfsg1-9
         postgresql 17+277 → 17+278+deb13u1
         vim-gtk3 2:9.1.1230-2, removed
    ");
    let unknown = "apt has no lists of packages there yet, and fetches them first".to_owned();
    assert_snapshot!(plan(Foreseen::Unknown { unknown: unknown.clone() }, true), @r"
    1 change to make on sandbox
    ---------------------------
    1. Install docker.io, postgresql [box.docker.package]
       Versions and sizes are not known: apt has no lists of packages there yet, and
       fetches them first
    ");
    let told = document(&[("sandbox".to_owned(), Ok(installing(foreseen())))]);
    let told: Value = serde_json::from_str(&told).unwrap();
    let packages = &told["changes"][0]["packages"];
    assert_eq!(packages["changes"][1]["from"], "17+277");
    assert_eq!(packages["changes"][0]["from"], Value::Null);
    assert_eq!(packages["download_bytes"], 149_236_036);
    assert_eq!(packages["disk_bytes"], 618_000_000);
    assert_eq!(packages["lists_of"], "2026-11-27");
    let unknown = installing(Foreseen::Unknown { unknown });
    let told = document(&[("sandbox".to_owned(), Ok(unknown))]);
    assert!(told.contains("\"unknown\": \"apt has no lists"), "{told}");
}

#[test]
fn an_empty_plan_says_so() {
    assert_snapshot!(provisioned(outcome(false, Vec::new()), false, false), @"Nothing to do: the box is as declared.");
    assert_snapshot!(provisioned(outcome(true, Vec::new()), false, false), @"Nothing to do: the box is as declared.");
}

fn locked() -> Failure {
    let said = "ended with status 100:\nE: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)\nE: Unable to acquire the dpkg frontend lock";
    Failure {
        command: Some("apt-get -q -y -o DPkg::Lock::Timeout=600 install docker.io".to_owned()),
        known: explain::cause_in_box(said, Some("sandbox")),
        ..said.to_owned().into()
    }
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
                    ChangeStatus::Failed(locked()),
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
        ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
        Command: apt-get -q -y -o DPkg::Lock::Timeout=600 install docker.io
        Cause: Another program, mostly the automatic updates after the start, is
            installing packages in the box. [apt-lock]
        → Wait a few minutes and do it again; this shows who it is. Never delete the
          lock's file.
          dwenv ssh --target sandbox -- ps -o pid,etime,args -p 1212
          dwenv provision --target sandbox
    – not tried: Start Docker's daemon [box.docker.daemon]

    note: /home/vagrant/docker-workshop/server.py was edited; your version is kept
          beside it as server.py.orig-2025-11-23

    1 change failed, 1 not tried: mend the cause above, then run `dwenv provision`
    again.
    ");
    assert_snapshot!(provisioned(with_a_failure(), false, true), @r"
    ✓ done: Write server.py [box.server.files]
    ✗ failed: Install docker.io [box.docker.package]
        ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
        Command: apt-get -q -y -o DPkg::Lock::Timeout=600 install docker.io
        Cause: Another program, mostly the automatic updates after the start, is
            installing packages in the box. [apt-lock]
        → Wait a few minutes and do it again; this shows who it is. Never delete the
          lock's file.
          dwenv ssh --target sandbox -- ps -o pid,etime,args -p 1212
          dwenv provision --target sandbox
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
        ended with status 100:
        E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1212 (apt-get)
        E: Unable to acquire the dpkg frontend lock
        Command: apt-get -q -y -o DPkg::Lock::Timeout=600 install docker.io
        Cause: Another program, mostly the automatic updates after the start, is
            installing packages in the box. [apt-lock]
        → Wait a few minutes and do it again; this shows who it is. Never delete the
          lock's file.
          dwenv ssh --target sandbox -- ps -o pid,etime,args -p 1212
          dwenv provision --target sandbox
    – not tried: Start Docker's daemon [box.docker.daemon]

    note: /home/vagrant/docker-workshop/server.py was edited; your version is kept
          beside it as server.py.orig-2025-11-23

    1 change failed, 1 not tried: mend the cause above, then run `dwenv provision`
    again.

       Target     Result
    ✓  sandbox:a  Nothing to do: the box is as declared.
    ✗  sandbox:b  Another run holds sandbox:b.
    ✗  sandbox:c  Failed: Install docker.io [box.docker.package].

    2 of 3 targets did not end well: mend the causes, then run
    `dwenv provision --limit failed`.
    ");
    let json = document(&outcomes);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["targets"][0]["changes"], Value::Array(Vec::new()));
    assert_eq!(json["targets"][1]["error"]["exit_code"], 4);
    assert_eq!(
        json["targets"][2]["changes"][1]["status"]["state"],
        "failed"
    );
}

#[test]
fn every_document_of_provision_is_as_its_schema_has_it() {
    let schema: Value =
        serde_json::from_str(include_str!("../../data/provision.schema.json")).unwrap();
    let left = Unchanged {
        check: "box.postgres.schema".to_owned(),
        reason: "PostgreSQL did not answer".to_owned(),
        status: Status::Unknown,
    };
    let unknown = "apt has no lists".to_owned();
    let outcomes = [
        Ok(planned()),
        Ok(with_a_failure()),
        Ok(installing(foreseen())),
        Ok(installing(Foreseen::Unknown { unknown })),
        Ok(Outcome {
            unchanged: vec![left],
            remaining: vec!["box.server.unit".to_owned()],
            ..outcome(true, Vec::new())
        }),
        Err(Error::new(ErrorKind::Locked, "another run holds this box").hint("Wait")),
    ];
    let named = |outcome: &dwenv::error::Result<Outcome>| ("sandbox".to_owned(), outcome.clone());
    let mut several: Vec<Vec<_>> = outcomes.iter().map(|one| vec![named(one)]).collect();
    several.push(outcomes.iter().map(named).collect());
    for outcomes in several {
        let told = document(&outcomes);
        let value: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(json_schema::fault(&schema, &value), None, "{told}");
    }
}

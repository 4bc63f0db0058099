//! What a person and a program see, at 80 columns.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dwenv::cli::{Cli, Command, command, format_asked};
use dwenv::doctor::report::{By, Finding, Ignored, Remedy, Report, Scope, Status};
use dwenv::error::{Error, ErrorKind, ExitCode};
use dwenv::events::Event;
use dwenv::output::progress::{Board, Mode};
use dwenv::output::style::Style;
use dwenv::output::{Done, Format, Listed, Up, Verbosity, confirm, human, json};
use dwenv::provision::outcome::{ChangeStatus, Difference, Outcome, PlannedChange, Unchanged};
use insta::assert_snapshot;
use serde_json::Value;

const ASCII: Style = Style {
    unicode: false,
    ..Style::PLAIN
};

const COLOR: Style = Style {
    color: true,
    ..Style::PLAIN
};

fn told(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    render(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The one JSON document, which must have no second one behind it and nothing for a terminal.
fn document(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let told = told(render);
    let value: Value = serde_json::from_str(&told).expect("one document");
    assert_eq!(value["schema_version"], 1);
    let again: Value = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(value, again);
    assert!(!told.contains('\x1b'), "{told}");
    told
}

fn shown(report: &Report) -> String {
    told(|out| human::report(out, &Style::PLAIN, report, false))
}

// ---- doctor

fn finding(id: &str, title: &str, status: Status, summary: &str) -> Finding {
    Finding {
        id: id.to_owned(),
        title: title.to_owned(),
        scope: if id.starts_with("laptop") {
            Scope::Laptop
        } else {
            Scope::Box
        },
        status,
        summary: summary.to_owned(),
        because: None,
        remedy: None,
        ignored: None,
        duration: Duration::from_millis(3),
    }
}

fn remedy(by: By, text: &str, commands: &[&str]) -> Option<Remedy> {
    Some(Remedy {
        text: text.to_owned(),
        commands: commands.iter().map(|&command| command.to_owned()).collect(),
        by,
    })
}

fn skipped(id: &str, title: &str, because: &str) -> Finding {
    Finding {
        because: Some(because.to_owned()),
        ..finding(id, title, Status::Skip, "")
    }
}

fn ssh() -> Finding {
    finding(
        "box.ssh",
        "The box answers over SSH",
        Status::Pass,
        "vagrant@127.0.0.1:2222 let us in with the key insecure_private_key",
    )
}

fn daemon_down() -> Finding {
    Finding {
        remedy: remedy(
            By::You,
            "Start Docker's daemon, and let it start with the box from now on.",
            &[
                "dwenv ssh -- sudo systemctl enable --now docker.socket docker.service containerd.service",
            ],
        ),
        ..finding(
            "box.docker.daemon",
            "Docker's daemon runs",
            Status::Fail,
            "docker.service is inactive (dead) since Sun 2025-11-23 17:12:04 UTC, and nothing listens at /run/docker.sock",
        )
    }
}

fn ignored(until: &str, expired: bool) -> Option<Ignored> {
    Some(Ignored {
        reason: "pulled in the first hour".to_owned(),
        until: dwenv::date::Date::parse(until),
        expired,
    })
}

#[test]
fn what_is_ignored_is_shown_with_its_reason_and_not_counted() {
    let images = || Finding {
        ignored: ignored("2027-01-31", false),
        ..finding(
            "box.docker.images",
            "The images are there",
            Status::Fail,
            "1 is missing",
        )
    };
    let report = Report::new("sandbox", vec![ssh(), images()]);
    assert!(report.ready);
    assert_eq!(report.exit_code(), ExitCode::Ready);
    let text = shown(&report);
    assert!(text.contains("ignored: The images are there [box.docker.images]\n    1 is missing\n    This fail is ignored until 2027-01-31: pulled in the first hour\n"), "{text}");
    assert!(
        text.ends_with("2 checks: 1 pass, 1 ignored\nReady for the workshop.\n"),
        "{text}"
    );

    let late = Finding {
        ignored: ignored("2026-01-31", true),
        ..images()
    };
    let report = Report::new("sandbox", vec![ssh(), late]);
    assert_eq!(report.exit_code(), ExitCode::Failed);
    let text = shown(&report);
    assert!(
        text.contains(
            "It was ignored until 2026-01-31 (pulled in the first hour), and counts\n    again."
        ),
        "{text}"
    );
}

fn all_pass() -> Report {
    Report::new(
        "vagrant",
        vec![
            finding(
                "laptop.vagrant",
                "Vagrant is installed",
                Status::Pass,
                "Vagrant 2.4.9",
            ),
            ssh(),
            finding(
                "box.docker.daemon",
                "Docker's daemon runs",
                Status::Pass,
                "Docker 26.1.5",
            ),
        ],
    )
}

fn two_problems() -> Report {
    Report::new(
        "vagrant",
        vec![
            finding(
                "laptop.vagrant",
                "Vagrant is installed",
                Status::Pass,
                "Vagrant 2.4.9",
            ),
            Finding {
                remedy: remedy(
                    By::It,
                    "Allow connections to 192.168.33.0/24 in the firewall of this laptop.",
                    &[],
                ),
                ..finding(
                    "laptop.virtualbox",
                    "VirtualBox works with this Vagrant",
                    Status::Warn,
                    "VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows",
                )
            },
            ssh(),
            daemon_down(),
            skipped(
                "box.docker.compose",
                "Docker Compose is there",
                "box.docker.daemon",
            ),
            skipped(
                "box.docker.images",
                "The images are there",
                "box.docker.compose",
            ),
            finding(
                "box.postgres.running",
                "PostgreSQL runs",
                Status::Pass,
                "17/main is online",
            ),
            Finding {
                remedy: remedy(
                    By::Organiser,
                    "Put the column back, or ask for a new box.",
                    &["dwenv provision --plan --diff", "dwenv provision"],
                ),
                ..finding(
                    "box.postgres.schema",
                    "The database has the workshop's tables",
                    Status::Fail,
                    "Two things differ from the declared schema:\n  call.payload: has type integer, declared is text\n  call.created_at: is missing",
                )
            },
        ],
    )
}

fn unreachable() -> Report {
    Report::new(
        "ssh://me@10.1.2.3",
        vec![
            Finding {
                remedy: remedy(By::You, "Start the box.", &["dwenv up"]),
                ..finding(
                    "box.ssh",
                    "The box answers over SSH",
                    Status::Unknown,
                    "10.1.2.3 port 22 did not answer within 10 s",
                )
            },
            skipped("box.sudo", "The box's user may use sudo", "box.ssh"),
        ],
    )
}

#[test]
fn a_ready_box_is_two_lines() {
    assert_snapshot!(shown(&all_pass()), @r"
    3 checks: 3 pass
    Ready for the workshop.
    ");
}

#[test]
fn problems_come_first_and_what_follows_from_them_is_one_line() {
    assert_snapshot!(shown(&two_problems()), @r"
    ✗ fail: Docker's daemon runs [box.docker.daemon]
        docker.service is inactive (dead) since Sun 2025-11-23 17:12:04 UTC, and
        nothing listens at /run/docker.sock
      → Start Docker's daemon, and let it start with the box from now on.
          dwenv ssh -- sudo systemctl enable --now docker.socket docker.service containerd.service
        2 checks skipped because of box.docker.daemon

    ✗ fail: The database has the workshop's tables [box.postgres.schema]
        Two things differ from the declared schema:
          call.payload: has type integer, declared is text
          call.created_at: is missing
      → The organiser has to do this: Put the column back, or ask for a new box.
          dwenv provision --plan --diff
          dwenv provision

    ! warn: VirtualBox works with this Vagrant [laptop.virtualbox]
        VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
      → Your company's IT has to do this: Allow connections to 192.168.33.0/24 in
        the firewall of this laptop.

    8 checks: 3 pass, 1 warn, 2 fail, 2 skip
    2 problems to solve before the workshop (1 you, 1 organiser): start with
    [box.docker.daemon] above.
    ");
}

#[test]
fn a_box_that_does_not_answer_is_neither_ready_nor_broken() {
    assert_snapshot!(shown(&unreachable()), @r"
    ? unknown: The box answers over SSH [box.ssh]
        10.1.2.3 port 22 did not answer within 10 s
      → Start the box.
          dwenv up
        1 check skipped because of box.ssh

    2 checks: 1 unknown, 1 skip
    Could not tell: 1 check has no answer, start with [box.ssh] above.
    ");
}

#[test]
fn warnings_do_not_spoil_readiness() {
    let mut report = two_problems();
    report
        .checks
        .retain(|check| matches!(check.status, Status::Pass | Status::Warn));
    assert_snapshot!(shown(&Report::new("vagrant", report.checks)), @r"
    ! warn: VirtualBox works with this Vagrant [laptop.virtualbox]
        VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
      → Your company's IT has to do this: Allow connections to 192.168.33.0/24 in
        the firewall of this laptop.

    4 checks: 3 pass, 1 warn
    Ready for the workshop, with 1 warning.
    ");
}

#[test]
fn skips_without_a_cause_among_the_problems_are_still_told() {
    let circle = Report::new(
        "vagrant",
        vec![
            ssh(),
            skipped("box.a", "A", "box.b"),
            skipped("box.b", "B", "box.a"),
            skipped("box.c", "C", "box.left.out"),
            finding("box.d", "D", Status::Skip, ""),
        ],
    );
    assert_snapshot!(shown(&circle), @r"
    – skip: 1 check skipped
    – skip: 1 check skipped because of box.a
    – skip: 1 check skipped because of box.b
    – skip: 1 check skipped because of box.left.out

    5 checks: 1 pass, 4 skip
    Could not tell: 4 checks were skipped.
    ");
}

#[test]
fn verbose_tells_every_check_by_where_it_looks_from() {
    let mut report = two_problems();
    report.checks[2].duration = Duration::from_millis(1290);
    let shown = told(|out| human::report(out, &Style::PLAIN, &report, true));
    assert_snapshot!(shown, @r"
    On this laptop
    --------------
    ✓ pass    Vagrant is installed [laptop.vagrant] 3 ms
              Vagrant 2.4.9
    ! warn    VirtualBox works with this Vagrant [laptop.virtualbox] 3 ms
              VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
            → Your company's IT has to do this: Allow connections to 192.168.33.0/24
              in the firewall of this laptop.

    In the box
    ----------
    ✓ pass    The box answers over SSH [box.ssh] 1.2 s
              vagrant@127.0.0.1:2222 let us in with the key insecure_private_key
    ✗ fail    Docker's daemon runs [box.docker.daemon] 3 ms
              docker.service is inactive (dead) since Sun 2025-11-23 17:12:04 UTC,
              and nothing listens at /run/docker.sock
            → Start Docker's daemon, and let it start with the box from now on.
                dwenv ssh -- sudo systemctl enable --now docker.socket docker.service containerd.service
    – skip    Docker Compose is there [box.docker.compose] because of
              box.docker.daemon
    – skip    The images are there [box.docker.images] because of box.docker.compose
    ✓ pass    PostgreSQL runs [box.postgres.running] 3 ms
              17/main is online
    ✗ fail    The database has the workshop's tables [box.postgres.schema] 3 ms
              Two things differ from the declared schema:
                call.payload: has type integer, declared is text
                call.created_at: is missing
            → The organiser has to do this: Put the column back, or ask for a new
              box.
                dwenv provision --plan --diff
                dwenv provision

    8 checks: 3 pass, 1 warn, 2 fail, 2 skip
    2 problems to solve before the workshop (1 you, 1 organiser): start with
    [box.docker.daemon] above.
    ");
}

#[test]
fn ascii_terminals_get_ascii() {
    let shown = told(|out| human::report(out, &ASCII, &two_problems(), true));
    assert!(shown.is_ascii(), "{shown}");
    assert_snapshot!(shown, @r"
    On this laptop
    --------------
    + pass    Vagrant is installed [laptop.vagrant] 3 ms
              Vagrant 2.4.9
    ! warn    VirtualBox works with this Vagrant [laptop.virtualbox] 3 ms
              VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
            > Your company's IT has to do this: Allow connections to 192.168.33.0/24
              in the firewall of this laptop.

    In the box
    ----------
    + pass    The box answers over SSH [box.ssh] 3 ms
              vagrant@127.0.0.1:2222 let us in with the key insecure_private_key
    x fail    Docker's daemon runs [box.docker.daemon] 3 ms
              docker.service is inactive (dead) since Sun 2025-11-23 17:12:04 UTC,
              and nothing listens at /run/docker.sock
            > Start Docker's daemon, and let it start with the box from now on.
                dwenv ssh -- sudo systemctl enable --now docker.socket docker.service containerd.service
    - skip    Docker Compose is there [box.docker.compose] because of
              box.docker.daemon
    - skip    The images are there [box.docker.images] because of box.docker.compose
    + pass    PostgreSQL runs [box.postgres.running] 3 ms
              17/main is online
    x fail    The database has the workshop's tables [box.postgres.schema] 3 ms
              Two things differ from the declared schema:
                call.payload: has type integer, declared is text
                call.created_at: is missing
            > The organiser has to do this: Put the column back, or ask for a new
              box.
                dwenv provision --plan --diff
                dwenv provision

    8 checks: 3 pass, 1 warn, 2 fail, 2 skip
    2 problems to solve before the workshop (1 you, 1 organiser): start with
    [box.docker.daemon] above.
    ");
}

#[test]
fn several_targets_get_a_section_each_and_a_table() {
    let mut warned = two_problems();
    warned.checks.truncate(3);
    let reports = [
        Report::new("sandbox:a", all_pass().checks),
        Report::new("sandbox:b", two_problems().checks),
        unreachable(),
        Report::new("vagrant:web", warned.checks),
    ];
    let shown = told(|out| human::reports(out, &Style::PLAIN, &reports, false));
    assert_snapshot!(shown, @r"
    sandbox:a
    ---------
    3 checks: 3 pass
    Ready for the workshop.

    sandbox:b
    ---------
    ✗ fail: Docker's daemon runs [box.docker.daemon]
        docker.service is inactive (dead) since Sun 2025-11-23 17:12:04 UTC, and
        nothing listens at /run/docker.sock
      → Start Docker's daemon, and let it start with the box from now on.
          dwenv ssh -- sudo systemctl enable --now docker.socket docker.service containerd.service
        2 checks skipped because of box.docker.daemon

    ✗ fail: The database has the workshop's tables [box.postgres.schema]
        Two things differ from the declared schema:
          call.payload: has type integer, declared is text
          call.created_at: is missing
      → The organiser has to do this: Put the column back, or ask for a new box.
          dwenv provision --plan --diff
          dwenv provision

    ! warn: VirtualBox works with this Vagrant [laptop.virtualbox]
        VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
      → Your company's IT has to do this: Allow connections to 192.168.33.0/24 in
        the firewall of this laptop.

    8 checks: 3 pass, 1 warn, 2 fail, 2 skip
    2 problems to solve before the workshop (1 you, 1 organiser): start with
    [box.docker.daemon] above.

    ssh://me@10.1.2.3
    -----------------
    ? unknown: The box answers over SSH [box.ssh]
        10.1.2.3 port 22 did not answer within 10 s
      → Start the box.
          dwenv up
        1 check skipped because of box.ssh

    2 checks: 1 unknown, 1 skip
    Could not tell: 1 check has no answer, start with [box.ssh] above.

    vagrant:web
    -----------
    ! warn: VirtualBox works with this Vagrant [laptop.virtualbox]
        VirtualBox 7.2.0 is newer than any that Vagrant 2.4.9 knows
      → Your company's IT has to do this: Allow connections to 192.168.33.0/24 in
        the firewall of this laptop.

    3 checks: 2 pass, 1 warn
    Ready for the workshop, with 1 warning.

    Result       Target             Not passed      Start with         Mended by
    ✗ not ready  sandbox:b          1 warn, 2 fail  box.docker.daemon  1 you, 1
                                                                       organiser
    ? unknown    ssh://me@10.1.2.3  1 unknown       box.ssh            1 you
    ✓ ready      sandbox:a
    ! ready      vagrant:web        1 warn

    2 of 4 targets are not ready (to mend: 2 you, 1 organiser): start with
    [box.docker.daemon] of sandbox:b above.
    ");
}

#[test]
fn several_ready_targets_end_with_one_line() {
    let reports = [all_pass(), all_pass()];
    let shown = told(|out| human::reports(out, &Style::PLAIN, &reports, false));
    assert_eq!(
        shown.lines().last(),
        Some("Ready for the workshop: all 2 targets.")
    );
}

#[test]
fn commands_are_never_broken_and_colour_only_adds() {
    let plain = shown(&two_problems());
    let command = "sudo systemctl enable --now docker.socket docker.service containerd.service";
    assert!(plain.contains(command));
    let colored = told(|out| human::report(out, &COLOR, &two_problems(), false));
    assert!(
        colored.contains("\x1b[31m\x1b[1m✗ fail\x1b[0m"),
        "{colored}"
    );
    assert_eq!(without_escapes(&colored), plain);
}

#[test]
fn what_a_box_says_cannot_steer_the_terminal() {
    let mut report = two_problems();
    report.checks[3].summary = "\x1b]0;gotcha\x07\x1b[2Jhello".to_owned();
    assert!(!shown(&report).contains('\x1b'));
}

fn without_escapes(text: &str) -> String {
    let mut rest = text.split('\x1b');
    let first = rest.next().unwrap_or_default().to_owned();
    rest.fold(first, |all, piece| all + piece.split_once('m').unwrap().1)
}

// ---- provision

fn change(check: &str, title: &str, status: ChangeStatus) -> PlannedChange {
    PlannedChange {
        checks: vec![check.to_owned()],
        title: title.to_owned(),
        differences: Vec::new(),
        status,
    }
}

fn outcome(applied: bool, changes: Vec<PlannedChange>) -> Outcome {
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

fn planned() -> Outcome {
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
    sandbox:a
    ---------
    Nothing to do: the box is as declared.

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

// ---- the other commands

fn up() -> Up {
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

fn ups() -> [(String, dwenv::error::Result<Up>); 1] {
    [("sandbox".to_owned(), Ok(up()))]
}

fn listed() -> [Listed; 2] {
    [
        Listed {
            name: "vagrant".to_owned(),
            provider: "vagrant (virtualbox)".to_owned(),
            state: "running".to_owned(),
            address: Some("192.168.33.10".to_owned()),
            default: true,
        },
        Listed {
            name: "sandbox:b".to_owned(),
            provider: "sandbox".to_owned(),
            state: "not made yet".to_owned(),
            address: None,
            default: false,
        },
    ]
}

fn initialised() -> Done {
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
fn targets_are_a_table() {
    assert_snapshot!(told(|out| human::targets(out, &Style::PLAIN, &listed())), @r"
    Target             Provider              State         Address
    vagrant (default)  vagrant (virtualbox)  running       192.168.33.10
    sandbox:b          sandbox               not made yet
    ");
    assert_snapshot!(told(|out| human::targets(out, &Style::PLAIN, &[])), @"No targets are known in this folder.");
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

// ---- errors

fn refused() -> Error {
    Error::new(ErrorKind::Unreachable, "Nothing listens at 127.0.0.1 port 2222, where the box's SSH server should be")
        .because("Connection refused (os error 111)")
        .hint("Start the box, and wait until it says that it is ready; the first start takes a few minutes.")
        .hint("dwenv up --target vagrant --config https://example.org/a/very/long/path/config.toml")
}

fn misspelt() -> Error {
    Error::config("config.toml has an unknown key")
        .because("config.toml:3:1\n  |\n3 | memroy = 2048\n  | ^^^^^^")
        .hint("Did you mean `memory`?")
}

#[test]
fn errors_say_what_why_and_what_next() {
    assert_snapshot!(told(|out| human::error(out, &Style::PLAIN, &refused())), @r"
    error: Nothing listens at 127.0.0.1 port 2222, where the box's SSH server should
           be
      cause: Connection refused (os error 111)
      hint: Start the box, and wait until it says that it is ready; the first start
            takes a few minutes.
      hint: dwenv up --target vagrant --config https://example.org/a/very/long/path/config.toml
    ");
    assert_snapshot!(told(|out| human::error(out, &Style::PLAIN, &misspelt())), @r"
    error: config.toml has an unknown key
      cause:
        config.toml:3:1
          |
        3 | memroy = 2048
          | ^^^^^^
      hint: Did you mean `memory`?
    ");
}

#[test]
fn an_error_in_json_carries_its_exit_code() {
    assert_snapshot!(document(|out| json::error(out, &misspelt())), @r#"
    {
      "schema_version": 1,
      "error": {
        "kind": "config",
        "message": "config.toml has an unknown key",
        "cause": "config.toml:3:1\n  |\n3 | memroy = 2048\n  | ^^^^^^",
        "hints": [
          "Did you mean `memory`?"
        ],
        "exit_code": 2
      }
    }
    "#);
    let json: Value = serde_json::from_str(&document(|out| json::error(out, &refused()))).unwrap();
    assert_eq!(json["error"]["exit_code"], ExitCode::Undetermined as u8);
    assert_eq!(json["error"]["kind"], "unreachable");
}

// ---- documents

#[test]
fn doctors_document_is_the_contract() {
    let mut report = unreachable();
    report.checks.push(ssh());
    let report = Report::new(report.target, report.checks);
    assert_snapshot!(document(|out| json::reports(out, &[report])), @r#"
    {
      "schema_version": 1,
      "target": "ssh://me@10.1.2.3",
      "ready": false,
      "counts": {
        "pass": 1,
        "warn": 0,
        "fail": 0,
        "skip": 1,
        "unknown": 1,
        "ignored": 0
      },
      "to_mend": {
        "you": 1,
        "organiser": 0,
        "it": 0
      },
      "notes": [],
      "strict": false,
      "checks": [
        {
          "id": "box.ssh",
          "title": "The box answers over SSH",
          "scope": "box",
          "status": "unknown",
          "summary": "10.1.2.3 port 22 did not answer within 10 s",
          "because": null,
          "remedy": {
            "text": "Start the box.",
            "commands": [
              "dwenv up"
            ],
            "by": "you"
          },
          "duration_ms": 3
        },
        {
          "id": "box.sudo",
          "title": "The box's user may use sudo",
          "scope": "box",
          "status": "skip",
          "summary": "",
          "because": "box.ssh",
          "remedy": null,
          "duration_ms": 3
        },
        {
          "id": "box.ssh",
          "title": "The box answers over SSH",
          "scope": "box",
          "status": "pass",
          "summary": "vagrant@127.0.0.1:2222 let us in with the key insecure_private_key",
          "because": null,
          "remedy": null,
          "duration_ms": 3
        }
      ]
    }
    "#);
}

#[test]
fn documents_for_several_targets_are_lists() {
    let json = document(|out| json::reports(out, &[all_pass(), unreachable()]));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ready"], false);
    assert_eq!(json["targets"][0]["ready"], true);
    assert_eq!(json["targets"][1]["checks"][1]["because"], "box.ssh");
}

#[test]
fn provisions_document_has_its_differences() {
    let planned = [("sandbox".to_owned(), Ok(planned()))];
    assert_snapshot!(document(|out| json::provision(out, &planned)), @r#"
    {
      "schema_version": 1,
      "target": "sandbox",
      "applied": false,
      "changes": [
        {
          "checks": [
            "box.docker.package"
          ],
          "title": "Install docker.io, docker-cli, docker-compose, postgresql, python3-psycopg and what they need",
          "status": {
            "state": "planned"
          }
        },
        {
          "checks": [
            "box.server.files"
          ],
          "title": "Write server.py",
          "differences": [
            {
              "subject": "/home/vagrant/docker-workshop/server.py",
              "text": "--- in the box\n+++ declared\n@@ -1,3 +1,3 @@\n import http.server\n-PORT = 8081\n+PORT = 8080\n \n"
            }
          ],
          "status": {
            "state": "planned"
          }
        },
        {
          "checks": [
            "box.postgres.schema"
          ],
          "title": "Create the tables and the fixtures",
          "differences": [
            {
              "subject": "database dockerworkshop",
              "text": "CREATE TABLE call (\n    id serial PRIMARY KEY\n);\n"
            }
          ],
          "status": {
            "state": "planned"
          }
        }
      ],
      "unchanged": [
        {
          "check": "box.port.8080",
          "reason": "Port 8080 is held by nginx, process 812. It is not the workshop's, so it is left alone: stop it with `sudo systemctl stop nginx`, then run `dwenv provision` again.",
          "status": "fail"
        }
      ],
      "notes": [],
      "remaining": []
    }
    "#);
}

#[test]
fn ups_document_holds_both_halves() {
    let json = document(|out| json::up(out, &ups()));
    let json: Value = serde_json::from_str(&json).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["address", "doctor", "provision", "schema_version", "target"]
    );
    assert_eq!(json["doctor"]["ready"], true);
    assert_eq!(json["provision"]["applied"], true);
}

#[test]
fn the_other_documents() {
    assert_snapshot!(document(|out| json::targets(out, &listed())), @r#"
    {
      "schema_version": 1,
      "targets": [
        {
          "name": "vagrant",
          "provider": "vagrant (virtualbox)",
          "state": "running",
          "address": "192.168.33.10",
          "default": true
        },
        {
          "name": "sandbox:b",
          "provider": "sandbox",
          "state": "not made yet",
          "address": null,
          "default": false
        }
      ]
    }
    "#);
    assert_snapshot!(document(|out| json::done(out, &initialised())), @r#"
    {
      "schema_version": 1,
      "command": "init",
      "target": null,
      "message": "The workshop's files are in workshop:",
      "paths": [
        "workshop/config.toml",
        "workshop/Vagrantfile"
      ],
      "hints": [
        "cd workshop && dwenv up"
      ]
    }
    "#);
}

#[test]
fn a_box_cannot_smuggle_escapes_into_a_document() {
    let mut report = all_pass();
    report.checks[0].summary = "\x1b[31mred".to_owned();
    document(|out| json::reports(out, &[report]));
}

// ---- progress

/// A stderr to look at.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn board(mode: Mode, verbosity: Verbosity) -> (Board, Sink) {
    let sink = Sink::default();
    let board = Board::new(Box::new(sink.clone()), Style::PLAIN, mode, verbosity);
    (board, sink)
}

fn started(step: &str) -> Event {
    Event::StepStarted {
        step: step.to_owned(),
    }
}

fn at(step: &str, detail: &str, fraction: Option<f64>) -> Event {
    Event::StepProgress {
        step: step.to_owned(),
        detail: detail.to_owned(),
        fraction,
    }
}

fn finished(step: &str, took: u64) -> Event {
    Event::StepFinished {
        step: step.to_owned(),
        took: Duration::from_millis(took),
    }
}

/// Runs the board's clock from one millisecond to another, as the ticker does.
fn pass_time(board: &mut Board, from: u64, to: u64) {
    for now in (from..to).map(Duration::from_millis) {
        if board.due().is_some_and(|due| due <= now) {
            board.tick(now);
        }
    }
}

fn a_run(board: &mut Board) {
    let millis = Duration::from_millis;
    board.tell(started("Installing packages"), millis(0));
    for step in 0..50_u32 {
        let now = u64::from(step) * 100;
        let unpacking = at(
            "Installing packages",
            &format!("unpacking package {step}"),
            Some(f64::from(step) / 60.0),
        );
        board.tell(unpacking, millis(now));
        pass_time(board, now, now + 100);
    }
    let detail = Event::Detail {
        text: "1 handshake, 1 exec".to_owned(),
    };
    board.tell(detail, millis(5000));
    let note = Event::Note {
        text:
            "first contact with 192.168.33.10: its key was recorded in ~/.ssh/known_hosts for later"
                .to_owned(),
    };
    board.tell(note, millis(5000));
    pass_time(board, 5000, 9500);
    let warning = Event::Warning {
        text: "the clock of the box is 12 s late".to_owned(),
    };
    board.tell(warning, millis(9500));
    board.tell(finished("Installing packages", 9500), millis(9500));
    board.tell(started("Starting Docker"), millis(9500));
    let failed = Event::StepFailed {
        step: "Starting Docker".to_owned(),
        reason: "docker.service did not start".to_owned(),
    };
    board.tell(failed, millis(9600));
    board.end();
}

#[test]
fn without_a_terminal_there_is_a_line_every_two_seconds() {
    let (mut board, sink) = board(Mode::Plain, Verbosity::Normal);
    a_run(&mut board);
    assert_snapshot!(sink.take(), @r"
    Installing packages...
    Installing packages: 33 %, unpacking package 20 (2 s)
    Installing packages: 67 %, unpacking package 40 (4 s)
    note: first contact with 192.168.33.10: its key was recorded in ~/.ssh/known_hosts for later
    Installing packages: 82 %, unpacking package 49 (6 s)
    Installing packages: 82 %, unpacking package 49 (8 s)
    warning: the clock of the box is 12 s late
    ✓ Installing packages (9.5 s)
    Starting Docker...
    ✗ Starting Docker: docker.service did not start
    ");
}

#[test]
fn quiet_leaves_warnings_and_errors_and_verbose_adds_details() {
    let (mut quiet, sink) = board(Mode::Plain, Verbosity::Quiet);
    a_run(&mut quiet);
    assert_snapshot!(sink.take(), @r"
    warning: the clock of the box is 12 s late
    ✗ Starting Docker: docker.service did not start
    ");
    let (mut verbose, sink) = board(Mode::Plain, Verbosity::Verbose);
    a_run(&mut verbose);
    let told = sink.take();
    assert!(told.contains("\n1 handshake, 1 exec\n"), "{told}");
    assert!(!told.contains(['\r', '\x1b']));
}

#[test]
fn a_terminal_has_one_line_that_moves_and_is_gone_at_the_end() {
    let (mut board, sink) = board(Mode::Live, Verbosity::Normal);
    let millis = Duration::from_millis;
    board.tell(started("Installing packages"), millis(0));
    assert_eq!(sink.take(), "", "what is over at once does not flicker");
    board.tell(
        at("Installing packages", "unpacking libpq5", Some(0.42)),
        millis(50),
    );
    pass_time(&mut board, 50, 101);
    assert_eq!(
        sink.take(),
        "\r\x1b[2K⠙ Installing packages (0 s)  42 %  unpacking libpq5"
    );
    // A second without news is still a second of movement.
    pass_time(&mut board, 101, 1101);
    assert_eq!(sink.take().matches("Installing packages").count(), 10);

    let long = "unpacking a package whose name is longer than what is left of this line";
    board.tell(at("Installing packages", long, None), millis(1101));
    pass_time(&mut board, 1101, 1202);
    let drawn = sink.take();
    let line = drawn.rsplit("\x1b[2K").next().unwrap();
    assert_eq!(console::measure_text_width(line), 79, "{line}");
    assert!(line.ends_with('…'));

    // A line that stays is written above, and the live one comes back.
    board.tell(
        Event::Note {
            text: "hello".to_owned(),
        },
        millis(1300),
    );
    let drawn = sink.take();
    assert!(
        drawn.starts_with("\r\x1b[2Knote: hello\n\r\x1b[2K⠹ Installing"),
        "{drawn:?}"
    );

    // A question has the terminal to itself.
    board.pause();
    assert_eq!(sink.take(), "\r\x1b[2K");
    board.tell(
        Event::Note {
            text: "later".to_owned(),
        },
        millis(1400),
    );
    pass_time(&mut board, 1400, 3000);
    assert_eq!(sink.take(), "");
    board.resume(millis(3000));
    pass_time(&mut board, 3000, 3001);
    let drawn = sink.take();
    assert!(drawn.starts_with("note: later\n\r\x1b[2K"), "{drawn:?}");
    assert!(drawn.contains("Installing packages (3 s)"), "{drawn:?}");

    board.tell(finished("Installing packages", 3100), millis(3100));
    assert_eq!(sink.take(), "\r\x1b[2K✓ Installing packages (3.1 s)\n");
    board.tell(started("Starting Docker"), millis(3200));
    pass_time(&mut board, 3200, 3400);
    sink.take();
    board.end();
    assert_eq!(sink.take(), "\r\x1b[2K");
    pass_time(&mut board, 3400, 9000);
    assert_eq!(sink.take(), "", "nothing moves after the end");
}

#[test]
fn several_boxes_share_the_line() {
    let (mut board, sink) = board(Mode::Live, Verbosity::Normal);
    board.tell(started("Provisioning a"), Duration::ZERO);
    board.tell(started("Provisioning b"), Duration::ZERO);
    pass_time(&mut board, 0, 101);
    assert!(sink.take().ends_with("Provisioning b (0 s, 1 more)"));
}

// ---- questions

#[test]
fn only_a_clear_yes_is_a_yes() {
    let ask = |typed: &str| {
        let mut out = Vec::new();
        let answer = confirm::answer(&mut typed.as_bytes(), &mut out, &Style::PLAIN, "Go on?");
        (answer.unwrap(), String::from_utf8(out).unwrap())
    };
    assert_eq!(ask("y\n"), (true, "Go on? [y/N] ".to_owned()));
    assert!(ask("YES\r\n").0);
    assert!(!ask("\n").0);
    assert!(!ask("n\n").0);
    assert!(!ask("").0, "the end of the input is a no");
    let (answer, told) = ask("yep\ny\n");
    assert!(answer);
    assert_eq!(told.matches("Go on?").count(), 2);
}

// ---- the command line

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn options_for_every_command_stand_before_or_behind_it() {
    let parse = |line: &str| Cli::read(line.split(' '));
    let cli = parse("dwenv -C box --format json doctor --target a --target b -v").unwrap();
    assert_eq!(cli.global.targets, ["a", "b"]);
    assert_eq!(cli.global.format, Format::Json);
    assert_eq!(cli.global.verbosity(), Verbosity::Verbose);
    assert_eq!(cli.global.timeout, 10);
    assert_eq!(
        parse("dwenv --target a doctor").unwrap().global.targets,
        ["a"]
    );
    let both = parse("dwenv --target a doctor --target b").unwrap();
    assert_eq!(both.global.targets, ["a", "b"]);
    let Command::Ssh { command } = parse("dwenv ssh -y -- docker ps -a").unwrap().command else {
        panic!("not ssh");
    };
    assert_eq!(command, ["docker", "ps", "-a"]);
    for wrong in [
        "dwenv",
        "dwenv doctor -q -v",
        "dwenv nonsense",
        "dwenv doctor --timeout 0",
    ] {
        assert_eq!(
            parse(wrong).unwrap_err().exit_code(),
            ExitCode::Usage as i32,
            "{wrong}"
        );
    }
}

#[test]
fn whoever_asks_for_json_is_known_before_the_rest_is_understood() {
    assert_eq!(
        format_asked(&["dwenv", "--format", "json", "--nonsense"]),
        Format::Json
    );
    assert_eq!(format_asked(&["dwenv", "--format=json"]), Format::Json);
    assert_eq!(
        format_asked(&["dwenv", "ssh", "--", "--format=json"]),
        Format::Human
    );
    assert_eq!(format_asked(&["dwenv", "--format"]), Format::Human);
}

#[test]
fn help_is_for_people_who_never_used_a_terminal() {
    let help = |long: bool| {
        let mut command = command().term_width(80);
        if long {
            command.render_long_help()
        } else {
            command.render_help()
        }
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect::<String>()
    };
    assert_snapshot!(help(false), @r"
    Prepares your machine for a Docker workshop, and checks that it is ready

    Usage: dwenv [OPTIONS] <COMMAND>

    Commands:
      up           Start the box, set it up, and check that it is ready
      provision    Set the box up: install and configure what the workshop needs
      doctor       Check that everything is ready, and say how to mend what is not
      explain      Explain a check, a known failure, or an error that you paste
      init         Write the workshop's files into a folder, to read or to change
                   them
      lint         Look through a workshop's own files for what no longer works
      ssh          Log in to the box, or run a command there
      down         Stop the box; everything in it is kept
      destroy      Remove the box and everything in it
      targets      List the boxes that can be used here
      completions  Print a script that makes your shell complete dwenv's commands
      schema       Print the JSON Schema of a document that dwenv writes
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Options for every command:
      -C <DIR>                 Work in this folder instead of the current one
          --config <FILE|URL>  Read the workshop from this file or web address
          --target <TARGET>    Use this box; can be given several times
          --identity <FILE>    Log in to the box with this private key
          --timeout <SECONDS>  Give up on a box that has not let us in after so many
                               seconds [default: 10]
          --format <FORMAT>    How results are told; junit and markdown are for
                               `doctor` only [default: human] [possible values:
                               human, json, junit, markdown]
      -y, --yes                Answer every question with yes
      -v, --verbose            Tell everything: all checks, commands and timings
      -q, --quiet              Tell only results, warnings and errors
          --color <WHEN>       When to use colours [default: auto] [possible values:
                               auto, always, never]

    New here? Type `dwenv up`, and when it is done, `dwenv doctor`.
    ");
    assert_snapshot!(help(true), @r"
    Prepares your machine for a Docker workshop, and checks that it is ready

    Usage: dwenv [OPTIONS] <COMMAND>

    Commands:
      up           Start the box, set it up, and check that it is ready
      provision    Set the box up: install and configure what the workshop needs
      doctor       Check that everything is ready, and say how to mend what is not
      explain      Explain a check, a known failure, or an error that you paste
      init         Write the workshop's files into a folder, to read or to change
                   them
      lint         Look through a workshop's own files for what no longer works
      ssh          Log in to the box, or run a command there
      down         Stop the box; everything in it is kept
      destroy      Remove the box and everything in it
      targets      List the boxes that can be used here
      completions  Print a script that makes your shell complete dwenv's commands
      schema       Print the JSON Schema of a document that dwenv writes
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options for every command:
      -C <DIR>
              Work in this folder instead of the current one

          --config <FILE|URL>
              Read the workshop from this file or web address

              Default: `config.toml` in the folder; where there is none, the
              workshop that is built into dwenv.

          --target <TARGET>
              Use this box; can be given several times

              `vagrant[:MACHINE]`, `sandbox[:NAME]`, `ssh://USER@HOST[:PORT]`, a
              name from `~/.ssh/config`, or one from `[target.NAME]` in config.toml.
              Default: the box that was used last in this folder, else `vagrant`.

          --identity <FILE>
              Log in to the box with this private key

          --timeout <SECONDS>
              Give up on a box that has not let us in after so many seconds

              [default: 10]

          --format <FORMAT>
              How results are told; junit and markdown are for `doctor` only

              Possible values:
              - human:    Text for a person
              - json:     One JSON document for a program
              - junit:    JUnit's XML, for a build server
              - markdown: Markdown, to paste into a page or an issue

              [default: human]

      -y, --yes
              Answer every question with yes

      -v, --verbose
              Tell everything: all checks, commands and timings

      -q, --quiet
              Tell only results, warnings and errors

          --color <WHEN>
              When to use colours

              Possible values:
              - auto:   In a terminal that can show it
              - always: Everywhere, also in a file
              - never:  Nowhere

              [default: auto]

    Exit codes:
      0  Ready (warnings allowed), or done
      1  A check failed, or a change failed
      2  The command line or the configuration is wrong; nothing was touched
      3  Nothing failed, but something could not be determined: the box did not
         answer, refused the login or showed another host key
      4  Another run holds this box
      5  Interrupted: run it again
    ");
}

#[test]
fn the_exit_code_table_has_every_code() {
    let help = command().render_long_help().to_string();
    let table = help.split("Exit codes:").nth(1).unwrap();
    for code in [
        ExitCode::Ready,
        ExitCode::Failed,
        ExitCode::Usage,
        ExitCode::Undetermined,
        ExitCode::Locked,
        ExitCode::Interrupted,
    ] {
        assert!(table.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
    }
}

#[test]
fn a_box_that_does_not_come_up_says_why_under_its_own_heading() {
    let lost = Error::new(ErrorKind::Unreachable, "room-2 does not answer");
    let boxes = [
        ("sandbox".to_owned(), Ok(up())),
        ("ssh://anna@room-2".to_owned(), Err(lost)),
    ];
    assert_snapshot!(told(|out| human::up(out, &Style::PLAIN, &boxes, false)), @r"
    sandbox
    -------
    Done: 1 change made, the box is as declared.
    3 checks: 3 pass
    Ready for the workshop.
    The workshop's server answers at http://192.168.33.10:8080

    ssh://anna@room-2
    -----------------
    error: room-2 does not answer
    ");
    let json: serde_json::Value =
        serde_json::from_str(&document(|out| json::up(out, &boxes))).unwrap();
    assert_eq!(json["targets"][0]["target"], "sandbox");
    assert_eq!(json["targets"][1]["target"], "ssh://anna@room-2");
    assert_eq!(json["targets"][1]["error"]["kind"], "unreachable");
}

//! What `doctor` tells.

use std::time::Duration;

use dwenv::doctor::report::{By, Finding, Ignored, Remedy, Report, Scope, Status};
use dwenv::error::ExitCode;
use dwenv::output::human;
use dwenv::output::style::Style;
use insta::assert_snapshot;

use super::{ASCII, COLOR, shown, told};

pub fn finding(id: &str, title: &str, status: Status, summary: &str) -> Finding {
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

pub fn ssh() -> Finding {
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

pub fn all_pass() -> Report {
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

pub fn two_problems() -> Report {
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

pub fn unreachable() -> Report {
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

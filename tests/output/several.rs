//! What doctor tells of several targets.

use dwenv::doctor::report::{Report, Status};
use dwenv::output::human;
use dwenv::output::style::Style;
use insta::assert_snapshot;

use super::doctor::{all_pass, finding, two_problems, unreachable};
use super::told;

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

/// Forty boxes behind one switch that is off are one thing to read.
#[test]
fn targets_that_differ_by_their_names_alone_are_told_once() {
    let dead = |last: u8| {
        let target = format!("ssh://me@10.1.2.{last}");
        let summary = format!("{target} refuses connections: 10.1.2.{last} port 22 is closed");
        let title = "The box answers over SSH";
        let silent = finding("box.ssh", title, Status::Unknown, &summary);
        Report::new(&target, vec![silent])
    };
    let reports = [
        dead(3),
        Report::new("sandbox:a", all_pass().checks),
        dead(4),
        dead(5),
    ];
    let shown = told(|out| human::reports(out, &Style::PLAIN, &reports, false));
    assert_snapshot!(shown, @r"
    ssh://me@10.1.2.3
    -----------------
    ? unknown: The box answers over SSH [box.ssh]
        ssh://me@10.1.2.3 refuses connections: 10.1.2.3 port 22 is closed

    1 check: 1 unknown
    Could not tell: 1 check has no answer, start with [box.ssh] above.
    The same is so of 2 others: ssh://me@10.1.2.4, ssh://me@10.1.2.5

    Result     Target             Not passed  Start with  Mended by
    ? unknown  ssh://me@10.1.2.3  1 unknown   box.ssh
    ? unknown  ssh://me@10.1.2.4  1 unknown   box.ssh
    ? unknown  ssh://me@10.1.2.5  1 unknown   box.ssh
    ✓ ready    sandbox:a

    3 of 4 targets could not be judged: start with [box.ssh] of ssh://me@10.1.2.3
    above.
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

//! What keeps dwenv from its work: told as what it is, in time, and with nothing touched.

use std::net::TcpListener;

use dwenv::target::sandbox::Suite;

use crate::cutter::Cutter;
use crate::workbox::{Workbox, assert_untouched};

#[test]
fn a_box_that_cannot_be_reached_is_told_apart() {
    let it = Workbox::bare(Suite::Trixie);
    let address = it.address();
    let identity = it.machine().identity.display().to_string();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().expect("its address");
    let nobody = it.lab().address(99);
    for (target, message) in [
        (
            format!("ssh://vagrant@{address}:23"),
            "refuses connections: nothing listens on port 23",
        ),
        (
            format!("ssh://vagrant@{silent}"),
            "took the connection and stayed silent for 5s",
        ),
        (format!("ssh://vagrant@{nobody}"), "There is no route to"),
        (
            "ssh://vagrant@no-such-host.invalid".to_owned(),
            "the name \"no-such-host.invalid\" does not resolve",
        ),
        (
            format!("ssh://stranger@{address}"),
            "refused the login of stranger",
        ),
    ] {
        for command in ["doctor", "provision"] {
            let more = [
                "--target",
                &target,
                "--identity",
                &identity,
                "--timeout",
                "5",
            ];
            it.dwenv(&[&[command], &more[..]].concat())
                .exit(3)
                .says(message)
                .within(8);
        }
    }

    // Another key than the one on record: of a machine that was there, and of the sandbox.
    let target = format!("ssh://vagrant@{address}");
    let of_machine = ["doctor", "--target", &target, "--identity", &identity];
    it.dwenv(&of_machine).exit(1);
    it.doctor().exit(1);
    it.run("sudo sh -c 'rm /etc/ssh/ssh_host_* && ssh-keygen -q -t ed25519 -N \"\" -f /etc/ssh/ssh_host_ed25519_key && systemctl restart ssh'");
    it.dwenv(&of_machine)
        .exit(3)
        .says("The host key of")
        .says("has changed")
        .says("ssh-keygen -f");
    let pinned = it.provision();
    pinned
        .exit(3)
        .says("The host key of machine")
        .says("has changed");
    it.provision_as_json()
        .exit(3)
        .says("\"kind\": \"host_key\"");
}

#[test]
fn without_a_yes_and_while_another_run_holds_the_box_nothing_is_touched() {
    let it = Workbox::bare(Suite::Trixie);
    let before = it.fingerprint();
    for command in ["provision", "up"] {
        it.dwenv(&[command, "--target", "sandbox"])
            .exit(2)
            .says("nobody is there to say yes, so nothing was changed in the box");
    }
    it.dwenv(&["provision", "--plan", "--target", "sandbox"])
        .exit(0)
        .says("Nothing was changed");
    assert_untouched(&before, &it.fingerprint());

    it.run(
        "sudo systemd-run -q --unit=holder flock /run/dwenv.lock sh -c \
         'echo \"anna (dwenv, process 7) since noon\" >/run/dwenv.lock; sleep infinity' 2>&1",
    );
    it.await_in_box("[ -s /run/dwenv.lock ]");
    let before = it.fingerprint();
    let held = "another run holds this box: anna (dwenv, process 7) since noon";
    // Each waits for the same time, so all of them do it at once.
    let tried = [
        "provision --yes --target sandbox",
        "up --yes --target sandbox",
        "provision --yes --format json --target sandbox",
    ];
    let tried = tried.map(|line| it.start(&line.split(' ').collect::<Vec<_>>()));
    let [provision, up, document] = tried.map(|run| run.wait());
    provision.exit(4).says(held);
    up.exit(4).says(held);
    assert_eq!(document.exit(4).json()["error"]["kind"], "locked");
    // Looking is free.
    it.doctor().exit(1);
    assert_untouched(&before, &it.fingerprint());
}

#[test]
fn what_another_run_did_meanwhile_is_not_done_once_more() {
    let it = Workbox::provisioned(Suite::Trixie);
    it.run("sudo gpasswd -d vagrant docker");
    // Lets the box go once this run waits for it.
    it.run(
        "sudo systemd-run -q --unit=holder flock /run/dwenv.lock sh -c \
         'echo anna >/run/dwenv.lock; inode=$(stat -c %i /run/dwenv.lock); \
         until grep -q -e \"-> FLOCK.*:$inode \" /proc/locks; do sleep 0.1; done; \
         usermod -aG docker vagrant' 2>&1",
    );
    it.await_in_box("grep -q anna /run/dwenv.lock");
    let ran = it.provision();
    ran.exit(0)
        .says("Another run holds this box: anna")
        .says("Nothing to do")
        .never_says("Done:");
}

#[test]
fn whoever_asks_for_it_waits_for_the_box_as_long_as_that_takes() {
    let it = Workbox::provisioned(Suite::Trixie);
    it.run("sudo gpasswd -d vagrant docker");
    it.run(
        "sudo systemd-run -q --unit=holder flock /run/dwenv.lock sh -c \
         'echo \"anna (dwenv, process 7) since noon\" >/run/dwenv.lock; sleep infinity' 2>&1",
    );
    it.await_in_box("grep -q anna /run/dwenv.lock");
    let waiting = [
        "provision",
        "--yes",
        "--target",
        "sandbox",
        "--wait-lock",
        "10m",
    ];
    let mut patient = it.start(&waiting);
    patient.await_said("Another run holds this box: anna (dwenv, process 7) since noon");
    // Who came later and has no such patience is gone first.
    let brief = [&waiting[..5], &["1s"]].concat();
    it.dwenv(&brief)
        .exit(4)
        .says("another run holds this box: anna")
        .says("dwenv provision --target sandbox --wait-lock 10m");
    // Nor does who has had enough of waiting.
    let mut stopped = it.start(&waiting);
    stopped.await_said("Another run holds this box");
    stopped.interrupt();
    stopped.wait().exit(5).says("the run has stopped");
    it.run("sudo systemctl kill -s KILL holder");
    patient
        .wait()
        .exit(0)
        .says("Add vagrant to the group docker");
    it.doctor().ready();

    // A laptop that is asleep closes nothing, and gives no sign: its run is waited for all the same.
    it.run("sudo gpasswd -d vagrant docker");
    it.run(
        "printf '#!/bin/sh\nuntil [ -e /run/go ]; do sleep 0.1; done\nexec /usr/sbin/usermod \"$@\"\n' | \
         sudo install -m 755 /dev/stdin /usr/local/sbin/usermod",
    );
    let cutter = Cutter::before((it.address(), 22).into());
    let target = format!("ssh://vagrant@127.0.0.1:{}", cutter.port);
    let identity = it.machine().identity.display().to_string();
    let link = ["--target", &target, "--identity", &identity];
    let mut asleep = it.start(&[&["provision", "--yes"], &link[..]].concat());
    asleep.await_said("Add vagrant to the group docker");
    let age = "sudo sh -c 'touch -d \"2 minutes ago\" /run/dwenv/*/follow'";
    it.run(age);
    it.await_in_box("sudo find /run/dwenv -name follow -newermt '1 minute ago' | grep -q .");
    cutter.hold();
    asleep.kill();
    it.run(age);
    let mut next = it.start(&brief);
    next.await_said("An earlier run is still at work on this box, without its laptop");
    next.await_said("The other run: Add vagrant to the group docker");
    it.run("sudo touch /run/go");
    next.wait().exit(0).says("Nothing to do");
    drop(cutter);

    // When it is told that a run was stopped at once, nothing of it is at work any more.
    it.run("sudo gpasswd -d vagrant docker");
    it.run(
        "printf '#!/bin/sh\nend=; trap \"end=1\" TERM\ntouch /run/lingers\nuntil [ $end ]; do sleep 0.1; done\n\
         for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done\nrm /run/lingers\n' | \
         sudo install -m 755 /dev/stdin /usr/local/sbin/usermod",
    );
    let mut stopped = it.start(&["provision", "--yes", "--target", "sandbox"]);
    it.await_in_box("[ -e /run/lingers ]");
    stopped.interrupt_twice();
    stopped.wait().exit(5);
    it.run("[ ! -e /run/lingers ]");

    // A box that cannot be looked at afterwards hides no change that failed.
    it.run(
        "printf '#!/bin/sh\nmv /home/vagrant/.ssh /home/vagrant/away\necho no more users >&2\nexit 1\n' | \
         sudo install -m 755 /dev/stdin /usr/local/sbin/usermod",
    );
    let ran = it.provision_as_json();
    let error = &ran.exit(1).json()["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    assert!(
        text("message").starts_with("failed: Add vagrant to the group docker; 0 of 1"),
        "{error}"
    );
    assert!(text("cause").contains("no more users"), "{error}");
}

#[test]
fn what_was_interrupted_converges_when_it_is_run_again() {
    let it = Workbox::declared(Suite::Trixie);

    // While the machine is copied.
    let mut up = it.start(&["up", "--yes", "--target", "sandbox"]);
    let half = it.lab().folder().join("machines/.docker-workshop.new");
    up.await_that("makes a machine", |_| half.exists());
    up.interrupt();
    up.wait().exit(5).says("interrupted");

    // While apt reads its lists and says nothing, and while it installs: twice is at once, and the next run goes
    // on from there.
    it.start_machine();
    for moment in ["apt-get .*update", "dpkg .*--unpack"] {
        let mut up = it.start(&["up", "--yes", "--target", "sandbox"]);
        it.await_in_box(&format!("pgrep -f '^[^ ]*{moment}' >/dev/null"));
        up.interrupt_twice();
        up.wait().exit(5).says("Run the same command again");
    }
    // Once is after the step. Whether dpkg has to be finished before is up to the moment at which it was ended.
    let mut up = it.start(&["up", "--yes", "--target", "sandbox"]);
    up.await_said("Install ");
    up.interrupt();
    up.wait()
        .exit(5)
        .says("An earlier run was ended before its end: tester")
        .says("the run has stopped; ")
        .says("✓ Install docker-buildx,")
        .never_says("Add vagrant to the group docker...");
    it.up().exit(0).says("Ready for the workshop.");
    it.doctor().ready();
    assert_eq!(it.run("sudo dpkg --audit"), "");
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}

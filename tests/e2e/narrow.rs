//! A box that lets hardly anything through: one session at a time, no SFTP, shells that talk, no program where files
//! are put for a while, and an apt that others keep locked.

use dwenv::quote;
use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::running::Started;
use crate::workbox::Workbox;

/// The sshd, the login user's shell and the temporary folders of such a box.
const NARROW: &str = r#"
printf 'All access is logged.\n\n\n   *** KEEP OUT ***\n' >/etc/ssh/banner
printf 'MaxSessions 1\nBanner /etc/ssh/banner\n' >/etc/ssh/sshd_config.d/00-narrow.conf
sed -i '/^Subsystem/d' /etc/ssh/sshd_config
systemctl restart ssh
cat >/tmp/noise <<'END'
echo Welcome to this machine!
echo "No backup, no mercy" >&2
printf '\ndwenv-0 elevated 0 0 3\nyes'
umask 077
unset HOME
cd /
END
cat /tmp/noise /home/vagrant/.bashrc >/tmp/bashrc
cat /tmp/bashrc >/home/vagrant/.bashrc
for folder in /tmp /var/tmp /dev/shm /run/dwenv; do
  mkdir -p $folder
  mount -t tmpfs -o noexec,mode=1777 narrow $folder
done
"#;

/// Takes a lock as apt does, under a name that everybody knows, and says who has it.
const HOLDER: &str = r#"
cat >/usr/local/sbin/hold <<'END'
#!/usr/bin/perl
use Fcntl;
my ($lock, $told) = @ARGV;
$0 = "unattended-upgr";
open my $file, "+>>", $lock or die;
my $whole = pack "ssx4qqlx4", F_WRLCK, 0, 0, 0, 0;
fcntl $file, F_SETLKW, $whole or die;
open my $say, ">", $told or die;
print {$say} "$$";
close $say;
sleep;
END
chmod 755 /usr/local/sbin/hold
"#;

/// Has dpkg's lock taken the next time that apt has read its lists, and apt go on only then.
const TAKE_THE_OTHER: &str = r#"
cat >/usr/local/sbin/hold-frontend <<'END'
#!/bin/sh
rm /etc/apt/apt.conf.d/99hold
systemd-run -q --unit=holder --collect hold /var/lib/dpkg/lock-frontend /var/lib/held.frontend
until [ -s /var/lib/held.frontend ]; do sleep 0.05; done
END
chmod 755 /usr/local/sbin/hold-frontend
echo 'APT::Update::Post-Invoke { "hold-frontend"; };' >/etc/apt/apt.conf.d/99hold
"#;

/// The details of all progress until now, in which the holder is named.
fn named(run: &Started, pid: u32) -> Vec<String> {
    let told = run.told_so_far();
    let events = told
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let details = events.filter(|event: &Value| event["event"] == "step_progress");
    details
        .filter_map(|event| event["detail"].as_str().map(str::to_owned))
        .filter(|detail| detail.contains("unattended-upgr") && detail.contains(&pid.to_string()))
        .collect()
}

#[test]
fn a_bare_box_that_lets_hardly_anything_through_is_made_ready() {
    let it = Workbox::bare(Suite::Trixie);
    in_box(&it, NARROW);
    let sshd = it.run("sudo sshd -T");
    assert!(sshd.contains("maxsessions 1\n"), "{sshd}");
    assert!(!sshd.contains("subsystem"), "{sshd}");

    apt_is_locked_by_others(&it);
    it.dwenv(&["up", "--yes", "--target", "sandbox"])
        .exit(0)
        .says("Ready for the workshop.")
        .says("Nothing to do");
    it.doctor().ready();
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    it.run("[ -z \"$(sudo dpkg --audit)\" ]");

    // The second exec of a diagnosis waits for the end of the first, and what is found is mended.
    let rows = it.post("A row of an attendee");
    in_box(
        &it,
        "systemctl stop docker-workshop; rm /home/vagrant/docker-workshop/server.py",
    );
    it.dwenv(&["doctor", "-v", "--target", "sandbox"])
        .exit(1)
        .says("[box.server.files]")
        .says("handshakes 1, execs 2, tunnels")
        .never_says("KEEP OUT");
    it.provision().exit(0).never_says("mercy");
    it.dwenv(&["doctor", "-v", "--target", "sandbox"])
        .exit(0)
        .says("handshakes 1, execs 1, tunnels");
    assert_eq!(it.rows(), rows);

    // Where Docker cannot be asked, nobody says that it is ill.
    in_box(
        &it,
        "echo 'AllowStreamLocalForwarding no' >>/etc/ssh/sshd_config.d/00-narrow.conf; systemctl restart ssh",
    );
    let asked = it.doctor();
    let docker = asked.exit(3).check("box.docker.daemon");
    assert_eq!(docker.status, "unknown");
    assert_eq!(
        docker.summary,
        "docker.service runs, but /etc/ssh/sshd_config.d/00-narrow.conf has `AllowStreamLocalForwarding no`, so \
         nobody can ask it over SSH"
    );
    for command in &docker.commands {
        it.type_in(command).expect("what is printed can be typed");
    }
    it.doctor().ready();
}

/// Two locks, and somebody who holds each: one before the run begins, one between two steps of apt's own.
fn apt_is_locked_by_others(it: &Workbox) {
    in_box(it, HOLDER);
    in_box(it, TAKE_THE_OTHER);
    it.run("sudo systemd-run -q --unit=holder --collect hold /var/lib/apt/lists/lock /var/lib/held.lists 2>&1");
    it.await_in_box("[ -s /var/lib/held.lists ]");
    let pid = holder(it, "lists");
    let mut run = it.start(&[
        "provision",
        "--yes",
        "--format",
        "ndjson",
        "--target",
        "sandbox",
    ]);
    run.await_that("names who holds apt's lists", |run| {
        !named(run, pid).is_empty()
    });
    it.run("sudo systemctl stop holder");

    // dpkg's lock is taken when the lists are read and nothing is installed yet.
    it.await_in_box("[ -s /var/lib/held.frontend ]");
    let pid = holder(it, "frontend");
    run.await_that("names who holds dpkg's lock", |run| {
        !named(run, pid).is_empty()
    });
    let before = named(&run, pid).len();
    // As long as an update of the box takes: somebody who watches is told again and again.
    it.run("sleep 30");
    let since = named(&run, pid).len() - before;
    assert!(since > 3, "told {since} times in 30 s");
    it.run("sudo systemctl stop holder");
    run.wait().exit(0);
}

/// Who holds it: the box's shells talk, so its file is read from here.
fn holder(it: &Workbox, lock: &str) -> u32 {
    let told = std::fs::read_to_string(it.root().join(format!("var/lib/held.{lock}")));
    told.expect("a file").parse().expect("a process id")
}

/// Runs a script in the box as root.
fn in_box(it: &Workbox, script: &str) {
    it.run(&format!("sudo sh -euc {} 2>&1", quote::sh(script)));
}

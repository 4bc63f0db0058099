//! A box in which the usual is not there, or does not end: unknown or the right cause, never a wrong verdict.

use dwenv::target::sandbox::Suite;

use crate::running::Ran;
use crate::workbox::Workbox;

/// The checks that neither passed nor were skipped, as `STATUS ID`.
fn wrong(ran: &Ran) -> Vec<String> {
    let document = ran.json();
    let checks = document["checks"].as_array().expect("checks").iter();
    let told = checks.map(|check| {
        let text = |name: &str| check[name].as_str().expect("a text").to_owned();
        (text("status"), text("id"))
    });
    told.filter(|(status, _)| status != "pass" && status != "skip")
        .map(|(status, id)| format!("{status} {id}"))
        .collect()
}

#[test]
fn what_is_missing_in_a_box_is_never_a_wrong_verdict() {
    let it = Workbox::provisioned(Suite::Trixie);
    let healthy = it.dwenv(&["doctor", "-v", "--target", "sandbox"]);
    healthy.exit(0).says("handshakes 1, execs 1, tunnels");

    for (what, inject, undo, expected) in [
        (
            "no ss",
            "sudo mv /usr/bin/ss /usr/bin/ss.away",
            "sudo mv /usr/bin/ss.away /usr/bin/ss",
            &["unknown box.port.5432", "unknown box.port.8080"][..],
        ),
        (
            "no psql",
            "for file in /usr/lib/postgresql/*/bin/psql; do sudo mv $file $file.away; done",
            "for file in /usr/lib/postgresql/*/bin/psql.away; do sudo mv $file ${file%.away}; done",
            &["unknown box.postgres.data"],
        ),
        (
            "no dbus",
            "sudo systemctl stop dbus.socket dbus.service 2>&1",
            "sudo systemctl start dbus.socket",
            &[],
        ),
        (
            "a full disk",
            "sudo mount -t tmpfs -o size=128M small /mnt && sudo cp -a /var/lib/postgresql/. /mnt && \
             sudo mount --bind /mnt /var/lib/postgresql",
            "sudo umount -l /var/lib/postgresql /mnt",
            &["fail box.disk"],
        ),
        (
            "a login shell that prints megabytes",
            "sed -i '1i head -c 5000000 /dev/zero | tr \"\\\\0\" x; head -c 3000000 /dev/zero >\\&2' ~/.bashrc",
            "sed -i 1d ~/.bashrc",
            &[],
        ),
        (
            "no commands of apt",
            "sudo mv /usr/bin/apt-get /usr/bin/apt-get.away; sudo systemctl stop docker-workshop",
            "sudo mv /usr/bin/apt-get.away /usr/bin/apt-get; sudo systemctl start docker-workshop",
            &["unknown box.apt.sources", "fail box.server.unit"],
        ),
    ] {
        println!("--- {what}");
        it.run(inject);
        let seen = wrong(&it.doctor());
        it.run(undo);
        assert_eq!(seen, expected, "{what}");
    }
    it.await_in_box("ss -Hltn 'sport = :8080' | grep -q .");
    it.doctor().ready();
}

/// After a failure there is a second exec. What hangs in it costs its own check, and nothing in the box
/// is changed by asking.
#[test]
fn a_diagnosis_takes_one_exec_more_and_may_hang() {
    let it = Workbox::provisioned(Suite::Trixie);
    it.run("sudo systemctl stop docker-workshop");
    let before = it.fingerprint();
    let seen = it.dwenv(&["doctor", "-v", "--target", "sandbox"]);
    seen.exit(1).says("handshakes 1, execs 2, tunnels");
    crate::workbox::assert_untouched(&before, &it.fingerprint());
    assert_eq!(wrong(&it.doctor()), ["fail box.server.unit"]);

    it.run(
        "printf '#!/bin/sh\\nsleep 600\\n' | sudo tee /usr/local/sbin/apt-get >/dev/null && \
         sudo chmod 755 /usr/local/sbin/apt-get",
    );
    let seen = it.doctor();
    seen.within(28);
    assert_eq!(
        wrong(&seen),
        ["warn box.apt.sources", "fail box.server.unit"]
    );
    assert_eq!(it.run("pgrep -fc '[s]leep 600' || true"), "0");
    assert_eq!(it.run("ls -d /run/dwenv.*/ 2>/dev/null || true"), "");
}

/// A box that has just booted may be too busy to answer in time.
#[test]
fn what_was_not_answered_in_time_is_asked_once_more() {
    let it = Workbox::provisioned(Suite::Trixie);
    it.run("sudo gpasswd -d vagrant docker");
    it.run(
        "printf '#!/bin/sh\nif mkdir /tmp/was-slow 2>/dev/null; then sleep 60; fi\nexec /usr/bin/dpkg-query \"$@\"\n' | \
         sudo install -m 755 /dev/stdin /usr/local/bin/dpkg-query",
    );
    it.provision()
        .exit(0)
        .says("The box did not answer everything in time; it is asked once more")
        .says("the box is as declared");
}

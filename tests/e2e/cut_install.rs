//! A run that ends while packages are written: the next one finishes them, and nothing of what was stored is lost.

use std::thread;
use std::time::Instant;

use dwenv::target::sandbox::Suite;

use crate::cut::{random, seeds};
use crate::workbox::Workbox;

/// What stands in the box while its packages are written, seen from outside.
const UNSYNCED: &str = "var/lib/dwenv/unsynced";
const POLICY: &str = "usr/sbin/policy-rc.d";
const NEW_CLUSTER: &str = "etc/postgresql-common/createcluster.d/dwenv.conf";

/// Which packages there are and in what state, and what of their files is not as they brought it.
const PACKAGES: &str = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'; sudo dpkg --verify; sudo dpkg --audit";

/// What ends a run while it installs.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Ctrl-C, twice.
    Person,
    /// The laptop is gone, and the box goes on alone.
    Laptop,
    Power,
}

#[test]
fn an_installation_that_is_ended_at_any_moment_is_finished_by_the_next_run() {
    let up = ["up", "--yes", "--target", "sandbox"];
    let it = Workbox::bare(Suite::Trixie);
    let mut run = it.start(&up);
    run.await_said("Install ");
    let began = Instant::now();
    run.await_said("✓ Install ");
    let whole = began.elapsed();
    run.wait().exit(0);
    let uncut = it.run(PACKAGES);
    drop(it);
    let ways = [By::Person, By::Laptop, By::Power].into_iter().cycle();
    for (seed, by) in (0..seeds().div_ceil(7)).zip(ways) {
        let at = whole.mul_f64(0.8 * (random(seed) % 1000) as f64 / 1000.0);
        let what = format!("ended by {by:?} after {at:?} of {whole:?}");
        println!("{what}");
        let it = Workbox::bare(Suite::Trixie);
        let mut run = it.start(&up);
        run.await_said("Install ");
        thread::sleep(at);
        match by {
            By::Person => {
                run.interrupt_twice();
                run.wait().exit(5);
            }
            By::Laptop => run.kill(),
            By::Power => {
                it.lab().cut_power();
                run.kill();
                it.start_machine();
            }
        }
        it.up().exit(0).says("Ready for the workshop.");
        it.doctor().ready();
        assert_eq!(it.run(PACKAGES), uncut, "{what}");
    }
}

/// The power goes while packages are written: dpkg believes that they are there, and their files may be empty.
#[test]
fn a_box_that_loses_its_power_while_packages_are_written_has_them_written_again() {
    let it = Workbox::bare(Suite::Trixie);
    let run = it.start(&["up", "--yes", "--target", "sandbox"]);
    let cluster = "/var/lib/postgresql/*/main/PG_VERSION";
    it.await_in_box(&format!(
        "sudo sh -c 'test -s {cluster}' && sudo pkill -STOP -x dpkg"
    ));
    it.lab().cut_power();
    run.kill();
    let file = |path: &str| it.root().join(path);
    assert!(file(UNSYNCED).exists());
    // How new clusters are made meanwhile; one that somebody makes later is to be synced.
    assert!(file(NEW_CLUSTER).exists() && file(POLICY).exists());
    // What a disk may make of it. The container's killed processes had written it all.
    for path in ["usr/bin/containerd", "usr/sbin/dockerd"] {
        // A new file: a process that was killed may not have ended, and has the old one open.
        let lost = file(&format!("{path}.lost"));
        let zeros = std::fs::File::create(&lost).expect("a file");
        zeros.set_len(4096).expect("zeros");
        std::fs::rename(lost, file(path)).expect("a file of a package");
    }
    it.start_machine();
    it.doctor()
        .exit(1)
        .check("box.apt.dpkg")
        .summary
        .find("was cut short")
        .expect("the cause");
    it.up().exit(0).says("Ready for the workshop.");
    it.doctor().ready();
    assert!(!file(UNSYNCED).exists());
    assert!(!file(NEW_CLUSTER).exists() && !file(POLICY).exists());
    assert_eq!(
        it.run("sudo dpkg --verify docker.io containerd; sudo dpkg --audit"),
        ""
    );
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
    it.provision().exit(0).says("Nothing to do");
    a_cluster_in_use_outlives_that(&it);
}

/// The same once attendees have stored something, and with a cluster that looks as if it was just made.
fn a_cluster_in_use_outlives_that(it: &Workbox) {
    let rows = it.post("A row of an attendee");
    it.run("sudo apt-get -qq -y purge docker-compose docker-buildx >/dev/null 2>&1");
    // Somebody's own say in what starts: it stays.
    let own = "printf '#!/bin/sh\\nexit 104\\n' | sudo install -m 755 /dev/stdin /usr/sbin/policy-rc.d; \
               sha256sum /usr/sbin/policy-rc.d";
    let own = it.run(own);
    let run = it.start(&["up", "--yes", "--target", "sandbox"]);
    it.await_in_box("[ -e /var/lib/dwenv/unsynced ] && sudo pkill -STOP -x dpkg");
    it.run("sudo sh -c 'touch /var/lib/postgresql/*/main/PG_VERSION'");
    it.lab().cut_power();
    run.kill();
    assert!(it.root().join(UNSYNCED).exists());
    it.start_machine();
    it.up().exit(0).says("Ready for the workshop.");
    assert_eq!(it.rows(), rows);
    assert!(!it.root().join(UNSYNCED).exists());
    assert_eq!(it.run("sha256sum /usr/sbin/policy-rc.d"), own);
}

#[test]
fn a_cluster_that_was_half_made_is_made_again() {
    let it = Workbox::bare(Suite::Trixie);
    let mut run = it.start(&["up", "--yes", "--target", "sandbox"]);
    it.await_in_box("sudo pkill -STOP -x initdb");
    run.interrupt_twice();
    run.wait().exit(5);
    it.doctor().exit(1).check("box.apt.dpkg");
    it.up().exit(0).says("Ready for the workshop.");
    it.doctor().ready();
    assert_eq!(it.rows(), [(1, "Hello World".to_owned())]);
}

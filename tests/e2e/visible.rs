//! What is seen of a run while it works, where it fails, and where somebody stops it.

use std::net::TcpListener;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::json_schema;
use crate::support::{names_in, said};
use crate::terminal::Terminal;
use crate::workbox::{Workbox, assert_untouched};

/// Holds dpkg's lock until its unit is stopped.
const HOLD_LOCK: &str = "sudo systemd-run -q --unit=holder python3 -c '
import fcntl, time
lock = open(\"/var/lib/dpkg/lock-frontend\", \"w\")
fcntl.lockf(lock, fcntl.LOCK_EX)
open(\"/run/held\", \"w\").close()
time.sleep(3600)' 2>&1";

#[test]
fn a_step_that_fails_is_told_with_its_command_its_last_lines_the_cause_and_a_remedy() {
    let it = Workbox::provisioned(Suite::Trixie);
    // Nothing can be put in the place of a file on which something is mounted.
    it.run("sudo gpasswd -d vagrant docker && sudo mount --bind /etc/group /etc/group");
    let log = it.folder().join("run.log").display().to_string();
    let failed = it.dwenv(&["provision", "--yes", "--log", &log]);
    failed
        .exit(1)
        .says("failed: Add vagrant to the group docker [box.docker.group] ended with status 10: usermod: ")
        .says("Command: usermod -aG docker vagrant")
        .says("1 change failed: mend the cause above");
    let logged = crate::support::run("cat", &[&log]);
    for words in [
        "sandbox $ usermod -aG docker vagrant\n",
        "sandbox failed: Add vagrant to the group docker: ended with status 10:\n",
        "sandbox command: usermod -aG docker vagrant\n",
    ] {
        assert!(logged.contains(words), "{words}\n{logged}");
    }
    it.run("sudo umount /etc/group");

    // A cause that is known, for a person and for programs.
    it.run("sudo mount -t tmpfs -o size=4k,mode=755 small ~/docker-workshop && sudo chown vagrant: ~/docker-workshop");
    let full = it.dwenv(&["provision", "--yes", "-v"]);
    full.exit(1)
        .says("$ usermod -aG docker vagrant")
        .says("done: Add vagrant to the group docker")
        .says("No space left on device")
        .says("Cause: The box's disk is full. [box-disk-full]")
        .says("dwenv ssh --target sandbox -- df -h / /var");
    let json = it
        .dwenv(&["provision", "--yes", "--format", "json"])
        .exit(1)
        .json();
    let failed = |change: &&Value| change["status"]["state"] == "failed";
    let changes = json["changes"].as_array().expect("changes");
    let status = &changes.iter().find(failed).expect("a failure")["status"];
    assert_eq!(status["known"]["id"], "box-disk-full");
    let events = it.dwenv(&["provision", "--yes", "--format", "ndjson"]);
    let schema = it.dwenv(&["schema", "events"]).json();
    let lines = events.exit(1).out.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for line in &lines {
        assert_eq!(json_schema::fault(&schema, line), None);
    }
    let event = lines.iter().find(|line| line["event"] == "step_failed");
    assert_eq!(event.expect("a failure")["known"], status["known"]);
    it.run("sudo umount ~/docker-workshop");
    it.provision().exit(0);
    it.doctor().ready();
}

#[test]
fn a_room_that_is_stopped_begins_with_no_further_box() {
    let it = Workbox::provisioned(Suite::Trixie);
    let second = it.lab().up(&it.lab().spec("second", 20));
    it.run("sudo apt-get remove -qq docker-buildx >/dev/null 2>&1");
    it.run(HOLD_LOCK);
    it.await_in_box("[ -e /run/held ]");

    let room = [
        "--target",
        "sandbox",
        "--target",
        "sandbox:second",
        "--jobs",
        "1",
    ];
    let mut ran = it.start(&[&["provision", "--yes", "-v"], &room[..]].concat());
    ran.await_said("sandbox: Wait until apt is free");
    ran.interrupt();
    ran.await_said("Stopping after this step");
    it.run("sudo systemctl stop holder");
    let ran = ran.wait();
    ran.exit(5)
        .says("sandbox: Wait until apt is free (")
        .says("the run has stopped; 1 of 2 changes were made")
        .says("sandbox:second not tried: you stopped the run.")
        .never_says("sandbox: Install docker-buildx...");
    assert_eq!(said(&second, "ls -d /run/dwenv* 2>/dev/null || true"), "");

    // Only these are left to do; to look at a plan does none of it.
    for _ in 0..2 {
        let again = it.dwenv(&["provision", "--plan", "--limit", "failed"]);
        again
            .exit(0)
            .says("1 change to make on sandbox")
            .says("to make on sandbox:second");
    }

    // Nor once one has failed whose plan somebody has agreed to.
    it.run("sudo mount -t tmpfs -o ro tmpfs /var/cache/apt/archives");
    let command = it.command(&[&["provision", "--max-fail", "1"], &room[..]].concat());
    let mut terminal = Terminal::start(command);
    let left = terminal
        .await_shown("Do this now on 2 of 2 boxes? [y/N]")
        .type_in("y\n")
        .left();
    assert_eq!(left.code, Some(1), "{}", left.shown);
    let shown = left.shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        shown.contains("not tried: 1 of the other boxes had failed"),
        "{shown}"
    );
    // The command that failed is the one that is named, whatever was asked behind it.
    assert!(shown.contains("apt-get -q -y"), "{shown}");
    // No package was begun with, so nothing is left half installed.
    it.run("! sudo test -e /var/lib/dwenv/unsynced");
    it.dwenv(&["doctor", "--only", "box.apt.dpkg", "--target", "sandbox"])
        .exit(0);
}

#[test]
fn no_box_is_made_once_too_many_have_failed() {
    let it = Workbox::declared(Suite::Trixie);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its number").port();
    drop(listener);
    let failing = format!("ssh://nobody@127.0.0.1:{port}");
    let ran = it.dwenv(&[
        "up",
        "--max-fail",
        "1",
        "--target",
        &failing,
        "--target",
        "sandbox:first",
        "--target",
        "sandbox:second",
    ]);
    // Boxes are made one after the other: who waited for that looks once more. (Nobody says yes to what they need.)
    ran.says("not tried: 1 of the other boxes had failed (--max-fail 1)");
    let made = names_in(&it.lab().folder().join("machines"));
    assert!(made.len() <= 1, "{made:?}");
}

#[test]
fn a_plan_tells_versions_and_sizes_as_soon_as_apt_knows_them() {
    let it = Workbox::bare(Suite::Trixie);
    let plan = ["provision", "--plan", "--diff", "--target", "sandbox"];
    let json = [&plan[..], &["--format", "json"]].concat();
    let before = it.fingerprint();
    it.dwenv(&[&plan[..], &["-v"]].concat())
        .exit(0)
        .says("1. Install docker-buildx, ")
        .says("Versions and sizes are not known: apt has no lists of packages there yet")
        .says("handshakes 1, execs 2, tunnels");
    assert_untouched(&before, &it.fingerprint());

    it.run("sudo apt-get update -qq && sudo rm -f /var/cache/apt/*.bin");
    let before = it.fingerprint();
    let told = it.dwenv(&plan);
    let document = it.dwenv(&json).exit(0).json();
    assert_untouched(&before, &it.fingerprint());
    let packages = &document["changes"][0]["packages"];
    let changes = packages["changes"].as_array().expect("packages");
    let of = |name: &str| {
        let named = |change: &&Value| change["name"] == name;
        changes
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("no {name}"))
    };
    // As apt-get itself says; its own caches are not looked at.
    let candidate = it.run("apt-cache policy docker.io | sed -n 's/ *Candidate: //p'");
    let docker = of("docker.io");
    assert_eq!(docker["from"], Value::Null);
    assert_eq!(docker["to"], candidate.as_str());
    let said = it.run(
        "apt-get -s --no-install-recommends install docker-buildx docker-cli docker-compose docker.io \
         postgresql python3 python3-psycopg | grep -c ^Inst",
    );
    assert_eq!(changes.len().to_string(), said);
    let bytes = packages["download_bytes"].as_u64().expect("bytes");
    told.exit(0)
        .says(&format!(
            "{said} packages: {} MB to download, ",
            bytes / 1_000_000
        ))
        .says(&format!("docker.io {candidate}"));

    // What is fetched then is what was told; an older one is an upgrade.
    let provisioned = it.provision();
    provisioned.exit(0);
    let fetched = it.run("sudo cat /var/cache/apt/archives/*.deb 2>/dev/null | wc -c");
    assert!(
        ["0".to_owned(), bytes.to_string()].contains(&fetched),
        "{fetched} of {bytes}"
    );
    assert_eq!(it.run("dpkg-query -W -f='${Version}' docker.io"), candidate);
    it.dwenv(&[&plan[..], &["-v"]].concat())
        .exit(0)
        .says("Nothing to do")
        .says("handshakes 1, execs 1, tunnels");
}

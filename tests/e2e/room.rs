//! Many boxes in one run: each for itself, and one summary in their order.

use std::collections::BTreeMap;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::cutter::Cutter;
use crate::json_schema;
use crate::seats::of_copies;
use crate::support::{run, said};
use crate::workbox::Workbox;

/// How many names the room has: a box that is slow, seventeen that are well, one whose disk is full, and one more
/// name behind which nobody answers.
const NAMES: usize = 20;
const SEATS: u8 = 19;

/// A room of machines that nobody has provisioned, and the link to the slow one.
fn room() -> (Workbox, Cutter) {
    let it = Workbox::stocked(Suite::Trixie);
    let seats = of_copies(it.lab(), &it.machine(), SEATS);
    let [.., slow, full] = &seats[..] else {
        panic!("{} seats", seats.len());
    };
    said(
        full,
        "sudo systemctl stop docker.socket docker && sudo mount -t tmpfs -o size=64M small /var/lib/docker",
    );
    let link = Cutter::before((slow.spec.address, slow.port).into());
    it.declare(&format!(
        "[room]\ntargets = [\"slow\", \"sandbox:seat-[01-17,19]\", \"empty\"]\n\
         [target.slow]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nidentity = \"{}\"\n\
         [target.empty]\nhost = \"{}\"\nuser = \"vagrant\"\n",
        link.port,
        slow.spec.user,
        slow.identity.display(),
        it.lab().address(200)
    ));
    (it, link)
}

/// The lines of the table, as `SYMBOL TARGET`.
fn table(told: &str) -> Vec<String> {
    let from = told.rfind("Target ").map_or("", |at| &told[at..]);
    from.lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with("   "))
        .map(|line| {
            line.split_whitespace()
                .take(2)
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

fn events(told: &str) -> Vec<Value> {
    let lines = told.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// How each box of the events ended.
fn ends(events: &[Value]) -> BTreeMap<String, u64> {
    let ended = events
        .iter()
        .filter(|event| event["event"] == "box_finished");
    let pair = |event: &Value| {
        let target = event["target"].as_str()?.to_owned();
        Some((target, event["exit_code"].as_u64()?))
    };
    ended.filter_map(pair).collect()
}

#[test]
fn neither_a_dead_box_nor_a_full_or_a_slow_one_keeps_the_others_waiting() {
    let (it, link) = room();

    // Nothing is touched without a yes, and each seat is told once.
    let plan = it.dwenv(&[
        "provision",
        "--plan",
        "--target",
        "room",
        "--timeout",
        "60s",
    ]);
    plan.exit(3).says("6 changes to make on each of 18 targets");
    let mut expected = vec!["\u{2192} slow".to_owned()];
    expected.extend((1..=17).map(|seat| format!("\u{2192} sandbox:seat-{seat:02}")));
    expected.push("\u{2717} sandbox:seat-19".to_owned());
    expected.push("? empty".to_owned());
    assert_eq!(table(&plan.out), expected);
    let asked = it.dwenv(&["provision", "--target", "room", "--timeout", "60s"]);
    asked.exit(2).says("nobody is there to say yes");
    let doctor = it.dwenv(&[
        "doctor",
        "--target",
        "room",
        "--format",
        "json",
        "--timeout",
        "60s",
    ]);
    doctor.exit(1);
    let reports = doctor.json();
    let reports = reports["targets"].as_array().expect("reports");
    assert_eq!(reports.len(), NAMES);
    let failed = |report: &Value| -> Vec<String> {
        let checks = report["checks"].as_array().expect("checks");
        let wrong = |check: &&Value| check["status"] == "fail" || check["status"] == "unknown";
        let ids = checks
            .iter()
            .filter(wrong)
            .map(|check| check["id"].as_str().expect("an id"));
        ids.map(str::to_owned).collect()
    };
    assert_eq!(failed(&reports[18])[0], "box.disk");
    assert_eq!(failed(&reports[19]), ["box.ssh"]);

    // All at once: the slow one's link lets nothing through until every other box has ended.
    link.hold();
    let log = it.folder().join("room.log").display().to_string();
    let mut working = it.start(&[
        "provision",
        "--yes",
        "--format",
        "ndjson",
        "--log",
        &log,
        "--target",
        "room",
        "--timeout",
        "300s",
    ]);
    working.await_that("ends with all but the slow box", |run| {
        ends(&events(&run.told_so_far())).len() == NAMES - 1
    });
    assert!(!ends(&events(&working.told_so_far())).contains_key("slow"));
    link.release();
    let ran = working.wait();
    ran.exit(1);
    let schema: Value =
        serde_json::from_str(&it.dwenv(&["schema", "events"]).out).expect("a schema");
    let lines = events(&ran.out);
    for line in &lines {
        assert_eq!(json_schema::fault(&schema, line), None);
    }
    assert_eq!(lines.len(), ran.out.lines().count());
    assert_eq!(lines[0]["event"], "run_started");
    assert_eq!(lines[0]["targets"].as_array().map(Vec::len), Some(NAMES));
    let last = lines.last().expect("lines");
    assert_eq!(last["event"], "result");
    let targets = last["document"]["targets"].as_array();
    assert_eq!(targets.map(Vec::len), Some(NAMES));
    for (target, code) in ends(&lines) {
        let expected = match target.as_str() {
            "sandbox:seat-19" => 1,
            "empty" => 3,
            _ => 0,
        };
        assert_eq!(code, expected, "{target}");
    }
    let logged = run("cat", &[&log]);
    for words in [
        "sandbox:seat-02 done: Create the role ",
        "empty ends with 3 after ",
        " sandbox:seat-19 ends with 1 ",
    ] {
        assert!(logged.contains(words), "{words}");
    }
    // Each line with its time, to the millisecond.
    let is_time = |line: &str| {
        let time = line.split(' ').next().unwrap_or_default();
        time.len() == "2026-11-28T01:50:12.398Z".len() && time.ends_with('Z')
    };
    assert!(logged.lines().all(is_time));

    // What failed is tried again, and only that; one that is well is asked in one exec.
    let again = it.dwenv(&[
        "provision",
        "--yes",
        "--limit",
        "failed",
        "--timeout",
        "60s",
    ]);
    again.exit(1);
    assert_eq!(table(&again.out), ["\u{2717} sandbox:seat-19", "? empty"]);
    let well = it.dwenv(&["provision", "-v", "--target", "sandbox:seat-[01-17]"]);
    well.exit(0).says("All 17 targets ended well.");
    assert_eq!(
        well.err.matches("handshakes 1, execs 1, tunnels").count(),
        17
    );

    // The run is broken off where too many have failed.
    let whole = "doctor --target sandbox:seat-01 --target empty --jobs 1 --timeout 60s";
    it.dwenv(&whole.split(' ').collect::<Vec<_>>()).exit(3);
    let broken = |command: &str| {
        let options = "--jobs 1 --max-fail 1 --timeout 60s";
        let boxes = "--target empty --target sandbox:seat-[04-05]";
        let all = format!("{command} {options} {boxes}");
        let ran = it.dwenv(&all.split(' ').collect::<Vec<_>>());
        ran.exit(3)
            .says("not tried: 1 of the other boxes had failed (--max-fail 1)");
        ran
    };
    assert_eq!(table(&broken("provision --yes").out).len(), 3);
    broken("doctor").says("? unknown sandbox:seat-05 1 unknown box.ssh");
    broken("doctor --fix --yes");
}

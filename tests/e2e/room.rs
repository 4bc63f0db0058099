//! Many boxes in one run: each for itself, and one summary in their order.

use std::time::Instant;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::json_schema;
use crate::support::{run, said};
use crate::workbox::Workbox;

/// How many seats the room has; the last two are never well.
const SEATS: u8 = 20;

/// A room of bare machines. On the last of them no disk has room, and behind one more name nobody answers.
fn room() -> Workbox {
    let it = Workbox::declared(Suite::Trixie);
    let seats = SEATS - 1;
    std::thread::scope(|scope| {
        for half in 0..2 {
            let it = &it;
            scope.spawn(move || {
                for seat in (1..=seats).filter(|seat| seat % 2 == half) {
                    let name = format!("seat-{seat:02}");
                    it.lab().up(&it.lab().spec(&name, 10 + seat));
                }
            });
        }
    });
    let full = it.lab().store.find(&format!("seat-{seats:02}"));
    let Ok(Some(dwenv::target::sandbox::State::Running(full))) = full else {
        panic!("the last seat does not run");
    };
    said(
        &full,
        "sudo mkdir /var/lib/docker; sudo mount -t tmpfs -o size=64M small /var/lib/docker",
    );
    it.declare(&format!(
        "[room]\ntargets = [\"sandbox:seat-[01-{seats}]\", \"empty\"]\n\
         [target.empty]\nhost = \"{}\"\nuser = \"vagrant\"\n",
        it.lab().address(200)
    ));
    it
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

#[test]
fn one_dead_box_and_a_full_one_keep_nobody_waiting() {
    let it = room();

    // Nothing is touched without a yes, and each seat is told once.
    let plan = it.dwenv(&[
        "provision",
        "--plan",
        "--target",
        "room",
        "--timeout",
        "60s",
    ]);
    plan.exit(3).says("7 changes to make on each of 18 targets");
    let mut expected: Vec<String> = (1..SEATS)
        .map(|seat| format!("\u{2192} sandbox:seat-{seat:02}"))
        .collect();
    expected[usize::from(SEATS) - 2] = "\u{2717} sandbox:seat-19".to_owned();
    expected.push("? empty".to_owned());
    assert_eq!(table(&plan.out), expected);
    let asked = it.dwenv(&["provision", "--target", "room", "--timeout", "60s"]);
    asked.exit(2).says("nobody is there to say yes");
    let began = Instant::now();
    let doctor = it.dwenv(&[
        "doctor",
        "--target",
        "room",
        "--format",
        "json",
        "--timeout",
        "60s",
    ]);
    println!("doctor of {SEATS} boxes took {:?}", began.elapsed());
    doctor.exit(1);
    let reports = doctor.json();
    let reports = reports["targets"].as_array().expect("reports");
    assert_eq!(reports.len(), usize::from(SEATS));
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

    // Three seats, the full one and the empty one: events for a program, a log, and the summary.
    let log = it.folder().join("room.log").display().to_string();
    let some = [
        "--target",
        "sandbox:seat-[01-03,19]",
        "--target",
        "empty",
        "--timeout",
        "60s",
    ];
    let run_ = [
        &["provision", "--yes", "--format", "ndjson", "--log", &log],
        &some[..],
    ]
    .concat();
    let ran = it.dwenv(&run_);
    ran.exit(1);
    let schema: Value =
        serde_json::from_str(&it.dwenv(&["schema", "events"]).out).expect("a schema");
    let lines: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for line in &lines {
        assert_eq!(json_schema::fault(&schema, line), None);
    }
    let ended = |target: &str| {
        let of_it = |line: &&Value| line["event"] == "box_finished" && line["target"] == target;
        lines
            .iter()
            .find(of_it)
            .unwrap_or_else(|| panic!("{target} never ended"))["exit_code"]
            .clone()
    };
    assert_eq!(lines[0]["event"], "run_started");
    assert_eq!(lines[0]["targets"].as_array().map(Vec::len), Some(5));
    let last = lines.last().expect("lines");
    assert_eq!(last["event"], "result");
    assert_eq!(
        last["document"]["targets"].as_array().map(Vec::len),
        Some(5)
    );
    for (target, code) in [
        ("sandbox:seat-01", 0),
        ("sandbox:seat-03", 0),
        ("sandbox:seat-19", 1),
        ("empty", 3),
    ] {
        assert_eq!(ended(target), code, "{target}");
    }
    let logged = run("cat", &[&log]);
    for words in [
        "sandbox:seat-02 done: Install ",
        "empty ends with 3 after ",
        " sandbox:seat-19 ends with 1 ",
    ] {
        assert!(logged.contains(words), "{words}");
    }

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
    let well = it.dwenv(&["provision", "-v", "--target", "sandbox:seat-[01-03]"]);
    well.exit(0).says("All 3 targets ended well.");
    assert_eq!(
        well.err.matches("handshakes 1, execs 1, tunnels").count(),
        3
    );

    // The run is broken off where too many have failed.
    let broken = [
        "doctor",
        "--target",
        "sandbox:seat-01",
        "--target",
        "empty",
        "--jobs",
        "1",
        "--timeout",
        "60s",
    ];
    it.dwenv(&broken).exit(3);
    let broken = it.dwenv(&[
        "provision",
        "--yes",
        "--jobs",
        "1",
        "--max-fail",
        "1",
        "--timeout",
        "60s",
        "--target",
        "empty",
        "--target",
        "sandbox:seat-[04-05]",
    ]);
    broken
        .exit(5)
        .says("not tried: 1 of the other boxes had failed (--max-fail 1)");
    assert_eq!(table(&broken.out).len(), 3);
}

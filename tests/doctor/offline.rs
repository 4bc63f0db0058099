//! What `--save` wrote, judged elsewhere, and what of it may be shared.

use std::fs;
use std::path::Path;

use dwenv::doctor::saved::digest;
use dwenv::workshop::Workshop;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::schema;
use crate::place::Place;

/// A file of `--save` that holds a box recorded once.
pub fn saved(base: &str) -> String {
    saved_with(base, |_| {})
}

/// The same with something changed.
pub fn saved_with(base: &str, change: impl FnOnce(&mut Value)) -> String {
    let file = format!("tests/data/records/{base}.json");
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let workshop = Workshop::builtin().unwrap();
    let mut saved: Value = serde_json::from_str(&text).unwrap();
    for (name, value) in [
        ("schema_version", json!(1)),
        ("dwenv", json!(env!("CARGO_PKG_VERSION"))),
        ("declaration", json!(digest(&workshop))),
        ("target", json!("sandbox")),
        ("provider", json!("sandbox")),
        ("laptop", json!("linux")),
        ("before", json!(false)),
    ] {
        saved[name] = value;
    }
    change(&mut saved);
    serde_json::to_string(&saved).unwrap()
}

/// The statuses of a document, by id.
fn statuses(document: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap();
    checks
        .iter()
        .map(|check| (word(&check["id"]), word(&check["status"])))
        .collect()
}

#[test]
fn what_was_saved_is_judged_the_same_when_it_is_read_again() {
    // Nobody answers there, and that is a fact as well.
    let place = Place::new();
    let line = "doctor --target ssh://debian@127.0.0.1:1 --format json --save facts.json";
    let here = place.dwenv(line).ended(3).document();
    assert_eq!(schema::fault(&here), None);
    let there = place
        .dwenv("doctor --from facts.json --format json")
        .ended(3)
        .document();
    assert_eq!(statuses(&there), statuses(&here));
    assert_eq!(there["notes"], json!([]));
    let saved: Value = serde_json::from_str(&place.read("facts.json")).unwrap();
    assert_eq!(saved["schema_version"], 1);
    assert_eq!(saved["target"], "ssh://debian@127.0.0.1:1");
}

#[test]
fn another_declaration_is_told() {
    let place = Place::new()
        .with("facts.json", &saved("debian-13-bare"))
        .with("config.toml", "[laptop]\nvagrant = \"2.4.1\"\n");
    let document = place
        .dwenv("doctor --from facts.json --format json")
        .ended(1)
        .document();
    let note = document["notes"][0].as_str().unwrap();
    assert!(note.contains("config.toml"), "{note}");
    let ran = place.dwenv("doctor --from facts.json").ended(1);
    assert!(
        ran.out.contains("note: The config.toml with which"),
        "{ran}"
    );
}

#[test]
fn facts_of_another_hour_are_told_when_they_were_taken() {
    let place = Place::new().with("facts.json", &saved("debian-13-bare"));
    for shared in ["", "--share"] {
        let ran = place
            .dwenv(&format!("doctor --from facts.json {shared}"))
            .ended(1);
        let told = "note: Facts of 2026-11-23 19:50 UTC; what changed since is not seen.";
        assert!(ran.out.contains(told), "{ran}");
    }
}

#[test]
fn a_file_that_is_none_is_refused_with_its_name() {
    let newer = saved_with("debian-13-bare", |saved| {
        saved["schema_version"] = json!(99)
    });
    let place = Place::new()
        .with("newer.json", &newer)
        .with("none.json", "{\"schema_version\": 1}");
    for (file, said) in [
        ("newer.json", "newer.json was saved by a newer dwenv"),
        (
            "none.json",
            "none.json is not what `dwenv doctor --save` writes",
        ),
        ("absent.json", "absent.json cannot be read"),
    ] {
        let ran = place.dwenv(&format!("doctor --from {file}")).ended(2);
        assert!(ran.err.contains(said), "{ran}");
    }
}

#[test]
fn several_peoples_files_are_a_table_with_the_worst_first() {
    let unreachable = saved_with("debian-13-bare", |saved| {
        let said = json!({"message": "nobody answers", "hints": []}).to_string();
        saved["records"] = json!({"connection": {
            "status": {"done": 1}, "output": said, "duration_ms": 0
        }});
    });
    let place = Place::new()
        .with("ada.json", &unreachable)
        .with("grace.json", &saved("debian-13-bare"));
    let ran = place.dwenv("doctor --from ada.json grace.json").ended(1);
    assert_snapshot!(ran);
    let document = place
        .dwenv("doctor --from ada.json grace.json --format json")
        .ended(1)
        .document();
    assert_eq!(schema::fault(&document), None);
    assert_eq!(document["targets"][0]["target"], "ada");
}

/// An organiser has forty files, and one of them is the wrong one.
#[test]
fn a_file_that_cannot_be_read_is_one_row_of_several() {
    let place = Place::new()
        .with("a/facts.json", &saved("debian-13-bare"))
        .with("b/facts.json", "{}")
        .with("report.json", "{\"schema_version\": 1, \"checks\": []}");
    let ran = place
        .dwenv("doctor --from a/facts.json b/facts.json report.json --format json")
        .ended(1);
    let document = ran.document();
    let targets = document["targets"].as_array().unwrap();
    let names: Vec<&str> = targets
        .iter()
        .filter_map(|it| it["target"].as_str())
        .collect();
    assert_eq!(names, ["a/facts", "b/facts", "report"]);
    for (target, hint) in [
        (1, "Ask for the file that `dwenv doctor --save FILE` writes"),
        (
            2,
            "This is a report of `--format json`: ask for what `dwenv doctor --save FILE` writes",
        ),
    ] {
        let finding = &targets[target]["checks"][0];
        assert_eq!(finding["status"], "unknown");
        assert_eq!(finding["remedy"]["text"], hint);
    }
    let alone = place.dwenv("doctor --from report.json").ended(2);
    assert!(alone.err.contains("This is a report of"), "{alone}");
}

/// Everything that a machine may say of somebody, in every answer and every reason.
#[test]
fn what_is_shared_names_nobody() {
    const CANARIES: &[&str] = &[
        "canaryuser",
        "canary-host.example.org",
        "10.66.77.88",
        "fd66:77::88",
        "08:00:27:ca:4a:12",
        "canaryvalue",
    ];
    let canaries = "/home/canaryuser/x canary-host.example.org 10.66.77.88 fd66:77::88 \
                    08:00:27:ca:4a:12 HTTP_PROXY=http://canaryvalue@canary-host.example.org:3128";
    let base: Value = serde_json::from_str(&saved("debian-13-bare")).unwrap();
    let probes: Vec<String> = base["records"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    let mut told_somewhere = false;
    for probe in &probes {
        for status in [
            json!({"refused": canaries}),
            json!({"done": 0}),
            json!({"done": 7}),
        ] {
            let facts = saved_with("debian-13-bare", |saved| {
                saved["target"] = json!("ssh://canaryuser@canary-host.example.org");
                let record = &mut saved["records"][probe];
                record["status"] = status;
                let output = record["output"].as_str().unwrap().to_owned();
                record["output"] = json!(format!("{output}\n{canaries}"));
            });
            let place = Place::new().with("facts.json", &facts);
            for format in ["human", "json", "junit", "markdown"] {
                let line = format!("doctor -v --from facts.json --format {format}");
                let open = place.dwenv(&line);
                told_somewhere |= CANARIES.iter().any(|canary| open.out.contains(canary));
                let shared = place.dwenv(&format!("{line} --share"));
                assert_eq!(shared.code, open.code, "{shared}");
                for canary in CANARIES {
                    assert!(
                        !shared.out.contains(canary),
                        "{probe} {format}: {canary}\n{shared}"
                    );
                    assert!(
                        !shared.err.contains(canary),
                        "{probe} {format}: {canary}\n{shared}"
                    );
                }
            }
        }
    }
    assert!(
        told_somewhere,
        "nothing was put where it could have been told"
    );
}

#[test]
fn what_is_shared_still_says_what_is_wrong() {
    let place = Place::new().with("facts.json", &saved("debian-13-bare"));
    assert_snapshot!(place.dwenv("doctor --from facts.json --share").ended(1));
}

/// What `--save` writes is for the trainer, who has to know whose box it is. What no trainer has to know is in it
/// nowhere: passwords, and the values of variables that nobody asked for.
#[test]
fn what_is_saved_holds_no_secret() {
    const CANARY: &str = "canary";
    let declared = "[postgres]\npassword = { env = \"LAB_PASSWORD\" }\n\
                    [network]\nproxy = { env = \"LAB_PROXY\" }\n";
    let place = Place::new()
        .with("config.toml", declared)
        .variable("LAB_PASSWORD", "canary-of-the-database")
        .variable(
            "LAB_PROXY",
            "http://anna:canary-of-the-lab@proxy.example:3128",
        )
        .variable(
            "HTTPS_PROXY",
            "http://anna:canary-of-the-laptop@proxy.example:3128",
        )
        .variable(
            "http_proxy",
            "http://canary-of-the-shell@proxy.example:3128",
        )
        .variable("ALL_PROXY", "socks5://anna:canary%40@proxy.example:1080")
        .variable(
            "DOCKER_AUTH_CONFIG",
            "{\"auths\": {\"x\": {\"auth\": \"canary\"}}}",
        )
        .variable("AWS_SECRET_ACCESS_KEY", "canary-of-a-cloud");
    let ran = place.dwenv("doctor --target vagrant --deep -v --save facts.json");
    let saved = place.read("facts.json");
    assert!(saved.contains("proxy.example"), "{saved}");
    for text in [&saved, &ran.out, &ran.err] {
        assert!(!text.contains(CANARY), "{text}");
    }
}

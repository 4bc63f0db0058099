//! `--only`, `--skip`, `--list`, and what stands in no list.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use serde_json::Value;

use super::offline::{saved, saved_with};
use super::schema;
use crate::place::Place;

#[test]
fn the_list_needs_no_box() {
    let place = Place::new();
    let ran = place
        .dwenv("doctor --list --target sandbox --only box.docker")
        .ended(0);
    assert_snapshot!(ran);
    let document = place
        .dwenv("doctor --list --target sandbox --format json")
        .ended(0)
        .document();
    assert_eq!(schema::fault(&document), None);
}

/// The ids of a list, and what each needs, as JSON has them.
fn listed(place: &Place, options: &str) -> BTreeMap<String, Vec<String>> {
    let line = format!("doctor --list --format json {options}");
    let document = place.dwenv(&line).ended(0).document();
    assert_eq!(schema::fault(&document), None);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap().iter();
    checks
        .map(|check| {
            let needs = check["needs"].as_array().unwrap();
            (word(&check["id"]), needs.iter().map(word).collect())
        })
        .collect()
}

#[test]
fn every_format_lists_the_same_checks_and_only_those_that_apply() {
    let place = Place::new().with("Vagrantfile", "");
    for options in [
        "--target sandbox",
        "--target vagrant",
        "--target ssh://debian@127.0.0.1:1",
        "--before",
        "--target sandbox --only box.docker --skip box.docker.daemon",
    ] {
        let checks = listed(&place, options);
        let human = place.dwenv(&format!("doctor --list {options}")).ended(0);
        // An id begins its line; the other lines of a row are indented.
        let told: BTreeSet<&str> = human
            .out
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        let ids: BTreeSet<&str> = checks.keys().map(String::as_str).collect();
        assert_eq!(told, ids, "{options}");
        for (id, needs) in &checks {
            for need in needs {
                // What is only not selected applies all the same.
                let whole = options.contains("--only") || ids.contains(&need[..]);
                assert!(whole, "{options}: {id} needs {need}");
                assert!(human.out.contains(need), "{options}: {need}");
            }
        }
    }
}

#[test]
fn what_a_run_tells_stands_in_the_list() {
    let place = Place::new().with("ready.json", &saved("debian-13-ready"));
    let list = listed(&place, "--target sandbox");
    let document = place
        .dwenv("doctor --from ready.json --format json")
        .document();
    let checks = document["checks"].as_array().unwrap();
    assert!(checks.len() > 20);
    for check in checks {
        let id = check["id"].as_str().unwrap();
        assert!(list.contains_key(id), "{id}");
    }
    // On a sandbox nothing of the laptop is looked at but the way to the box.
    let of_the_laptop: Vec<&String> = list.keys().filter(|id| id.starts_with("laptop.")).collect();
    assert!(
        of_the_laptop
            .iter()
            .all(|id| id.starts_with("laptop.reach")),
        "{of_the_laptop:?}"
    );
}

#[test]
fn an_unknown_id_hears_the_ones_that_were_meant() {
    for option in ["--only", "--skip"] {
        let ran = Place::new()
            .dwenv(&format!(
                "doctor --target sandbox {option} box.docker.deamon"
            ))
            .ended(2);
        assert!(
            ran.err.contains("there is no check `box.docker.deamon`"),
            "{ran}"
        );
        assert!(
            ran.err.contains("Did you mean `box.docker.daemon`"),
            "{ran}"
        );
    }
    let ran = Place::new()
        .dwenv("doctor --target sandbox --only daemon")
        .ended(2);
    assert!(ran.err.contains("`box.docker.daemon`"), "{ran}");
    // The beginning of a word is not the beginning of an id.
    Place::new()
        .dwenv("doctor --target sandbox --only box.dock")
        .ended(2);
}

#[test]
fn no_check_left_is_no_success() {
    let place = Place::new().with("ready.json", &saved("debian-13-ready"));
    for selection in [
        "--skip laptop --skip box",
        "--only box.docker --skip box.docker",
        // Known, and not of a sandbox.
        "--only laptop.vagrant",
    ] {
        let ran = place
            .dwenv(&format!("doctor --from ready.json {selection}"))
            .ended(2);
        assert!(ran.err.contains("no check is left"), "{ran}");
    }
}

#[test]
fn only_the_selected_and_what_keeps_them_from_passing_is_told() {
    let stopped = saved_with("debian-13-ready", |records| {
        let units = records["records"]["units"]["output"].as_str().unwrap();
        assert!(units.contains("docker.service"), "{units}");
        records["records"]["docker"] = serde_json::json!({
            "status": {"refused": "nobody listens"}, "output": "", "duration_ms": 0
        });
    });
    let place = Place::new().with("facts.json", &stopped);
    let told = |selection: &str| -> Vec<String> {
        let ran = place.dwenv(&format!(
            "doctor --from facts.json --format json {selection}"
        ));
        let document = ran.document();
        assert_eq!(schema::fault(&document), None);
        let checks = document["checks"].as_array().unwrap();
        checks
            .iter()
            .map(|check| {
                format!(
                    "{} {}",
                    check["id"].as_str().unwrap(),
                    check["status"].as_str().unwrap()
                )
            })
            .collect()
    };
    let all = told("");
    let count =
        |told: &[String], word: &str| told.iter().filter(|line| line.contains(word)).count();
    assert!(count(&all, " skip") > 0, "{all:?}");
    // A skipped check brings the one that it was skipped for, and no other.
    let group = told("--only box.docker.group");
    assert!(group.len() <= 2, "{group:?}");
    assert!(
        group
            .iter()
            .any(|line| line.starts_with("box.docker.group ")),
        "{group:?}"
    );
    if group.iter().any(|line| line == "box.docker.group skip") {
        assert_eq!(group.len(), 2, "{group:?}");
    }
    let without = told("--skip box.docker");
    assert_eq!(count(&without, "box.docker.group"), 0, "{without:?}");
    assert!(
        count(&without, "box.postgres.running pass") == 1,
        "{without:?}"
    );
}

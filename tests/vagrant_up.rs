//! `dwenv up` with the real Vagrant and its docker provider: from a Vagrantfile to doctor green.

#![cfg(target_os = "linux")]

#[path = "support/vagrant_rig.rs"]
mod vagrant_rig;

use std::process::{Command, Output};

use serde_json::Value;
use vagrant_rig::Rig;

fn dwenv(rig: &Rig, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .arg("-C")
        .arg(rig.folder())
        .args(arguments)
        .envs(rig.environment())
        .output()
        .expect("the built dwenv starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn up_takes_a_vagrantfile_to_a_box_that_doctor_proves_ready() {
    let rig = Rig::start();

    let up = dwenv(&rig, &["up", "--target", "vagrant", "--yes"]);
    let said = String::from_utf8_lossy(&up.stdout).into_owned();
    assert!(up.status.success(), "{up:?}");
    assert!(said.contains("Ready for the workshop."), "{said}");
    assert!(said.contains("answers at http://"), "{said}");

    let doctor = dwenv(&rig, &["doctor", "--format", "json"]);
    let report = json(&doctor);
    assert_eq!(
        report["target"], "vagrant",
        "the target used last is remembered"
    );
    assert_eq!(report["ready"], true, "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    let passed = checks
        .iter()
        .filter(|check| check["status"] == "pass")
        .count();
    assert_eq!(passed, checks.len(), "{report:#}");
    let has = |id: &str| checks.iter().any(|check| check["id"] == id);
    assert!(has("laptop.vagrant"), "Vagrant is this target's own matter");
    assert!(
        !has("laptop.virtualbox"),
        "the docker provider needs no VirtualBox"
    );

    let again = json(&dwenv(&rig, &["up", "--yes", "--format", "json"]));
    assert_eq!(
        again["provision"]["changes"],
        Value::Array(Vec::new()),
        "{again:#}"
    );

    let whoami = dwenv(&rig, &["ssh", "--", "whoami"]);
    assert_eq!(
        String::from_utf8_lossy(&whoami.stdout).trim(),
        "vagrant",
        "{whoami:?}"
    );

    assert!(dwenv(&rig, &["down"]).status.success());
    let stopped = dwenv(&rig, &["doctor", "--format", "json"]);
    assert_eq!(
        stopped.status.code(),
        Some(3),
        "a box that is off was not seen to be wrong"
    );
    let report = json(&stopped);
    let unknown: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "unknown")
        .collect();
    assert_eq!(unknown.len(), 1, "{report:#}");
    assert_eq!(unknown[0]["id"], "box.ssh");

    assert!(dwenv(&rig, &["destroy", "--yes"]).status.success());
}

//! `dwenv up` with the real Vagrant and its docker provider: from a Vagrantfile to doctor green. And the other way
//! round: `vagrant up` with the trigger of the Vagrantfile that `dwenv init` writes.

#![cfg(target_os = "linux")]

#[path = "support/vagrant_rig.rs"]
mod vagrant_rig;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use vagrant_rig::Rig;

/// The system's programs alone: nobody's own dwenv is among them.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

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

/// The trigger of the Vagrantfile that `dwenv init` writes, word by word.
fn trigger() -> String {
    let folder = TempDir::new().expect("a folder");
    let init = Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .arg("init")
        .arg(folder.path())
        .output()
        .expect("the built dwenv starts");
    assert!(init.status.success(), "{init:?}");
    let written = fs::read_to_string(folder.path().join("Vagrantfile")).expect("a Vagrantfile");
    let begins = written
        .find("  config.trigger.after :up")
        .expect("a trigger");
    let length = written[begins..].find("\n  end\n").expect("its end");
    written[begins..begins + length + "\n  end\n".len()].to_owned()
}

/// A folder whose `dwenv` writes down with what it is called, and then is the built one.
struct OnPath(TempDir);

impl OnPath {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >>{}/calls\nexec {} \"$@\"\n",
            folder.path().display(),
            env!("CARGO_BIN_EXE_dwenv")
        );
        let program = folder.path().join("dwenv");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("its mode");
        Self(folder)
    }

    fn path(&self) -> String {
        format!("{}:{PATH}", self.0.path().display())
    }

    /// With what it was called since the last time.
    fn calls(&self) -> String {
        let file: PathBuf = self.0.path().join("calls");
        let calls = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        calls
    }
}

/// `vagrant up` as somebody types it, with these folders to find programs in; what it said, however its
/// lines are broken. It must succeed.
fn vagrant_up(rig: &Rig, path: &str) -> String {
    let up = Command::new("/usr/bin/vagrant")
        .arg("up")
        .current_dir(rig.folder())
        .envs(rig.environment())
        .env("PATH", path)
        .output()
        .expect("the real Vagrant");
    let said = [up.stdout, up.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    println!("$ vagrant up\n{said}");
    assert!(up.status.success(), "{said}");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Vagrant, which nobody has asked yet where the box is, may be slow.
fn doctor(rig: &Rig) -> Output {
    let patient = ["doctor", "--target", "vagrant", "--deadline", "5m"];
    dwenv(rig, &[&patient[..], &["--format", "json"]].concat())
}

#[test]
fn vagrant_up_makes_its_box_ready_with_the_dwenv_that_is_on_the_path() {
    let rig = Rig::start();
    rig.vagrantfile(&trigger());
    let on_path = OnPath::new();

    // Without one it says what to do, and the box is bare.
    let said = vagrant_up(&rig, PATH);
    assert!(said.contains("dwenv is not on the PATH. To make this box ready, run in this folder:"));
    assert!(said.contains("dwenv provision --target vagrant --yes"));
    let looked = doctor(&rig);
    assert_eq!(looked.status.code(), Some(1), "{looked:?}");
    let report = json(&looked);
    let is = |id: &str, status: &str| {
        let checks = report["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["id"] == id);
        let found = &check.expect("a check of that name")["status"];
        assert_eq!(found, status, "{report:#}");
    };
    is("box.ssh", "pass");
    is("box.docker.package", "fail");

    // What keeps dwenv from its work is told, and the box stays up.
    fs::write(rig.folder().join("config.toml"), "nmae = \"other\"\n").expect("a file");
    let said = vagrant_up(&rig, &on_path.path());
    assert!(said.contains("Did you mean `name`?"));
    assert!(said.contains("The box is up, but not ready: see above, then `dwenv doctor`."));
    assert_eq!(on_path.calls(), "provision --target vagrant --yes\n");

    fs::remove_file(rig.folder().join("config.toml")).expect("the file");
    let said = vagrant_up(&rig, &on_path.path());
    assert!(said.contains("the box is as declared"));
    assert!(!said.contains("not ready") && !said.contains("not on the PATH"));
    assert_eq!(on_path.calls(), "provision --target vagrant --yes\n");
    let looked = doctor(&rig);
    assert_eq!(json(&looked)["ready"], true, "{looked:?}");

    // Another one finds nothing to do.
    let said = vagrant_up(&rig, &on_path.path());
    assert!(said.contains("Nothing to do: the box is as declared."));
}

#[test]
fn up_takes_a_vagrantfile_to_a_box_that_doctor_proves_ready() {
    let rig = Rig::start();
    rig.vagrantfile(&trigger());
    let on_path = OnPath::new();

    let up = Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .arg("-C")
        .arg(rig.folder())
        .args(["up", "--target", "vagrant", "--yes"])
        .envs(rig.environment())
        .env("PATH", on_path.path())
        .output()
        .expect("the built dwenv starts");
    let said = String::from_utf8_lossy(&up.stdout).into_owned();
    assert!(up.status.success(), "{up:?}");
    assert!(said.contains("Ready for the workshop."), "{said}");
    assert!(said.contains("answers at http://"), "{said}");
    assert_eq!(on_path.calls(), "", "the trigger leaves it to `dwenv up`");

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

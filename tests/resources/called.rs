//! How Docker's program is called when it is asked about its file, in a box whose programs are played.
#![cfg(unix)]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use dwenv::provision::plan;
use dwenv::resources::change::Action;
use tempfile::TempDir;

use super::case;

/// The script of the only step that this case's plan has, and what it reads.
fn script(name: &str) -> (String, String) {
    let case = case::all()
        .into_iter()
        .find(|case| case.name == name)
        .expect("the case");
    let plans = plan::plan(case.context(), &case.facts());
    let Action::Script(script) = &plans.steps[0].change.action else {
        panic!("not a script");
    };
    (script.sh.clone(), script.stdin.reveal().to_owned())
}

/// Its `systemctl` and `dockerd` note how they are called.
struct Played(TempDir);

impl Played {
    /// A box whose `/etc/default/docker` is this.
    fn with(defaults: &str) -> Self {
        let it = Self(TempDir::new().expect("a folder"));
        fs::write(it.path("defaults"), defaults).expect("a file");
        it.program(
            "systemctl",
            "case $* in
  'show -p ExecStart '*) echo '{ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ; ignore_errors=no ; pid=0 }' ;;
  'show -p EnvironmentFiles '*) echo 'FOLDER/defaults (ignore_errors=yes)'; echo '/nowhere (ignore_errors=yes)' ;;
  show*) ;;
  *) echo \"systemctl $*\" >>FOLDER/called ;;
esac",
        );
        it.program(
            "dockerd",
            "echo \"dockerd $*\" >>FOLDER/called
case $* in *--mtu*) echo 'unable to configure the Docker daemon with file X: both: mtu'; exit 1 ;; esac
echo 'configuration OK'",
        );
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        let body = body.replace("FOLDER", &self.0.path().display().to_string());
        fs::write(self.path(name), format!("#!/bin/sh\n{body}\n")).expect("a program");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn run(&self, script: &str, input: &str) -> Output {
        fs::write(self.path("input"), input).expect("what it reads");
        let paths = std::env::var("PATH").expect("a PATH");
        Command::new("dash")
            .args(["-euc", script])
            .env("PATH", format!("{}:{paths}", self.0.path().display()))
            .stdin(File::open(self.path("input")).expect("what it reads"))
            .output()
            .expect("dash")
    }

    fn called(&self) -> String {
        fs::read_to_string(self.path("called")).expect("what was called")
    }
}

#[test]
fn docker_is_asked_as_its_unit_will_call_it_before_it_is_started_again() {
    let (restart, _) = script("docker/restart_owed");
    let it = Played::with("# Old\nDOCKER_OPTS=\"--debug --label=a=*\"\n");
    assert!(it.run(&restart, "").status.success());
    assert_eq!(
        it.called(),
        "systemctl daemon-reload\nsystemctl reset-failed docker.service\n\
         dockerd -H fd:// --debug --label=a=* --validate\nsystemctl restart docker.service\n"
    );

    let it = Played::with("DOCKER_OPTS='--mtu 1400'\n");
    let output = it.run(&restart, "");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("both: mtu"));
    assert!(!it.called().contains("restart"), "{}", it.called());
}

#[test]
fn settings_that_its_unit_gives_as_well_are_not_put_in_place() {
    let (script, settings) = script("docker/subnet_clash");
    let it = Played::with("DOCKER_OPTS=--mtu=1400\n");
    let folder = it.0.path().display().to_string();
    fs::write(it.path("daemon.json"), "{}").expect("a file");
    let script = script
        .replace("/etc/docker", &folder)
        .replace("/var/lib/dwenv", &folder);
    let output = it.run(&script, &settings);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("daemon.json is left as it is"), "{said}");
    assert!(said.contains("both: mtu"), "{said}");
    let asked = format!("--config-file {folder}/daemon.json.dwenv-new");
    assert_eq!(
        it.called(),
        format!("dockerd -H fd:// --mtu=1400 {asked} --validate\n")
    );
    assert!(!it.path("daemon.json.dwenv-new").exists());
    let left = fs::read_to_string(it.path("daemon.json")).expect("the file");
    assert_eq!(left, "{}");
}

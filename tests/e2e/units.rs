//! What is put in place of a unit or of Docker's settings was verified on the box before.

use std::fs;

use dwenv::quote;
use dwenv::resources::files::{BoxFile, write_script};
use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

const UNIT: &str = "/etc/systemd/system/docker-workshop.service";

#[test]
fn a_unit_that_systemd_would_not_take_is_not_put_in_place() {
    let it = Workbox::provisioned(Suite::Trixie);
    let rows = it.rows();
    let state = format!(
        "sha256sum {UNIT}; ls -A /etc/systemd/system; ls -d /run/dwenv-check* 2>&1; \
         systemctl show -p MainPID,NRestarts docker-workshop"
    );
    let before = it.run(&format!("{state} || true"));
    it.declare("[server]\nunit_file = \"workshop.service\"\n");
    let write = |text: &str| {
        fs::write(it.folder().join("workshop.service"), text).expect("the author's unit");
    };
    let good = dwenv::workshop::Workshop::builtin()
        .expect("the declaration inside")
        .server
        .unit_file
        .content;
    let line = |words: &str| good.lines().position(|it| it == words).expect("a line") + 1;
    let restart = line("Restart=on-failure");
    for (broken, said) in [
        // systemd would leave out the line, or the whole unit.
        (
            good.replace("Restart=on-failure", "Restart=sometimes"),
            format!("docker-workshop.service:{restart}: Failed to parse"),
        ),
        (
            good.replace("[Service]", "[Service"),
            format!(
                "docker-workshop.service:{}: Invalid section header",
                line("[Service]")
            ),
        ),
        (
            good.replace("/usr/bin/python3", "/usr/bin/python9"),
            "Command /usr/bin/python9 is not executable".to_owned(),
        ),
    ] {
        write(&broken);
        it.provision()
            .exit(1)
            .says(&format!(
                "{UNIT} is left as it is, because the new one is wrong"
            ))
            .says(&said);
        assert_eq!(it.run(&format!("{state} || true")), before);
        assert_eq!(it.rows(), rows);
    }
    // A key that only a newer systemd knows does no harm.
    write(&good.replace("UMask=0077", "UMask=0077\nOfTomorrow=yes"));
    it.provision().exit(0);
    assert_eq!(it.run(&format!("grep -c OfTomorrow {UNIT}")), "1");
    it.doctor().ready();

    a_server_that_has_just_begun_is_waited_for(&it);
}

/// On a box that boots beside nineteen others systemd has started the server a moment before it listens.
fn a_server_that_has_just_begun_is_waited_for(it: &Workbox) {
    // The process is held up before it listens.
    it.run(
        "sudo sh -c 'until systemctl restart docker-workshop; systemctl kill -s STOP docker-workshop; \
         systemctl -q is-active docker-workshop && [ -z \"$(ss -Hltn \"sport = :8080\")\" ]; do systemctl kill -s CONT docker-workshop; done'",
    );
    let mut run = it.start(&["provision", "--yes"]);
    run.await_said("Waiting for the services");
    it.run("sudo systemctl kill -s CONT docker-workshop");
    run.wait().exit(0).says("Nothing to do");
}

#[test]
fn a_drop_in_that_systemd_would_not_take_is_not_put_in_place_and_an_owed_restart_is_made() {
    let it = Workbox::provisioned(Suite::Trixie);
    let put = |name: &str, content: &str| {
        let path = format!("/etc/systemd/system/{name}.d/of-the-test.conf");
        let (script, stdin) = write_script(&[BoxFile {
            path: path.clone(),
            owner: "root".to_owned(),
            mode: "644",
            content: content.to_owned(),
        }]);
        let write = format!(
            "printf %s {} | sudo sh -c {} 2>&1; echo \"status $?\"; ls {path} 2>&1 || true",
            quote::sh(&stdin),
            quote::sh(&format!("set -e\n{script}"))
        );
        (it.run(&write), path)
    };
    for unit in ["docker.service", "docker-workshop.service"] {
        let (said, path) = put(unit, "[Service]\nRestart=sometimes\n");
        let wrong = format!("{path} is left as it is, because the new one is wrong");
        assert!(said.contains(&wrong) && said.contains("status 1"), "{said}");
        assert!(said.contains(&format!("cannot access '{path}'")), "{said}");
        let (said, path) = put(unit, "[Service]\nRestart=on-failure\n");
        assert!(said.ends_with(&format!("status 0\n{path}")), "{said}");
        it.run(&format!(
            "sudo rm {path}; ! ls -d /run/dwenv-check* 2>/dev/null"
        ));
    }

    // A run that ended between writing the server and starting it again: what runs is older than its files.
    it.run("touch docker-workshop/server.py");
    let pid = "systemctl show --value -p MainPID docker-workshop";
    let before = it.run(pid);
    it.doctor().fails("box.server.unit");
    it.provision().exit(0);
    assert_ne!(it.run(pid), before);
    it.doctor().ready();
    it.provision().exit(0).says("Nothing to do");

    a_server_waits_for_no_postgresql_that_answers(&it);
}

/// Debian's start of a cluster sleeps for a while behind the moment at which its server answers.
fn a_server_waits_for_no_postgresql_that_answers(it: &Workbox) {
    let cluster = "postgresql@17-main";
    let until = |file: &str| format!("sh -c 'until [ -e {file} ]; do sleep 0.1; done'");
    it.run(&format!(
        "set -e; folder=/run/systemd/system/{cluster}.service.d; sudo mkdir -p $folder; \
         printf '[Service]\\nExecStartPost=/bin/%s\\n' {} | sudo tee $folder/slow.conf >/dev/null; \
         sudo systemctl daemon-reload",
        quote::sh(&until("/run/started"))
    ));
    let provision = ["provision", "--yes", "-v", "--target", "sandbox"];
    let owe_a_restart = || {
        it.run(&format!(
            "sudo rm -f /run/started; sudo systemctl --no-block restart {cluster}; touch docker-workshop/server.py"
        ));
        it.await_in_box("pg_isready -q");
    };
    owe_a_restart();
    it.dwenv(&provision)
        .exit(0)
        .says("$ systemctl restart --job-mode=ignore-dependencies docker-workshop.service");
    let state = format!("systemctl show --value -p ActiveState {cluster}");
    assert_eq!(it.run(&state), "activating");

    // What another unit has to do first is not known to be of no use.
    owe_a_restart();
    it.run(&format!(
        "sudo systemd-run -q --no-block --unit=other -p Type=oneshot {}",
        until("/run/started")
    ));
    let mut run = it.start(&provision);
    run.await_said("$ systemctl restart --job-mode=replace docker-workshop.service");
    it.run("sudo touch /run/started");
    run.wait().exit(0);
    it.doctor().ready();
}

#[test]
fn docker_is_not_started_again_into_settings_that_it_would_not_take() {
    let it = Workbox::provisioned(Suite::Trixie);
    // Somebody's own, which the daemon that runs has not read yet.
    let settings = "{\"no-such-setting\": true}";
    it.run(&format!(
        "sudo mkdir -p /etc/docker; echo '{settings}' | sudo tee /etc/docker/daemon.json >/dev/null"
    ));
    it.declare("[network]\nregistry_mirrors = [\"http://127.0.0.1:5000\"]\n");
    it.provision()
        .exit(1)
        .says("Docker would not start again, since it refuses /etc/docker/daemon.json")
        .says("no-such-setting");
    assert_eq!(it.run("cat /etc/docker/daemon.json"), settings);
    assert_eq!(it.run("systemctl is-active docker"), "active");
}

//! `doctor --fix` on a real machine: what it mends, what it asks about, and what it leaves.

use std::collections::BTreeSet;

use dwenv::target::sandbox::Suite;
use serde_json::Value;

use crate::running::Ran;
use crate::terminal::{CTRL_C, CTRL_D, Left, Terminal};
use crate::workbox::{Workbox, assert_untouched};

/// What stands in the box's list of keys when an editor has eaten the end of a line.
const GLUED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFirstFirstFirstFirstFirstFirstFirst one@laptop\
                     ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAISecondSecondSecondSecondSecond two@laptop";
const SERVER: &str = "docker-workshop/server.py";

/// A container of the workshop that runs and stays.
fn start_container(it: &Workbox) {
    it.run(
        "set -e
        sudo DEBIAN_FRONTEND=noninteractive apt-get install -qqy busybox-static >/dev/null 2>&1
        sudo tar -C / -c usr/bin/busybox | docker import - dw-wait:1 >/dev/null
        docker run -d --stop-signal KILL --name dw-container dw-wait:1 /usr/bin/busybox sleep 100000 >/dev/null",
    );
}

/// Since when the container runs, and PostgreSQL.
fn since(it: &Workbox) -> (String, String) {
    (
        it.run("sudo docker inspect -f '{{.State.StartedAt}} {{.State.Running}}' dw-container"),
        it.run("sudo sh -c 'head -1 /var/lib/postgresql/*/main/postmaster.pid'"),
    )
}

fn fix(it: &Workbox, arguments: &[&str]) -> Ran {
    let given = ["doctor", "--fix", "--target", "sandbox"];
    it.dwenv(&[&given, arguments].concat())
}

/// `doctor --fix` at a terminal.
fn at_terminal(it: &Workbox) -> Terminal {
    Terminal::start(it.command(&["doctor", "--fix", "--target", "sandbox"]))
}

fn titles(list: &Value) -> Vec<&str> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|one| one["title"].as_str().expect("a title"))
        .collect()
}

/// Only what the catalogue calls safe is done without a question. Each of it is looked at again, what is
/// edited is kept, and all else is named with who mends it and how.
#[test]
fn yes_alone_mends_what_is_safe_and_nothing_else() {
    let it = Workbox::provisioned(Suite::Trixie);
    start_container(&it);
    let rows = it.post("A row of an attendee");
    it.run(&format!(
        "cp -a .ssh/authorized_keys /tmp/keys-before && echo '{GLUED}' >> .ssh/authorized_keys && \
         cp .ssh/authorized_keys /tmp/keys-glued && echo '# mine' >> {SERVER}"
    ));
    it.run(
        "sudo systemctl disable postgresql 2>/dev/null; sudo gpasswd -d vagrant docker >/dev/null",
    );
    // What nobody but its owner can say how it was meant.
    it.run("echo 'export DOCKER_API_VERSION=1.10' >> .profile");
    let before = it.doctor();
    let lock = it.run("sudo ls -i /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend");
    let running = since(&it);

    // A warning is mended where it counts as a problem.
    let fixed = fix(&it, &["--yes", "--strict", "--format", "json"]);
    let told = fixed.exit(1).json();
    let changes = told["changes"].as_array().expect("changes");
    assert_eq!(
        BTreeSet::from_iter(titles(&told["changes"])),
        BTreeSet::from([
            "Add vagrant to the group docker",
            "Enable PostgreSQL",
            "Give each key a line of its own",
        ])
    );
    for change in changes {
        assert_eq!(change["state"], "done", "{change:#}");
        for check in change["checks"].as_array().expect("checks") {
            let id = check["id"].as_str().expect("an id");
            assert_eq!(check["before"], before.check(id).status, "{id}");
            assert_eq!(check["after"], "pass", "{id}");
        }
    }
    // The keys are two again, and what was there before is beside them.
    assert_eq!(it.run("grep -c laptop .ssh/authorized_keys"), "2");
    it.run("cmp .ssh/authorized_keys.orig-* /tmp/keys-glued");
    let kept = it.run("ls .ssh/authorized_keys.orig-*");
    fixed.says(&format!("/home/vagrant/{kept}"));

    // What an attendee wrote needs a yes; what is left says what to do.
    assert!(
        titles(&told["needs_yes"])
            .iter()
            .any(|title| title.contains("server.py")),
        "{told:#}"
    );
    assert_eq!(it.run(&format!("tail -1 {SERVER}")), "# mine");
    let left = told["unchanged"].as_array().expect("what is left");
    assert!(
        left.iter().any(|one| one["check"] == "box.docker.api"),
        "{left:#?}"
    );
    for check in told["doctor"]["checks"].as_array().expect("checks") {
        if check["status"] == "fail" || check["status"] == "warn" {
            assert_ne!(check["remedy"]["text"], Value::Null, "{check:#}");
            assert_ne!(check["remedy"]["by"], Value::Null, "{check:#}");
        }
    }

    // Nothing that runs was stopped, and nothing was thrown away.
    assert_eq!(since(&it), running);
    assert_eq!(
        it.run("sudo ls -i /var/lib/dpkg/lock /var/lib/dpkg/lock-frontend"),
        lock
    );

    // Once more there is nothing that is safe to do.
    let again = fix(&it, &["--yes", "--format", "json"]);
    assert_eq!(
        again.exit(1).json()["changes"].as_array().map(Vec::len),
        Some(0)
    );
    assert_eq!(it.run("tail -1 .profile"), "export DOCKER_API_VERSION=1.10");
    it.run("sed -i '$d' .profile");
    it.provision().exit(0);
    it.doctor().ready();
    assert_eq!(it.rows(), rows);
}

/// What no yes was said to stays as it is, whichever way it was not said; each yes is for one change.
#[test]
fn each_change_has_a_question_of_its_own() {
    let it = Workbox::provisioned(Suite::Trixie);
    start_container(&it);
    it.run(
        "sudo -u postgres psql -qc \"ALTER SYSTEM SET listen_addresses = 'localhost'\" && \
         sudo systemctl restart postgresql",
    );
    it.run(&format!("echo '# mine' >> {SERVER}"));
    let running = since(&it);
    let before = it.fingerprint();
    let untouched = |left: &Left, code: i32| {
        assert_eq!(left.code, Some(code));
        assert!(left.echoes, "the terminal shows what is typed");
        assert_untouched(&before, &it.fingerprint());
        assert_eq!(since(&it), running);
    };

    // Nobody is there: everything that would be asked about is shown.
    let shown = fix(&it, &[]);
    shown
        .exit(2)
        .says("nobody is there to say yes")
        .says("[box.postgres.listen]")
        .says("[box.server.files]")
        .says("-# mine");
    assert_untouched(&before, &it.fingerprint());
    let told = fix(&it, &["--format", "json"]);
    assert_eq!(told.exit(2).json()["error"]["exit_code"], 2);
    told.says("[box.postgres.listen]")
        .says("[box.server.files]");
    assert_untouched(&before, &it.fingerprint());

    // Ctrl-C, the end of the input, and no.
    let question = "Make this change? [y/N]";
    let mut terminal = at_terminal(&it);
    let left = terminal.await_shown(question).type_in(CTRL_C).left();
    untouched(&left, 5);
    let mut terminal = at_terminal(&it);
    let left = terminal.await_shown(question).type_in(CTRL_D).left();
    untouched(&left, 1);
    assert_eq!(left.shown.matches(question).count(), 1, "{}", left.shown);
    assert_eq!(left.shown.matches("needs your yes").count(), 2);
    let mut terminal = at_terminal(&it);
    terminal.await_shown(question).type_in("n\n");
    let left = terminal.await_shown(question).type_in("n\n").left();
    untouched(&left, 1);
    let words: Vec<&str> = left.shown.split_whitespace().collect();
    let waits =
        "Not offered, since it stands on what was not done: Restart docker-workshop.service";
    assert!(words.join(" ").contains(waits), "{}", left.shown);

    // Whoever restarts a service on which a container depends is told so, and asked.
    let mut terminal = at_terminal(&it);
    terminal
        .await_shown("[box.postgres.listen]")
        .await_shown("dw-container")
        .await_shown(question)
        .type_in("n\n")
        .await_shown("[box.server.files]")
        .await_shown(question)
        .type_in("y\n")
        .await_shown("[box.server.unit]")
        .await_shown(question)
        .type_in("y\n");
    let left = terminal.left();
    assert_eq!(left.code, Some(1));
    assert!(left.shown.contains("2 changes made"), "{}", left.shown);
    assert_eq!(since(&it), running);
    assert_eq!(it.run(&format!("grep -c mine {SERVER} || true")), "0");
    assert_eq!(it.run(&format!("tail -qn1 {SERVER}.orig-*")), "# mine");
    it.doctor().fails("box.postgres.listen");

    let mut terminal = at_terminal(&it);
    let left = terminal.await_shown(question).type_in("y\n").left();
    assert_eq!(left.code, Some(0));
    assert!(left.shown.contains("Ready for the workshop."));
    it.doctor().ready();
    let (container, postgres) = since(&it);
    assert_eq!(container, running.0);
    assert_ne!(postgres, running.1);
}

/// What only a diagnosis sees is mended as what it explains would not be: PostgreSQL starts again.
#[test]
fn a_cause_that_only_a_diagnosis_sees_is_mended_first() {
    let it = Workbox::provisioned(Suite::Trixie);
    let rows = it.post("A row of an attendee");
    it.run(
        "sudo systemctl stop postgresql 'postgresql@*'; \
         sudo sh -c 'chmod 777 /var/lib/postgresql/*/main'; \
         sudo systemctl start postgresql; true",
    );
    it.doctor().fails("box.postgres.data");
    // It is not safe without asking, and what stands on it does not start either.
    let told = fix(&it, &["--yes", "--format", "json"]);
    let told = told.exit(1).json();
    assert_eq!(titles(&told["changes"]), [""; 0]);
    assert_eq!(
        titles(&told["needs_yes"]),
        ["Give PostgreSQL's folder of data back to it, and start it"]
    );
    let mut terminal = at_terminal(&it);
    terminal
        .await_shown("[box.postgres.data]")
        .await_shown("Make this change?")
        .type_in("y\n");
    let left = terminal.left();
    assert_eq!(left.code, Some(0));
    it.doctor().ready();
    assert_eq!(it.rows(), rows);
}

/// A passphrase is not shown while it is typed, nor left unseen what is typed after it.
#[test]
fn a_passphrase_that_is_interrupted_leaves_the_terminal_as_it_was() {
    let it = Workbox::bare(Suite::Trixie);
    let key = it.folder().join("key");
    let key = key.to_str().expect("a name");
    std::fs::copy(it.machine().identity, key).expect("a key");
    crate::support::run(
        "ssh-keygen",
        &["-q", "-p", "-P", "", "-N", "canary of the key", "-f", key],
    );
    let target = format!("ssh://vagrant@{}", it.address());
    let asked = || {
        let given = ["--target", &target, "--identity", key];
        let command = it.command(&[&["doctor", "--only", "box.ssh"][..], &given].concat());
        let mut terminal = Terminal::start(command);
        terminal.await_shown("Passphrase of the key");
        while terminal.echoes() {
            std::thread::yield_now();
        }
        terminal
    };
    let left = asked().type_in(CTRL_C).left();
    assert_eq!(left.code, Some(5));
    assert!(left.echoes);
    let left = asked().type_in(CTRL_D).left();
    assert_eq!(left.code, Some(3), "the login was refused");
    let words: Vec<&str> = left.shown.split_whitespace().collect();
    assert!(left.echoes && words.join(" ").contains("no passphrase was given"));
    let left = asked().type_in("canary of the key\n").left();
    assert_eq!(left.code, Some(0));
    assert!(left.echoes && left.shown.contains("Ready"));
    assert!(!left.shown.contains("canary"), "{}", left.shown);
}

//! Boxes that are not simply there: behind another machine, and with a user whom sudo asks for a password.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use dwenv::quote;
use dwenv::target::sandbox::{Running, Suite};

use crate::running::Ran;
use crate::support::said;
use crate::terminal::Terminal;
use crate::workbox::Workbox;

/// Otto's password: found anywhere but on a stdin, it has leaked.
const PASSWORD: &str = "canary %h 'x' 71c3";
/// What every question for it says.
const QUESTION: &str = "password for sudo";

/// A user who may become root with a password only, let in with the same key as the usual one.
fn add_otto(it: &Workbox) {
    it.run(&format!(
        "sudo useradd -m -s /bin/bash otto && printf 'otto:%s\\n' {} | sudo chpasswd && \
         echo 'otto ALL=(ALL) ALL' | sudo tee /etc/sudoers.d/otto >/dev/null && \
         sudo install -d -m 700 -o otto -g otto /home/otto/.ssh && \
         sudo install -m 600 -o otto -g otto ~/.ssh/authorized_keys /home/otto/.ssh/authorized_keys",
        quote::sh(PASSWORD)
    ));
}

/// OpenSSH's configuration: the room's box is behind the gate.
fn behind(it: &Workbox, gate: &Running) {
    let config = format!(
        "Include gates\nHost room\n  HostName {}\n  User otto\n  IdentityFile {}\n  ProxyJump gate\n",
        it.address(),
        it.machine().identity.display()
    );
    let gates = format!(
        "Host gate !room\n  HostName {}\n  User {}\n  IdentityFile {}\n  IdentitiesOnly yes\n",
        gate.spec.address,
        gate.spec.user,
        gate.identity.display()
    );
    fs::write(it.home().join(".ssh/config"), config).expect("config");
    fs::write(it.home().join(".ssh/gates"), gates).expect("gates");
}

fn password_file(it: &Workbox, password: &str) -> PathBuf {
    let file = it.folder().join("password");
    fs::write(&file, format!("{password}\n")).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    file
}

/// Runs dwenv on a terminal, and answers each question for a password with the next of the answers. What was
/// shown.
fn on_a_terminal(it: &Workbox, arguments: &str, answers: &[&str]) -> String {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut terminal = Terminal::start(it.command(&arguments));
    for answer in answers {
        terminal
            .await_shown(QUESTION)
            .await_hidden()
            .type_in(&format!("{answer}\r"));
    }
    let shown = terminal.left().shown;
    let asked = shown.matches(QUESTION).count();
    assert_eq!(asked, answers.len(), "{shown}");
    shown
}

#[test]
fn a_box_behind_another_and_a_sudo_that_asks_are_looked_at_and_set_up_as_any_other() {
    let it = Workbox::provisioned(Suite::Trixie);
    let gate = it.lab().up(&it.lab().spec("gate", 20));
    add_otto(&it);
    behind(&it, &gate);
    let file = password_file(&it, PASSWORD);
    let file = file.to_str().expect("a name");

    // Nobody can be asked: as ever.
    let seen = it.doctor_of("room");
    let sudo = seen.check("box.sudo");
    assert_eq!(sudo.status, "fail");
    assert_eq!(
        sudo.summary,
        "otto cannot become root without a password: sudo: a password is required"
    );

    // What runs in the box while dwenv works there, as root sees it.
    it.run("mkdir watch && sudo systemd-run --unit=watch --collect sh -c \
            'while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; sleep 0.05; done >/home/vagrant/watch/seen 2>/dev/null'");
    let with_password = |arguments: &[&str]| {
        let given = ["--target", "room", "--sudo-password-file", file];
        it.dwenv(&[arguments, &given].concat())
    };
    let changes = |ran: &Ran| -> Vec<String> {
        let document = ran.exit(0).json();
        let changes = document["changes"].as_array().expect("changes").iter();
        let told =
            changes.map(|change| format!("{} {}", change["status"]["state"], change["checks"]));
        told.collect()
    };
    // The files and the service become the new user's; after that there is nothing to do, or just the one thing.
    let provision = ["provision", "--yes", "--format", "json", "-v"];
    let first = with_password(&provision);
    assert!(!changes(&first).is_empty());
    assert_eq!(changes(&with_password(&provision)), [""; 0]);
    it.run("sudo systemctl disable --now docker-workshop 2>&1");
    let one = with_password(&provision);
    assert_eq!(changes(&one), ["\"done\" [\"box.server.unit\"]"]);
    with_password(&["doctor", "--format", "json"]).ready();
    let seen = with_password(&["doctor", "-v"]);
    seen.exit(0)
        .says("room: handshakes 2, execs 1, tunnels")
        .says("otto may use sudo, with a password");
    it.run("sudo systemctl stop watch");
    // Written so that no search finds its own command line.
    let leaks = it.run("sudo sh -c 'grep -c -a c[a]nary /home/vagrant/watch/seen; \
                        journalctl --no-pager | grep -c c[a]nary; \
                        grep -rla c[a]nary /run /tmp /var/tmp /var/log /home/otto /root /etc; true'");
    assert_eq!(leaks, "0\n0");
    assert_ne!(it.run("grep -c -a -e -asks: watch/seen || true"), "0");
    for ran in [&first, &one, &seen] {
        ran.never_says("canary");
    }

    // OpenSSH goes the same way.
    let from = it.dwenv(&["ssh", "--target", "room", "--", "echo $SSH_CONNECTION"]);
    let gate_first = format!("{} ", gate.spec.address);
    assert!(from.exit(0).out.starts_with(&gate_first), "{from}");

    a_wrong_password(&it);
    a_terminal(&it);

    // The machine on the way is the one that is named when it is gone.
    said(
        &gate,
        "sudo systemctl stop ssh.socket ssh.service; sudo pkill -x sshd; true",
    );
    let gone = it.doctor_of("room");
    let connection = gone.check("box.ssh");
    assert_eq!(connection.status, "unknown");
    assert!(
        connection.summary.starts_with("On the way to room: gate"),
        "{connection:?}"
    );
}

fn a_wrong_password(it: &Workbox) {
    let failures = "sudo journalctl -t sudo --no-pager | grep -c 'incorrect password' || true";
    let before: u32 = it.run(failures).parse().expect("a number");
    let file = password_file(it, "wrong");
    let arguments = ["doctor", "--format", "json", "--target", "room"];
    let given = ["--sudo-password-file", file.to_str().expect("a name")];
    let ran = it.dwenv(&[&arguments[..], &given].concat());
    let sudo = ran.check("box.sudo");
    assert_eq!(sudo.status, "fail");
    assert!(
        sudo.summary.ends_with("the one that was given is wrong"),
        "{sudo:?}"
    );
    // Tried once, and what needs no root was looked at all the same.
    let after: u32 = it.run(failures).parse().expect("a number");
    assert_eq!(after, before + 1);
    assert_eq!(ran.check("box.docker.daemon").status, "pass");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("its mode");
    it.dwenv(&[&arguments[..], &given].concat())
        .exit(2)
        .says("others than you may read the sudo password");
}

fn a_terminal(it: &Workbox) {
    let shown = on_a_terminal(it, "doctor -v --target room", &["wrong", PASSWORD]);
    assert!(shown.contains("The password for sudo at room"), "{shown}");
    assert!(shown.contains("room refused it."), "{shown}");
    assert!(shown.contains("Ready for the workshop."), "{shown}");
    assert!(shown.contains("handshakes 2, execs 1, tunnels"), "{shown}");
    assert!(!shown.contains("canary"), "{shown}");
    // Who gives no answer is not asked again, and hears what that means.
    let shown = on_a_terminal(it, "doctor --target room", &[""]);
    assert!(shown.contains("a password is required"), "{shown}");
    // Three wrong ones, and no more.
    let shown = on_a_terminal(it, "doctor --target room", &["a", "b", "c"]);
    assert!(shown.contains("given is wrong"), "{shown}");
}

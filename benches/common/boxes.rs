//! Machines for a measurement, and what brings them to where the workshop wants them.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use dwenv::events::Events;
use dwenv::target::sandbox::Running;

use crate::support::{Lab, run, said, text};

pub const DWENV: &str = env!("CARGO_BIN_EXE_dwenv");
/// The files that go into the box.
pub const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/provision");

/// A lab, and a folder whose config.toml has the lab's address.
pub fn workshop() -> (Lab, tempfile::TempDir) {
    let lab = Lab::new();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let text = include_str!("../../config.toml");
    fs::write(
        &file,
        text.replace("192.168.33.10", &lab.address(10).to_string()),
    )
    .expect("config.toml can be written");
    let into = folder.path().to_str().expect("a plain path");
    run("cp", &["-r", FILES, into]);
    (lab, folder)
}

/// Runs a program to its end; it must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

pub fn up(lab: &Lab, name: &str, last: u8) -> Running {
    let running = lab.store.up(&lab.spec(name, last), &Events::nowhere());
    running.unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn down(lab: &Lab, name: &str) {
    let stopped = lab.store.down(name, &Events::nowhere());
    stopped.unwrap_or_else(|error| panic!("{name}: {error}"));
}

pub fn destroy(lab: &Lab, name: &str) {
    let destroyed = lab.store.destroy(name, &Events::nowhere());
    destroyed.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// OpenSSH's client, with nothing of whoever runs the bench but the key.
pub fn ssh(machine: &Running) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"])
        .args(["-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "IdentitiesOnly=yes", "-i"])
        .arg(&machine.identity)
        .args(["-p", &machine.port.to_string()])
        .arg(format!("{}@{}", machine.spec.user, machine.spec.address));
    ssh
}

/// Sends `by_hand.sh`, with the files that it needs, to root's shell in one go.
pub fn by_hand(mut ssh: Command, user: &str) {
    let mut script = format!("user={user}\nmkdir -p /tmp/provision\n");
    for entry in fs::read_dir(FILES).expect("provision/").flatten() {
        let name = entry.file_name();
        let text = fs::read_to_string(entry.path()).expect("a file of text");
        script.push_str(&format!(
            "cat >/tmp/provision/{} <<'END OF FILE'\n{text}END OF FILE\n",
            name.display()
        ));
    }
    script.push_str(include_str!("../by_hand.sh"));
    let mut child = ssh
        // Read whole before it begins: a program that reads its stdin would swallow the rest.
        .arg("sudo sh -c \"$(cat)\"")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program ssh");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(script.as_bytes())
        .expect("the script is sent");
    drop(stdin);
    let status = child.wait().expect("a child of ours");
    assert!(
        status.success(),
        "the hand-written script ended with {status}"
    );
}

/// Every way ends with a server that answers with a row: otherwise their times say nothing.
pub fn assert_served(machine: &Running) {
    let program = "import time, urllib.request as u\n\
         for _ in range(50):\n\
         \x20 try: print(u.urlopen('http://localhost:8080').read().decode()); break\n\
         \x20 except OSError: time.sleep(0.1)";
    let answer = said(machine, &format!("python3 -c \"{program}\""));
    assert!(answer.contains("Hello World"), "{answer}");
}

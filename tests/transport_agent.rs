//! Logging in with the agent's keys. Alone in its binary, because the agent is found by the
//! environment, and that is the whole process's.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/session.rs"]
mod session;
#[path = "support/sshd.rs"]
mod sshd;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dwenv::events::Events;
use dwenv::transport::endpoint::Agent as AgentUse;
use dwenv::transport::session::{NoPassphrase, connect};
use session::{open, within};
use sshd::{Setup, Sshd};

/// An agent of this test's own, killed with it.
struct Agent(Child);

impl Agent {
    fn start(socket: &Path) -> Self {
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-a"]).arg(socket).stdout(Stdio::null());
        Self(command.spawn().expect("ssh-agent"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn add(key: &Path) {
    let output = Command::new("ssh-add")
        .arg("-q")
        .arg(key)
        .output()
        .expect("ssh-add");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Gives the agent a key that is encrypted in its file.
fn add_opened(key: &Path, passphrase: &str) {
    let opened = key.with_extension("opened");
    std::fs::copy(key, &opened).expect("a copy");
    let ended = Command::new("ssh-keygen")
        .args(["-q", "-p", "-N", "", "-P", passphrase, "-f"])
        .arg(&opened)
        .output()
        .expect("ssh-keygen");
    assert!(ended.status.success(), "{ended:?}");
    add(&opened);
    std::fs::remove_file(&opened).expect("a file");
}

#[tokio::test]
async fn every_key_of_the_agent_is_tried_once_and_after_the_files() {
    let server = Setup::default()
        .option("MaxAuthTries=4")
        .option("LogLevel=DEBUG1")
        .start();
    let socket = server.path("agent.sock");
    // SAFETY: this is the only test of the binary, and nothing else runs in it yet.
    unsafe { std::env::set_var("SSH_AUTH_SOCK", &socket) };

    let refused = server.stranger("ed25519", "");
    let mut endpoint = server.endpoint_with(vec![refused.clone()]);
    endpoint.agent = AgentUse::All;
    let without = connect(&endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
    let error = without.err().expect("a refusal");
    assert!(
        error.cause.as_deref().unwrap().contains("no agent answers"),
        "{error}"
    );

    let _agent = Agent::start(&socket);
    let listening = async {
        while UnixStream::connect(&socket).is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(listening).await;
    // The refused file is in the agent, too; so is one more stranger before the right key.
    for key in [
        &refused,
        &server.stranger("rsa", ""),
        &server.key("ecdsa", ""),
    ] {
        add(key);
    }
    open(&endpoint).await;
    let offered = server.log().matches("Failed publickey").count();
    assert!(offered <= 3, "{}", server.log());

    let other = Sshd::start();
    let mut endpoint = other.endpoint_with(vec![]);
    endpoint.agent = AgentUse::All;
    let refused = connect(&endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
    let error = refused.err().expect("a refusal");
    let cause = error.cause.as_deref().unwrap();
    assert_eq!(
        cause
            .matches("the agent's key \"test\" was refused")
            .count(),
        3,
        "{cause}"
    );

    // An encrypted key that the agent holds opens without its passphrase, alone or beside its public half; and
    // with `IdentitiesOnly` the agent's other keys are not offered.
    let server = Setup::default().option("LogLevel=DEBUG1").start();
    let encrypted = server.key("ed25519", "a passphrase");
    let public = encrypted.with_extension("pub");
    add_opened(&encrypted, "a passphrase");
    for file in [&encrypted, &public] {
        let mut endpoint = server.endpoint_with(vec![file.clone()]);
        endpoint.agent = AgentUse::OfFiles;
        open(&endpoint).await;
    }
    assert_eq!(
        server.log().matches("Failed publickey").count(),
        0,
        "{}",
        server.log()
    );
    let mut endpoint = server.endpoint_with(vec![server.stranger("ecdsa", "")]);
    endpoint.agent = AgentUse::OfFiles;
    let refused = connect(&endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
    let error = refused.err().expect("a refusal");
    assert!(
        !error.cause.as_deref().unwrap().contains("the agent's key"),
        "{error}"
    );
}

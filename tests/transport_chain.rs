//! Over other machines to the box: real servers on the way, each with its own key, user and host key.
#![cfg(target_os = "linux")]

#[path = "support/session.rs"]
mod session;
#[path = "support/sshd.rs"]
mod sshd;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dwenv::error::{Error, ErrorKind};
use dwenv::events::Events;
use dwenv::transport::endpoint::{Endpoint, HostKeyPolicy};
use dwenv::transport::session::{NoPassphrase, connect};
use dwenv::transport::{Exit, Transport};
use session::{open, run, tcp_echo, within};
use sshd::{Setup, Sshd, Told, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn named(name: &str, server: &Sshd) -> Endpoint {
    Endpoint {
        name: name.to_owned(),
        ..server.endpoint()
    }
}

/// The way over all servers but the last to the last.
fn chain(servers: &[&Sshd]) -> Endpoint {
    let names = match servers.len() {
        2 => &["gate", "there"][..],
        _ => &["gate", "inner", "there"],
    };
    let mut way: Vec<Endpoint> = names
        .iter()
        .zip(servers)
        .map(|(name, server)| named(name, server))
        .collect();
    let last = way.pop().expect("a server");
    Endpoint { via: way, ..last }
}

async fn refusal(endpoint: &Endpoint) -> Error {
    match connect(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await {
        Err(error) => error,
        Ok(_) => panic!("it logged in"),
    }
}

#[tokio::test]
async fn two_machines_on_the_way_are_three_handshakes_and_one_exec() {
    let (gate, inner, there) = (Sshd::start(), Sshd::start(), Sshd::start());
    let endpoint = chain(&[&gate, &inner, &there]);
    let told = Told::default();
    let session = connect(&endpoint, &told.events(), Arc::new(NoPassphrase)).await;
    let session = session.unwrap_or_else(|error| panic!("{error}"));
    let big = vec![b'x'; 3_000_000];
    let (out, err, exit) = run(&session, "cat; echo \"$SSH_CONNECTION\" >&2", &big).await;
    assert_eq!((out.len(), exit), (big.len(), Exit::Status(0)));
    let port = there.port.to_string();
    assert!(String::from_utf8_lossy(&err).contains(&port));
    let tally = session.tally();
    assert_eq!((tally.handshakes, tally.execs, tally.tunnels), (3, 1, 0));
    // Each machine's host key is on record, in its own file, by the key it proved.
    for server in [&gate, &inner, &there] {
        let known = fs::read_to_string(server.path("known_hosts")).unwrap();
        assert_eq!(
            known,
            format!(
                "[127.0.0.1]:{} {}\n",
                server.port,
                server.host_key("ed25519")
            )
        );
    }
    assert_eq!(told.notes().len(), 3);
    drop(session);
    // And nothing is left open anywhere.
    within(async {
        while [&gate, &inner, &there]
            .iter()
            .any(|it| !it.sessions().is_empty())
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn tunnels_lead_on_from_the_last_machine() {
    let (gate, there) = (Sshd::start(), Sshd::start());
    let session = open(&chain(&[&gate, &there])).await;
    let mut tunnel = session
        .open_tcp("127.0.0.1", tcp_echo().await)
        .await
        .unwrap();
    tunnel.write_all(b"over the hills").await.unwrap();
    let mut heard = [0; 14];
    within(tunnel.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"over the hills");
    assert_eq!(session.tally().tunnels, 1);
}

#[tokio::test]
async fn each_machine_has_its_own_host_key_policy() {
    let (gate, there) = (Sshd::start(), Sshd::start());
    let mut endpoint = chain(&[&gate, &there]);
    let other = Sshd::start();
    let wrong = format!("[127.0.0.1]:{} {}\n", gate.port, other.host_key("ed25519"));
    fs::write(gate.path("known_hosts"), wrong).unwrap();
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert_eq!(
        error.message,
        format!(
            "On the way to there: The host key of gate (127.0.0.1:{}) has changed",
            gate.port
        )
    );
    // Nobody was asked behind it.
    assert!(!there.path("known_hosts").exists());

    fs::remove_file(gate.path("known_hosts")).unwrap();
    endpoint.host_key = HostKeyPolicy::KnownHosts {
        files: vec![there.path("known_hosts")],
        accept_new: false,
        alias: None,
    };
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(
        error.message.starts_with("The host key of there"),
        "{error}"
    );
    assert!(
        error.hints[0].contains("ssh -o StrictHostKeyChecking=ask -J gate -p "),
        "{:?}",
        error.hints
    );
}

#[tokio::test]
async fn what_fails_is_told_with_the_machine_where_it_failed() {
    let (gate, there) = (Sshd::start(), Sshd::start());
    // A key that the machine on the way does not know.
    let mut endpoint = chain(&[&gate, &there]);
    endpoint.via[0].identities = vec![gate.stranger("ed25519", "")];
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    let refused = "On the way to there: gate (127.0.0.1:";
    assert!(error.message.starts_with(refused), "{error}");

    // One that the box does not know.
    let mut endpoint = chain(&[&gate, &there]);
    endpoint.identities = vec![there.stranger("ed25519", "")];
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(error.message.starts_with("there (127.0.0.1:"), "{error}");

    // Nothing listens behind the machine on the way.
    let mut endpoint = chain(&[&gate, &there]);
    endpoint.port = free_port();
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Unreachable);
    let cannot = format!("gate (127.0.0.1:{}) cannot connect to there", gate.port);
    assert!(error.message.starts_with(&cannot), "{error}");

    // It carries nobody further.
    let closed = Setup::default().option("AllowTcpForwarding=no").start();
    let error = refusal(&chain(&[&closed, &there])).await;
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.hints[0].contains("AllowTcpForwarding"), "{error:?}");
}

#[tokio::test]
async fn one_deadline_holds_over_the_whole_way() {
    let gate = Sshd::start();
    // It takes connections, and never says a word.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = Endpoint {
        name: "there".to_owned(),
        port: silent.local_addr().unwrap().port(),
        timeout: Duration::from_secs(6),
        via: vec![named("gate", &gate)],
        ..gate.endpoint()
    };
    let began = Instant::now();
    let error = refusal(&endpoint).await;
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("stayed silent for 6s"), "{error}");
}

#[tokio::test]
async fn a_machine_on_the_way_that_dies_is_the_one_that_is_named() {
    let (gate, there) = (Sshd::start(), Sshd::start());
    let session = open(&chain(&[&gate, &there])).await;
    let exec = session.exec("sleep 60").await.unwrap();
    gate.signal_sessions("-KILL");
    assert!(within(exec.exit).await.is_err());
    let error = within(async {
        loop {
            if let Err(error) = session.exec("true").await {
                return error;
            }
        }
    })
    .await;
    assert!(error.message.contains("connection to gate"), "{error}");
}

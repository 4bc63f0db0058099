//! How a connection ends, and what it costs.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/session.rs"]
mod session;
#[path = "support/sshd.rs"]
mod sshd;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dwenv::error::ErrorKind;
use dwenv::events::Events;
use dwenv::transport::session::{NoPassphrase, connect};
use dwenv::transport::{Tally, Transport as _};
use session::{open, run, tcp_echo, within};
use sshd::{Sshd, Told};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_killed_server_ends_every_stream_at_once() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let mut exec = session.exec("echo begun; cat").await.unwrap();
    let mut line = [0; 6];
    exec.stdout.read_exact(&mut line).await.unwrap();
    let mut tunnel = session
        .open_tcp("127.0.0.1", tcp_echo().await)
        .await
        .unwrap();
    server.signal_sessions("-KILL");
    let mut rest = Vec::new();
    within(exec.stdout.read_to_end(&mut rest)).await.unwrap();
    within(exec.stderr.read_to_end(&mut rest)).await.unwrap();
    within(tunnel.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    assert!(
        within(exec.exit).await.is_err(),
        "a lost connection is no exit"
    );
    let error = within(session.exec("true")).await.err().expect("an error");
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("lost"), "{error}");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.timeout = Duration::from_secs(3);
    let session = open(&endpoint).await;
    let mut exec = session.exec("cat").await.unwrap();
    // A silent command alone is no reason: the server answers for it.
    let mut out = [0; 1];
    let quiet = tokio::time::timeout(Duration::from_secs(20), exec.stdout.read(&mut out)).await;
    if quiet.is_ok() {
        let error = session.exec("true").await.err();
        panic!(
            "a healthy connection was given up: {error:?}\n{}",
            server.log()
        );
    }
    server.signal_sessions("-STOP");
    let end = tokio::time::timeout(Duration::from_secs(60), exec.stdout.read(&mut out)).await;
    assert_eq!(end.expect("the silence was noticed").unwrap(), 0);
    assert!(exec.exit.await.is_err());
}

#[tokio::test]
async fn dropping_a_session_during_a_command_returns_at_once() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let mut endless = session.exec("cat /dev/zero").await.unwrap();
    let mut idle = session.exec("sleep 1000").await.unwrap();
    let mut some = [0; 1000];
    endless.stdout.read_exact(&mut some).await.unwrap();
    let began = Instant::now();
    drop(session);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    let mut rest = Vec::new();
    within(endless.stdout.read_to_end(&mut rest)).await.unwrap();
    within(idle.stderr.read_to_end(&mut rest)).await.unwrap();
    assert!(idle.exit.await.is_err());
}

#[tokio::test]
async fn a_dropped_command_is_closed_in_the_box() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let mark = server.path("ended");
    let command = format!("cat >/dev/null; touch {}", mark.display());
    let exec = session.exec(&command).await.unwrap();
    drop(exec);
    let ended = async {
        while !mark.exists() {
            tokio::task::yield_now().await;
        }
    };
    within(ended).await;
}

#[tokio::test]
async fn a_connection_costs_what_the_tally_says() {
    let server = Sshd::start();
    let told = Told::default();
    let session = connect(&server.endpoint(), &told.events(), Arc::new(NoPassphrase))
        .await
        .unwrap();
    assert!(session.server_banner().starts_with("SSH-2.0-OpenSSH"));
    assert_eq!(
        session.tally(),
        Tally {
            handshakes: 1,
            ..Tally::default()
        }
    );
    run(&session, "cat", b"12345").await;
    let expected = Tally {
        handshakes: 1,
        execs: 1,
        tunnels: 0,
        bytes_sent: 5,
        bytes_received: 5,
    };
    assert_eq!(session.tally(), expected);
    assert!(
        told.details()
            .iter()
            .any(|detail| detail.contains("handshake in"))
    );
    // Exactly one attempt, of exactly the right key.
    assert!(!server.log().contains("Failed"), "{}", server.log());
}

/// Passes everything on and counts how often the client waited for the server before it went on.
async fn counting_proxy(server: u16) -> (u16, Arc<AtomicU32>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let trips = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&trips);
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", server))
            .await
            .unwrap();
        let (mut up, mut down) = ([0; 65536], [0; 65536]);
        let mut client_spoke = false;
        loop {
            tokio::select! {
                Ok(read @ 1..) = client.read(&mut up) => {
                    client_spoke = true;
                    server.write_all(&up[..read]).await.unwrap();
                }
                Ok(read @ 1..) = server.read(&mut down) => {
                    // An answer that comes in several pieces is one.
                    if std::mem::take(&mut client_spoke) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    let _ = client.write_all(&down[..read]).await;
                }
                else => return,
            }
        }
    });
    (port, trips)
}

#[tokio::test]
async fn connecting_and_running_costs_nine_round_trips() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    let (port, trips) = counting_proxy(server.port).await;
    endpoint.port = port;
    let session = open(&endpoint).await;
    let login = trips.load(Ordering::Relaxed);
    assert_eq!(run(&session, "cat", b"hello").await.0, b"hello");
    let all = trips.load(Ordering::Relaxed);
    println!("{login} round trips to log in, {all} in all");
    // TCP's own is not seen by the proxy. The output and the exit may come apart.
    assert!(login <= 6, "{login} round trips to log in");
    assert!(all <= login + 4, "{all} round trips in all");
}

/// How much processor time the threads of this name have used.
fn used_by(thread: &str) -> u64 {
    let mut used = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        if stat.contains(&format!("({thread})")) {
            let after_name = stat.rsplit(')').next().unwrap_or_default();
            let fields: Vec<u64> = after_name
                .split_whitespace()
                .skip(1)
                .map(|field| field.parse().unwrap_or(0))
                .collect();
            // utime and stime, in hundredths of a second.
            used += fields[10] + fields[11];
        }
    }
    used
}

#[tokio::test]
async fn a_session_that_waits_uses_no_processor() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.name = "waits".to_owned();
    let session = open(&endpoint).await;
    let pause = || tokio::time::sleep(Duration::from_millis(500));
    let before = used_by("ssh waits");
    pause().await;
    assert!(
        used_by("ssh waits") <= before + 5,
        "idle, without a channel"
    );
    // Nobody reads these, and the box has more to say.
    let endless = session.exec("yes").await.unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let tunnel = session.open_tcp("127.0.0.1", port).await.unwrap();
    let (mut talker, _) = listener.accept().await.unwrap();
    tokio::spawn(async move { while talker.write_all(&[0; 65536]).await.is_ok() {} });
    let full = async {
        let mut seen = 0;
        loop {
            pause().await;
            let now = session.tally().bytes_received;
            if now == seen {
                return;
            }
            seen = now;
        }
    };
    within(full).await;
    let before = used_by("ssh waits");
    pause().await;
    assert!(
        used_by("ssh waits") <= before + 5,
        "with two stalled channels"
    );
    drop(endless);
    pause().await;
    let before = used_by("ssh waits");
    pause().await;
    assert!(
        used_by("ssh waits") <= before + 5,
        "with one stalled tunnel"
    );
    drop(tunnel);
}

#[tokio::test]
async fn a_connection_that_nobody_waits_for_any_more_is_given_up() {
    let silent = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.port = silent.local_addr().unwrap().port();
    let events = Events::nowhere();
    let mut connecting = Box::pin(connect(&endpoint, &events, Arc::new(NoPassphrase)));
    let (mut stream, _) = tokio::select! {
        accepted = silent.accept() => accepted.unwrap(),
        _ = &mut connecting => panic!("connected"),
    };
    // The thread is there once it has introduced itself.
    let mut hello = [0; 4];
    tokio::select! {
        read = stream.read_exact(&mut hello) => read.unwrap(),
        _ = &mut connecting => panic!("connected"),
    };
    drop(connecting);
    let mut rest = Vec::new();
    let _ = within(stream.read_to_end(&mut rest)).await;
}

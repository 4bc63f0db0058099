//! Tunnels over SSH, against a real server.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/session.rs"]
mod session;
#[path = "support/sshd.rs"]
mod sshd;

use std::time::{Duration, Instant};

use dwenv::error::ErrorKind;
use dwenv::transport::{Transport as _, Tunnel};
use session::{open, run, tcp_echo, within};
use sshd::{Setup, Sshd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn echoes(mut tunnel: Tunnel, text: &[u8]) {
    tunnel.write_all(text).await.unwrap();
    let mut back = vec![0; text.len()];
    tunnel.read_exact(&mut back).await.unwrap();
    assert_eq!(back, text);
    tunnel.shutdown().await.unwrap();
    assert_eq!(
        tunnel.read(&mut back).await.unwrap(),
        0,
        "the end comes back too"
    );
}

#[tokio::test]
async fn tunnels_to_ports_and_sockets_work_side_by_side() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let port = tcp_echo().await;
    let path = server.path("echo.sock");
    let unix = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = unix.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    let path = path.to_str().unwrap();
    let tcp = |text: &'static [u8]| async {
        echoes(session.open_tcp("127.0.0.1", port).await.unwrap(), text).await
    };
    let socket =
        |text: &'static [u8]| async { echoes(session.open_unix(path).await.unwrap(), text).await };
    tokio::join!(
        tcp(b"one"),
        socket(b"two"),
        tcp(b"three"),
        socket(b"four"),
        tcp(&[9; 300_000]),
        async {
            let (out, _, _) = run(&session, "echo beside", b"").await;
            assert_eq!(out, b"beside\n");
        },
    );
    assert_eq!(session.tally().tunnels, 5);
}

#[tokio::test]
async fn a_dropped_tunnel_closes_its_connection() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let tunnel = session.open_tcp("127.0.0.1", port).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    drop(tunnel);
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    // Also one that was shut down first, while the other side keeps its half open.
    let mut tunnel = session.open_tcp("127.0.0.1", port).await.unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    tunnel.shutdown().await.unwrap();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    drop(tunnel);
    let broken = async { while stream.write_all(&[0; 100]).await.is_ok() {} };
    within(broken).await;
}

#[tokio::test]
async fn a_refused_tunnel_says_what_was_refused_and_why() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let began = Instant::now();
    let error = session.open_unix("/nowhere.sock").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("/nowhere.sock"), "{error}");
    assert!(
        error.cause.as_deref().unwrap().contains("connect failed"),
        "{error}"
    );
    let port = sshd::free_port();
    let error = session.open_tcp("127.0.0.1", port).await.unwrap_err();
    assert!(error.message.contains(&port.to_string()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
    // Nothing else suffers, and a refusal is not counted.
    assert_eq!(run(&session, "echo on", b"").await.0, b"on\n");
    assert_eq!(session.tally().tunnels, 0);

    let server = Setup::default().option("AllowTcpForwarding=no").start();
    let session = open(&server.endpoint()).await;
    let error = session.open_tcp("127.0.0.1", 1).await.unwrap_err();
    assert!(
        error.hints[0].contains("AllowTcpForwarding"),
        "{:?}",
        error.hints
    );
}

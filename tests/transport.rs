//! Commands over SSH, against a real server.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/session.rs"]
mod session;
#[path = "support/sshd.rs"]
mod sshd;

use dwenv::transport::{Exec, Exit, Transport as _};
use session::{open, run, tcp_echo, within};
use sshd::{Setup, Sshd};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_command_has_its_input_both_outputs_and_its_exit_status() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let (out, err, exit) = run(&session, "cat; echo oops >&2; exit 7", b"hello").await;
    assert_eq!(out, b"hello");
    assert_eq!(err, b"oops\n");
    assert_eq!(exit, Exit::Status(7));
}

#[tokio::test]
async fn a_signal_is_told_by_its_name() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let (_, _, exit) = run(&session, "kill -TERM $$", b"").await;
    assert_eq!(exit, Exit::Signal("TERM".to_owned()));
}

#[tokio::test]
async fn output_that_nobody_wants_does_no_harm() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let Exec {
        stdin,
        stdout,
        stderr,
        exit,
    } = session.exec("seq 1000000 >&2; echo done").await.unwrap();
    drop((stdin, stderr));
    // The exit is known although the output waits.
    assert_eq!(exit.await, Ok(Exit::Status(0)));
    let mut out = String::new();
    let mut stdout = stdout;
    stdout.read_to_string(&mut out).await.unwrap();
    assert_eq!(out, "done\n");
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_ends_all_the_same() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let (out, _, exit) = run(&session, "echo early", &vec![b'x'; 20_000_000]).await;
    assert_eq!(out, b"early\n");
    assert_eq!(exit, Exit::Status(0));
}

#[tokio::test]
async fn fifty_megabytes_go_both_ways_and_another_channel_is_served_too() {
    const SIZE: usize = 50_000_000;
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let input: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let (bulk, ()) = tokio::join!(run(&session, "cat", &input), async {
        for _ in 0..10 {
            let (out, _, _) = run(&session, "cat", b"ping").await;
            assert_eq!(out, b"ping");
        }
    });
    assert!(bulk.0 == input, "the bytes differ");
    assert_eq!(bulk.2, Exit::Status(0));
    let tally = session.tally();
    assert_eq!((tally.handshakes, tally.execs, tally.tunnels), (1, 11, 0));
    assert_eq!(tally.bytes_sent, SIZE as u64 + 40);
    assert_eq!(tally.bytes_received, SIZE as u64 + 40);
}

#[tokio::test]
async fn commands_come_and_go_while_another_channel_sends_without_end() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    // It sends everything back, so the server is slower than we are and the socket always full.
    let mut bulk = session.exec("cat").await.unwrap();
    let tunnel = session.open_tcp("127.0.0.1", tcp_echo().await);
    let mut echo = tunnel.await.unwrap();
    let send = async {
        let piece = vec![7; 256 * 1024];
        while bulk.stdin.write_all(&piece).await.is_ok() {}
    };
    let mut sink = tokio::io::sink();
    let receive = tokio::io::copy(&mut bulk.stdout, &mut sink);
    let mut flood = session.exec("cat /dev/zero").await.unwrap();
    let mut drain = tokio::io::sink();
    let download = tokio::io::copy(&mut flood.stdout, &mut drain);
    let others = async {
        for _ in 0..10 {
            // Its opening, its start, its input and the end of that are packets that want out.
            let (out, _, _) = run(&session, "cat", b"ping").await;
            assert_eq!(out, b"ping");
            echo.write_all(b"pong").await.unwrap();
            let mut answer = [0; 4];
            echo.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"pong");
        }
        // Nor were they in the way of the bulk.
        while session.tally().bytes_sent < 5_000_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = within(others) => {}
        () = send => panic!("the sending ended"),
        _ = receive => panic!("the receiving ended"),
        _ = download => panic!("the download ended"),
    }
}

#[tokio::test]
async fn a_channel_that_nobody_reads_stops_itself_and_nothing_else() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let stalled = session.exec("cat /dev/zero").await.unwrap();
    let (out, _, _) = run(&session, "cat", &vec![7; 5_000_000]).await;
    assert_eq!(out.len(), 5_000_000);
    // No more than a window and a stream of it was ever taken.
    assert!(session.tally().bytes_received < 5_000_000 + 4 * 1024 * 1024);
    drop(stalled);
}

#[tokio::test]
async fn a_server_with_one_session_at_a_time_serves_one_after_the_other() {
    let server = Setup::default().option("MaxSessions=1").start();
    let session = open(&server.endpoint()).await;
    let first = session.exec("cat").await.unwrap();
    let error = session.exec("true").await.err().expect("a refusal");
    assert!(error.hints[0].contains("MaxSessions"), "{:?}", error.hints);
    drop(first.stdin);
    assert_eq!(first.exit.await, Ok(Exit::Status(0)));
    // The first is over, and its streams not even dropped.
    assert_eq!(run(&session, "echo second", b"").await.0, b"second\n");
    // A dropped one makes room, too: its end is the server's to notice.
    drop(session.exec("cat").await.unwrap());
    let again = async {
        while session.exec("true").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(again).await;
}

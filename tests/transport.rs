//! The SSH transport against a real server.

#[path = "support/sshd.rs"]
mod sshd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dwenv::error::{Error, ErrorKind};
use dwenv::events::Events;
use dwenv::transport::endpoint::Endpoint;
use dwenv::transport::session::{NoPassphrase, Session, connect};
use dwenv::transport::{Exec, Exit, Tally, Transport};
use sshd::{Setup, Sshd, Told};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

async fn open(endpoint: &Endpoint) -> Session {
    let session = connect(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
    session.unwrap_or_else(|error| panic!("{error}; {:?}", error.hints))
}

async fn refusal(endpoint: &Endpoint) -> Error {
    match connect(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

/// Sends all of the input and collects everything that comes back.
async fn run(session: &Session, command: &str, input: &[u8]) -> (Vec<u8>, Vec<u8>, Exit) {
    let Exec {
        mut stdin,
        mut stdout,
        mut stderr,
        exit,
    } = session.exec(command).await.expect(command);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let write = async {
        // The command may end without reading it all.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (_, read, read_err) = tokio::join!(
        write,
        stdout.read_to_end(&mut out),
        stderr.read_to_end(&mut err)
    );
    read.and(read_err).expect("both outputs");
    (out, err, exit.await.expect("an exit"))
}

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
async fn fifty_megabytes_go_both_ways_while_another_channel_stays_quick() {
    const SIZE: usize = 50_000_000;
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let input: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
    let mut slowest = Duration::ZERO;
    let (bulk, ()) = tokio::join!(run(&session, "cat", &input), async {
        for _ in 0..10 {
            let began = Instant::now();
            let (out, _, _) = run(&session, "cat", b"ping").await;
            assert_eq!(out, b"ping");
            slowest = slowest.max(began.elapsed());
        }
    });
    assert!(bulk.0 == input, "the bytes differ");
    assert_eq!(bulk.2, Exit::Status(0));
    assert!(
        slowest < Duration::from_secs(5),
        "the other channel took {slowest:?}"
    );
    let tally = session.tally();
    assert_eq!((tally.handshakes, tally.execs, tally.tunnels), (1, 11, 0));
    assert_eq!(tally.bytes_sent, SIZE as u64 + 40);
    assert_eq!(tally.bytes_received, SIZE as u64 + 40);
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

/// Serves one kind of echo per connection until the test is over.
async fn tcp_echo() -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

async fn echoes(mut tunnel: dwenv::transport::Tunnel, text: &[u8]) {
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

async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(5);
    tokio::time::timeout(limit, work)
        .await
        .expect("it took more than five seconds")
}

#[tokio::test]
async fn a_refused_tunnel_says_what_was_refused_and_why() {
    let server = Sshd::start();
    let session = open(&server.endpoint()).await;
    let began = Instant::now();
    let error = session.open_unix("/nowhere.sock").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert!(error.message.contains("/nowhere.sock"), "{error}");
    assert!(
        error.cause.as_deref().unwrap().contains("connect failed"),
        "{error}"
    );
    let port = sshd::free_port();
    let error = session.open_tcp("127.0.0.1", port).await.unwrap_err();
    assert!(error.message.contains(&port.to_string()), "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
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
    endpoint.timeout = Duration::from_secs(1);
    let session = open(&endpoint).await;
    let mut exec = session.exec("cat").await.unwrap();
    // A silent command alone is no reason: the server answers for it.
    let mut out = [0; 1];
    let quiet = tokio::time::timeout(Duration::from_secs(7), exec.stdout.read(&mut out)).await;
    assert!(quiet.is_err(), "a healthy connection was given up");
    server.signal_sessions("-STOP");
    let end = tokio::time::timeout(Duration::from_secs(9), exec.stdout.read(&mut out)).await;
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
        began.elapsed() < Duration::from_millis(150),
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

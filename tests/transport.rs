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

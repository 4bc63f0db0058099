//! What the tests of a session do all the time.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::sync::Arc;
use std::time::Duration;

use dwenv::events::Events;
use dwenv::transport::endpoint::Endpoint;
use dwenv::transport::session::{NoPassphrase, Session, connect};
use dwenv::transport::{Exec, Exit, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub async fn open(endpoint: &Endpoint) -> Session {
    let session = connect(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
    session.unwrap_or_else(|error| panic!("{error}; {:?}", error.hints))
}

/// Sends all of the input and collects everything that comes back.
pub async fn run(session: &Session, command: &str, input: &[u8]) -> (Vec<u8>, Vec<u8>, Exit) {
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

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, work)
        .await
        .expect("it took more than thirty seconds")
}

/// Serves one kind of echo per connection until the test is over.
pub async fn tcp_echo() -> u16 {
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

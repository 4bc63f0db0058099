//! A scripted box for the tests of other rooms: no network, no SSH, answers as data.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::oneshot;

use super::{Exec, Exit, Tally, Transport, Tunnel};
use crate::error::{Error, Result};

const STREAM: usize = 256 * 1024;

/// How the fake box answers one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Without an exit, the connection is lost after the output.
    pub exit: Option<Exit>,
}

impl Answer {
    /// Prints this and succeeds.
    pub fn ok(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            stderr: Vec::new(),
            exit: Some(Exit::Status(0)),
        }
    }

    /// Complains and fails.
    pub fn failed(status: i32, stderr: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: Vec::new(),
            stderr: stderr.into(),
            exit: Some(Exit::Status(status)),
        }
    }

    /// Prints this, and then the connection is gone.
    pub fn lost(stdout: impl Into<Vec<u8>>) -> Self {
        Self {
            stdout: stdout.into(),
            stderr: Vec::new(),
            exit: None,
        }
    }
}

/// The box's side of a running command.
pub struct Running {
    pub stdin: DuplexStream,
    pub stdout: DuplexStream,
    pub stderr: DuplexStream,
    /// Dropped without a word, it is a lost connection.
    pub exit: oneshot::Sender<Exit>,
}

type OnExec = dyn Fn(String, Running) -> BoxFuture<'static, ()> + Send + Sync;
type OnTunnel = dyn Fn(&str) -> Result<Tunnel> + Send + Sync;

/// A box that does what a test says.
pub struct FakeBox {
    on_exec: Box<OnExec>,
    on_tunnel: Box<OnTunnel>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    commands: Vec<String>,
    tunnels: Vec<String>,
}

impl FakeBox {
    /// Answers each command once its standard input has ended, given both.
    pub fn new(answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::live(move |command, mut running| {
            let answer = Arc::clone(&answer);
            async move {
                let mut input = Vec::new();
                let _ = running.stdin.read_to_end(&mut input).await;
                let answer = answer(&command, &input);
                // Whoever does not read an output has no use for it.
                let _ = tokio::join!(
                    write_all(running.stdout, answer.stdout),
                    write_all(running.stderr, answer.stderr),
                );
                if let Some(exit) = answer.exit {
                    let _ = running.exit.send(exit);
                }
            }
        })
    }

    /// Plays the box's side of each command by hand: for conversations.
    pub fn live<Played>(play: impl Fn(String, Running) -> Played + Send + Sync + 'static) -> Self
    where
        Played: Future<Output = ()> + Send + 'static,
    {
        Self {
            on_exec: Box::new(move |command, running| play(command, running).boxed()),
            on_tunnel: Box::new(|to| Err(Error::failed(format!("The box opened no way to {to}")))),
            seen: Mutex::default(),
        }
    }

    /// Answers requests for tunnels; `to` is `host:port` or the path of a socket. The other end of
    /// the stream is the test's own. Unless this is called, every tunnel is refused.
    #[must_use]
    pub fn tunnels(
        mut self,
        open: impl Fn(&str) -> Result<Tunnel> + Send + Sync + 'static,
    ) -> Self {
        self.on_tunnel = Box::new(open);
        self
    }

    /// Every command so far, in order.
    pub fn commands(&self) -> Vec<String> {
        self.seen().commands.clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tunnel(&self, to: &str) -> Result<Tunnel> {
        let tunnel = (self.on_tunnel)(to)?;
        self.seen().tunnels.push(to.to_owned());
        Ok(tunnel)
    }
}

async fn write_all(mut stream: DuplexStream, bytes: Vec<u8>) {
    let _ = stream.write_all(&bytes).await;
}

impl Transport for FakeBox {
    fn exec<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Exec>> {
        async move {
            self.seen().commands.push(command.to_owned());
            let (stdin, their_stdin) = tokio::io::duplex(STREAM);
            let (stdout, their_stdout) = tokio::io::duplex(STREAM);
            let (stderr, their_stderr) = tokio::io::duplex(STREAM);
            let (their_exit, exit) = oneshot::channel();
            let running = Running {
                stdin: their_stdin,
                stdout: their_stdout,
                stderr: their_stderr,
                exit: their_exit,
            };
            tokio::spawn((self.on_exec)(command.to_owned(), running));
            Ok(Exec {
                stdin,
                stdout,
                stderr,
                exit,
            })
        }
        .boxed()
    }

    fn open_tcp<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Tunnel>> {
        async move { self.tunnel(&format!("{host}:{port}")) }.boxed()
    }

    fn open_unix<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Tunnel>> {
        async move { self.tunnel(path) }.boxed()
    }

    /// One handshake, and what was asked; bytes are not counted.
    fn tally(&self) -> Tally {
        let seen = self.seen();
        let count = |list: &[String]| u32::try_from(list.len()).unwrap_or(u32::MAX);
        Tally {
            handshakes: 1,
            execs: count(&seen.commands),
            tunnels: count(&seen.tunnels),
            ..Tally::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_answered_from_its_text_and_its_input() {
        let fake = FakeBox::new(|command, input| {
            assert_eq!(command, "shout");
            Answer::ok(input.to_ascii_uppercase())
        });
        let mut exec = fake.exec("shout").await.unwrap();
        exec.stdin.write_all(b"hello").await.unwrap();
        drop(exec.stdin);
        let mut out = String::new();
        exec.stdout.read_to_string(&mut out).await.unwrap();
        assert_eq!(out, "HELLO");
        assert_eq!(exec.exit.await, Ok(Exit::Status(0)));
        assert_eq!(fake.commands(), ["shout"]);
        assert_eq!(fake.tally().execs, 1);
    }

    #[tokio::test]
    async fn a_lost_connection_ends_the_streams_and_tells_no_exit() {
        let fake = FakeBox::new(|_, _| Answer::lost("half"));
        let mut exec = fake.exec("x").await.unwrap();
        drop(exec.stdin);
        let mut out = String::new();
        exec.stdout.read_to_string(&mut out).await.unwrap();
        assert_eq!(out, "half");
        assert!(exec.exit.await.is_err());
    }

    #[tokio::test]
    async fn tunnels_are_refused_unless_a_test_opens_them() {
        assert!(
            FakeBox::new(|_, _| Answer::default())
                .open_tcp("h", 1)
                .await
                .is_err()
        );
        let fake = FakeBox::new(|_, _| Answer::default()).tunnels(|to| {
            assert_eq!(to, "/run/x.sock");
            Ok(tokio::io::duplex(64).0)
        });
        assert!(fake.open_unix("/run/x.sock").await.is_ok());
        assert_eq!(fake.tally().tunnels, 1);
    }
}

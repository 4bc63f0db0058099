//! How bytes get to a box and back. Nothing in this room knows what a workshop is.
//!
//! `session` is the real thing, over SSH; `fake` is a scripted stand-in for tests.

mod actor;
mod bridge;
mod chain;
mod deadline;
mod dial;
pub mod endpoint;
pub mod fake;
mod handshake;
mod host_key;
mod known_hosts;
mod link;
mod login;
mod pair;
mod private_file;
mod private_key;
mod pulse;
pub mod session;
mod socket;
mod streams;
mod tap;
mod turn;

use std::fmt;

use futures_util::future::BoxFuture;
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use crate::error::Result;

/// A byte stream to a service in the box, carried by the session. No port is opened on either side.
pub type Tunnel = DuplexStream;

/// A connection to one box, already logged in.
pub trait Transport: Send + Sync {
    /// Runs one command line under the login user's shell.
    fn exec<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Exec>>;

    /// Opens a stream to a TCP port as the box itself sees it (`direct-tcpip`).
    fn open_tcp<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Tunnel>>;

    /// Opens a stream to a Unix socket in the box, with the login user's rights
    /// (`direct-streamlocal@openssh.com`).
    fn open_unix<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Tunnel>>;

    /// Whether a channel that was asked for is neither open nor refused yet. Until it is, this connection opens
    /// no other.
    fn is_held_up(&self) -> bool {
        false
    }

    /// What this connection has cost so far.
    fn tally(&self) -> Tally;
}

/// A running remote command. Dropping it closes its channel.
pub struct Exec {
    /// Shut it down to send end of file.
    pub stdin: DuplexStream,
    pub stdout: DuplexStream,
    pub stderr: DuplexStream,
    /// Arrives once the channel is closed; a dropped sender means the connection was lost.
    pub exit: oneshot::Receiver<Exit>,
}

/// How a remote command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this exit status.
    Status(i32),
    /// It was killed by this signal, named without `SIG`.
    Signal(String),
}

/// What a connection has cost: the figures that `-v` prints and the tests hold to a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// One for the box, and one for each machine on the way there.
    pub handshakes: u32,
    pub execs: u32,
    pub tunnels: u32,
    pub bytes_sent: u64,
    pub bytes_received: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "handshakes {}, execs {}, tunnels {}, bytes sent {}, bytes received {}",
            self.handshakes, self.execs, self.tunnels, self.bytes_sent, self.bytes_received
        )
    }
}

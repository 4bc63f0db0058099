//! One libssh2 session on its socket, driven without blocking: every wait goes through the poller,
//! has a deadline and can be cut short.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polling::{Event, Events, Poller};
use ssh2::{BlockDirections, ErrorCode, Session};

use super::deadline::Deadline;
use super::socket::Socket;
use super::tap;

const SOCKET: usize = 1;
const EAGAIN: ErrorCode = ErrorCode::Session(-37);

/// The session, its socket and what wakes its thread.
pub(super) struct Link {
    pub(super) session: Session,
    socket: Socket,
    poller: Arc<Poller>,
    ready: Events,
}

/// Why an operation of the connecting phase did not come to its end.
pub(super) enum Stop {
    /// libssh2 said no.
    Refused(ssh2::Error),
    /// The deadline came first.
    Late,
    /// Nobody waits for this connection any more.
    Unwanted,
    /// The operating system failed us.
    System(io::Error),
}

/// What the socket can do after a wait.
#[derive(Clone, Copy, Default)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl Link {
    pub(super) fn new(stream: TcpStream, poller: Arc<Poller>) -> Result<Self, Stop> {
        stream.set_nonblocking(true).map_err(Stop::System)?;
        let socket = Socket::new(stream);
        let mut session = Session::new().map_err(Stop::Refused)?;
        session.set_blocking(false);
        tap::install(&session);
        session.set_tcp_stream(socket.clone());
        // SAFETY: the socket outlives its registration: `drop` below deletes it from the poller
        // while this link still holds the socket.
        unsafe { poller.add(socket.stream(), Event::none(SOCKET)) }.map_err(Stop::System)?;
        Ok(Self {
            session,
            socket,
            poller,
            ready: Events::new(),
        })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.socket.stream()
    }

    /// Sleeps until the socket is ready, somebody notifies the poller, or the time is over. A
    /// broken connection is told as readable whether or not that was asked for.
    pub(super) fn wait(
        &mut self,
        readable: bool,
        writable: bool,
        at_most: Option<Duration>,
    ) -> io::Result<Readiness> {
        self.poller
            .modify(self.socket.stream(), Event::new(SOCKET, readable, writable))?;
        self.ready.clear();
        match self.poller.wait(&mut self.ready, at_most) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let mut readiness = Readiness::default();
        for event in self.ready.iter() {
            readiness.readable |= event.readable;
            readiness.writable |= event.writable;
        }
        Ok(readiness)
    }

    /// Repeats one operation until libssh2 no longer says "would block".
    pub(super) fn finish<T>(
        &mut self,
        deadline: &Deadline,
        unwanted: &AtomicBool,
        mut operation: impl FnMut(&mut Session) -> Result<T, ssh2::Error>,
    ) -> Result<T, Stop> {
        loop {
            match operation(&mut self.session) {
                Err(error) if would_block(&error) => {}
                Err(error) => return Err(Stop::Refused(error)),
                Ok(value) => return Ok(value),
            }
            let writable = self.wants_to_write();
            self.pause(deadline, unwanted, writable)?;
        }
    }

    /// Waits for the socket while connecting.
    pub(super) fn pause(
        &mut self,
        deadline: &Deadline,
        unwanted: &AtomicBool,
        writable: bool,
    ) -> Result<Readiness, Stop> {
        if unwanted.load(Ordering::Acquire) {
            return Err(Stop::Unwanted);
        }
        let left = deadline.left().ok_or(Stop::Late)?;
        self.wait(true, writable, Some(left)).map_err(Stop::System)
    }

    pub(super) fn wants_to_write(&self) -> bool {
        matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        )
    }

    /// Whether the other side has closed the connection and everything it sent has been read.
    pub(super) fn hung_up(&self) -> bool {
        match self.stream().peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl Link {
    /// Ends the connection at once. What libssh2 frees after this cannot block on the socket.
    pub(super) fn say_goodbye(&mut self) {
        if self.session.authenticated() {
            // Said once and never waited for: the other side may be gone.
            let _ = self.session.disconnect(None, "done", None);
        }
        let _ = self.stream().shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.poller.delete(self.socket.stream());
        let _ = self.stream().shutdown(Shutdown::Both);
    }
}

pub(super) fn would_block(error: &ssh2::Error) -> bool {
    error.code() == EAGAIN
}

/// Whether an error means that the whole session is over, not just one channel.
pub(super) fn is_fatal(error: &ssh2::Error) -> bool {
    // Between -20 and -27 and a few more libssh2 speaks of one channel or one request; so it does
    // of a time limit of its own. Everything else concerns the connection.
    const OF_ONE_CHANNEL: &[i32] = &[-9, -20, -21, -22, -23, -24, -25, -26, -27, -34, -39];
    match error.code() {
        ErrorCode::Session(code) => !OF_ONE_CHANNEL.contains(&code),
        ErrorCode::SFTP(_) => false,
    }
}

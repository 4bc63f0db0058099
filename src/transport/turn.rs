//! What one round of the actor's work carries along.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use ssh2::{BlockDirections, Session};

use super::Tally;
use super::link::is_fatal;

/// What `Tally` is told from.
#[derive(Default)]
pub(super) struct Counters {
    execs: AtomicU32,
    tunnels: AtomicU32,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counters {
    pub(super) fn add_exec(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_tunnel(&self) {
        self.tunnels.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            handshakes: 1,
            execs: self.execs.load(Ordering::Relaxed),
            tunnels: self.tunnels.load(Ordering::Relaxed),
            bytes_sent: self.sent.load(Ordering::Relaxed),
            bytes_received: self.received.load(Ordering::Relaxed),
        }
    }
}

/// The connection is over; in words.
pub(super) struct Lost(pub(super) String);

impl From<ssh2::Error> for Lost {
    fn from(error: ssh2::Error) -> Self {
        Self(error.message().to_owned())
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What one round of work knows of the socket, and what it wants from the next wait.
pub(super) struct Turn<'a> {
    pub(super) session: &'a Session,
    pub(super) counters: &'a Counters,
    /// For bytes on their way through; never kept from one call to the next.
    pub(super) scratch: &'a mut [u8],
    /// The socket was just found writable, and nothing was sent since.
    pub(super) room: bool,
    pub(super) want_write: bool,
    /// Whether another piece of a stream may be begun. While a packet is half sent libssh2 takes no other, so whoever
    /// always has another piece would keep everybody else from ever sending.
    pub(super) may_begin: bool,
    /// Who was just asked wanted to send, or asked while a packet was half sent: libssh2 does not tell these apart.
    pub(super) waits: bool,
    /// Somebody tried to read, and will again once there is something. Where everybody waits for
    /// their users, what arrives must wait in the socket, or it would wake this thread in vain.
    pub(super) want_read: bool,
    pub(super) wake_at: Option<Instant>,
}

impl Turn<'_> {
    /// To be called right after libssh2 said "would block": a later call overwrites the direction. True: a packet is
    /// half sent.
    pub(super) fn blocked(&mut self) -> bool {
        self.want_read = true;
        let half_sent = matches!(
            self.session.block_directions(),
            BlockDirections::Outbound | BlockDirections::Both
        );
        if half_sent {
            self.want_write = true;
            self.waits = true;
            self.room = false;
        }
        half_sent
    }

    /// Whether a small packet surely goes out whole; if not, the next wait is for that.
    pub(super) fn has_room(&mut self) -> bool {
        self.want_write |= !self.room;
        self.waits |= !self.room;
        self.room
    }

    pub(super) fn wake_at(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |planned| planned.min(at)));
    }

    pub(super) fn count_sent(&mut self, bytes: usize) {
        self.room = false;
        self.counters
            .sent
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_received(&mut self, bytes: usize) {
        self.counters
            .received
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Tells the end of the connection from a trouble of one channel.
    pub(super) fn check(&self, error: &io::Error) -> Result<(), Lost> {
        match ssh2::Error::last_session_error(self.session) {
            Some(last) if is_fatal(&last) => Err(Lost(error.to_string())),
            _ => Ok(()),
        }
    }
}

//! Noticing that the other side is no longer there.

use std::time::{Duration, Instant};

use super::tap;
use super::turn::{Lost, Turn};

/// How long a silent peer is believed in.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// After this long without a byte it is asked for a sign of life.
    pub(super) ask: Duration,
    /// After this long without a byte it is taken for dead.
    pub(super) give_up: Duration,
}

/// Knows when the peer was last heard. libssh2 sends keepalives and does not notice when they stay
/// unanswered; a laptop that changes its network, or a machine that is switched off, looks just so.
pub(super) struct Pulse {
    patience: Patience,
    heard: Instant,
    asked: Instant,
    received: u64,
}

impl Pulse {
    pub(super) fn new(patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            patience,
            heard: now,
            asked: now,
            received: 0,
        }
    }

    /// To be called right before a wait.
    pub(super) fn beat(&mut self, turn: &mut Turn<'_>) -> Result<(), Lost> {
        let now = Instant::now();
        // Where nobody reads, no answer can be seen, and none is missed.
        let received = tap::received();
        if received != self.received || !turn.want_read {
            self.received = received;
            self.heard = now;
        }
        if !turn.want_read {
            return Ok(());
        }
        let silence = now.saturating_duration_since(self.heard);
        if silence >= self.patience.give_up {
            let seconds = silence.as_secs();
            return Err(Lost(format!("the box has not answered for {seconds} s")));
        }
        let due = self.heard.max(self.asked) + self.patience.ask;
        // Like an end of file, a keepalive must go out whole.
        if now >= due && turn.has_room() {
            turn.session.keepalive_send()?;
            self.asked = now;
        }
        let next = self.heard.max(self.asked) + self.patience.ask;
        if next > now {
            turn.wake_at(next);
        }
        turn.wake_at(self.heard + self.patience.give_up);
        Ok(())
    }
}

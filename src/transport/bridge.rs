//! One open SSH channel and the in-memory streams that carry it to and from its user.
//!
//! Everything here runs on the session's own thread. The streams are polled from there with a waker
//! that wakes that thread, so a full stream stops its own channel and nothing else: the SSH window
//! of that channel fills up and the box stops sending.

use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ssh2::Channel;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::sync::oneshot;

use super::streams::{Downward, Ends, Upward, Which, is_dropped};
use super::turn::{Lost, Turn};
use super::{Exec, Exit, Tunnel};

/// How much a stream holds for its user before the channel is stopped.
const STREAM: usize = 256 * 1024;
/// libssh2 sends no more than this in one packet.
const PACKET: usize = 32_700;
/// How many pieces one channel moves before the others have their turn.
const PIECES: usize = 8;
/// How often a stream that its user has shut down is asked whether it was dropped since.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LAST_LOOK: Duration = Duration::from_secs(5);

pub(super) struct Bridge {
    channel: Channel,
    ends: Ends,
    upward: Upward,
    stdout: Downward,
    stderr: Option<Downward>,
    exit: Option<oneshot::Sender<Exit>>,
    /// Nobody reads or writes any more: close the channel.
    abandoned: bool,
    remote_closed: bool,
    closed: bool,
    /// It found the socket full when it was last driven.
    pub(super) waits: bool,
    look_again: Option<(Instant, Duration)>,
}

impl Bridge {
    fn new(channel: Channel, ends: Ends, stderr: Option<Downward>) -> Self {
        Self {
            channel,
            ends,
            upward: Upward::default(),
            stdout: Downward::new(0, Which::Stdout),
            stderr,
            exit: None,
            abandoned: false,
            remote_closed: false,
            closed: false,
            waits: false,
            look_again: None,
        }
    }

    pub(super) fn exec(channel: Channel) -> (Self, Exec) {
        let (stdin, our_stdin) = tokio::io::duplex(STREAM);
        let (stdout, our_stdout) = tokio::io::duplex(STREAM);
        let (stderr, our_stderr) = tokio::io::duplex(STREAM);
        let (our_exit, exit) = oneshot::channel();
        let ends = Ends::Exec {
            stdin: Some(our_stdin),
            stdout: Some(our_stdout),
            stderr: Some(our_stderr),
        };
        let errors = Downward::new(ssh2::EXTENDED_DATA_STDERR, Which::Stderr);
        let mut bridge = Self::new(channel, ends, Some(errors));
        bridge.exit = Some(our_exit);
        let exec = Exec {
            stdin,
            stdout,
            stderr,
            exit,
        };
        (bridge, exec)
    }

    pub(super) fn tunnel(channel: Channel) -> (Self, Tunnel) {
        let (tunnel, ours) = tokio::io::duplex(STREAM);
        (Self::new(channel, Ends::Tunnel(Some(ours)), None), tunnel)
    }

    /// A channel that nobody wants: it is only closed.
    pub(super) fn discard(channel: Channel) -> Self {
        let mut bridge = Self::new(channel, Ends::Tunnel(None), None);
        bridge.abandoned = true;
        bridge
    }

    /// Whether nothing is left to do, so that the channel can be freed without waiting.
    pub(super) fn is_over(&self) -> bool {
        let delivered = self.stdout.done && self.stderr.as_ref().is_none_or(|stderr| stderr.done);
        self.closed && (self.abandoned || delivered)
    }

    /// Moves what can be moved without waiting. True: something moved, so ask again.
    pub(super) fn drive(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<bool, Lost> {
        let mut moved = false;
        if !self.abandoned {
            moved |= self.send(cx, turn)?;
            moved |= Self::receive(
                &mut self.channel,
                &mut self.stdout,
                &mut self.ends,
                cx,
                turn,
            )?;
            if let Some(stderr) = &mut self.stderr {
                moved |= Self::receive(&mut self.channel, stderr, &mut self.ends, cx, turn)?;
            }
            self.notice_the_exit(turn)?;
            self.notice_abandonment(cx, turn);
        }
        if self.abandoned || self.remote_closed {
            self.close(turn)?;
        }
        Ok(moved)
    }

    fn send(&mut self, cx: &mut Context<'_>, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        let mut moved = false;
        for _ in 0..PIECES {
            if self.upward.eof_sent || self.remote_closed {
                break;
            }
            if self.upward.sent == self.upward.buffer.len() && !self.refill(cx, turn) {
                break;
            }
            if !turn.may_begin && !self.upward.in_flight {
                break;
            }
            if !self.push(turn)? {
                break;
            }
            moved = true;
        }
        let sent_all = self.upward.sent == self.upward.buffer.len();
        if self.upward.ended && sent_all && !self.upward.eof_sent && !self.remote_closed {
            moved |= self.send_eof(turn)?;
        }
        Ok(moved)
    }

    /// Takes the next piece from the user. False: there is none now.
    fn refill(&mut self, cx: &mut Context<'_>, turn: &mut Turn<'_>) -> bool {
        if self.upward.ended {
            return false;
        }
        let upward = &mut self.upward;
        upward.buffer.clear();
        upward.sent = 0;
        let Some(stream) = self.ends.get(Which::Stdin) else {
            upward.ended = true;
            return false;
        };
        let mut space = ReadBuf::new(&mut turn.scratch[..PACKET]);
        match Pin::new(stream).poll_read(cx, &mut space) {
            Poll::Pending => return false,
            // A failure cannot happen in memory; it would be an end like any other.
            Poll::Ready(_) => upward.buffer.extend_from_slice(space.filled()),
        }
        upward.ended = upward.buffer.is_empty();
        !upward.ended
    }

    /// Offers the rest of the buffer to libssh2. False: not now.
    fn push(&mut self, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        let upward = &mut self.upward;
        match self.channel.write(&upward.buffer[upward.sent..]) {
            Ok(written) => {
                upward.sent += written;
                upward.in_flight = false;
                turn.count_sent(written);
                Ok(written > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                turn.blocked();
                // A closed window means that nothing of it was sent yet.
                upward.in_flight = self.channel.write_window().remaining > 0;
                Ok(false)
            }
            Err(error) => {
                turn.check(&error)?;
                // The box takes no more input; its output may still come.
                upward.buffer.clear();
                upward.sent = 0;
                upward.in_flight = false;
                upward.ended = true;
                if let Ends::Exec { stdin, .. } = &mut self.ends {
                    *stdin = None;
                }
                Ok(false)
            }
        }
    }

    fn send_eof(&mut self, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        // libssh2 keeps this packet on its stack and could not finish a half-sent one: it goes out
        // only when the socket has room for the whole of it.
        if !turn.has_room() {
            return Ok(false);
        }
        match self.channel.send_eof() {
            Err(error) if super::link::would_block(&error) => {
                turn.blocked();
                Ok(false)
            }
            Err(error) if super::link::is_fatal(&error) => Err(Lost::from(error)),
            _ => {
                self.upward.eof_sent = true;
                Ok(true)
            }
        }
    }

    fn receive(
        channel: &mut Channel,
        down: &mut Downward,
        ends: &mut Ends,
        cx: &mut Context<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<bool, Lost> {
        let mut moved = false;
        for _ in 0..PIECES {
            if down.done {
                break;
            }
            if down.deaf {
                down.delivered = down.buffer.len();
            }
            if down.delivered < down.buffer.len() {
                let Some(stream) = ends.get(down.which) else {
                    down.deaf = true;
                    continue;
                };
                match Pin::new(stream).poll_write(cx, &down.buffer[down.delivered..]) {
                    Poll::Ready(Ok(written)) => {
                        down.delivered += written;
                        moved = true;
                    }
                    Poll::Ready(Err(_)) => down.deaf = true,
                    Poll::Pending => break,
                }
                continue;
            }
            if down.ended {
                ends.finish(down.which, cx);
                down.done = true;
                down.buffer = Vec::new();
                moved = true;
                break;
            }
            match channel.stream(down.id).read(turn.scratch) {
                Ok(0) => down.ended = true,
                Ok(read) => {
                    down.buffer.clear();
                    down.buffer.extend_from_slice(&turn.scratch[..read]);
                    down.delivered = 0;
                    turn.count_received(read);
                    moved = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    down.stuck = turn.blocked();
                    break;
                }
                Err(error) => return Err(Lost::from(error)),
            }
        }
        Ok(moved)
    }

    /// Reads on where reading may have left a packet half sent, with which it widens the window: nobody can send
    /// anything before the same call has sent the rest. True: that is done.
    fn is_unstuck(&mut self, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        for down in [Some(&mut self.stdout), self.stderr.as_mut()]
            .into_iter()
            .flatten()
        {
            if !down.stuck {
                continue;
            }
            match self.channel.stream(down.id).read(turn.scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    down.stuck = turn.blocked();
                    if down.stuck {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(Lost::from(error)),
                // Nobody wants it any more.
                Ok(_) => down.stuck = false,
            }
        }
        Ok(true)
    }

    /// Tells the exit as soon as the box has closed the channel, even while output still waits for
    /// a user who wants to know the exit first.
    fn notice_the_exit(&mut self, turn: &mut Turn<'_>) -> Result<(), Lost> {
        if self.remote_closed {
            return Ok(());
        }
        match self.channel.wait_close() {
            Ok(()) => {}
            Err(error) if super::link::would_block(&error) => {
                turn.blocked();
                return Ok(());
            }
            // libssh2 refuses to wait before the box has sent its end of file.
            Err(error) if !super::link::is_fatal(&error) => return Ok(()),
            Err(error) => return Err(Lost::from(error)),
        }
        self.remote_closed = true;
        if let Some(exit) = self.exit.take() {
            let _ = exit.send(self.exit_of_the_command());
        }
        // Whoever still writes learns that nobody reads.
        if let Ends::Exec { stdin, .. } = &mut self.ends {
            *stdin = None;
        }
        Ok(())
    }

    fn exit_of_the_command(&self) -> Exit {
        let signal = self.channel.exit_signal().ok();
        match signal.and_then(|signal| signal.exit_signal) {
            Some(name) => Exit::Signal(name),
            None => Exit::Status(self.channel.exit_status().unwrap_or(-1)),
        }
    }

    fn notice_abandonment(&mut self, cx: &mut Context<'_>, turn: &mut Turn<'_>) {
        match &mut self.ends {
            Ends::Exec { stdout, stderr, .. } => {
                let gone = is_dropped(stdout.as_mut(), cx) && is_dropped(stderr.as_mut(), cx);
                let exit_unwanted = match &mut self.exit {
                    Some(exit) => exit.poll_closed(cx).is_ready(),
                    None => true,
                };
                self.abandoned = gone && exit_unwanted;
            }
            Ends::Tunnel(stream) => {
                let waits = self.upward.sent < self.upward.buffer.len();
                if !self.upward.ended && !waits {
                    return;
                }
                // Dropped, or only shut down? An empty write tells, but nothing wakes this thread
                // when a stream that was shut down before is dropped: look again, ever more rarely.
                let Some(stream) = stream else { return };
                match Pin::new(stream).poll_write(cx, &[]) {
                    Poll::Ready(Err(_)) => self.abandoned = true,
                    _ => self.look_again_later(turn),
                }
            }
        }
    }

    fn look_again_later(&mut self, turn: &mut Turn<'_>) {
        let now = Instant::now();
        let (at, pause) = match self.look_again {
            None => (now + FIRST_LOOK, FIRST_LOOK),
            Some((at, pause)) if at <= now => {
                let pause = (pause * 2).min(LAST_LOOK);
                (now + pause, pause)
            }
            Some(planned) => planned,
        };
        self.look_again = Some((at, pause));
        turn.wake_at(at);
    }

    /// Closes our side, whatever that takes before: a half-sent packet, the end of file.
    fn close(&mut self, turn: &mut Turn<'_>) -> Result<(), Lost> {
        if self.closed {
            return Ok(());
        }
        // Either may stand in the other's way, so neither waits for the other.
        if self.upward.in_flight {
            self.push(turn)?;
        }
        let unstuck = !self.abandoned || self.is_unstuck(turn)?;
        if self.upward.in_flight || !unstuck {
            return Ok(());
        }
        if !self.upward.eof_sent && !self.send_eof(turn)? {
            return Ok(());
        }
        match self.channel.close() {
            Err(error) if super::link::would_block(&error) => {
                turn.blocked();
            }
            Err(error) if super::link::is_fatal(&error) => return Err(Lost::from(error)),
            _ => self.closed = true,
        }
        Ok(())
    }
}

//! The thread that owns one SSH session: the only place where libssh2 is called once the login is
//! done.
//!
//! libssh2 keeps the state of an opening channel and of a half-sent packet in the session. One owner
//! that repeats every unfinished call before it begins another is what makes that safe.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use polling::Poller;
use ssh2::{Channel, Session};
use tokio::sync::oneshot;

use super::bridge::Bridge;
use super::link::{Link, Readiness, is_fatal, would_block};
use super::pulse::{Patience, Pulse};
use super::tap;
use super::turn::{Counters, Lost, Turn};
use super::{Exec, Tunnel};

/// What the actor is asked to do.
pub(super) enum Command {
    Exec {
        command: String,
        reply: Reply<Exec>,
    },
    Tunnel {
        to: Destination,
        reply: Reply<Tunnel>,
    },
    Disconnect,
}

type Reply<T> = oneshot::Sender<Result<T, ssh2::Error>>;

#[derive(Clone, Debug)]
pub(super) enum Destination {
    Tcp(String, u16),
    Unix(String),
}

/// What the actor and its handles share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counters: Counters,
    /// Whether a channel waits to be opened.
    pub(super) opening: AtomicBool,
    /// Why the connection ended, once it has.
    pub(super) lost: Mutex<Option<String>>,
}

/// Wakes the actor when a stream's user has read, written or gone.
struct Alarm(Arc<Poller>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // It fails only when the poller is gone, and the actor with it.
        let _ = self.0.notify();
    }
}

pub(super) struct Actor {
    session: Session,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    waiting: VecDeque<Command>,
    starting: Vec<Starting>,
    bridges: Vec<Bridge>,
    /// Whether the opening of a channel, and the start of a command, wait with a packet.
    openings_wait: bool,
    starts_wait: bool,
    /// When a channel was last closed.
    closed: Option<Instant>,
    disconnecting: bool,
}

/// How long after a channel was closed the server may still count it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// A channel that is open, and whose command the box has not confirmed yet.
struct Starting {
    channel: Channel,
    command: String,
    reply: Reply<Exec>,
}

impl Actor {
    pub(super) fn new(session: Session, commands: Receiver<Command>, shared: Arc<Shared>) -> Self {
        Self {
            session,
            commands,
            shared,
            waiting: VecDeque::new(),
            starting: Vec::new(),
            bridges: Vec::new(),
            openings_wait: false,
            starts_wait: false,
            closed: None,
            disconnecting: false,
        }
    }

    /// Serves the session until it is lost or nobody wants it any more.
    pub(super) fn run(mut self, mut link: Link, poller: Arc<Poller>, patience: Patience) {
        if let Err(Lost(reason)) = self.serve(&mut link, poller, patience) {
            let mut lost = self
                .shared
                .lost
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *lost = Some(reason);
        }
        // In this order libssh2 frees every channel, on this very thread, without waiting for an
        // answer that nobody needs any more.
        link.say_goodbye();
        drop(self);
        drop(link);
    }

    fn serve(
        &mut self,
        link: &mut Link,
        poller: Arc<Poller>,
        patience: Patience,
    ) -> Result<(), Lost> {
        let session = self.session.clone();
        let shared = Arc::clone(&self.shared);
        let waker = Waker::from(Arc::new(Alarm(poller)));
        let mut cx = Context::from_waker(&waker);
        let mut scratch = vec![0; 64 * 1024];
        let mut pulse = Pulse::new(patience);
        let mut readiness = Readiness::default();
        // The library's own clock only keeps it from sending too often.
        session.set_keepalive(true, 2);
        loop {
            let mut turn = Turn {
                session: &session,
                counters: &shared.counters,
                scratch: &mut scratch,
                room: readiness.writable,
                want_write: false,
                may_begin: true,
                waits: false,
                want_read: false,
                wake_at: None,
            };
            let mut moved = true;
            // Who waits for room in the socket must hear of it, however much others have to do.
            while moved && !turn.want_write {
                moved = self.work(&mut cx, &mut turn)?;
            }
            if self.disconnecting {
                return Ok(());
            }
            pulse.beat(&mut turn)?;
            let (readable, writable) = (turn.want_read || moved, turn.want_write);
            let pause = match moved {
                true => Some(Duration::ZERO),
                false => turn
                    .wake_at
                    .map(|at| at.saturating_duration_since(Instant::now())),
            };
            readiness = link.wait(readable, writable, pause)?;
            if readiness.readable && !readable {
                return Err(Lost("the other side reset the connection".to_owned()));
            }
        }
    }

    /// One pass over everything that is going on. True: something moved, or came for somebody who
    /// was asked before it came.
    fn work(&mut self, cx: &mut Context<'_>, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        self.take_commands();
        if self.disconnecting {
            return Ok(false);
        }
        let received = tap::received();
        let waited = self.how_many_wait();
        turn.waits = false;
        let mut moved = self.open(turn)?;
        self.openings_wait = std::mem::take(&mut turn.waits);
        let opening = !self.waiting.is_empty();
        self.shared.opening.store(opening, Ordering::Release);
        moved |= self.start(turn)?;
        self.starts_wait = std::mem::take(&mut turn.waits);
        let mut blocked = self.openings_wait || self.starts_wait;
        for bridge in &mut self.bridges {
            turn.may_begin = !blocked && waited == usize::from(bridge.waits);
            moved |= bridge.drive(cx, turn)?;
            bridge.waits = std::mem::take(&mut turn.waits);
            blocked |= bridge.waits;
        }
        // Who was held back for somebody may go on.
        moved |= waited > 0 && self.how_many_wait() == 0;
        let before = self.bridges.len();
        self.bridges.retain(|bridge| !bridge.is_over());
        if self.bridges.len() < before {
            self.closed = Some(Instant::now());
        }
        Ok(moved || tap::received() != received)
    }

    /// How many found the socket full when they were last asked.
    fn how_many_wait(&self) -> usize {
        let bridges = self.bridges.iter().filter(|bridge| bridge.waits);
        bridges.count() + usize::from(self.openings_wait) + usize::from(self.starts_wait)
    }

    fn take_commands(&mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Disconnect) | Err(TryRecvError::Disconnected) => {
                    self.disconnecting = true;
                    return;
                }
                Ok(command) => self.waiting.push_back(command),
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    /// Opens the channel of the foremost command, and of no other.
    fn open(&mut self, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        let Some(command) = self.waiting.front() else {
            return Ok(false);
        };
        let opened = match command {
            Command::Exec { .. } => self.session.channel_session(),
            Command::Tunnel { to, .. } => match to {
                Destination::Tcp(host, port) => {
                    self.session.channel_direct_tcpip(host, *port, None)
                }
                Destination::Unix(path) => self.session.channel_direct_streamlocal(path, None),
            },
            Command::Disconnect => return Ok(false),
        };
        if let Err(error) = &opened {
            if would_block(error) {
                turn.blocked();
                return Ok(false);
            }
            if is_fatal(error) {
                return Err(Lost(error.message().to_owned()));
            }
            // A server at its MaxSessions forgets a closed channel only after it has read what
            // came with the closing, and a busy one after that: the same request again, until there is room.
            let closed = self
                .closed
                .filter(|_| matches!(command, Command::Exec { .. }));
            if closed.is_some_and(|at| at.elapsed() < AFTERMATH) {
                return Ok(true);
            }
        }
        match (self.waiting.pop_front(), opened) {
            (Some(Command::Exec { command, reply }), Ok(channel)) => self.starting.push(Starting {
                channel,
                command,
                reply,
            }),
            (Some(Command::Tunnel { reply, .. }), Ok(channel)) => {
                self.shared.counters.add_tunnel();
                let (bridge, tunnel) = Bridge::tunnel(channel);
                // Nobody waits for it any more? Then it is dropped here, and the bridge notices.
                let _ = reply.send(Ok(tunnel));
                self.bridges.push(bridge);
            }
            (Some(Command::Exec { reply, .. }), Err(error)) => drop(reply.send(Err(error))),
            (Some(Command::Tunnel { reply, .. }), Err(error)) => drop(reply.send(Err(error))),
            (Some(Command::Disconnect) | None, _) => {}
        }
        Ok(true)
    }

    /// Asks for the commands of the channels that are open. Their state is in the channel, so any
    /// number may be under way.
    fn start(&mut self, turn: &mut Turn<'_>) -> Result<bool, Lost> {
        let mut moved = false;
        let mut index = 0;
        while let Some(starting) = self.starting.get_mut(index) {
            match starting.channel.exec(&starting.command) {
                Err(error) if would_block(&error) => {
                    turn.blocked();
                    index += 1;
                    continue;
                }
                Err(error) if is_fatal(&error) => return Err(Lost::from(error)),
                outcome => {
                    let Starting { channel, reply, .. } = self.starting.swap_remove(index);
                    moved = true;
                    let bridge = match outcome {
                        Ok(()) => {
                            self.shared.counters.add_exec();
                            let (bridge, exec) = Bridge::exec(channel);
                            let _ = reply.send(Ok(exec));
                            bridge
                        }
                        Err(error) => {
                            let _ = reply.send(Err(error));
                            Bridge::discard(channel)
                        }
                    };
                    self.bridges.push(bridge);
                }
            }
        }
        Ok(moved)
    }
}

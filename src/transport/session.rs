//! The connection to one box over SSH: a handle to the thread that owns it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use polling::Poller;
use tokio::sync::oneshot;

use super::actor::{Actor, Command, Destination, Shared};
use super::chain::dial_from;
use super::deadline::Deadline;
use super::dial::dial;
use super::endpoint::Endpoint;
use super::handshake::{handshake, stopped};
use super::link::Link;
use super::login::{Login, Refusal};
use super::pulse::Patience;
use super::{Exec, Tally, Transport, Tunnel};
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::secret::Secret;

/// How much later than its deadline the thread may speak before it is no longer listened to: an
/// agent that hangs cannot be interrupted.
const GRACE: Duration = Duration::from_secs(1);
/// How long dropping a session waits for its thread to have said goodbye.
const GOODBYE: Duration = Duration::from_millis(200);

/// Who is asked for the passphrase of an encrypted private key.
pub trait Passphrase: Send + Sync {
    /// Asks once for `what`, such as `the key /home/me/.ssh/id_ed25519`; `None` where nobody can be
    /// asked. Called on the box's own thread, and its time does not count: where several boxes are
    /// connected at once, the one who implements this asks one question after the other.
    fn ask(&self, what: &str) -> Option<Secret>;
}

/// Nobody can be asked.
pub struct NoPassphrase;

impl Passphrase for NoPassphrase {
    fn ask(&self, _: &str) -> Option<Secret> {
        None
    }
}

/// A connection to one box, logged in. Dropping it ends the connection and everything it carries.
pub struct Session {
    place: String,
    user: String,
    timeout: Duration,
    banner: String,
    commands: mpsc::Sender<Command>,
    poller: Arc<Poller>,
    shared: Arc<Shared>,
    unwanted: Arc<AtomicBool>,
    /// Closed when the thread has ended.
    ended: Mutex<mpsc::Receiver<()>>,
    established: bool,
    /// The session at the machine before this one, which carries this one. It ends last.
    carrier: Option<Box<Session>>,
}

/// What the connecting thread needs, all of it its own.
struct Work {
    endpoint: Endpoint,
    events: Events,
    passphrase: Arc<dyn Passphrase>,
    deadline: Arc<Deadline>,
    unwanted: Arc<AtomicBool>,
    poller: Arc<Poller>,
}

/// Connects, verifies the host key and logs in, at every machine on the way and at last at the endpoint
/// itself, all within the endpoint's timeout.
pub async fn connect(
    endpoint: &Endpoint,
    events: &Events,
    passphrase: Arc<dyn Passphrase>,
) -> Result<Session> {
    let deadline = Arc::new(Deadline::after(endpoint.timeout));
    let mut carrier = None;
    for hop in &endpoint.via {
        // How long silence is borne is the endpoint's to say, on the whole way.
        let hop = Endpoint {
            timeout: endpoint.timeout,
            ..hop.clone()
        };
        let login = log_in(&hop, carrier, &deadline, events, passphrase.clone());
        carrier = Some(login.await.map_err(|error| on_the_way(endpoint, error))?);
    }
    log_in(endpoint, carrier, &deadline, events, passphrase).await
}

/// Says of a machine that nobody asked for why it was connected to.
fn on_the_way(endpoint: &Endpoint, error: Error) -> Error {
    Error {
        message: format!("On the way to {}: {}", endpoint.name, error.message),
        ..error
    }
}

/// One handshake and one login, over the network or over the session at the machine before.
async fn log_in(
    endpoint: &Endpoint,
    carrier: Option<Session>,
    deadline: &Arc<Deadline>,
    events: &Events,
    passphrase: Arc<dyn Passphrase>,
) -> Result<Session> {
    let began = Instant::now();
    let stream = match &carrier {
        None => dial(endpoint, deadline).await?,
        Some(carrier) => dial_from(carrier, endpoint, deadline).await?,
    };
    let dialled = began.elapsed();
    let no_thread = |cause: std::io::Error| {
        Error::failed(format!(
            "No thread could be started for {}",
            endpoint.place()
        ))
        .because(cause)
    };
    let poller = Arc::new(Poller::new().map_err(no_thread)?);
    let (commands, inbox) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let (ready, connected) = oneshot::channel();
    // From here on, dropping this (an interrupted run) also stops the thread.
    let mut session = Session {
        place: endpoint.place(),
        user: endpoint.user.clone(),
        timeout: endpoint.timeout,
        banner: String::new(),
        commands,
        poller: Arc::clone(&poller),
        shared: Arc::default(),
        unwanted: Arc::default(),
        ended: Mutex::new(ended),
        established: false,
        carrier: carrier.map(Box::new),
    };
    let work = Work {
        endpoint: endpoint.clone(),
        events: events.clone(),
        passphrase,
        deadline: Arc::clone(deadline),
        unwanted: Arc::clone(&session.unwanted),
        poller: Arc::clone(&poller),
    };
    let shared = Arc::clone(&session.shared);
    let patience = Patience {
        ask: endpoint.timeout.mul_f64(1.5),
        give_up: endpoint.timeout * 6,
    };
    std::thread::Builder::new()
        .name(format!("ssh {}", endpoint.name))
        .spawn(move || {
            let _alive = alive;
            match work.establish(stream, dialled) {
                Err(error) => drop(ready.send(Err(error))),
                Ok((link, banner)) => {
                    let actor = Actor::new(link.session.clone(), inbox, shared);
                    if ready.send(Ok(banner)).is_ok() {
                        actor.run(link, work.poller, patience);
                    }
                }
            }
        })
        .map_err(no_thread)?;

    let gave_up = || {
        Error::new(
            ErrorKind::Unreachable,
            format!(
                "The login at {} hung for {:?}",
                endpoint.place(),
                endpoint.timeout
            ),
        )
        .hint("The SSH agent may not answer: try without it, or see whether ssh-add -l returns")
    };
    session.banner = tokio::select! {
        biased;
        answer = connected => answer.unwrap_or_else(|_| Err(gave_up()))?,
        () = deadline.overdue(GRACE) => return Err(gave_up()),
    };
    session.established = true;
    Ok(session)
}

impl Work {
    fn establish(&self, stream: std::net::TcpStream, dialled: Duration) -> Result<(Link, String)> {
        let (endpoint, deadline) = (&self.endpoint, &*self.deadline);
        let ended = |stop| stopped(endpoint, stop, deadline);
        let began = Instant::now();
        let mut link = Link::new(stream, Arc::clone(&self.poller)).map_err(ended)?;
        handshake(&mut link, endpoint, deadline, &self.unwanted, &self.events)?;
        let shaken = began.elapsed();
        let login = Login {
            link: &mut link,
            endpoint,
            passphrase: &*self.passphrase,
            deadline,
            unwanted: &self.unwanted,
            tried: Vec::new(),
            refused: Vec::new(),
        };
        let accepted = login.run().map_err(|refusal| match refusal {
            Refusal::Refused(error) => error,
            Refusal::Stopped(stop) => ended(stop),
        })?;
        let banner = link.session.banner().unwrap_or_default().to_owned();
        self.events.detail(format!(
            "{}: connected in {dialled:.1?}, handshake in {shaken:.1?}, login as {} with {accepted} \
             in {:.1?}; the server is {banner}",
            endpoint.place(),
            endpoint.user,
            began.elapsed().saturating_sub(shaken)
        ));
        Ok((link, banner))
    }
}

impl Session {
    /// What the server calls itself, such as `SSH-2.0-OpenSSH_10.0p2 Debian-7`.
    #[must_use]
    pub fn server_banner(&self) -> &str {
        &self.banner
    }

    /// What people call the machine that this is a session at.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Asks the thread for something and waits for its answer.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, ssh2::Error>>) -> Command,
        refused: impl Fn() -> Error,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(command(reply)).is_err() {
            return Err(self.lost());
        }
        // It fails only when the thread is gone, and then no answer comes.
        let _ = self.poller.notify();
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(Ok(Ok(opened))) => Ok(opened),
            Ok(Ok(Err(error))) => Err(refused().because(error.message())),
            Ok(Err(_)) => Err(self.lost()),
            Err(_) => Err(refused().because(format!("no answer within {:?}", self.timeout))),
        }
    }

    fn lost(&self) -> Error {
        // Where a machine on the way is gone, everything behind it is, for that reason only.
        if let Some(carrier) = &self.carrier
            && carrier.is_lost()
        {
            return carrier.lost();
        }
        let error = Error::new(
            ErrorKind::Unreachable,
            format!("The connection to {} was lost", self.place),
        )
        .hint("Check that the machine is still running, then run this again");
        let lost = self
            .shared
            .lost
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*lost {
            Some(reason) => error.because(reason),
            None => error,
        }
    }

    fn is_lost(&self) -> bool {
        let carrier = self
            .carrier
            .as_ref()
            .is_some_and(|carrier| carrier.is_lost());
        let lost = self.shared.lost.lock();
        carrier || lost.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    async fn tunnel(&self, to: Destination, shown: String) -> Result<Tunnel> {
        let refused = || Error::failed(format!("{} opened no way to {shown}", self.place));
        self.ask(|reply| Command::Tunnel { to, reply }, refused)
            .await
            .map_err(|error| self.why_no_tunnel(error))
    }

    fn why_no_tunnel(&self, error: Error) -> Error {
        let cause = error.cause.as_deref().unwrap_or_default();
        if cause.contains("prohibited") {
            return error.hint(
                "Its sshd_config forbids forwarding: AllowTcpForwarding, AllowStreamLocalForwarding \
                 or DisableForwarding",
            );
        }
        if cause.contains("connect failed") {
            let user = &self.user;
            let kind = ErrorKind::Unreachable;
            return Error { kind, ..error }.hint(format!(
                "Nothing listens there, or {user} may not connect to it"
            ));
        }
        error
    }
}

impl Transport for Session {
    fn exec<'a>(&'a self, command: &'a str) -> BoxFuture<'a, Result<Exec>> {
        let refused = || {
            Error::failed(format!("{} runs no command", self.place)).hint(
                "Its sshd_config may allow too few sessions at once (MaxSessions) or none at all \
                 for this user (ForceCommand, a shell that refuses)",
            )
        };
        let command = command.to_owned();
        self.ask(|reply| Command::Exec { command, reply }, refused)
            .boxed()
    }

    fn open_tcp<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Tunnel>> {
        let to = Destination::Tcp(host.to_owned(), port);
        self.tunnel(to, format!("its port {port} at {host}"))
            .boxed()
    }

    fn open_unix<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Tunnel>> {
        let to = Destination::Unix(path.to_owned());
        self.tunnel(to, format!("its socket {path}")).boxed()
    }

    fn is_held_up(&self) -> bool {
        self.shared.opening.load(Ordering::Acquire)
    }

    fn tally(&self) -> Tally {
        let own = self.shared.counters.tally();
        let before = self.carrier.as_ref().map(|carrier| carrier.tally());
        Tally {
            handshakes: own.handshakes + before.map_or(0, |before| before.handshakes),
            ..own
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Release);
        let _ = self.commands.send(Command::Disconnect);
        let _ = self.poller.notify();
        if self.established {
            // The thread never blocks; should it all the same, the process goes on without it.
            let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = ended.recv_timeout(GOODBYE);
        }
    }
}

//! Logging in: which keys and passwords are offered, in which order, and why each was refused.
//!
//! Every refused offer costs a round trip and one of the few attempts that a server grants
//! (`MaxAuthTries`), so nothing is offered twice and the server is never asked what it would take.

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ssh2::{ErrorCode, KeyboardInteractivePrompt, Prompt, PublicKey as PublicKeyOfAgent};

use super::deadline::Deadline;
use super::endpoint::{Agent, Endpoint};
use super::link::{Link, Stop};
use super::private_key::{self, PublicKey};
use super::session::Passphrase;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;

/// Why nobody is logged in.
pub(super) enum Refusal {
    /// The connection ended, or its time did.
    Stopped(Stop),
    /// The server refused everything there was to offer.
    Refused(Error),
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

pub(super) struct Login<'a> {
    pub(super) link: &'a mut Link,
    pub(super) endpoint: &'a Endpoint,
    pub(super) passphrase: &'a dyn Passphrase,
    pub(super) deadline: &'a Deadline,
    pub(super) unwanted: &'a AtomicBool,
    /// What was offered, and why it did not work.
    pub(super) tried: Vec<String>,
    /// The blobs of the public keys that the server has refused.
    pub(super) refused: Vec<Vec<u8>>,
}

/// How one offer ended.
enum Answer {
    Accepted,
    Refused(ssh2::Error),
    /// The server hung up, as it does after too many attempts.
    HungUp,
}

/// Whether to offer the next thing.
enum Next {
    In,
    Continue,
    HungUp,
}

impl Login<'_> {
    /// Offers everything in turn; on success says what was accepted.
    pub(super) fn run(mut self) -> Result<String, Refusal> {
        let identities = &self.endpoint.identities;
        for file in identities {
            match self.identity(file)? {
                Next::In => return Ok(format!("the key {}", file.display())),
                Next::Continue => {}
                Next::HungUp => return Err(Refusal::Refused(self.hung_up())),
            }
        }
        if self.endpoint.agent == Agent::All {
            match self.agent()? {
                Next::In => return Ok("a key of the agent".to_owned()),
                Next::Continue => {}
                Next::HungUp => return Err(Refusal::Refused(self.hung_up())),
            }
        }
        if let Some(password) = &self.endpoint.password {
            match self.password(password)? {
                Next::In => return Ok("the password".to_owned()),
                Next::Continue => {}
                Next::HungUp => return Err(Refusal::Refused(self.hung_up())),
            }
        }
        Err(Refusal::Refused(self.all_refused()))
    }

    fn identity(&mut self, file: &Path) -> Result<Next, Stop> {
        let shown = file.display().to_string();
        let text = match read_key(file) {
            Ok(text) => text,
            Err(reason) => {
                self.note(format!("the key {shown} {reason}"));
                // The agent may hold what is not in a file.
                return match sibling_public_key(file) {
                    Some(public) => self.agents(&shown, &public),
                    None => Ok(Next::Continue),
                };
            }
        };
        let public = text.reveal().lines().next().and_then(PublicKey::from_line);
        if let Some(public) = public.filter(|_| self.endpoint.agent != Agent::None) {
            return self.agents(&shown, &public);
        }
        let inspected = match private_key::inspect(text.reveal()) {
            Ok(inspected) => inspected,
            Err(reason) => return Ok(self.note(format!("the key {shown} {reason}"))),
        };
        // Beside a PEM key the public half stands in a file of its own, if anywhere.
        let public = inspected.public.or_else(|| sibling_public_key(file));
        if public
            .as_ref()
            .is_some_and(|public| self.refused.contains(&public.blob))
        {
            return Ok(self.note(format!("the key {shown} was offered before")));
        }
        let line = public.as_ref().map(PublicKey::line);
        if inspected.encrypted && line.is_none() {
            return self.encrypted(&shown, None, &text);
        }
        // libssh2 first asks whether the server would take the public key; an encrypted private
        // key fails only after that, so no passphrase is asked for a key that is of no use.
        let answer = self.offer(line.as_deref(), &text, None)?;
        match answer {
            Answer::Accepted => Ok(Next::In),
            Answer::HungUp => Ok(self.at_hang_up(format!("the key {shown}"))),
            Answer::Refused(error) if inspected.encrypted && !is_refusal(&error) => {
                // The server takes it. Where the agent holds it, nobody has to be asked.
                if let Some(public) = &public {
                    match self.agents(&shown, public)? {
                        Next::Continue => {}
                        ended => return Ok(ended),
                    }
                }
                self.encrypted(&shown, line.as_deref(), &text)
            }
            Answer::Refused(error) if is_refusal(&error) => {
                self.refused.extend(public.map(|public| public.blob));
                Ok(self.note(format!("the key {shown} was refused by the server")))
            }
            Answer::Refused(error) => Ok(self.note(format!(
                "the key {shown} could not be used ({})",
                error.message()
            ))),
        }
    }

    fn encrypted(
        &mut self,
        shown: &str,
        public: Option<&str>,
        text: &Secret,
    ) -> Result<Next, Stop> {
        let what = format!("the key {shown}");
        let passphrase = self.passphrase;
        let mut why = "no passphrase was given";
        for _ in 0..PASSPHRASES {
            let Some(given) = self.deadline.outside(|| passphrase.ask(&what)) else {
                break;
            };
            match self.offer(public, text, Some(&given))? {
                Answer::Accepted => return Ok(Next::In),
                Answer::HungUp => return Ok(self.at_hang_up(what)),
                Answer::Refused(error) if is_refusal(&error) => {
                    return Ok(self.note(format!("{what} was refused by the server")));
                }
                Answer::Refused(_) => why = "the passphrase does not open it",
            }
        }
        Ok(self.note(format!("{what} is encrypted, and {why}")))
    }

    fn offer(
        &mut self,
        public: Option<&str>,
        private: &Secret,
        passphrase: Option<&Secret>,
    ) -> Result<Answer, Stop> {
        let user = &self.endpoint.user;
        let passphrase = passphrase.map(Secret::reveal);
        // From memory, not from the file: only so does it work the same on Windows.
        self.attempt(|session| {
            session.userauth_pubkey_memory(user, public, private.reveal(), passphrase)
        })
    }

    /// Offers the key of this file, if the agent may be asked and holds it.
    fn agents(&mut self, shown: &str, public: &PublicKey) -> Result<Next, Stop> {
        if self.endpoint.agent == Agent::None {
            return Ok(Next::Continue);
        }
        let Ok((mut agent, identities)) = self.open_agent() else {
            return Ok(self.note(format!("no agent answers that might hold the key {shown}")));
        };
        let same = |identity: &&PublicKeyOfAgent| identity.blob() == public.blob;
        match identities.iter().find(same) {
            Some(identity) => self.agents_key(&mut agent, identity),
            None => Ok(self.note(format!("the agent does not hold the key {shown}"))),
        }
    }

    /// Offers all that the agent holds.
    fn agent(&mut self) -> Result<Next, Stop> {
        let (mut agent, identities) = match self.open_agent() {
            Ok(found) => found,
            Err(error) => {
                return Ok(self.note(format!("no agent answers ({})", error.message())));
            }
        };
        if identities.is_empty() {
            return Ok(self.note("the agent holds no key".to_owned()));
        }
        for identity in &identities {
            match self.agents_key(&mut agent, identity)? {
                Next::Continue => {}
                ended => return Ok(ended),
            }
        }
        Ok(Next::Continue)
    }

    fn open_agent(&self) -> Result<(ssh2::Agent, Vec<PublicKeyOfAgent>), ssh2::Error> {
        let mut agent = self.link.session.agent()?;
        agent.connect()?;
        agent.list_identities()?;
        let identities = agent.identities()?;
        Ok((agent, identities))
    }

    /// Offers one key of the agent's, once.
    fn agents_key(
        &mut self,
        agent: &mut ssh2::Agent,
        identity: &PublicKeyOfAgent,
    ) -> Result<Next, Stop> {
        let what = format!("the agent's key {:?}", identity.comment());
        if self.refused.iter().any(|blob| blob == identity.blob()) {
            return Ok(Next::Continue);
        }
        // libssh2 leaves out of the signature what the token has added to it.
        let kind = PublicKey::from_blob(identity.blob().to_vec()).map(|public| public.kind);
        if kind.is_some_and(|kind| kind.starts_with("sk-")) {
            return Ok(self.note(format!(
                "{what} is of a hardware token, which dwenv cannot use"
            )));
        }
        let (user, deadline) = (&self.endpoint.user, self.deadline);
        // An agent may have a person confirm it.
        match self
            .attempt(|_| deadline.outside_for(CONFIRMING, || agent.userauth(user, identity)))?
        {
            Answer::Accepted => Ok(Next::In),
            Answer::HungUp => Ok(self.at_hang_up(what)),
            Answer::Refused(error) if is_refusal(&error) => {
                self.refused.push(identity.blob().to_vec());
                Ok(self.note(format!("{what} was refused by the server")))
            }
            Answer::Refused(error) => {
                // Whoever did not confirm it is not asked again.
                self.refused.push(identity.blob().to_vec());
                Ok(self.note(format!("{what} could not be used ({})", error.message())))
            }
        }
    }

    fn password(&mut self, password: &Secret) -> Result<Next, Stop> {
        let user = &self.endpoint.user;
        match self.attempt(|session| session.userauth_password(user, password.reveal()))? {
            Answer::Accepted => return Ok(Next::In),
            Answer::HungUp => return Ok(self.at_hang_up("the password".to_owned())),
            Answer::Refused(error) if error.code() == ErrorCode::Session(PASSWORD_EXPIRED) => {
                return Ok(self.note("the password has expired".to_owned()));
            }
            Answer::Refused(_) => {}
        }
        // Many servers take passwords by this method only.
        let mut answers = AnswerWith(password);
        match self.attempt(|session| session.userauth_keyboard_interactive(user, &mut answers))? {
            Answer::Accepted => Ok(Next::In),
            Answer::HungUp => Ok(self.at_hang_up("the password".to_owned())),
            Answer::Refused(_) => {
                Ok(self.note("the password was refused by the server".to_owned()))
            }
        }
    }

    fn attempt(
        &mut self,
        operation: impl FnMut(&mut ssh2::Session) -> Result<(), ssh2::Error>,
    ) -> Result<Answer, Stop> {
        match self.link.finish(self.deadline, self.unwanted, operation) {
            Ok(()) => Ok(Answer::Accepted),
            Err(Stop::Refused(error)) if is_hang_up(&error) || self.link.hung_up() => {
                Ok(Answer::HungUp)
            }
            Err(Stop::Refused(error)) => Ok(Answer::Refused(error)),
            Err(stop) => Err(stop),
        }
    }

    fn note(&mut self, tried: String) -> Next {
        self.tried.push(tried);
        Next::Continue
    }

    fn at_hang_up(&mut self, what: String) -> Next {
        self.tried
            .push(format!("{what} was answered by hanging up"));
        Next::HungUp
    }

    fn error(&self, message: String) -> Error {
        let error = Error::new(ErrorKind::Authentication, message);
        let mut because = self.tried.clone();
        if because.is_empty() {
            because.push("there was no key, no agent and no password to offer".to_owned());
        }
        if !self.endpoint.unused.is_empty() {
            because.push(format!(
                "dwenv does not use {}",
                self.endpoint.unused.join(", ")
            ));
        }
        error.because(because.join("; "))
    }

    fn all_refused(&self) -> Error {
        let (place, user) = (self.endpoint.place(), &self.endpoint.user);
        self.error(format!("{place} refused the login of {user}"))
            .hint(format!(
                "Check the user as well as the key: a server does not say whether {user} does not \
                 exist or has not been given this key (~{user}/.ssh/authorized_keys)"
            ))
    }

    fn hung_up(&self) -> Error {
        let (place, user) = (self.endpoint.place(), &self.endpoint.user);
        self.error(format!("{place} hung up during the login of {user}"))
            .hint(
                "A server hangs up after too many refused keys (MaxAuthTries): name the one right \
                 key, or take the others out of the agent (ssh-add -D)",
            )
    }
}

const PASSWORD_EXPIRED: i32 = -15;

/// How long a person may take to have the agent use a key.
const CONFIRMING: Duration = Duration::from_secs(60);

/// How often a passphrase is asked for, as OpenSSH does: it is typed unseen.
const PASSPHRASES: usize = 3;

/// Whether the server itself refused, as against a key that could not be used on this side.
fn is_refusal(error: &ssh2::Error) -> bool {
    const AUTHENTICATION_FAILED: i32 = -18;
    const PUBLIC_KEY_UNVERIFIED: i32 = -19;
    match error.code() {
        ErrorCode::Session(AUTHENTICATION_FAILED) => true,
        // libssh2 gives this code to a refused signature and to a failure to sign alike.
        ErrorCode::Session(PUBLIC_KEY_UNVERIFIED) => error.message().contains("Invalid signature"),
        _ => false,
    }
}

fn is_hang_up(error: &ssh2::Error) -> bool {
    const SOCKET_SEND: i32 = -7;
    const SOCKET_DISCONNECT: i32 = -13;
    const SOCKET_RECV: i32 = -43;
    // A reply that never came is reported under the code of a refusal, with these words.
    error.message().starts_with("Waiting for")
        || matches!(
            error.code(),
            ErrorCode::Session(SOCKET_SEND | SOCKET_DISCONNECT | SOCKET_RECV)
        )
}

fn read_key(file: &Path) -> Result<Secret, String> {
    let bytes = std::fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => format!("cannot be read ({error})"),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "is not a private key".to_owned())?;
    // A key that went through a Windows editor has line ends that libssh2 does not read.
    Ok(Secret::new(text.replace("\r\n", "\n")))
}

fn sibling_public_key(file: &Path) -> Option<PublicKey> {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    let text = std::fs::read_to_string(Path::new(&name)).ok()?;
    PublicKey::from_line(text.lines().next()?)
}

/// Answers every hidden question with the password.
struct AnswerWith<'a>(&'a Secret);

impl KeyboardInteractivePrompt for AnswerWith<'_> {
    fn prompt<'a>(&mut self, _: &str, _: &str, prompts: &[Prompt<'a>]) -> Vec<String> {
        let answer = |prompt: &Prompt<'a>| match prompt.echo {
            true => String::new(),
            false => self.0.reveal().to_owned(),
        };
        prompts.iter().map(answer).collect()
    }
}

//! The SSH handshake, and telling apart what may be wrong with it.

use std::sync::atomic::AtomicBool;

use super::deadline::Deadline;
use super::endpoint::Endpoint;
use super::host_key::Record;
use super::link::{Link, Stop, would_block};
use super::private_key::PublicKey;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;

/// Shakes hands and verifies the host key. The login comes after.
pub(super) fn handshake(
    link: &mut Link,
    endpoint: &Endpoint,
    deadline: &Deadline,
    unwanted: &AtomicBool,
    events: &Events,
) -> Result<()> {
    let record = Record::read(endpoint, events)?;
    let broken = |error: &ssh2::Error| failed(endpoint, None, error.message());
    let supported = link
        .session
        .supported_algs(ssh2::MethodType::HostKey)
        .map_err(|error| broken(&error))?;
    link.session
        .method_pref(ssh2::MethodType::HostKey, &record.preference(&supported))
        .map_err(|error| broken(&error))?;

    exchange(link, endpoint, deadline, unwanted)?;

    let shown = link
        .session
        .host_key()
        .and_then(|(blob, _)| PublicKey::from_blob(blob.to_vec()))
        .ok_or_else(|| failed(endpoint, None, "the server showed no host key"))?;
    record.verify(endpoint, &shown, events)
}

fn exchange(
    link: &mut Link,
    endpoint: &Endpoint,
    deadline: &Deadline,
    unwanted: &AtomicBool,
) -> Result<()> {
    // The first bytes from the other side, looked at before libssh2 takes them.
    let mut greeting: Option<Vec<u8>> = None;
    loop {
        match link.session.handshake() {
            Ok(()) => return Ok(()),
            Err(error) if would_block(&error) => {}
            Err(error) => {
                let greeting = greeting.or_else(|| banner(link));
                return Err(failed(endpoint, greeting.as_deref(), error.message()));
            }
        }
        let writable = link.wants_to_write();
        match link.pause(deadline, unwanted, writable) {
            Ok(readiness) if readiness.readable && greeting.is_none() => {
                greeting = peek(link);
            }
            Ok(_) => {}
            Err(Stop::Late) => {
                let greeting = greeting.or_else(|| banner(link));
                return Err(late(endpoint, greeting.as_deref(), deadline));
            }
            Err(stop) => return Err(stopped(endpoint, stop, deadline)),
        }
    }
}

fn peek(link: &Link) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 256];
    let read = link
        .stream()
        .peek(&mut bytes)
        .ok()
        .filter(|&read| read > 0)?;
    bytes.truncate(read);
    Some(bytes)
}

/// The last whole line that libssh2 read as a banner.
fn banner(link: &Link) -> Option<Vec<u8>> {
    link.session.banner_bytes().map(<[u8]>::to_vec)
}

fn failed(endpoint: &Endpoint, greeting: Option<&[u8]>, words: &str) -> Error {
    let place = endpoint.place();
    match greeting {
        None => Error::new(
            ErrorKind::Unreachable,
            format!("{place} took the connection and closed it without a greeting"),
        )
        .because(words)
        .hint(
            "The machine may still be starting behind a forwarded port; an SSH server also does \
             this when too many connect at once (MaxStartups) or an address is blocked",
        ),
        Some(greeting) if greeting.starts_with(b"SSH-") => Error::new(
            ErrorKind::Unreachable,
            format!("The SSH handshake with {place} failed"),
        )
        .because(format!("{words} (the server is {})", first_line(greeting)))
        .hint("Both sides may have no algorithm in common: ssh -v shows what the server offers"),
        Some(greeting) => no_ssh(endpoint, greeting),
    }
}

fn late(endpoint: &Endpoint, greeting: Option<&[u8]>, deadline: &Deadline) -> Error {
    let place = endpoint.place();
    let allowed = deadline.allowed();
    match greeting {
        None => Error::new(
            ErrorKind::Unreachable,
            format!("{place} took the connection and stayed silent for {allowed:?}"),
        )
        .hint(
            "The machine may still be starting: try again in a minute; if it stays so, something \
             other than an SSH server listens there",
        ),
        Some(greeting) if greeting.starts_with(b"SSH-") => Error::new(
            ErrorKind::Unreachable,
            format!("{place} stopped answering in the middle of the SSH handshake"),
        )
        .because(format!("it was not done within {allowed:?}"))
        .hint("The machine may be overloaded, or the path to it drops large packets (MTU, VPN)"),
        Some(greeting) => no_ssh(endpoint, greeting),
    }
}

/// What OpenSSH says, before it shows itself as an SSH server, to whom it turns away.
const PENALTY: &[u8] = b"Not allowed at this time";
const CROWDED: &[u8] = b"Exceeded MaxStartups";

fn no_ssh(endpoint: &Endpoint, greeting: &[u8]) -> Error {
    let turned_away = if greeting.starts_with(PENALTY) {
        Some((
            "lets nobody in from this address for now",
            "Too many logins failed before (PerSourcePenalties of its SSH server): wait some \
             minutes, and use another key or user than before",
        ))
    } else if greeting.starts_with(CROWDED) {
        Some((
            "has too many that connect at the same time",
            "Try again in a minute (MaxStartups of its SSH server)",
        ))
    } else {
        None
    };
    if let Some((what, hint)) = turned_away {
        let message = format!("{} {what}", endpoint.place());
        return Error::new(ErrorKind::Unreachable, message)
            .because(format!("it answered \"{}\"", first_line(greeting)))
            .hint(hint);
    }
    Error::new(
        ErrorKind::Unreachable,
        format!("What listens at {} is not an SSH server", endpoint.place()),
    )
    .because(format!("it answered \"{}\"", first_line(greeting)))
    .hint("Check the port: another program uses this one")
}

/// The first line, cut short, with nothing in it that a terminal would obey.
fn first_line(bytes: &[u8]) -> String {
    let line = bytes
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    text.trim()
        .chars()
        .take(60)
        .flat_map(char::escape_debug)
        .collect()
}

/// A connection attempt that ended for a reason outside of SSH.
pub(super) fn stopped(endpoint: &Endpoint, stop: Stop, deadline: &Deadline) -> Error {
    let place = endpoint.place();
    match stop {
        Stop::Refused(error) => Error::new(
            ErrorKind::Unreachable,
            format!("The connection to {place} failed"),
        )
        .because(error.message()),
        Stop::Late => Error::new(
            ErrorKind::Unreachable,
            format!(
                "{place} did not finish the login within {:?}",
                deadline.allowed()
            ),
        )
        .hint(
            "The machine may be overloaded, or its SSH server waits for a name lookup (UseDNS) or \
             for PAM",
        ),
        Stop::Unwanted => Error::new(
            ErrorKind::Interrupted,
            format!("The connection to {place} was given up"),
        ),
        Stop::System(error) => Error::new(
            ErrorKind::Unreachable,
            format!("The connection to {place} failed"),
        )
        .because(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_says_cannot_move_the_cursor() {
        assert_eq!(
            first_line(b"\x1b[2JHTTP/1.1 400\r\nmore"),
            "\\u{1b}[2JHTTP/1.1 400"
        );
        assert_eq!(first_line(&[b'x'; 500]).len(), 60);
    }
}

//! From a host name to an open TCP connection, or the reason why there is none.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::deadline::Deadline;
use super::endpoint::Endpoint;
use crate::error::{Error, ErrorKind, Result};

/// How long one address is tried alone before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Resolves the name and connects to whichever of its addresses answers first.
pub(super) async fn dial(endpoint: &Endpoint, deadline: &Deadline) -> Result<TcpStream> {
    let addresses = resolve(endpoint, deadline).await?;
    let mut waiting = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    let over = tokio::time::sleep(deadline.left().unwrap_or_default());
    tokio::pin!(over);

    loop {
        match waiting.next() {
            Some(address) => attempts.push(attempt(address)),
            None if attempts.is_empty() => return Err(failed(endpoint, deadline, &failures)),
            None => {}
        }
        tokio::select! {
            biased;
            Some((address, outcome)) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => failures.push((address, error)),
            },
            () = &mut over => {
                for address in &addresses {
                    if !failures.iter().any(|(failed, _)| failed == address) {
                        failures.push((*address, io::ErrorKind::TimedOut.into()));
                    }
                }
                return Err(failed(endpoint, deadline, &failures));
            }
            () = tokio::time::sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
}

async fn attempt(address: SocketAddr) -> (SocketAddr, io::Result<TcpStream>) {
    let connected = async {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.into_std()
    };
    (address, connected.await)
}

async fn resolve(endpoint: &Endpoint, deadline: &Deadline) -> Result<Vec<SocketAddr>> {
    // A literal needs no resolver, and so no thread of the runtime's pool.
    let bare = endpoint.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![SocketAddr::new(address, endpoint.port)]);
    }
    let looking = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port));
    let left = deadline.left().unwrap_or_default();
    let unresolved = |cause: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Unreachable,
            format!(
                "{}: the name {:?} does not resolve to an address",
                endpoint.name, endpoint.host
            ),
        )
        .because(cause)
        .hint("Check how the host is spelt, and whether this laptop's DNS answers (VPN, Wi-Fi)")
    };
    let found: Vec<_> = match tokio::time::timeout(left, looking).await {
        Err(_) => return Err(unresolved(&"the lookup did not answer in time")),
        Ok(Err(error)) => return Err(unresolved(&error)),
        Ok(Ok(found)) => found.collect(),
    };
    if found.is_empty() {
        return Err(unresolved(&"it has no address"));
    }
    Ok(interleave(found))
}

/// The families take turns, so that a network with a broken one costs one stagger and no more.
fn interleave(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order: Vec<SocketAddr> = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn.iter().all(Option::is_none) {
            return order;
        }
        for address in turn.into_iter().flatten() {
            if !order.contains(&address) {
                order.push(address);
            }
        }
    }
}

fn failed(endpoint: &Endpoint, deadline: &Deadline, failures: &[(SocketAddr, io::Error)]) -> Error {
    let place = endpoint.place();
    let any = |kind: io::ErrorKind| failures.iter().any(|(_, error)| error.kind() == kind);
    let (message, hint) = if any(io::ErrorKind::ConnectionRefused) {
        (
            format!(
                "{place} refuses connections: nothing listens on port {}",
                endpoint.port
            ),
            "Check the port, and that the SSH server runs there; a machine that is still starting \
             refuses connections until it does",
        )
    } else if any(io::ErrorKind::TimedOut) {
        (
            format!("{place} did not answer within {:?}", deadline.allowed()),
            "Check that the machine is running and that no firewall drops the connection",
        )
    } else if any(io::ErrorKind::HostUnreachable) || any(io::ErrorKind::NetworkUnreachable) {
        (
            format!("There is no route to {place}"),
            "Check that the machine is running, and this laptop's network (VPN, Wi-Fi, \
             host-only adapter)",
        )
    } else {
        (
            format!("{place} cannot be connected to"),
            "Check the address, and that the machine is running",
        )
    };
    let error = Error::new(ErrorKind::Unreachable, message).hint(hint);
    match reasons(failures) {
        Some(reasons) => error.because(reasons),
        None => error,
    }
}

/// What each address said, where it says more than the message.
fn reasons(failures: &[(SocketAddr, io::Error)]) -> Option<String> {
    let mut told = String::new();
    for (address, error) in failures {
        let separator = if told.is_empty() { "" } else { "; " };
        let _ = write!(told, "{separator}{address}: {error}");
    }
    (!told.is_empty()).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_and_no_address_is_tried_twice() {
        let addresses = ["[::1]:22", "[::1]:22", "[::2]:22", "127.0.0.1:22"];
        let found = addresses.map(|text| text.parse().unwrap()).to_vec();
        let order: Vec<String> = interleave(found).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:22", "127.0.0.1:22", "[::2]:22"]);
    }
}

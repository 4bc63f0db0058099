//! From one machine on the way to the next: the session at the one carries the connection to the other.

use std::net::TcpStream;

use super::deadline::Deadline;
use super::endpoint::Endpoint;
use super::pair::pair;
use super::session::Session;
use super::{Transport as _, Tunnel};
use crate::error::{Error, ErrorKind, Result};

/// Connects to `next` from the machine that `carrier` is logged in at.
pub(super) async fn dial_from(
    carrier: &Session,
    next: &Endpoint,
    deadline: &Deadline,
) -> Result<TcpStream> {
    let host = next.host.trim_start_matches('[').trim_end_matches(']');
    let opening = carrier.open_tcp(host, next.port);
    let left = deadline.left().unwrap_or_default();
    let opened = match tokio::time::timeout(left, opening).await {
        Ok(opened) => opened.map_err(|error| no_way(carrier, next, error))?,
        Err(_) => return Err(late(carrier, next, deadline)),
    };
    socket(opened).map_err(|cause| {
        Error::failed(format!("No connection to {} could be made", next.place())).because(cause)
    })
}

/// A socket whose other end is the tunnel.
fn socket(mut tunnel: Tunnel) -> std::io::Result<TcpStream> {
    let (mut near, far) = pair()?;
    tokio::spawn(async move {
        // However it ends, both sides then see the end of their stream, and say what that means to them.
        let _ = tokio::io::copy_bidirectional(&mut tunnel, &mut near).await;
    });
    Ok(far)
}

fn late(carrier: &Session, next: &Endpoint, deadline: &Deadline) -> Error {
    Error::new(
        ErrorKind::Unreachable,
        format!(
            "{} did not answer {} within {:?}",
            next.place(),
            carrier.place(),
            deadline.allowed()
        ),
    )
    .hint(format!(
        "Check that the machine is running, and that {} may connect to it",
        carrier.place()
    ))
}

fn no_way(carrier: &Session, next: &Endpoint, error: Error) -> Error {
    let cause = error.cause.clone().unwrap_or_default();
    let failed = Error::new(
        ErrorKind::Unreachable,
        format!("{} cannot connect to {}", carrier.place(), next.place()),
    );
    if cause.is_empty() {
        return error;
    }
    let failed = failed.because(&cause);
    if cause.contains("prohibited") {
        return failed.hint(
            "Its sshd_config forbids forwarding: AllowTcpForwarding, PermitOpen or DisableForwarding",
        );
    }
    failed.hint(format!(
        "Check, as {} sees it, the address {} and that an SSH server listens on its port {}",
        carrier.place(),
        next.host,
        next.port
    ))
}

//! Two connected sockets: a channel of one session becomes what another session takes for its network.
//! libssh2 wants a socket of the operating system, and nothing but a socket.

use std::io;
use std::net::TcpStream;

#[cfg(unix)]
use tokio::net::UnixStream as Near;

#[cfg(windows)]
use tokio::net::TcpStream as Near;

/// The one end for the runtime, the other for libssh2.
#[cfg(unix)]
pub(super) fn pair() -> io::Result<(Near, TcpStream)> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    near.set_nonblocking(true)?;
    // Only calls that every kind of stream socket knows are made on it.
    let far = TcpStream::from(std::os::fd::OwnedFd::from(far));
    Ok((Near::from_std(near)?, far))
}

/// The one end for the runtime, the other for libssh2. Windows has no pairs, so for a moment a port listens
/// on the loopback; whoever else connects to it is turned away.
#[cfg(windows)]
pub(super) fn pair() -> io::Result<(Near, TcpStream)> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let ours = near.local_addr()?;
    let far = loop {
        let (far, from) = listener.accept()?;
        if from == ours {
            break far;
        }
    };
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    near.set_nonblocking(true)?;
    Ok((Near::from_std(near)?, far))
}

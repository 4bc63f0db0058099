//! The actor's ends of the in-memory streams that a channel is carried by, and what is on its way
//! through them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, AsyncWrite as _, DuplexStream, ReadBuf};

/// This thread's ends of the streams.
pub(super) enum Ends {
    Exec {
        stdin: Option<DuplexStream>,
        stdout: Option<DuplexStream>,
        stderr: Option<DuplexStream>,
    },
    Tunnel(Option<DuplexStream>),
}

#[derive(Clone, Copy)]
pub(super) enum Which {
    Stdin,
    Stdout,
    Stderr,
}

impl Ends {
    pub(super) fn get(&mut self, which: Which) -> Option<&mut DuplexStream> {
        match (self, which) {
            (Self::Tunnel(both), Which::Stdin | Which::Stdout) => both.as_mut(),
            (Self::Tunnel(_), Which::Stderr) => None,
            (Self::Exec { stdin, .. }, Which::Stdin) => stdin.as_mut(),
            (Self::Exec { stdout, .. }, Which::Stdout) => stdout.as_mut(),
            (Self::Exec { stderr, .. }, Which::Stderr) => stderr.as_mut(),
        }
    }

    /// Ends one direction towards the user.
    pub(super) fn finish(&mut self, which: Which, cx: &mut Context<'_>) {
        match (self, which) {
            (Self::Tunnel(both), _) => {
                if let Some(both) = both {
                    let _ = Pin::new(both).poll_shutdown(cx);
                }
            }
            (Self::Exec { stdin, .. }, Which::Stdin) => *stdin = None,
            (Self::Exec { stdout, .. }, Which::Stdout) => *stdout = None,
            (Self::Exec { stderr, .. }, Which::Stderr) => *stderr = None,
        }
    }
}

/// From the user to the box.
#[derive(Default)]
pub(super) struct Upward {
    pub(super) buffer: Vec<u8>,
    pub(super) sent: usize,
    /// libssh2 may have sent a part of the buffer: it must see the same bytes again first.
    pub(super) in_flight: bool,
    pub(super) ended: bool,
    pub(super) eof_sent: bool,
}

/// From the box to the user.
pub(super) struct Downward {
    pub(super) id: i32,
    pub(super) which: Which,
    pub(super) buffer: Vec<u8>,
    pub(super) delivered: usize,
    /// The box has sent everything.
    pub(super) ended: bool,
    /// The user has dropped the stream: what still comes is thrown away.
    pub(super) deaf: bool,
    pub(super) done: bool,
    /// When it was last read, a packet was half sent; it may be this stream's own.
    pub(super) stuck: bool,
}

impl Downward {
    pub(super) fn new(id: i32, which: Which) -> Self {
        Self {
            id,
            which,
            buffer: Vec::new(),
            delivered: 0,
            ended: false,
            deaf: false,
            done: false,
            stuck: false,
        }
    }
}

/// Whether the user has dropped a stream that only this side writes to.
pub(super) fn is_dropped(stream: Option<&mut DuplexStream>, cx: &mut Context<'_>) -> bool {
    let Some(stream) = stream else { return true };
    let mut scratch = [0; 64];
    let mut space = ReadBuf::new(&mut scratch);
    match Pin::new(stream).poll_read(cx, &mut space) {
        Poll::Ready(Ok(())) => space.filled().is_empty(),
        Poll::Ready(Err(_)) => true,
        Poll::Pending => false,
    }
}

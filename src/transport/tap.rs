//! Counts what libssh2 takes from the socket.
//!
//! Any call on one channel reads whatever has come for all of them. A channel that was asked before
//! would then wait for bytes that are no longer in the socket, and nothing would wake its thread. So
//! the actor must know whether a round of its work has read anything at all, and libssh2 does not
//! say. Its receive function is therefore wrapped in one that counts.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use ssh2::Session;

#[cfg(not(windows))]
type Socket = c_int;
#[cfg(windows)]
type Socket = usize;

type Receive = unsafe extern "C" fn(Socket, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;
type Callback = unsafe extern "C" fn();

/// `LIBSSH2_CALLBACK_RECV` of libssh2.h.
const RECEIVE: c_int = 6;

unsafe extern "C" {
    /// Public in libssh2 since 1.11.1; the `ssh2` crate, which links it, does not pass it on.
    fn libssh2_session_callback_set2(
        session: *mut c_void,
        kind: c_int,
        callback: Option<Callback>,
    ) -> Option<Callback>;
}

/// libssh2's own receive function, the same for every session.
static ORIGINAL: OnceLock<Receive> = OnceLock::new();

thread_local! {
    /// A session lives on one thread, so the thread's count is the session's.
    static RECEIVED: Cell<u64> = const { Cell::new(0) };
}

/// Begins to count for this session.
pub(super) fn install(session: &Session) {
    let mut raw = session.raw();
    let raw: *mut c_void = std::ptr::from_mut(&mut *raw).cast();
    let counting: Receive = receive;
    // SAFETY: `raw` is a live session and locked; the function has the signature that
    // libssh2.h demands for this kind of callback, and libssh2 casts it back before a call.
    let original = unsafe {
        let callback = std::mem::transmute::<Receive, Callback>(counting);
        libssh2_session_callback_set2(raw, RECEIVE, Some(callback))
    };
    if let Some(original) = original {
        // SAFETY: what was set before is libssh2's own function of that same signature.
        let original = unsafe { std::mem::transmute::<Callback, Receive>(original) };
        ORIGINAL.get_or_init(|| original);
    }
}

/// How many bytes were received on this thread so far.
pub(super) fn received() -> u64 {
    RECEIVED.get()
}

unsafe extern "C" fn receive(
    socket: Socket,
    buffer: *mut c_void,
    length: usize,
    flags: c_int,
    context: *mut *mut c_void,
) -> isize {
    let Some(original) = ORIGINAL.get() else {
        // It is set before the first byte can come; -1 is an error to libssh2.
        return -1;
    };
    // SAFETY: the arguments are handed on as libssh2 gave them.
    let read = unsafe { original(socket, buffer, length, flags, context) };
    if let Ok(read) = u64::try_from(read) {
        RECEIVED.set(RECEIVED.get() + read);
    }
    read
}

//! A pseudo terminal with somebody at it: what a program shows there, and what is typed to it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// What does not come within this time does not come.
const PATIENCE: Duration = Duration::from_secs(60);

pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";

/// A program at work on a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: Option<File>,
    /// The program's side. It stays open, so that its settings can be read when the program has ended.
    side: Option<OwnedFd>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
    /// How much of what is shown was waited for.
    read: usize,
}

/// How a program left its terminal.
pub struct Left {
    pub code: Option<i32>,
    pub shown: String,
    /// Whether what is typed is seen again.
    pub echoes: bool,
}

impl Terminal {
    pub fn start(mut command: Command) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
        // A program that held its own window would never see it closed.
        fcntl_setfd(&keys, FdFlags::CLOEXEC).expect("a descriptor");
        grantpt(&keys).expect("a terminal for this user");
        unlockpt(&keys).expect("a terminal to open");
        let name = ptsname(&keys, Vec::new()).expect("its name");
        let side = File::options()
            .read(true)
            .write(true)
            .open(std::ffi::OsStr::from_bytes(name.as_bytes()))
            .expect("the program's side");
        let stream = || Stdio::from(side.try_clone().expect("a copy"));
        command
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .env("TERM", "dumb");
        // SAFETY: two system calls, which is what may be done between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(std::io::stdin().as_fd())?;
                Ok(())
            });
        }
        let child = command.spawn().expect("a program");
        // The command holds copies of the program's side.
        drop(command);
        let keys = File::from(keys);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let closed = Arc::new(AtomicBool::new(false));
        let screen = Screen {
            window: keys.try_clone().expect("a copy"),
            shown: shown.clone(),
            closed: closed.clone(),
        };
        let reader = thread::spawn(|| screen.fill());
        Self {
            child,
            keys: Some(keys),
            side: Some(side.into()),
            shown,
            reader: Some(reader),
            closed,
            read: 0,
        }
    }

    /// Waits until these words are shown behind those that were waited for before.
    #[track_caller]
    pub fn await_shown(&mut self, words: &str) -> &mut Self {
        let began = Instant::now();
        loop {
            let shown = self.shown();
            if let Some(at) = shown[self.read..].find(words) {
                self.read += at + words.len();
                return self;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "never shows {words:?}:\n{shown}"
            );
            let ended = self.child.try_wait().expect("a child").is_some();
            assert!(
                !ended || self.shown()[self.read..].contains(words),
                "ended without {words:?}:\n{shown}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn type_in(&mut self, keys: &str) -> &mut Self {
        let mut window = self.keys.as_ref().expect("a terminal that is open");
        window.write_all(keys.as_bytes()).expect("a terminal");
        self
    }

    /// Whether what is typed is seen.
    pub fn echoes(&self) -> bool {
        let side = self.side.as_ref().expect("a terminal that is open");
        let settings = tcgetattr(side).expect("its settings");
        settings.local_modes.contains(LocalModes::ECHO)
    }

    /// Waits until what is typed is not seen: a question for a secret is shown a moment before.
    #[track_caller]
    pub fn await_hidden(&mut self) -> &mut Self {
        let began = Instant::now();
        while self.echoes() {
            assert!(began.elapsed() < PATIENCE, "{}", self.shown());
            thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// Waits until the program has ended by itself.
    #[track_caller]
    pub fn left(&mut self) -> Left {
        let code = self.ended();
        let echoes = self.echoes();
        self.side = None;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
        let left = Left {
            code,
            shown: self.shown(),
            echoes,
        };
        println!("{}\n[{code:?}]", left.shown);
        left
    }

    /// Closes the terminal's window. How the program ended; `None`: by a signal.
    #[track_caller]
    pub fn hang_up(&mut self) -> Option<i32> {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a reader");
        }
        (self.side, self.keys) = (None, None);
        self.ended()
    }

    #[track_caller]
    fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "does not end:\n{}",
                self.shown()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }
}

/// Reads what is shown until the program's side or the window is closed.
struct Screen {
    window: File,
    shown: Arc<Mutex<Vec<u8>>>,
    closed: Arc<AtomicBool>,
}

impl Screen {
    fn fill(mut self) {
        let mut buffer = [0; 4096];
        while !self.closed.load(Ordering::Relaxed) {
            let moment = Timespec {
                tv_sec: 0,
                tv_nsec: 20_000_000,
            };
            let mut window = [PollFd::new(&self.window, PollFlags::IN)];
            if matches!(poll(&mut window, Some(&moment)), Ok(0)) {
                continue;
            }
            let Ok(count @ 1..) = self.window.read(&mut buffer) else {
                return;
            };
            self.shown
                .lock()
                .unwrap()
                .extend_from_slice(&buffer[..count]);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A program that has ended, as almost all have, is past killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

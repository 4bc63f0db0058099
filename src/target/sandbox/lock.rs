//! Locks between runs of dwenv: they go with the process that holds them, however it ends.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::program::Program;
use crate::error::{Error, ErrorKind, Result};

/// What `flock` is told to answer when somebody else holds the lock.
const BUSY: i32 = 75;

/// Long enough that two runs which meet by chance do not talk about it.
const SILENT: Duration = Duration::from_secs(1);

/// A lock on a file, held as long as this value lives.
///
/// The `flock` program locks the open file that it shares with us and goes: `File::lock` needs a
/// newer Rust than this program asks for.
pub struct Lock(File);

#[derive(Clone, Copy)]
pub enum Mode {
    Shared,
    Exclusive,
}

impl Lock {
    /// Waits for the lock as long as `patience`; `waiting` is called when it is not free at once.
    pub fn take(
        path: &Path,
        mode: Mode,
        patience: Duration,
        waiting: impl FnOnce(),
    ) -> Result<Self> {
        let lock = Self(open(path)?);
        if lock.acquire(mode, SILENT)? {
            return Ok(lock);
        }
        waiting();
        if lock.acquire(mode, patience)? {
            return Ok(lock);
        }
        Err(Error::new(
            ErrorKind::Locked,
            format!("another run of dwenv holds {}", path.display()),
        )
        .because(format!("it was not free after {} s", patience.as_secs()))
        .hint("Wait for the other run to end, then run this one again."))
    }

    /// Takes the lock, or `None` where somebody holds it.
    pub fn attempt(path: &Path) -> Result<Option<Self>> {
        let lock = Self(open(path)?);
        Ok(lock
            .acquire(Mode::Exclusive, Duration::ZERO)?
            .then_some(lock))
    }

    /// A standard input for a program that must hold this lock too: empty, as `/dev/null` is. Should
    /// dwenv be killed, the lock stays until that program has ended.
    pub fn stdin(&self) -> Result<Stdio> {
        let file = self.0.try_clone();
        Ok(Stdio::from(file.map_err(|cause| {
            Error::failed("could not hand a lock on").because(cause)
        })?))
    }

    fn acquire(&self, mode: Mode, patience: Duration) -> Result<bool> {
        let seconds = patience.as_secs().to_string();
        let mode = match mode {
            Mode::Shared => "--shared",
            Mode::Exclusive => "--exclusive",
        };
        let mut args = vec![mode, "--conflict-exit-code", "75"];
        if patience.is_zero() {
            args.push("--nonblock");
        } else {
            args.extend(["--timeout", &seconds]);
        }
        args.push("0");
        let outcome = Program::new("flock")
            .args(args)
            .stdin(self.stdin()?)
            .within(patience + Duration::from_secs(20))
            .outcome("take a lock", |_| {})?;
        match outcome.status.code() {
            Some(0) => Ok(true),
            Some(BUSY) => Ok(false),
            _ => Err(Error::failed("could not take a lock").because(outcome.stderr.trim())),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let failed = |cause: std::io::Error| {
        Error::failed(format!("could not open the lock {}", path.display())).because(cause)
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_busy_and_a_dropped_one_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/a.lock");
        let held = Lock::attempt(&path).unwrap().expect("nobody holds it");
        assert!(Lock::attempt(&path).unwrap().is_none());
        let mut said = false;
        let late = Lock::take(&path, Mode::Shared, Duration::from_secs(1), || said = true);
        assert_eq!(late.err().unwrap().kind, ErrorKind::Locked);
        assert!(said);
        drop(held);
        assert!(Lock::attempt(&path).unwrap().is_some());
    }

    #[test]
    fn shared_locks_stand_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let patience = Duration::from_secs(1);
        let one = Lock::take(&path, Mode::Shared, patience, || {}).unwrap();
        let two = Lock::take(&path, Mode::Shared, patience, || {}).unwrap();
        assert!(Lock::attempt(&path).unwrap().is_none());
        drop((one, two));
    }
}

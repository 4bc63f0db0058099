//! Programs of the laptop: found without a shell, run with a deadline, stopped with all they started.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long stopping a program, or hearing its last words, may take.
const STOPPING: Duration = Duration::from_secs(3);

/// Variables that differ from the ones dwenv itself was started with.
pub type Environment = Vec<(OsString, OsString)>;

/// The value of a variable: the changed one, else the one of this process.
#[must_use]
pub fn variable(environment: &Environment, name: &str) -> Option<OsString> {
    let changed = environment.iter().rev().find(|(key, _)| key == name);
    match changed {
        Some((_, value)) => Some(value.clone()),
        None => env::var_os(name),
    }
}

/// Where a program stands: first on the search path, then in the folders where its installer puts it.
#[must_use]
pub fn find(name: &str, path: Option<&OsStr>, installed: &[PathBuf]) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let on_path = path.map(|path| env::split_paths(path).collect::<Vec<_>>());
    on_path
        .unwrap_or_default()
        .iter()
        // An empty entry would be the current folder, where anybody may have put a program.
        .filter(|folder| folder.is_absolute())
        .chain(installed)
        .map(|folder| folder.join(&file))
        .find(|candidate| is_program(candidate))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Why there is nothing to read.
#[derive(Debug)]
pub enum NotRun {
    /// It could not be started.
    Start(io::Error),
    /// It was stopped at the deadline.
    TimedOut,
}

/// A command with nothing on its stdin, in a process group of its own so that it can be stopped whole.
pub(crate) fn command(
    program: &Path,
    arguments: &[&str],
    folder: Option<&Path>,
    environment: &Environment,
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    #[cfg(unix)]
    command.process_group(0);
    command
}

/// Runs a command to its end and keeps what it says.
pub(crate) async fn capture(mut command: Command, deadline: Duration) -> Result<Finished, NotRun> {
    let child = command.spawn().map_err(NotRun::Start)?;
    let mut group = Group(child.id());
    let ended = timeout(deadline, child.wait_with_output()).await;
    let id = group.0.take();
    match ended {
        Ok(Ok(output)) => Ok(Finished {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
        Ok(Err(error)) => Err(NotRun::Start(error)),
        Err(_) => {
            stop(id).await;
            Err(NotRun::TimedOut)
        }
    }
}

/// Ends a program that [`command`] started, and everything that it started.
pub(super) async fn stop(id: Option<u32>) {
    let Some(id) = id else { return };
    let mut stopping = Command::from(signal("-KILL", id));
    // Where even this fails there is nothing left to try: the caller already reports the deadline.
    let _ = timeout(STOPPING, stopping.status()).await;
}

/// Sends a signal to a program that [`command`] started and to everything that it started. Windows has none:
/// there it ends them.
pub(super) fn signal(which: &str, id: u32) -> std::process::Command {
    let mut command = if cfg!(windows) {
        let mut command = std::process::Command::new("taskkill");
        command.args(["/T", "/F", "/PID", &id.to_string()]);
        command
    } else {
        let mut command = std::process::Command::new("kill");
        command.args([which, "--", &format!("-{id}")]);
        command
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// A program with everything that it started, which ends when this is dropped with its id still in it: whoever
/// asked waits no longer.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Not waited for: that would hold up the runtime.
            drop(signal("-KILL", id).spawn());
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_with_its_children() {
        let shell = find("sh", env::var_os("PATH").as_deref(), &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let program = "sleep 60 & echo $! > child; wait";
        let run = capture(
            command(&shell, &["-c", program], Some(folder.path()), &Vec::new()),
            Duration::from_millis(400),
        )
        .await;
        assert!(matches!(run, Err(NotRun::TimedOut)));
        let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
        let alive = || {
            // A zombie that nobody has waited for yet is not alive.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        for _ in 0..20 {
            if !alive() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the child {child} lives on");
    }

    #[test]
    fn only_absolute_folders_of_the_path_are_searched() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find("sh", Some(OsStr::new("")), &[]).is_none());
        assert!(find("sh", Some(OsStr::new(".:bin")), &[]).is_none());
        assert!(find("sh", Some(folder.path().as_os_str()), &[]).is_none());
        let file = folder.path().join("tool");
        std::fs::write(&file, "").unwrap();
        assert!(find("tool", Some(folder.path().as_os_str()), &[]).is_none());
        assert!(find("sh", None, &["/bin".into()]).is_some());
    }
}

//! What an author wants to know of the laptop.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::authors::Page;
use super::collect::{left, timed};
use super::probe::{Here, Probe, Question};
use super::record::Record;
use super::services::json_record;
use crate::target::program::{self, NotRun};

/// How a command ended and what it said, wherever it ran: `STATUS`, a line end, the text.
#[must_use]
pub fn said(status: i32, text: &str) -> String {
    let kept: String = text.chars().take(Page::KEPT).collect();
    format!("{status}\n{kept}")
}

/// Asks everything that `probes` want to know of the laptop, at the same time. What has not come by `until` is
/// not waited for.
pub async fn ask(probes: &[Probe], until: Instant) -> Vec<(String, Record)> {
    let asked = probes.iter().filter_map(|probe| match &probe.question {
        Question::Here(here) => {
            let deadline = probe.deadline.min(left(until));
            Some(timed(&probe.id, deadline, one(here, deadline)))
        }
        _ => None,
    });
    futures_util::future::join_all(asked).await
}

async fn one(here: &Here, deadline: Duration) -> Record {
    match here {
        Here::Command(line) => command(line, deadline).await,
        Here::File { path, read } => file(expanded(path), *read).await,
        Here::Port(port) => port_of_this(*port).await,
        Here::Http(url) => http(url).await,
    }
}

/// Time for [`program::capture`] to stop a command with all that it started, before its probe is given up.
const STOPPING: Duration = Duration::from_secs(1);

async fn command(line: &str, deadline: Duration) -> Record {
    let (shell, flag) = if cfg!(windows) {
        ("cmd", "/C")
    } else {
        ("sh", "-c")
    };
    let Some(shell) = program::find(shell, std::env::var_os("PATH").as_deref(), &[]) else {
        return Record::refused(format!("there is no {shell} on this laptop"));
    };
    let command = program::command(&shell, &[flag, line], home().as_deref(), &Vec::new());
    match program::capture(command, deadline.saturating_sub(STOPPING)).await {
        Ok(finished) => match finished.status.code() {
            Some(status) => {
                let text = format!("{}{}", finished.stdout, finished.stderr);
                Record::done(said(status, &text))
            }
            None => Record::refused("the command was ended by a signal"),
        },
        Err(NotRun::TimedOut) => Record::timed_out(),
        Err(NotRun::Start(error)) => Record::refused(error.to_string()),
    }
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| home.is_dir())
}

/// Relative paths, and those that begin with `~/`, start at the person's home.
fn expanded(path: &str) -> PathBuf {
    let relative = path.strip_prefix("~/").unwrap_or(path);
    home().unwrap_or_default().join(relative)
}

/// `no`, or `yes`, a line end, and the beginning of the file's text.
async fn file(path: PathBuf, read: bool) -> Record {
    // A folder on the network may not answer: the probe's deadline holds beside it.
    let looking = tokio::task::spawn_blocking(move || look(&path, read));
    match looking.await {
        Ok(Ok(seen)) => Record::done(seen),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => Record::done("no\n"),
        Ok(Err(error)) => Record::refused(error.to_string()),
        Err(error) => Record::refused(error.to_string()),
    }
}

fn look(path: &Path, read: bool) -> std::io::Result<String> {
    let data = path.metadata()?;
    let mut kept = Vec::new();
    if read && data.is_file() {
        let file = std::fs::File::open(path)?;
        file.take(Page::KEPT as u64).read_to_end(&mut kept)?;
    }
    Ok(format!("yes\n{}", String::from_utf8_lossy(&kept)))
}

/// `open`, or `closed`.
async fn port_of_this(port: u16) -> Record {
    match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(_) => Record::done("open"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Record::done("closed"),
        Err(error) => Record::refused(error.to_string()),
    }
}

async fn http(url: &str) -> Record {
    let asking = async {
        let mut response = reqwest::get(url).await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() >= Page::KEPT {
                break;
            }
        }
        Ok::<_, reqwest::Error>(Page::new(status, &body))
    };
    match asking.await {
        Ok(page) => json_record(&page),
        Err(error) => Record::refused(innermost(&error)),
    }
}

/// The cause at the bottom: those above only say that a request was sent.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(here: Here) -> Record {
        one(&here, Duration::from_secs(3)).await
    }

    #[tokio::test]
    async fn a_port_is_open_while_somebody_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(asked(Here::Port(port)).await, Record::done("open"));
        // Not the port from before: a program that another test starts at this moment may still hold it.
        assert_eq!(asked(Here::Port(1)).await, Record::done("closed"));
    }

    #[tokio::test]
    async fn a_file_is_read_only_where_its_text_matters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes").display().to_string();
        let asks = |read| Here::File {
            path: path.clone(),
            read,
        };
        assert_eq!(asked(asks(true)).await, Record::done("no\n"));
        std::fs::write(&path, "text").unwrap();
        assert_eq!(asked(asks(true)).await, Record::done("yes\ntext"));
        assert_eq!(asked(asks(false)).await, Record::done("yes\n"));
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn a_command_tells_how_it_ended_and_is_stopped_in_time() {
        let run = |line: &str| Here::Command(line.to_owned());
        let ended = asked(run("echo out; echo err >&2; exit 3")).await;
        assert_eq!(ended, Record::done("3\nout\nerr\n"));
        let began = std::time::Instant::now();
        assert_eq!(asked(run("sleep 60")).await, Record::timed_out());
        assert!(began.elapsed() < Duration::from_secs(6));
    }
}

//! The workshop's server, asked for `GET /` by a fragment of the probing program.

use serde::{Deserialize, Serialize};

use super::collect::STATUS_TIMED_OUT;
use super::pipeline;
use super::record::{Record, RecordStatus};
use super::services::json_record;
use crate::quote;

/// How much of the answer is read in the box, a byte at a time: what is judged stands at its beginning.
const BEGINNING: usize = 16 * 1024;
/// Stands behind what the server said: a shell takes the ends of lines from the end of an answer.
const END: char = '.';
/// The exit status of a shell that wrote to somebody who had gone (SIGPIPE).
const HUNG_UP: i32 = 141;

/// What the server answered to `GET /`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    /// `count` of the answer, when it is of the server's own form.
    pub count: Option<u64>,
    /// The reason that the server gives, or the beginning of what else was said.
    pub reason: String,
}

impl Answer {
    /// What the workshop's server says when all is well.
    #[must_use]
    pub fn expected() -> Self {
        Self {
            status: 200,
            count: Some(0),
            reason: String::new(),
        }
    }
}

/// The fragment that asks the server for `GET /` at the box's own loopback address, and says the beginning of what it
/// answers.
///
/// It is bash's own doing: every Debian and Ubuntu has bash, and not every one has curl. HTTP/1.0 has an answer end
/// with its connection. bash must read no file of the user's before: one that prints would be taken for the server.
#[must_use]
pub fn fragment(port: u16, seconds: u64) -> String {
    let ask = format!(
        r#"exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1
printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
IFS= read -r -d '' -n {BEGINNING} -t {reading} said <&3
ended=$?
printf '%s{END}' "$said"
[ ${{#said}} -lt {BEGINNING} ] || cat <&3 >/dev/null
[ $ended -le 128 ] || exit {STATUS_TIMED_OUT}"#,
        reading = seconds.saturating_sub(1).max(1),
    );
    let ask = quote::sh(&ask);
    format!("BASH_ENV= timeout {seconds} bash --norc -c {ask} 2>&1")
}

/// What that fragment said, as the record of an [`Answer`]. What the rows hold is not recorded.
#[must_use]
pub fn record(said: Record) -> Record {
    let words = said.output.trim();
    let answer = said.output.strip_suffix(END).and_then(answer);
    let answered = match said.status {
        RecordStatus::Done(0) | RecordStatus::TimedOut if answer.is_some() => json_record(&answer),
        RecordStatus::TimedOut => Record::timed_out(),
        // It hung up, before the question was out or before the answer was whole.
        RecordStatus::Done(0 | HUNG_UP) => Record::refused("the server gave no HTTP answer"),
        RecordStatus::Done(_) if words.contains("connect: ") => Record::refused(words),
        RecordStatus::Done(_) => Record::failed(words),
        // Whatever could not be started, it was not the server that refused.
        RecordStatus::Refused(why) => Record::failed(why),
        RecordStatus::Failed(_) | RecordStatus::Missing => return said,
    };
    Record {
        duration_ms: said.duration_ms,
        ..answered
    }
}

/// An answer that ended with its connection, or was cut behind its [`BEGINNING`]; `None` where it is none, or broke off.
fn answer(said: &str) -> Option<Answer> {
    let head = pipeline::head(said.as_bytes()).ok()??;
    let (status, body) = (head.status, &said.as_bytes()[head.length..]);
    let is_whole = head.announced.is_none_or(|length| body.len() >= length);
    if !is_whole && said.len() < BEGINNING {
        return None;
    }
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let field = |names: &[&str]| {
        let json = json.as_ref()?;
        let text = names.iter().find_map(|name| json.get(name)?.as_str());
        text.map(str::to_owned)
    };
    Some(Answer {
        status,
        count: count(body),
        reason: match (status, field(&["reason", "error", "detail"])) {
            (200, _) => String::new(),
            (_, Some(reason)) => reason,
            (_, None) => String::from_utf8_lossy(body).chars().take(200).collect(),
        },
    })
}

/// How many rows the server says it has: it writes that first, so a cut answer has it too.
fn count(answer: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(&answer[..answer.len().min(64)]).into_owned();
    let (_, rest) = text
        .trim_start()
        .strip_prefix('{')?
        .split_once("\"count\":")?;
    let rest = rest.trim_start();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::super::frames::FrameParser;
    use super::super::{Probe, Question, collect, program};
    use super::*;

    /// What is recorded where a server does this with whoever asks.
    fn recorded(serve: impl FnOnce(TcpStream) + Send + 'static) -> Record {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
        let record = asked(port);
        server.join().unwrap();
        record
    }

    /// What is recorded of a port, asked by the program in a login whose files print what they like.
    fn asked(port: u16) -> Record {
        let probes = [Probe {
            deadline: Duration::from_secs(2),
            ..Probe::new("http", Question::Http { port })
        }];
        let program = program::probing(&probes, "dwenv-test", false);
        let home = tempfile::tempdir().unwrap();
        let noisy = home.path().join(".bashrc");
        std::fs::write(&noisy, "echo Welcome\n").unwrap();
        // As after a login at a box: so bash takes itself for the shell of one.
        let mut shell = Command::new("sh")
            .args(["-c", &program.command])
            .env("HOME", home.path())
            .env("BASH_ENV", &noisy)
            .env("SSH_CLIENT", "192.0.2.1 50000 22")
            .env("SHLVL", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(&program.stdin).unwrap();
        drop(stdin);
        let said = shell.wait_with_output().unwrap().stdout;
        let frames = FrameParser::new("dwenv-test").push(&said);
        let frame = frames.into_iter().find(|frame| frame.id == "http");
        record(collect::record_of(frame.unwrap()).1)
    }

    /// Reads the question, and says this.
    fn says(words: &str) -> impl FnOnce(TcpStream) + Send + 'static + use<> {
        let words = words.to_owned();
        move |mut stream| {
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                question.extend(byte);
            }
            assert!(question.starts_with(b"GET / HTTP/1.0\r\n"));
            // Whoever has heard enough hangs up.
            let _ = stream.write_all(words.as_bytes());
        }
    }

    #[test]
    fn an_answer_is_recorded_without_what_the_rows_hold() {
        let rows = format!(r#"{{"count":2,"rows":["{}"]}}"#, "somebody".repeat(10_000));
        let record = recorded(says(&format!("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{rows}")));
        let answer: Answer = serde_json::from_str(&record.output).unwrap();
        assert_eq!(answer.count, Some(2));
        assert_eq!((answer.status, answer.reason.as_str()), (200, ""));
        assert!(!record.output.contains("somebody"));

        let empty = recorded(says("HTTP/1.0 502 Bad Gateway\r\n\r\n"));
        let answer: Answer = serde_json::from_str(&empty.output).unwrap();
        assert_eq!((answer.status, answer.count), (502, None));

        let down = "HTTP/1.1 503 Down\r\n\r\n{\"error\": \"no database\"}\n";
        let answer: Answer = serde_json::from_str(&recorded(says(down)).output).unwrap();
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (503, "no database")
        );
    }

    #[test]
    fn no_answer_is_told_by_its_kind() {
        let strange = recorded(says("SSH-2.0-OpenSSH\r\n"));
        assert!(
            matches!(strange.status, RecordStatus::Refused(_)),
            "{strange:?}"
        );
        let half = "HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\n{\"count\":3,";
        let broke_off = recorded(says(half));
        assert!(
            matches!(broke_off.status, RecordStatus::Refused(_)),
            "{broke_off:?}"
        );
        let silent = recorded(|mut stream| {
            // Until the one who asked has gone.
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(silent.status, RecordStatus::TimedOut);
        let never_ending = recorded(|mut stream| {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"count\":0}")
                .unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(
            never_ending.status,
            RecordStatus::Done(0),
            "{never_ending:?}"
        );
        let never_whole = recorded(move |mut stream| {
            stream.write_all(half.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        assert_eq!(
            never_whole.status,
            RecordStatus::TimedOut,
            "{never_whole:?}"
        );
        // Where nobody ever listens.
        let nobody = asked(1);
        assert!(
            matches!(&nobody.status, RecordStatus::Refused(why) if why.contains("Connection refused")),
            "{nobody:?}"
        );
        // Whoever cannot ask has heard no refusal.
        for (status, output) in [
            (1, "/dev/tcp/127.0.0.1/8080: No such file or directory"),
            (134, ""),
        ] {
            let said = Record {
                status: RecordStatus::Done(status),
                ..Record::done(output)
            };
            assert_eq!(record(said).status, RecordStatus::Failed(output.to_owned()));
        }
        let not_executable = record(Record::refused("bash: Permission denied"));
        assert!(matches!(not_executable.status, RecordStatus::Failed(_)));
    }
}

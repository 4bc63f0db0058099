//! Services of the box asked in their own protocol, over tunnels of the one session.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::postgres_login::{self, Login};
use super::record::{Record, RecordStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::quote;
use crate::transport::Transport;
use crate::workshop::Password;

/// How much is read of a server's answer.
pub(super) const LONGEST_ANSWER: usize = 1 << 20;
/// How much of the answer is read in the box, a byte at a time: what is judged stands at its beginning.
const BEGINNING: usize = 16 * 1024;
const LOGGED_IN: &str = "logged in";
/// The exit status of timeout(1) where its time was up.
const TIMED_OUT: i32 = 124;

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

/// A login with the declared password; a refusal is recorded with its SQLSTATE.
pub async fn sql_login(
    transport: &dyn Transport,
    port: u16,
    role: &str,
    database: &str,
    password: &Password,
) -> Record {
    let tunnel = match transport.open_tcp("127.0.0.1", port).await {
        Ok(tunnel) => tunnel,
        Err(error) => return unanswered(&error),
    };
    match postgres_login::log_in(tunnel, role, database, password).await {
        Ok(Login::In) => Record::done(LOGGED_IN),
        Ok(Login::Refused(refusal)) => refused_as(&refusal.code, &refusal.message),
        Ok(Login::WantsOtherProof) => {
            sql_login_by_any_proof(transport, port, role, database, password).await
        }
        Err(error) => Record::refused(error.to_string()),
    }
}

/// The same where the server does not ask for SCRAM, over a tunnel of its own.
async fn sql_login_by_any_proof(
    transport: &dyn Transport,
    port: u16,
    role: &str,
    database: &str,
    password: &Password,
) -> Record {
    let tunnel = match transport.open_tcp("127.0.0.1", port).await {
        Ok(tunnel) => tunnel,
        Err(error) => return unanswered(&error),
    };
    let config = login_as(role, database, password);
    match config.connect_raw(tunnel, tokio_postgres::NoTls).await {
        Ok(_) => Record::done(LOGGED_IN),
        Err(error) => refused(&error),
    }
}

pub(super) fn login_as(role: &str, database: &str, password: &Password) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config
        .user(role)
        .dbname(database)
        .password(password.reveal())
        .application_name("dwenv");
    // How long that may take is the probe's own deadline: over a tunnel the client has none.
    config
}

pub(super) fn refused(error: &tokio_postgres::Error) -> Record {
    match error.as_db_error() {
        Some(refusal) => refused_as(refusal.code().code(), refusal.message()),
        None => Record::refused(error.to_string()),
    }
}

fn refused_as(code: &str, message: &str) -> Record {
    Record {
        status: RecordStatus::Done(1),
        ..json_record(&json!({ "code": code, "message": message }))
    }
}

/// The fragment that asks the server for `GET /` at the box's own loopback address, and says all that it answers.
///
/// It is bash's own doing, so it starts nothing and needs nothing. HTTP/1.0 has an answer end with its connection.
#[must_use]
pub fn http_fragment(port: u16, seconds: u64) -> String {
    let ask = format!(
        r#"exec 3<>/dev/tcp/127.0.0.1/{port} || exit 1
printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
IFS= read -r -d '' -n {BEGINNING} -t {seconds} said <&3
ended=$?
printf %s "$said"
[ $ended -le 128 ] || exit {TIMED_OUT}"#
    );
    format!("bash -c {} 2>&1", quote::sh(&ask))
}

/// What that fragment said, as the record of an [`Answer`]. What the rows hold is not recorded.
#[must_use]
pub fn http_record(said: Record) -> Record {
    match said.status {
        RecordStatus::Done(0) | RecordStatus::TimedOut => {}
        RecordStatus::Done(_) => {
            return Record {
                output: String::new(),
                status: RecordStatus::Refused(said.output.trim().to_owned()),
                ..said
            };
        }
        _ => return said,
    }
    let answered = match answer(said.output.as_bytes()) {
        Some(answer) => json_record(&answer),
        // Nothing came, or not enough of it.
        None if said.status == RecordStatus::TimedOut => Record::timed_out(),
        None => Record::refused("the server gave no HTTP answer"),
    };
    Record {
        duration_ms: said.duration_ms,
        ..answered
    }
}

/// Sends `GET /` over a stream; the answer has begun when this returns.
pub(super) async fn get_root(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
) -> Result<hyper::Response<Incoming>> {
    send_get(stream, "/", host).await
}

pub(super) async fn http_client<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<hyper::client::conn::http1::SendRequest<B>>
where
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Error::failed("no HTTP could be spoken").because(error))?;
    tokio::spawn(async move {
        // Its end is seen by whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(sender)
}

pub(super) async fn send_get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    host: &str,
) -> Result<hyper::Response<Incoming>> {
    let mut sender = http_client(stream).await?;
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| Error::failed("no request could be made").because(error))?;
    sender
        .send_request(request)
        .await
        .map_err(|error| Error::failed("the server gave no HTTP answer").because(error))
}

/// An answer that ended with its connection; `None` where it is none.
fn answer(said: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(begins) = head.parse(said).ok()? else {
        return None;
    };
    let (status, body) = (head.code?, &said[begins..]);
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

/// The first [`LONGEST_ANSWER`] bytes of an answer.
pub(super) async fn beginning(mut body: Incoming) -> Result<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Error::failed("the server's answer broke off").because(error))?;
        read.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
        if read.len() >= LONGEST_ANSWER {
            break;
        }
    }
    Ok(read)
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

/// That nobody answers is an observation; that nobody could be asked is none.
pub(super) fn unanswered(error: &Error) -> Record {
    let status = match error.kind {
        ErrorKind::Unreachable => RecordStatus::Refused(error.to_string()),
        _ => RecordStatus::Failed(error.to_string()),
    };
    Record {
        status,
        output: String::new(),
        duration_ms: 0,
    }
}

pub(super) fn json_record(value: &impl serde::Serialize) -> Record {
    match serde_json::to_string(value) {
        Ok(json) => Record::done(json),
        Err(error) => Record::refused(error.to_string()),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

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

    /// What the fragment says of a port, as a box tells it.
    fn asked(port: u16) -> Record {
        let fragment = http_fragment(port, 1);
        let ended = Command::new("sh").args(["-c", &fragment]).output().unwrap();
        let status = match ended.status.code() {
            Some(TIMED_OUT) => RecordStatus::TimedOut,
            status => RecordStatus::Done(status.unwrap()),
        };
        http_record(Record {
            status,
            ..Record::done(String::from_utf8_lossy(&ended.stdout))
        })
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
        // Where nobody ever listens.
        let nobody = asked(1);
        assert!(
            matches!(&nobody.status, RecordStatus::Refused(why) if why.contains("Connection refused")),
            "{nobody:?}"
        );
    }
}

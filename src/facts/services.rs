//! Services of the box asked in their own protocol, over tunnels of the one session.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::postgres_login::{self, Login};
use super::record::{Record, RecordStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Transport;
use crate::workshop::Password;

/// How much is read of a server's answer.
pub(super) const LONGEST_ANSWER: usize = 1 << 20;
const LOGGED_IN: &str = "logged in";
/// A login with the declared password; a refusal is recorded with its SQLSTATE.
pub async fn sql_login(
    transport: &dyn Transport,
    port: u16,
    role: &str,
    database: &str,
    password: &Password,
) -> Record {
    let tunnel = || transport.open_tcp("127.0.0.1", port);
    let asked = async {
        let login = postgres_login::log_in(tunnel().await?, role, database, password).await;
        Ok(match login {
            Ok(Login::In) => Record::done(LOGGED_IN),
            Ok(Login::Refused(refusal)) => refused_as(&refusal.code, &refusal.message),
            Ok(Login::WantsOtherProof) => {
                let config = login_as(role, database, password);
                let login = config.connect_raw(tunnel().await?, tokio_postgres::NoTls);
                match login.await {
                    Ok(_) => Record::done(LOGGED_IN),
                    Err(error) => refused(&error),
                }
            }
            Err(error) => Record::refused(error.to_string()),
        })
    };
    asked
        .await
        .unwrap_or_else(|error: Error| unanswered(&error))
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

/// That nobody answers is an observation; that nobody could be asked is none.
pub(super) fn unanswered(error: &Error) -> Record {
    match error.kind {
        ErrorKind::Unreachable => Record::refused(error.to_string()),
        _ => Record::failed(error.to_string()),
    }
}

pub(super) fn json_record(value: &impl serde::Serialize) -> Record {
    match serde_json::to_string(value) {
        Ok(json) => Record::done(json),
        Err(error) => Record::refused(error.to_string()),
    }
}

//! A login to PostgreSQL in two round trips behind the opening of the tunnel: the proof that the server is going to
//! ask for is begun before it has asked.
//!
//! A server that asks for something else (`md5`, `password`, `ldap`) takes that beginning for a wrong answer, and writes
//! so into its log; one that asks for nothing (`trust`) complains of it once the session has begun.

use std::io;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::workshop::Password;

/// How a login ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Login {
    In,
    Refused(Refusal),
    /// The server wants another proof than SCRAM: whoever can give that has to log in anew.
    WantsOtherProof,
}

/// Why the server refused, in its own words.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A SQLSTATE, such as `28P01`.
    pub code: String,
    pub message: String,
}

/// The longest message of a server that is heard before the session has begun.
const LONGEST: u32 = 64 * 1024;

/// Logs in as `role`, and sees the session begin. The password does not leave this side.
///
/// # Errors
/// When the stream ends, or somebody answers who speaks another protocol or does not know the password.
pub async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    role: &str,
    database: &str,
    password: &Password,
) -> io::Result<Login> {
    let mut scram = ScramSha256::new(password.reveal().as_bytes(), ChannelBinding::unsupported());
    let parameters = [
        ("client_encoding", "UTF8"),
        ("application_name", "dwenv"),
        ("user", role),
        ("database", database),
    ];
    let mut server = Server {
        stream,
        said: BytesMut::new(),
    };
    let mut words = BytesMut::new();
    frontend::startup_message(parameters, &mut words)?;
    frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), &mut words)?;
    server.tell(&words).await?;
    loop {
        match server.hear().await? {
            Message::AuthenticationSasl(offer) => {
                let mut mechanisms = offer.mechanisms();
                if !mechanisms.any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                    return Ok(Login::WantsOtherProof);
                }
            }
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data())?;
                words.clear();
                frontend::sasl_response(scram.message(), &mut words)?;
                server.tell(&words).await?;
            }
            Message::AuthenticationSaslFinal(body) => scram.finish(body.data())?,
            Message::AuthenticationOk
            | Message::ParameterStatus(_)
            | Message::BackendKeyData(_)
            | Message::NoticeResponse(_) => {}
            Message::ReadyForQuery(_) => return Ok(Login::In),
            Message::ErrorResponse(error) => return refusal(&error).map(Login::Refused),
            _ => return Ok(Login::WantsOtherProof),
        }
    }
}

fn refusal(error: &ErrorResponseBody) -> io::Result<Refusal> {
    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = error.fields();
    while let Some(field) = fields.next()? {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = text(),
            b'M' => message = text(),
            _ => {}
        }
    }
    Ok(Refusal { code, message })
}

struct Server<S> {
    stream: S,
    /// What came, and was not taken for a message yet.
    said: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Server<S> {
    /// Whether what came is no message of a login: the words of a stranger would be taken for a length in gigabytes.
    fn is_strange(&self) -> bool {
        match self.said[..] {
            [kind, a, b, c, d, ..] => {
                let length = u32::from_be_bytes([a, b, c, d]);
                !b"RENSKZv".contains(&kind) || length > LONGEST
            }
            _ => false,
        }
    }

    async fn tell(&mut self, words: &[u8]) -> io::Result<()> {
        self.stream.write_all(words).await
    }

    async fn hear(&mut self) -> io::Result<Message> {
        loop {
            if self.is_strange() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "what answers does not speak PostgreSQL's protocol",
                ));
            }
            if let Some(message) = Message::parse(&mut self.said)? {
                return Ok(message);
            }
            if self.stream.read_buf(&mut self.said).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection was closed during the login",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::Workshop;

    /// What the server says as soon as it is told anything, and how the login ends then.
    async fn after(said: &'static [u8]) -> io::Result<Login> {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let answer = async move {
            let mut told = [0; 512];
            let count = theirs.read(&mut told).await.unwrap();
            // The beginning of the proof came with the first words.
            let told = String::from_utf8_lossy(&told[..count]).into_owned();
            assert!(told.contains("SCRAM-SHA-256"), "{told}");
            theirs.write_all(said).await.unwrap();
        };
        let password = Workshop::builtin().unwrap().postgres.password;
        let (login, ()) = tokio::join!(log_in(ours, "role", "database", &password), answer);
        login
    }

    #[tokio::test]
    async fn what_a_server_says_first_decides_how_it_goes_on() {
        let trusts = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
        assert_eq!(after(trusts).await.unwrap(), Login::In);
        let md5 = b"R\0\0\0\x0c\0\0\0\x05salt";
        assert_eq!(after(md5).await.unwrap(), Login::WantsOtherProof);
        let plus_only = b"R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0";
        assert_eq!(after(plus_only).await.unwrap(), Login::WantsOtherProof);
        let refuses = b"E\0\0\0\x1dSFATAL\0C28000\0Mno entry\0\0";
        let refusal = Refusal {
            code: "28000".to_owned(),
            message: "no entry".to_owned(),
        };
        assert_eq!(after(refuses).await.unwrap(), Login::Refused(refusal));
    }

    #[tokio::test]
    async fn who_is_no_such_server_is_an_error() {
        let refused = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x0c\0\0\0\x0bnone";
        for said in [&b""[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", refused] {
            after(said).await.unwrap_err();
        }
    }
}

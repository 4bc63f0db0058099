//! Several `GET`s over one HTTP/1.1 connection, all sent before the first is answered: together they take one round
//! trip. hyper's client sends the next one only after an answer.
//!
//! It is for servers such as Docker's: each answer says how long it is, or comes in chunks without trailers.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::error::{Error, Result};

/// How long one answer may be: a daemon may have very many images.
const LONGEST: usize = 64 << 20;
const MOST_HEADERS: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

/// The answers, in the order of the paths.
///
/// # Errors
/// When the connection ends too early, or what answers does not speak HTTP/1.1.
pub async fn get_all<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    host: &str,
    paths: &[&str],
) -> Result<Vec<Response>> {
    let requests: String = paths
        .iter()
        .map(|path| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
        .collect();
    stream
        .write_all(requests.as_bytes())
        .await
        .map_err(broken)?;
    let mut responses = Vec::new();
    let mut said = Vec::new();
    while responses.len() < paths.len() {
        if let Some((response, length)) = take(&said)? {
            responses.push(response);
            said.drain(..length);
        } else if said.len() > LONGEST {
            return Err(broken("the answer has no end"));
        } else if stream.read_buf(&mut said).await.map_err(broken)? == 0 {
            return Err(broken("it broke off"));
        }
    }
    Ok(responses)
}

fn broken(cause: impl std::fmt::Display) -> Error {
    Error::failed("no HTTP answer came").because(cause)
}

/// The first answer in `said` and its length; none where it is not whole yet.
fn take(said: &[u8]) -> Result<Option<(Response, usize)>> {
    let Some(head) = head(said)? else {
        return Ok(None);
    };
    let rest = &said[head.length..];
    let body = match head.announced {
        _ if head.is_chunked => chunks(rest)?,
        Some(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
        None => return Err(broken("it does not say how long it is")),
    };
    let status = head.status;
    Ok(body.map(|(body, length)| (Response { status, body }, head.length + length)))
}

/// What stands before an answer's body.
pub(super) struct Head {
    pub(super) status: u16,
    /// How many bytes it takes.
    pub(super) length: usize,
    /// How many bytes the body has, where that is said.
    pub(super) announced: Option<usize>,
    is_chunked: bool,
}

/// The head that `said` begins with; none where it is not whole yet.
pub(super) fn head(said: &[u8]) -> Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut read = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = read.parse(said).map_err(broken)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let mut headers = read.headers.iter();
        let found = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(found.value).ok().map(str::trim)
    };
    Ok(Some(Head {
        status: read.code.unwrap_or_default(),
        length,
        announced: header("Content-Length")
            .map(|length| length.parse().map_err(broken))
            .transpose()?,
        is_chunked: header("Transfer-Encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
    }))
}

/// A body that comes in chunks, and how many bytes it took; none where it is not whole yet.
fn chunks(said: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    loop {
        let size = httparse::parse_chunk_size(&said[at..]).map_err(|_| broken("a bad chunk"))?;
        let httparse::Status::Complete((begins, length)) = size else {
            return Ok(None);
        };
        let length = usize::try_from(length).map_err(broken)?;
        at += begins;
        let end = at.saturating_add(length);
        // Behind every chunk stands an end of line; behind the last, which is empty, it is the end of all.
        if said.len() < end.saturating_add(2) {
            return Ok(None);
        }
        pieces.push(&said[at..end]);
        at = end + 2;
        if length == 0 {
            return Ok(Some((pieces.concat(), at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst\
        HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nsec\r\n3;x=y\r\nond\r\n0\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

    async fn answered(said: &'static str, piece: usize) -> Result<Vec<Response>> {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let answer = async move {
            let mut asked = vec![0; 3 * "GET /1 HTTP/1.1\r\nHost: box\r\n\r\n".len()];
            theirs.read_exact(&mut asked).await.unwrap();
            let asked = String::from_utf8(asked).unwrap();
            assert!(asked.ends_with("GET /3 HTTP/1.1\r\nHost: box\r\n\r\n"));
            for piece in said.as_bytes().chunks(piece) {
                // Whoever has heard enough hangs up.
                let _ = theirs.write_all(piece).await;
                tokio::task::yield_now().await;
            }
        };
        let asking = get_all(ours, "box", &["/1", "/2", "/3"]);
        tokio::join!(asking, answer).0
    }

    #[tokio::test]
    async fn all_are_asked_before_the_first_is_answered_and_read_however_they_are_cut() {
        for piece in [1, 2, 7, 1000] {
            let responses = answered(ANSWERS, piece).await.unwrap();
            let told: Vec<_> = responses
                .iter()
                .map(|it| (it.status, str::from_utf8(&it.body).unwrap()))
                .collect();
            assert_eq!(told, [(200, "first"), (200, "second"), (404, "")]);
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_and_not_waited_for() {
        for (said, cause) in [
            ("", "it broke off"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfir",
                "it broke off",
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", "invalid HTTP version"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                "invalid digit",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", "it does not say how long it is"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                "a bad chunk",
            ),
        ] {
            let error = answered(said, 1000).await.unwrap_err();
            let told = error.cause.unwrap_or_default();
            assert!(told.contains(cause), "{said:?}: {told}");
        }
    }
}

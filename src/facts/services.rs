//! Services of the box asked in their own protocol, over tunnels of the one session.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::query_parameters::{ListContainersOptions, ListImagesOptions};
use bollard::{BollardRequest, ClientVersion, Docker, body_full};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};

use super::record::{Record, RecordStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Transport, Tunnel};
use crate::workshop::Password;

const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Bollard's own limit on one request, in seconds; a pull of an image is many reads within one.
const DOCKER_TIMEOUT: u64 = 600;
/// How long the daemon may take to say which it is.
const GREETING: Duration = Duration::from_secs(30);
/// How much is read of the server's answer.
const LONGEST_ANSWER: usize = 1 << 20;

/// What Docker's API answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    pub version: String,
    /// The highest and the lowest version of the API that the daemon takes.
    #[serde(default)]
    pub api_version: String,
    #[serde(default)]
    pub min_api_version: String,
    /// References of all images, by tag and by digest, such as `python:3-slim`; none where none are declared.
    pub images: Vec<String>,
    /// Running containers.
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub name: String,
    /// Ports of the box that it publishes.
    pub ports: Vec<u16>,
}

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

/// Docker's API, behind the box's socket, and what it says of itself.
///
/// # Errors
/// When the login user may not use the socket, or nobody listens there.
pub async fn connect_docker(transport: Arc<dyn Transport>) -> Result<(Docker, SystemVersion)> {
    let tunnel = transport.open_unix(DOCKER_SOCKET).await?;
    let greeting = async {
        let mut sender = http_client(tunnel).await?;
        // Asked here and not by bollard, which keeps the answer to itself: another would cost a round trip.
        let version = docker_version(&mut sender, body_full(Bytes::new())).await?;
        Ok::<_, Error>((sender, version))
    };
    let greeted = tokio::time::timeout(GREETING, greeting).await;
    let (sender, version) = greeted.unwrap_or_else(|_| {
        Err(
            Error::failed("Docker took the connection and never answered")
                .because(format!("nothing came for {} s", GREETING.as_secs()))
                .hint("Start it again in the box: sudo systemctl restart docker"),
        )
    })?;
    let spoken = spoken_version(&version)
        .ok_or_else(|| Error::failed("Docker does not say which API it speaks"))?;
    let sender = Arc::new(tokio::sync::Mutex::new(sender));
    let send = move |request: BollardRequest| {
        let sender = sender.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            // Over a socket there is no authority, only a path.
            if let Some(path) = head.uri.path_and_query() {
                head.uri = path.as_str().parse().unwrap_or(head.uri);
            }
            head.headers
                .insert(HOST, HeaderValue::from_static("docker"));
            let mut sender = sender.lock().await;
            sender.ready().await?;
            let response = sender.send_request(BollardRequest::from_parts(head, body));
            response.await.map_err(bollard::errors::Error::from)
        })
    };
    let address = Some("http://docker");
    let docker = Docker::connect_with_custom_transport(send, address, DOCKER_TIMEOUT, &spoken);
    Ok((docker.map_err(docker_error)?, version))
}

async fn docker_version<B>(sender: &mut SendRequest<B>, nothing: B) -> Result<SystemVersion>
where
    B: hyper::body::Body + 'static,
{
    let mut request = Request::new(nothing);
    *request.uri_mut() = Uri::from_static("/version");
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_static("docker"));
    let strange = || Error::failed("Docker's API did not answer as it should");
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| strange().because(error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER);
    let body = body
        .collect()
        .await
        .map_err(|error| strange().because(error))?
        .to_bytes();
    if !status.is_success() {
        let said = String::from_utf8_lossy(&body);
        return Err(Error::failed(format!("Docker answered {status}")).because(said.trim()));
    }
    serde_json::from_slice(&body).map_err(|error| strange().because(error))
}

/// The newest version of the API that both sides know.
fn spoken_version(version: &SystemVersion) -> Option<ClientVersion> {
    let (major, minor) = version.api_version.as_deref()?.split_once('.')?;
    let theirs = ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    };
    let ours = *bollard::API_DEFAULT_VERSION;
    Some(if theirs < ours { theirs } else { ours })
}

/// Says what Docker's API answered, for the reader.
#[must_use]
pub fn docker_error(error: bollard::errors::Error) -> Error {
    match error {
        bollard::errors::Error::DockerResponseServerError {
            status_code,
            message,
        } => Error::failed(format!("Docker answered {status_code}")).because(message),
        other => Error::failed("Docker's API did not answer as it should").because(other),
    }
}

async fn http_client<B>(
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

/// Version, containers, and `with_images` images, as [`Api`].
pub async fn docker(transport: Arc<dyn Transport>, with_images: bool) -> Record {
    let (docker, version) = match connect_docker(transport).await {
        Ok(docker) => docker,
        Err(error) => return unanswered(&error),
    };
    match ask_docker(&docker, version, with_images).await {
        Ok(api) => json_record(&api),
        Err(error) => unanswered(&docker_error(error)),
    }
}

async fn ask_docker(
    docker: &Docker,
    version: SystemVersion,
    with_images: bool,
) -> Result<Api, bollard::errors::Error> {
    let images = if with_images {
        docker.list_images(None::<ListImagesOptions>).await?
    } else {
        Vec::new()
    };
    let containers = docker
        .list_containers(None::<ListContainersOptions>)
        .await?;
    let container = |summary: bollard::models::ContainerSummary| Container {
        name: summary
            .names
            .and_then(|names| names.into_iter().next())
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        ports: summary
            .ports
            .unwrap_or_default()
            .iter()
            .filter_map(|port| port.public_port)
            .collect(),
    };
    Ok(Api {
        version: version.version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        min_api_version: version.min_api_version.unwrap_or_default(),
        images: images
            .into_iter()
            .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests))
            .collect(),
        containers: containers.into_iter().map(container).collect(),
    })
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
    let config = login_as(role, database, password);
    match config.connect_raw(tunnel, tokio_postgres::NoTls).await {
        Ok(_) => Record::done("logged in"),
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
        Some(refusal) => Record {
            status: RecordStatus::Done(1),
            ..json_record(&json!({
                "code": refusal.code().code(),
                "message": refusal.message(),
            }))
        },
        None => Record::refused(error.to_string()),
    }
}

/// The server's answer to `GET /`, as [`Answer`]. What the rows hold is not recorded.
pub async fn http(transport: &dyn Transport, port: u16) -> Record {
    let tunnel = match transport.open_tcp("127.0.0.1", port).await {
        Ok(tunnel) => tunnel,
        Err(error) => return unanswered(&error),
    };
    match get(tunnel).await {
        Ok(answer) => json_record(&answer),
        Err(error) => Record::refused(error.to_string()),
    }
}

/// Sends `GET /` over a stream; the answer has begun when this returns.
pub(super) async fn get_root(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    host: &str,
) -> Result<hyper::Response<Incoming>> {
    send_get(stream, "/", host).await
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

async fn get(tunnel: Tunnel) -> Result<Answer> {
    let response = get_root(tunnel, "localhost").await?;
    let status = response.status().as_u16();
    let body = beginning(response.into_body()).await?;
    let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let field = |names: &[&str]| {
        let json = json.as_ref()?;
        let text = names.iter().find_map(|name| json.get(name)?.as_str());
        text.map(str::to_owned)
    };
    Ok(Answer {
        status,
        count: count(&body),
        reason: match (status, field(&["reason", "error", "detail"])) {
            (200, _) => String::new(),
            (_, Some(reason)) => reason,
            (_, None) => String::from_utf8_lossy(&body).chars().take(200).collect(),
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

//! Docker's API, asked over a tunnel of the session to its socket.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, ImageSummary, SystemVersion};
use bollard::{BollardRequest, ClientVersion, Docker, body_full};
use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::pipeline::{self, Response};
use super::record::Record;
use super::services::{LONGEST_ANSWER, http_client, json_record, unanswered};
use crate::error::{Error, Result};
use crate::transport::Transport;

const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Bollard's own limit on one request, in seconds; a pull of an image is many reads within one.
const DOCKER_TIMEOUT: u64 = 600;
/// How long the daemon may take to say which it is.
const GREETING: Duration = Duration::from_secs(30);

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

/// Docker's API, behind the box's socket.
///
/// # Errors
/// When the login user may not use the socket, or nobody listens there.
pub async fn connect_docker(transport: Arc<dyn Transport>) -> Result<Docker> {
    let tunnel = transport.open_unix(DOCKER_SOCKET).await?;
    let greeting = async {
        let mut sender = http_client(tunnel).await?;
        let version = docker_version(&mut sender, body_full(Bytes::new())).await?;
        Ok::<_, Error>((sender, version))
    };
    let greeted = tokio::time::timeout(GREETING, greeting).await;
    let (sender, version) = greeted.unwrap_or_else(|_| Err(never_answered()))?;
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
    docker.map_err(docker_error)
}

fn never_answered() -> Error {
    Error::failed("Docker took the connection and never answered")
        .because(format!("nothing came for {} s", GREETING.as_secs()))
        .hint("Start it again in the box: sudo systemctl restart docker")
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
    let response = sender.send_request(request).await.map_err(strange)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER);
    let body = body.collect().await.map_err(strange)?.to_bytes().to_vec();
    read(&Response { status, body })
}

/// What an answer says, where it is none of an error.
fn read<T: DeserializeOwned>(answer: &Response) -> Result<T> {
    if answer.status != 200 {
        let said = String::from_utf8_lossy(&answer.body);
        let json: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
        let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
        return Err(Error::failed(format!("Docker answered {}", answer.status))
            .because(message.unwrap_or(said.trim())));
    }
    serde_json::from_slice(&answer.body).map_err(strange)
}

fn strange(cause: impl std::fmt::Display) -> Error {
    Error::failed("Docker's API did not answer as it should").because(cause)
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
        other => strange(other),
    }
}

/// Version, containers, and `with_images` images, as [`Api`].
pub async fn docker(transport: Arc<dyn Transport>, with_images: bool) -> Record {
    match ask(transport.as_ref(), with_images).await {
        Ok(api) => json_record(&api),
        Err(error) => unanswered(&error),
    }
}

/// Everything in one round trip. Paths without a version, as bollard uses them too, mean the daemon's own.
async fn ask(transport: &dyn Transport, with_images: bool) -> Result<Api> {
    let tunnel = transport.open_unix(DOCKER_SOCKET).await?;
    let mut paths = vec!["/version", "/containers/json"];
    if with_images {
        paths.push("/images/json");
    }
    let answers = pipeline::get_all(tunnel, "docker", &paths);
    let answers = tokio::time::timeout(GREETING, answers).await;
    let answers = answers.unwrap_or_else(|_| Err(never_answered()))?;
    let [version, containers, images @ ..] = &answers[..] else {
        return Err(strange("an answer is missing"));
    };
    let images = images.first().map(read).transpose()?.unwrap_or_default();
    Ok(api(read(version)?, images, read(containers)?))
}

fn api(
    version: SystemVersion,
    images: Vec<ImageSummary>,
    containers: Vec<ContainerSummary>,
) -> Api {
    let container = |summary: ContainerSummary| Container {
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
    Api {
        version: version.version.unwrap_or_default(),
        api_version: version.api_version.unwrap_or_default(),
        min_api_version: version.min_api_version.unwrap_or_default(),
        images: images
            .into_iter()
            .flat_map(|image| image.repo_tags.into_iter().chain(image.repo_digests))
            .collect(),
        containers: containers.into_iter().map(container).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::facts::RecordStatus;
    use crate::transport::fake::{Answer, FakeBox};

    const VERSION: &str = r#"{"Version":"26.1.5","ApiVersion":"1.45","MinAPIVersion":"1.24"}"#;
    const CONTAINERS: &str =
        r#"[{"Names":["/web"],"Ports":[{"PublicPort":8080,"PrivatePort":80,"Type":"tcp"}]}]"#;
    const IMAGES: &str = r#"[{"Id":"x","ParentId":"","RepoTags":["python:3-slim"],"RepoDigests":[],"Created":0,
        "Size":0,"SharedSize":0,"Labels":{},"Containers":0}]"#;

    /// Answers each request by its path.
    async fn daemon(mut stream: DuplexStream, asked: Arc<Mutex<Vec<String>>>, ill: bool) {
        let mut said = String::new();
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            said.push_str(str::from_utf8(&buffer[..count]).unwrap());
            while let Some((request, rest)) = said.split_once("\r\n\r\n") {
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let (status, body) = match path.as_str() {
                    "/version" => (200, VERSION),
                    "/containers/json" if ill => (500, "{\"message\":\"no containers\"}"),
                    "/containers/json" => (200, CONTAINERS),
                    "/images/json" => (200, IMAGES),
                    other => panic!("{other}"),
                };
                said = rest.to_owned();
                asked.lock().unwrap().push(path);
                let length = body.len();
                let answer =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }

    /// What is recorded of such a daemon, and what it was asked.
    async fn asked(images: bool, ill: bool) -> (Record, Vec<String>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let fake = FakeBox::new(|_, _| Answer::ok("")).tunnels(move |to| {
            assert_eq!(to, DOCKER_SOCKET);
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(daemon(theirs, Arc::clone(&kept), ill));
            Ok(ours)
        });
        let record = docker(Arc::new(fake), images).await;
        let paths = asked.lock().unwrap().clone();
        (record, paths)
    }

    #[tokio::test]
    async fn the_daemon_is_asked_at_once_and_for_images_only_where_they_matter() {
        let (record, paths) = asked(true, false).await;
        assert_eq!(paths, ["/version", "/containers/json", "/images/json"]);
        let api: Api = serde_json::from_str(&record.output).unwrap();
        assert_eq!(api.version, "26.1.5");
        assert_eq!(api.min_api_version, "1.24");
        assert_eq!(api.images, ["python:3-slim"]);
        assert_eq!(api.containers[0].name, "web");
        assert_eq!(api.containers[0].ports, [8080]);

        let (record, paths) = asked(false, false).await;
        assert_eq!(paths, ["/version", "/containers/json"]);
        let api: Api = serde_json::from_str(&record.output).unwrap();
        assert!(api.images.is_empty());
    }

    #[tokio::test]
    async fn what_the_daemon_says_of_its_trouble_is_told() {
        let (record, _) = asked(false, true).await;
        assert!(
            matches!(&record.status, RecordStatus::Failed(why) if why.ends_with("500: no containers")),
            "{record:?}"
        );
    }
}

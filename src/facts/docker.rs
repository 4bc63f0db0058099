//! Docker's API, asked over a tunnel of the session to its socket.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::pipeline::{self, Response};
use super::record::Record;
use super::services::{json_record, unanswered};
use crate::error::{Error, Result};
use crate::transport::Transport;

const DOCKER_SOCKET: &str = "/var/run/docker.sock";
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

fn never_answered() -> Error {
    Error::failed("Docker took the connection and never answered")
        .because(format!("nothing came for {} s", GREETING.as_secs()))
        .hint("Start it again in the box: sudo systemctl restart docker")
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

/// Version, containers, and `with_images` images, as [`Api`].
pub async fn docker(transport: Arc<dyn Transport>, with_images: bool) -> Record {
    match ask(transport.as_ref(), with_images).await {
        Ok(api) => json_record(&api),
        Err(error) => unanswered(&error),
    }
}

/// Everything in one round trip. Paths without a version mean the daemon's own.
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

/// `GET /version`, as far as it matters. Docker leaves out what it does not know, and writes `null` for a list
/// without anything.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Version {
    version: String,
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: String,
}

/// One of `GET /images/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
}

/// One of `GET /containers/json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Running {
    names: Option<Vec<String>>,
    ports: Option<Vec<Port>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    public_port: Option<u16>,
}

fn api(version: Version, images: Vec<Image>, containers: Vec<Running>) -> Api {
    let container = |running: Running| Container {
        name: running
            .names
            .and_then(|names| names.into_iter().next())
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        ports: running
            .ports
            .unwrap_or_default()
            .iter()
            .filter_map(|port| port.public_port)
            .collect(),
    };
    let references = |image: Image| [image.repo_tags, image.repo_digests];
    Api {
        version: version.version,
        api_version: version.api_version,
        min_api_version: version.min_api_version,
        images: images
            .into_iter()
            .flat_map(references)
            .flatten()
            .flatten()
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
    const IMAGES: &str = r#"[{"Id":"x","ParentId":"","RepoTags":["python:3-slim"],"RepoDigests":null,"Created":0,
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

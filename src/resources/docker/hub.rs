//! How many pulls Docker Hub still grants to the network that the box is in.

use serde::Deserialize;

use super::super::{State, observed};
use super::Drift;
use super::daemon;
use super::facts::Host;
use super::images::as_listed;
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records};
use crate::quote;
use crate::workshop::Workshop;

/// What Docker Hub said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Hub {
    /// Every image is there, so nobody was asked.
    Pulled,
    Answered {
        status: u16,
        /// As the headers have it, such as `100;w=21600`: so many within so many seconds.
        limit: Option<String>,
        remaining: Option<String>,
    },
    Unreached {
        why: String,
    },
}

/// Where a token is had, and the image whose manifest costs no pull when only its head is asked for.
const TOKEN: &str = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:ratelimitpreview/test:pull";
const MANIFEST: &str = "https://registry-1.docker.io/v2/ratelimitpreview/test/manifests/latest";

/// Python is in every box of the workshop; curl is not.
const ASK: &str = r#"import json, os, sys, urllib.error, urllib.request as web
def login():
    try:
        with open(os.path.expanduser("~/.docker/config.json")) as file:
            auth = json.load(file)["auths"]["https://index.docker.io/v1/"]["auth"]
    except (OSError, ValueError, LookupError, TypeError):
        auth = None
    return {"Authorization": "Basic " + auth} if auth else {}
def ask(url, **how):
    return web.urlopen(web.Request(url, **how), timeout=3)
try:
    token = json.load(ask(sys.argv[1], headers=login()))["token"]
    try:
        answer = ask(sys.argv[2], method="HEAD", headers={"Authorization": "Bearer " + token})
    except urllib.error.HTTPError as error:
        answer = error
    head = answer.headers
    said = dict(state="answered", status=answer.getcode(), limit=head.get("ratelimit-limit"),
                remaining=head.get("ratelimit-remaining"))
except urllib.error.HTTPError as error:
    said = dict(state="answered", status=error.code, limit=None, remaining=None)
except Exception as error:
    said = dict(state="unreached", why=str(getattr(error, "reason", error)))
print(json.dumps(said))
"#;

impl Hub {
    pub const PROBE: &str = "docker_hub";
}

/// Whether a declared image comes from Docker Hub: others name their registry first.
pub fn serves(image: &str) -> bool {
    let listed = as_listed(image);
    match listed.split_once('/') {
        Some((first, _)) => first != "localhost" && !first.contains(['.', ':']),
        None => true,
    }
}

fn fragment(images: &[String], token: &str, manifest: &str) -> String {
    let images: Vec<String> = images.iter().map(|image| quote::sh(image)).collect();
    format!(
        "if docker image inspect {} >/dev/null 2>&1; then echo '{{\"state\":\"pulled\"}}'; exit; fi\n\
         python3 - {} {} <<'PYTHON'\n{ASK}PYTHON\n",
        images.join(" "),
        quote::sh(token),
        quote::sh(manifest),
    )
}

impl Fact for Hub {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let question = Question::Login(fragment(&workshop.docker.images, TOKEN, MANIFEST));
        vec![Probe::deep(Self::PROBE, question)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(Self::PROBE)
    }
}

pub fn diff(facts: &Facts) -> State<Drift> {
    let settings = daemon::settings(&observed!(facts, Host)).unwrap_or_default();
    if settings.contains_key("registry-mirrors") {
        return State::AsDeclared("a mirror stands before Docker Hub".to_owned());
    }
    match observed!(facts, Hub) {
        Hub::Pulled => State::AsDeclared("every image is in the box".to_owned()),
        Hub::Unreached { why } => State::Unknown(format!("Docker Hub does not answer: {why}")),
        Hub::Answered {
            status,
            limit,
            remaining,
        } => {
            let number = |header: &str| header.split(';').next()?.trim().parse::<u64>().ok();
            let left = remaining.as_deref().and_then(number);
            let limit = limit.as_deref().and_then(number);
            match (status, left) {
                (429, _) | (_, Some(0)) => State::Drifted(Drift::PullsUsedUp { limit }),
                (200, Some(left)) => State::AsDeclared(format!("{left} pulls are left")),
                (200, None) => State::AsDeclared("pulls are not limited".to_owned()),
                _ => State::Unknown(format!("Docker Hub answers {status}")),
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    /// A registry on the loopback that answers each request with the next of these.
    fn registry(
        answers: &'static [&'static str],
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard = std::thread::spawn(move || {
            let answer = |answer: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request).unwrap()
            };
            answers.iter().map(answer).collect()
        });
        (address, heard)
    }

    fn asked(address: &str) -> Hub {
        asked_by(address, "/nonexistent")
    }

    /// By somebody with this home folder.
    fn asked_by(address: &str, home: &str) -> Hub {
        let script = fragment(
            &["no-such-image:at-all".to_owned()],
            &format!("{address}/token"),
            &format!("{address}/manifest"),
        );
        let output = Command::new("sh")
            .env("HOME", home)
            .args(["-c", &script])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    const TOKEN_ANSWER: &str =
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"token\":\"ab\"}";

    #[test]
    fn whoever_is_logged_in_is_asked_for_as_that() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        let login = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YW5uYTp3b3Jk"}}}"#;
        std::fs::write(home.path().join(".docker/config.json"), login).unwrap();
        let (address, heard) = registry(&[
            TOKEN_ANSWER,
            "HTTP/1.1 200 OK\r\nratelimit-remaining: 190;w=21600\r\nConnection: close\r\n\r\n",
        ]);
        asked_by(&address, &home.path().display().to_string());
        let heard = heard.join().unwrap();
        assert!(
            heard[0].contains("Authorization: Basic YW5uYTp3b3Jk\r\n"),
            "{heard:?}"
        );
        assert!(
            heard[1].contains("Authorization: Bearer ab\r\n"),
            "{heard:?}"
        );
    }

    #[test]
    fn what_is_left_is_read_from_the_head_of_an_answer_that_costs_no_pull() {
        let (address, heard) = registry(&[
            TOKEN_ANSWER,
            "HTTP/1.1 200 OK\r\nratelimit-limit: 100;w=21600\r\nratelimit-remaining: 7;w=21600\r\nConnection: close\r\n\r\n",
        ]);
        let hub = asked(&address);
        let heard = heard.join().unwrap();
        assert!(heard[1].starts_with("HEAD /manifest "), "{heard:?}");
        assert!(
            heard[1].contains("Authorization: Bearer ab\r\n"),
            "{heard:?}"
        );
        assert_eq!(
            hub,
            Hub::Answered {
                status: 200,
                limit: Some("100;w=21600".to_owned()),
                remaining: Some("7;w=21600".to_owned()),
            }
        );
    }

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_none() {
        let (address, heard) = registry(&[
            TOKEN_ANSWER,
            "HTTP/1.1 429 Too Many Requests\r\nratelimit-limit: 100;w=21600\r\nConnection: close\r\n\r\n",
        ]);
        assert!(matches!(asked(&address), Hub::Answered { status: 429, .. }));
        heard.join().unwrap();
        // Nobody listens there any more.
        assert!(matches!(asked(&address), Hub::Unreached { .. }));
    }

    #[test]
    fn images_of_docker_hub_name_no_registry() {
        for (image, is_there) in [
            ("python:3-slim", true),
            ("docker.io/library/postgres", true),
            ("bitnami/postgresql", true),
            ("ghcr.io/owner/image", false),
            ("localhost:5000/lab:1", false),
            ("localhost/lab", false),
        ] {
            assert_eq!(serves(image), is_there, "{image}");
        }
    }
}

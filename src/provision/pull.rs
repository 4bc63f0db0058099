//! The script that has Docker pull an image, and how far that is by what it prints.

use std::collections::HashMap;

use serde::Deserialize;

use crate::quote;
use crate::resources::apt;
use crate::resources::change::Pull;
use crate::resources::docker::as_listed;

/// The longest that one image may take, in seconds: many gigabytes on a bad link, which is watched by itself.
pub const DEADLINE: u32 = 6 * 60 * 60;

/// Docker's own client tells no bytes where nobody looks at a terminal, and curl is not in every box. Docker tells
/// a pull many times a second while bytes come; here each layer is told twice a second.
const PULL: &str = r#"import base64, http.client, json, socket, sys, time, urllib.parse
image, reference, silence, logins = sys.argv[1:]
def fail(why):
    sys.exit(image + " could not be pulled: " + why)
class Docker(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(int(silence))
        self.sock.connect("/var/run/docker.sock")
def login():
    first = reference.split("/")[0]
    own = "/" in reference and ("." in first or ":" in first or first == "localhost")
    registry = first if own else "https://index.docker.io/v1/"
    try:
        with open(logins) as file:
            auth = json.load(file)["auths"][registry]["auth"]
        user, password = base64.b64decode(auth).decode().split(":", 1)
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    auth = json.dumps(dict(username=user, password=password, serveraddress=registry))
    return {"X-Registry-Auth": base64.urlsafe_b64encode(auth.encode()).decode()}
def ask(method, path, headers={}):
    docker = Docker("localhost")
    docker.request(method, path, headers=headers)
    return docker.getresponse()
try:
    answer = ask("POST", "/images/create?" + urllib.parse.urlencode({"fromImage": reference}), login())
    if answer.status != 200:
        fail(json.loads(answer.read())["message"])
    told = {}
    for line in answer:
        if not line.strip():
            continue
        said = json.loads(line)
        if "error" in said or "errorDetail" in said:
            fail(said.get("error") or said["errorDetail"]["message"])
        layer, now = said.get("id"), time.monotonic()
        if said.get("progressDetail"):
            if now - told.get(layer, now - 1) < 0.5:
                continue
            told[layer] = now
        print(json.dumps(said), flush=True)
    if ask("GET", "/images/" + reference + "/json").status != 200:
        fail("Docker ended the pull before its end")
except socket.timeout:
    fail("nothing came for " + silence + " s")
except (OSError, ValueError, LookupError, http.client.HTTPException) as error:
    fail(str(error))
"#;

/// A registry that sends nothing for this many seconds is lost.
const SILENCE: u32 = 120;

/// Pulls an image, with the login to its registry that the box's user has. Docker ends a pull whose client is gone, and
/// keeps the layers that are whole: another pull goes on with those.
#[must_use]
pub fn script(Pull { image, home }: &Pull) -> String {
    format!(
        "{need_python}python3 -c {PULL} {} {} {SILENCE} {}\n",
        quote::sh(image),
        quote::sh(&as_listed(image)),
        quote::sh(&format!("{home}/.docker/config.json")),
        need_python = apt::need_script("python3", "python3"),
        PULL = quote::sh(PULL),
    )
}

/// A line of the script, in Docker's words.
#[derive(Debug, Deserialize)]
struct Told {
    status: String,
    id: Option<String>,
    #[serde(default, rename = "progressDetail")]
    bytes: Bytes,
}

#[derive(Debug, Default, Deserialize)]
struct Bytes {
    current: Option<i64>,
    total: Option<i64>,
}

/// How far the layers of an image are. Docker counts the bytes of each twice: while they come, and while they are
/// unpacked.
#[derive(Debug, Default)]
pub struct Layers {
    layers: HashMap<String, Layer>,
    /// What was told last: a layer whose size becomes known late takes nothing of it back.
    told: f64,
}

/// The bytes of one layer.
#[derive(Debug, Default)]
struct Layer {
    all: i64,
    here: i64,
    unpacked: i64,
}

impl Layers {
    /// What a line tells, and how far that is; none where it is no line of Docker's.
    pub fn hear_line(&mut self, line: &str) -> Option<(String, Option<f64>)> {
        let Told { status, id, bytes } = serde_json::from_str(line).ok()?;
        if let Some(layer) = id {
            self.hear(layer, &status, bytes.current, bytes.total);
        }
        Some((status, self.fraction()))
    }

    fn hear(&mut self, layer: String, status: &str, current: Option<i64>, total: Option<i64>) {
        let layer = self.layers.entry(layer).or_default();
        layer.all = total.unwrap_or(layer.all);
        let current = current.unwrap_or(0);
        match status {
            "Downloading" => layer.here = current,
            "Extracting" => (layer.here, layer.unpacked) = (layer.all, current),
            "Verifying Checksum" | "Download complete" => layer.here = layer.all,
            "Pull complete" => (layer.here, layer.unpacked) = (layer.all, layer.all),
            _ => {}
        }
    }

    /// From 0 to 1; none while no size is known.
    fn fraction(&mut self) -> Option<f64> {
        let all: i64 = self.layers.values().map(|layer| 2 * layer.all).sum();
        let had = self
            .layers
            .values()
            .map(|layer| layer.here + layer.unpacked);
        let had: i64 = had.sum();
        if all > 0 {
            self.told = self.told.max(had as f64 / all as f64);
        }
        (all > 0).then_some(self.told)
    }
}

#[cfg(all(test, unix))]
mod script_tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    const HEAD: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    const THERE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const ABSENT: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}";

    fn chunks(lines: &[&str]) -> String {
        let chunk = |line: &&str| format!("{:x}\r\n{line}\r\n\r\n", line.len() + 2);
        let chunks: String = lines.iter().map(chunk).collect();
        format!("{HEAD}{chunks}0\r\n\r\n")
    }

    /// What a pull from a daemon that answers this says, how it ends, and what the daemon was asked.
    fn pulled(image: &str, answers: &[String]) -> (String, Option<i32>, Vec<String>) {
        let home = tempfile::tempdir().expect("a folder");
        let place = |name: &str| home.path().join(name);
        std::fs::create_dir(place(".docker")).expect("a folder");
        let login = r#"{"auths": {"hub.example:5000": {"auth": "YW5uYTp3b3Jk"}}}"#;
        std::fs::write(place(".docker/config.json"), login).expect("a login");
        let socket = place("docker.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let answers = answers.to_vec();
        let asked = std::thread::spawn(move || {
            let answer = |answer: &String| {
                let (mut stream, _) = listener.accept().expect("a request");
                let (mut request, mut byte) = (Vec::new(), [0]);
                while !request.ends_with(b"\r\n\r\n")
                    && stream.read(&mut byte).expect("a byte") == 1
                {
                    request.push(byte[0]);
                }
                stream
                    .write_all(answer.as_bytes())
                    .expect("somebody who listens");
                String::from_utf8(request).expect("text")
            };
            answers.iter().map(answer).collect::<Vec<_>>()
        });
        let pull = Pull {
            image: image.to_owned(),
            home: home.path().display().to_string(),
        };
        let script = script(&pull).replace("/var/run/docker.sock", &socket.display().to_string());
        let ended = Command::new("sh")
            .args(["-euc", &script])
            .output()
            .expect("sh");
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        (said, ended.status.code(), asked.join().expect("no panic"))
    }

    #[test]
    fn a_pull_ends_well_only_where_the_image_is_there() {
        let words = [
            r#"{"status":"Pulling from lab","id":"1"}"#,
            r#"{"status":"Status: Downloaded"}"#,
        ];
        let (said, status, asked) = pulled(
            "hub.example:5000/lab:1",
            &[chunks(&words), THERE.to_owned()],
        );
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(
            Layers::default()
                .hear_line(said.lines().next().unwrap())
                .unwrap()
                .0,
            "Pulling from lab"
        );
        assert!(
            asked[0].starts_with("POST /images/create?fromImage=hub.example%3A5000%2Flab%3A1 "),
            "{asked:?}"
        );
        // The login of the box's user, as Docker wants it: base64 of a document.
        let header = asked[0]
            .lines()
            .find_map(|line| line.strip_prefix("X-Registry-Auth: "));
        let login = "eyJ1c2VybmFtZSI6ICJhbm5hIiwgInBhc3N3b3JkIjogIndvcmQiLCAic2VydmVyYWRkcmVzcyI6ICJodWIuZXhhbXBsZTo1MDAwIn0=";
        assert_eq!(header, Some(login));

        for (answers, why) in [
            (
                vec![chunks(&words), ABSENT.to_owned()],
                "Docker ended the pull before its end",
            ),
            (
                vec![chunks(&[r#"{"error":"manifest unknown"}"#])],
                "manifest unknown",
            ),
            (
                vec![chunks(&[r#"{"errorDetail":{"message":"denied"}}"#])],
                "denied",
            ),
            (vec![format!("{HEAD}5\r\n{{\"st")], "IncompleteRead"),
            (
                vec![
                    "HTTP/1.1 500 X\r\nContent-Length: 21\r\n\r\n{\"message\":\"no room\"}"
                        .to_owned(),
                ],
                "no room",
            ),
        ] {
            let (said, status, asked) = pulled("python:3-slim", &answers);
            assert_eq!(status, Some(1), "{said}");
            let line = said.lines().last().unwrap_or_default();
            assert!(
                line.starts_with("python:3-slim could not be pulled: "),
                "{said}"
            );
            assert!(line.contains(why), "{said}");
            // Nobody is logged in there.
            assert!(!asked[0].contains("X-Registry-Auth"), "{asked:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Layers;

    /// In the words of dockerd 26.1: an image of two layers, the second of which it begins late.
    #[test]
    fn a_pull_never_goes_back() {
        let mut layers = Layers::default();
        let mut hear = |layer: &str, status: &str, current, total| {
            layers.hear(layer.to_owned(), status, current, total);
            layers.fraction()
        };
        assert_eq!(hear("1", "Pulling from web", None, None), None);
        assert_eq!(hear("a", "Pulling fs layer", None, None), None);
        assert_eq!(hear("a", "Downloading", Some(50), Some(100)), Some(0.25));
        assert_eq!(hear("a", "Download complete", None, None), Some(0.5));
        assert_eq!(hear("a", "Extracting", Some(50), Some(100)), Some(0.75));
        assert_eq!(hear("b", "Downloading", Some(0), Some(100)), Some(0.75));
        assert_eq!(hear("a", "Pull complete", None, None), Some(0.75));
        assert_eq!(hear("b", "Extracting", Some(50), Some(100)), Some(0.875));
        assert_eq!(hear("b", "Pull complete", None, None), Some(1.0));
        assert_eq!(hear("1", "Digest: sha256:0", None, None), Some(1.0));
    }
}

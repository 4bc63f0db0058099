use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::events::Event;

const CONFIG: &str = "name = \"far\"\n[server]\nfiles = [\"a/server.py\"]\n";

/// A web server for one test: answers from `pages`, and notes what it was asked for.
struct Web {
    url: String,
    pages: Arc<Mutex<HashMap<String, String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Web {
    fn with(pages: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let pages = pages
            .iter()
            .map(|(path, body)| ((*path).to_owned(), (*body).to_owned()))
            .collect();
        let web = Self {
            url,
            pages: Arc::new(Mutex::new(pages)),
            asked: Arc::default(),
        };
        let (pages, asked) = (web.pages.clone(), web.asked.clone());
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut request = String::new();
                reader.read_line(&mut request).unwrap();
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    line.clear();
                }
                let path = request.split(' ').nth(1).unwrap().to_owned();
                asked.lock().unwrap().push(path.clone());
                let page = pages.lock().unwrap().get(&path).cloned();
                let answer = match page.as_deref() {
                    None => "404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    Some(page) => match page.strip_prefix("to:") {
                        Some(to) => {
                            format!("302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
                        }
                        None => format!("200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len()),
                    },
                };
                let _ = stream.write_all(
                    format!("HTTP/1.1 {answer}")
                        .replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
                        .as_bytes(),
                );
            }
        });
        web
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Runs `load`, and gives back what was told on the way.
fn run(url: &str, cache: &TempDir) -> (Result<Workshop>, Vec<Event>) {
    run_with(url, cache, Secrets::Read)
}

fn run_with(url: &str, cache: &TempDir, secrets: Secrets) -> (Result<Workshop>, Vec<Event>) {
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let events = {
        let told = told.clone();
        Events::to(move |event| told.lock().unwrap().push(event))
    };
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(load(url, cache.path(), secrets, &events));
    let told = told.lock().unwrap().clone();
    (result, told)
}

fn kept(cache: &TempDir) -> usize {
    fs::read_dir(cache.path()).unwrap().count()
}

#[test]
fn it_is_fetched_once_with_its_files() {
    let web = Web::with(&[("/w/config.toml", CONFIG), ("/w/a/server.py", "print(1)\n")]);
    let cache = TempDir::new().unwrap();
    let url = format!("{}/w/config.toml", web.url);
    let (first, _) = run(&url, &cache);
    let first = first.unwrap();
    assert_eq!(first.name, "far");
    assert_eq!(first.server.files[0].content, "print(1)\n");
    assert_eq!(web.asked(), ["/w/config.toml", "/w/a/server.py"]);
    let (second, told) = run(&url, &cache);
    assert_eq!(second.unwrap().server.files, first.server.files);
    assert!(web.asked().is_empty());
    assert!(
        told.iter().any(|event| matches!(event, Event::Note { text } if text.starts_with("using the copy of http"))),
        "{told:?}"
    );
    assert_eq!(kept(&cache), 1);
}

#[test]
fn a_copy_with_a_file_missing_is_fetched_again() {
    let web = Web::with(&[("/config.toml", CONFIG), ("/a/server.py", "print(1)\n")]);
    let cache = TempDir::new().unwrap();
    let url = format!("{}/config.toml", web.url);
    let origin = run(&url, &cache).0.unwrap().origin.unwrap();
    fs::remove_file(origin.with_file_name("a").join("server.py")).unwrap();
    web.asked();
    run(&url, &cache).0.unwrap();
    assert_eq!(web.asked().len(), 2);
}

#[test]
fn what_does_not_hold_is_told_with_the_url_and_not_kept() {
    let web = Web::with(&[("/config.toml", "[box]\nip = \"1\"\n")]);
    let cache = TempDir::new().unwrap();
    let url = format!("{}/config.toml", web.url);
    let error = run(&url, &cache).0.unwrap_err();
    assert!(
        error
            .message
            .starts_with(&format!("{url}:2:6: \"1\" cannot be `box.ip`")),
        "{error}"
    );
    assert_eq!(kept(&cache), 0);
    // Mended by its author:
    web.pages
        .lock()
        .unwrap()
        .insert("/config.toml".to_owned(), String::new());
    run(&url, &cache).0.unwrap();
}

#[test]
fn a_missing_file_is_told_and_nothing_is_kept() {
    let web = Web::with(&[("/config.toml", CONFIG)]);
    let cache = TempDir::new().unwrap();
    let error = run(&format!("{}/config.toml", web.url), &cache)
        .0
        .unwrap_err();
    assert!(
        error.message.ends_with("/a/server.py cannot be fetched"),
        "{error}"
    );
    assert_eq!(
        error.cause.as_deref(),
        Some("the server answers 404 Not Found")
    );
    assert_eq!(kept(&cache), 0);
}

#[test]
fn files_are_looked_for_where_a_redirect_led() {
    let web = Web::with(&[
        ("/short", "to:/w/config.toml"),
        ("/w/config.toml", CONFIG),
        ("/w/a/server.py", "print(1)\n"),
        ("/loop", "to:/loop"),
    ]);
    let cache = TempDir::new().unwrap();
    assert_eq!(
        run(&format!("{}/short", web.url), &cache).0.unwrap().name,
        "far"
    );
    let error = run(&format!("{}/loop", web.url), &cache).0.unwrap_err();
    assert!(error.to_string().contains("without end"), "{error}");
}

#[test]
fn a_declaration_from_elsewhere_does_not_reach_into_this_machine() {
    for (password, told) in [
        ("{ env = \"HOME\" }", "reads only variables made for dwenv"),
        (
            "{ file = \"/etc/passwd\" }",
            "reads no files of this machine",
        ),
    ] {
        let config = format!("[postgres]\npassword = {password}\n");
        let web = Web::with(&[("/config.toml", &config)]);
        let cache = TempDir::new().unwrap();
        // Also where they are not read now: what is written out of it is this person's own from then on.
        for secrets in [Secrets::Read, Secrets::Leave] {
            let url = format!("{}/config.toml", web.url);
            let error = run_with(&url, &cache, secrets).0.unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }
    for asked in ["command = \"id\"", "file = \"~/.ssh/config\""] {
        let on = |place: &str| format!("[checks.a]\ntitle = \"A\"\nplace = \"{place}\"\n{asked}\n");
        let web = Web::with(&[("/laptop", &on("laptop")), ("/box", &on("box"))]);
        let cache = TempDir::new().unwrap();
        let error = run(&format!("{}/laptop", web.url), &cache).0.unwrap_err();
        assert!(error.message.contains("runs nothing on it"), "{error}");
        assert!(run(&format!("{}/box", web.url), &cache).0.is_ok());
    }
}

#[test]
fn too_large_and_unreachable_are_told() {
    let web = Web::with(&[("/config.toml", &"#".repeat(1024 * 1024 + 1))]);
    let cache = TempDir::new().unwrap();
    let error = run(&format!("{}/config.toml", web.url), &cache)
        .0
        .unwrap_err();
    assert!(error.message.ends_with("is larger than 1 MiB"), "{error}");
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = run(
        &format!("http://user:canary@{nobody}/c.toml?token=canary"),
        &cache,
    )
    .0
    .unwrap_err();
    assert!(
        error
            .message
            .starts_with(&format!("http://{nobody}/c.toml cannot be fetched")),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert!(error.cause.unwrap().contains("refused"));
    assert!(error.hints[0].contains("`--config FILE`"));
}

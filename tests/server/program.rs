//! `provision/server.py` as a process of its own, and a client that sends just the bytes it is told to.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(20);

pub struct Program {
    pub port: u16,
    child: Child,
    folder: TempDir,
}

impl Program {
    /// The server as the unit starts it, with Debian's Python whatever else is on the PATH.
    pub fn command() -> Command {
        let mut command = Command::new("/usr/bin/python3");
        command
            .args(["-B", "server.py"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("provision"))
            .env("PYTHONUNBUFFERED", "1")
            .env_remove("POSTGRES_PASSWORD")
            .env_remove("CREDENTIALS_DIRECTORY");
        command
    }

    pub fn start(environment: &[(&str, &str)]) -> Self {
        let port = free_port();
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Self::command()
            .env("PORT", port.to_string())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("this test needs /usr/bin/python3 (apt install python3)");
        let mut program = Self {
            port,
            child,
            folder,
        };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = program.child.try_wait().unwrap();
            assert!(
                ended.is_none() && since.elapsed() < DEADLINE,
                "server.py does not start (it needs: apt install python3-psycopg): {}",
                program.said()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
        program
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends it with SIGTERM; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// Sends all of it, then reads the answer to its end.
pub fn request(port: u16, host: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect((host, port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(format!("{head}\r\nHost: box\r\n\r\n").as_bytes())
        .unwrap();
    stream.write_all(body).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an HTTP answer");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

fn json(answer: &Answer) -> (u16, Value) {
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

pub fn get(port: u16, path: &str) -> (u16, Value) {
    json(&request(
        port,
        "127.0.0.1",
        &format!("GET {path} HTTP/1.1"),
        b"",
    ))
}

pub fn post(port: u16, body: &[u8]) -> (u16, Value) {
    let head = format!("POST / HTTP/1.1\r\nContent-Length: {}", body.len());
    json(&request(port, "127.0.0.1", &head, body))
}

/// A port that nobody listens on, below those that the system hands out for connections: between this and its
/// use, no other test and no client can get it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 15_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        let is_free = |host: &str| TcpListener::bind((host, port)).is_ok();
        if is_free("127.0.0.1") && is_free("0.0.0.0") && is_free("::") {
            return port;
        }
    }
}

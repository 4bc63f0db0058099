//! What a venue's network has, of the test's own and on the bridge of its machines: a web server, a proxy, a
//! registry of images.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A web server over a folder. Its log names every request.
const SERVER: &str = r#"
import functools, http.server, sys
address, port, folder = sys.argv[1:4]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
http.server.ThreadingHTTPServer((address, int(port)), handler).serve_forever()
"#;

/// A running web server; its end stops it.
pub struct WebServer {
    child: Child,
    log: PathBuf,
}

impl WebServer {
    /// Serves `folder` at `address`.
    pub fn start(address: Ipv4Addr, port: u16, folder: &Path) -> Self {
        let log = folder.with_extension(format!("{port}.log"));
        let child = Command::new("/usr/bin/python3")
            .args(["-c", SERVER, &address.to_string(), &port.to_string()])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("python3");
        let server = Self { child, log };
        await_answer(SocketAddr::from((address, port)), || {
            format!("no web server: {}", server.log())
        });
        server
    }

    /// What was asked of it.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A proxy that asks for a name and a password, and notes whom it is asked for.
pub struct Proxy {
    asked: Arc<Mutex<Vec<String>>>,
    address: SocketAddr,
}

/// What a proxy is told before it listens.
#[derive(Clone)]
struct Manner {
    /// What a client has to say, in a header.
    login: String,
    /// Beginnings of web addresses, and what stands for them behind the proxy.
    aliases: Vec<(String, String)>,
}

impl Proxy {
    /// Listens until the test program ends.
    pub fn start(address: Ipv4Addr, login: &str, aliases: Vec<(String, String)>) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port on the bridge");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::default());
        let manner = Manner {
            login: format!("Basic {}", BASE64_STANDARD.encode(login)),
            aliases,
        };
        let noted = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (manner, noted) = (manner.clone(), Arc::clone(&noted));
                // A client that goes away in the middle is no matter of the test's.
                thread::spawn(move || drop(serve(client, &manner, &noted)));
            }
        });
        Self { asked, address }
    }

    pub fn place(&self) -> SocketAddr {
        self.address
    }

    /// Method and web address of every request that it let through, and `refused` for the others.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no poison").clone()
    }
}

/// One request of a client; the connection ends with it.
fn serve(client: TcpStream, manner: &Manner, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let mut client = client;
    let mut head: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let Some(first) = head.first() else {
        return Ok(());
    };
    let words: Vec<String> = first.split(' ').map(str::to_owned).collect();
    let [method, url, _] = words.as_slice() else {
        return Ok(());
    };
    let header = |name: &str| {
        head[1..].iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if header("Proxy-Authorization") != Some(&manner.login) {
        asked.lock().expect("no poison").push("refused".to_owned());
        return client.write_all(
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"venue\"\r\n\
              Content-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    asked
        .lock()
        .expect("no poison")
        .push(format!("{method} {url}"));
    let alias = manner.aliases.iter().find_map(|(from, to)| {
        let rest = url.strip_prefix(from.as_str())?;
        Some(format!("{to}{rest}"))
    });
    let url = alias.unwrap_or_else(|| url.clone());
    if method == "CONNECT" {
        let server = TcpStream::connect(url.as_str())?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        return both_ways(reader, client, server);
    }
    let place = url.strip_prefix("http://").unwrap_or(&url);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let server = if host.contains(':') {
        TcpStream::connect(host)?
    } else {
        TcpStream::connect((host, 80))?
    };
    let mut request = format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for line in &head[1..] {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        if !name.starts_with("proxy-") && name != "host" && name != "connection" {
            request.push_str(&format!("{line}\r\n"));
        }
    }
    let mut server = server;
    server.write_all(format!("{request}\r\n").as_bytes())?;
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

fn both_ways(
    mut from_client: BufReader<TcpStream>,
    mut client: TcpStream,
    server: TcpStream,
) -> std::io::Result<()> {
    let mut to_server = server.try_clone()?;
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut server = server;
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}

/// Docker's registry, with a certificate of an authority of the test's own.
pub struct Registry {
    child: Child,
    /// The authority's certificate, as PEM.
    pub authority: String,
    pub place: String,
}

/// The registry's other name, which only a proxy knows.
pub const REGISTRY: &str = "registry.example";

/// Makes an authority, and a certificate of it for the address `$2` and the name `$3`, in the folder `$1`.
const MAKE_CERTIFICATES: &str = r#"set -eu
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Made for a test' -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout server.key -out server.csr 2>/dev/null
echo "subjectAltName=IP:$2,DNS:$3" >extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem 2>/dev/null
"#;

impl Registry {
    pub fn start(address: Ipv4Addr, port: u16, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let name = folder.display().to_string();
        let host = address.to_string();
        crate::support::run(
            "sh",
            &["-c", MAKE_CERTIFICATES, "sh", &name, &host, REGISTRY],
        );
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {name}/data}}}}\n\
             http: {{addr: \"{host}:{port}\", tls: {{certificate: {name}/server.pem, key: {name}/server.key}}}}\n"
        );
        fs::write(folder.join("config.yml"), config).expect("its settings");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry");
        let registry = Self {
            child,
            authority: fs::read_to_string(folder.join("ca.pem")).expect("a certificate"),
            place: format!("{host}:{port}"),
        };
        await_answer(SocketAddr::from((address, port)), || {
            "no registry".to_owned()
        });
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn await_answer(address: SocketAddr, complaint: impl Fn() -> String) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", complaint());
        thread::sleep(Duration::from_millis(50));
    }
}

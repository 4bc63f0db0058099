//! Reaching a server and logging in: what works, and what is said when it does not.

#[path = "support/sshd.rs"]
mod sshd;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dwenv::error::{Error, ErrorKind};
use dwenv::events::Events;
use dwenv::secret::Secret;
use dwenv::transport::Transport as _;
use dwenv::transport::endpoint::{Endpoint, HostKeyPolicy};
use dwenv::transport::session::{NoPassphrase, Passphrase, connect};
use sshd::{Setup, Sshd, Told};

/// Connects and runs one command.
async fn works(endpoint: &Endpoint, events: &Events, passphrase: Arc<dyn Passphrase>) {
    let session = connect(endpoint, events, passphrase).await;
    let session = session.unwrap_or_else(|error| panic!("{error}; {:?}", error.hints));
    session.exec("true").await.expect("an exec");
}

async fn logs_in(endpoint: &Endpoint) {
    works(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await;
}

async fn refusal(endpoint: &Endpoint) -> Error {
    refusal_with(endpoint, Arc::new(NoPassphrase)).await
}

async fn refusal_with(endpoint: &Endpoint, passphrase: Arc<dyn Passphrase>) -> Error {
    match connect(endpoint, &Events::nowhere(), passphrase).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

fn cause(error: &Error) -> &str {
    error.cause.as_deref().unwrap_or_default()
}

/// Gives one answer and counts how often it was asked.
struct Says(&'static str, AtomicUsize);

impl Says {
    fn new(answer: &'static str) -> Arc<Self> {
        Arc::new(Self(answer, AtomicUsize::new(0)))
    }

    fn asked(&self) -> usize {
        self.1.load(Ordering::Relaxed)
    }
}

impl Passphrase for Says {
    fn ask(&self, what: &str) -> Option<Secret> {
        assert!(what.starts_with("the key /"), "{what}");
        self.1.fetch_add(1, Ordering::Relaxed);
        Some(Secret::new(self.0))
    }
}

#[tokio::test]
async fn every_kind_of_key_logs_in_and_only_encrypted_ones_ask() {
    let server = Sshd::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let plain = server.endpoint_with(vec![server.key(kind, "")]);
        let says = Says::new("open sesame");
        works(&plain, &Events::nowhere(), says.clone()).await;
        assert_eq!(says.asked(), 0, "{kind}");
        let encrypted = server.endpoint_with(vec![server.key(kind, "open sesame")]);
        works(&encrypted, &Events::nowhere(), says.clone()).await;
        assert_eq!(says.asked(), 1, "{kind}");
    }
}

#[tokio::test]
async fn keys_in_pem_format_log_in() {
    let server = Sshd::start();
    for passphrase in ["", "open sesame"] {
        let key = server.key("rsa", passphrase);
        let converted = Command::new("ssh-keygen")
            .args([
                "-q", "-p", "-m", "PEM", "-P", passphrase, "-N", passphrase, "-f",
            ])
            .arg(&key)
            .output()
            .unwrap();
        assert!(converted.status.success(), "{converted:?}");
        assert!(
            fs::read_to_string(&key)
                .unwrap()
                .contains("BEGIN RSA PRIVATE KEY")
        );
        // Whether or not its public half stands beside it.
        works(
            &server.endpoint_with(vec![key.clone()]),
            &Events::nowhere(),
            Says::new("open sesame"),
        )
        .await;
        fs::remove_file(key.with_extension("pub")).unwrap();
        works(
            &server.endpoint_with(vec![key]),
            &Events::nowhere(),
            Says::new("open sesame"),
        )
        .await;
    }
}

#[tokio::test]
async fn a_key_with_windows_line_ends_logs_in() {
    let server = Sshd::start();
    let key = server.key("ed25519", "");
    let text = fs::read_to_string(&key).unwrap();
    fs::write(&key, text.replace('\n', "\r\n")).unwrap();
    logs_in(&server.endpoint_with(vec![key])).await;
}

#[tokio::test]
async fn a_passphrase_is_asked_only_for_a_key_that_the_server_takes() {
    let server = Sshd::start();
    let useless = server.stranger("ed25519", "other");
    let useful = server.key("ed25519", "right");
    let says = Says::new("right");
    works(
        &server.endpoint_with(vec![useless, useful]),
        &Events::nowhere(),
        says.clone(),
    )
    .await;
    assert_eq!(says.asked(), 1);
}

#[tokio::test]
async fn a_refused_login_lists_what_was_offered_and_why_each_failed() {
    let server = Sshd::start();
    let stranger = server.stranger("ed25519", "");
    let encrypted = server.key("ed25519", "secret");
    let text = server.path("notes.txt");
    fs::write(&text, "no key").unwrap();
    let missing = server.path("missing");
    let endpoint = server.endpoint_with(vec![
        missing.clone(),
        text.clone(),
        stranger.with_extension("pub"),
        stranger.clone(),
        encrypted.clone(),
    ]);
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(
        error.message.contains("refused the login of root"),
        "{error}"
    );
    for (file, why) in [
        (&missing, "does not exist"),
        (&text, "is not a private key"),
        (&stranger.with_extension("pub"), "is a public key"),
        (&stranger, "was refused by the server"),
        (&encrypted, "is encrypted, and no passphrase was given"),
    ] {
        let expected = format!("the key {} {why}", file.display());
        assert!(cause(&error).contains(&expected), "{error}\n{expected}");
    }
    assert!(
        error.hints[0].contains("user as well as the key"),
        "{:?}",
        error.hints
    );

    let error = refusal_with(&server.endpoint_with(vec![encrypted]), Says::new("wrong")).await;
    assert!(
        cause(&error).contains("the passphrase does not open it"),
        "{error}"
    );

    let error = refusal(&server.endpoint_with(vec![])).await;
    assert!(
        cause(&error).contains("no key, no agent and no password"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_user_is_refused_like_a_wrong_key() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.user = "nobody-of-that-name".to_owned();
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(
        error.hints[0].contains("nobody-of-that-name does not exist"),
        "{:?}",
        error.hints
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused_by_both_methods() {
    let server = Setup::default()
        .option("PasswordAuthentication=yes")
        .option("KbdInteractiveAuthentication=yes")
        .start();
    let mut endpoint = server.endpoint_with(vec![]);
    endpoint.password = Some(Secret::new("canary"));
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(
        cause(&error).contains("the password was refused"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"));
}

#[tokio::test]
async fn too_many_keys_are_told_from_a_wrong_one() {
    let server = Setup::default().option("MaxAuthTries=2").start();
    let keys = (0..4).map(|_| server.stranger("ed25519", "")).collect();
    let error = refusal(&server.endpoint_with(keys)).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(error.message.contains("hung up"), "{error}");
    assert!(error.hints[0].contains("MaxAuthTries"), "{:?}", error.hints);
}

#[tokio::test]
async fn a_closed_port_is_told_at_once() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.port = sshd::free_port();
    let began = Instant::now();
    let error = refusal(&endpoint).await;
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("nothing listens"), "{error}");
    // A name with an address of each family ends the same way, or on the one that answers.
    endpoint.host = "localhost".to_owned();
    assert!(refusal(&endpoint).await.message.contains("nothing listens"));
    endpoint.port = server.port;
    logs_in(&endpoint).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.host = "no-such-host.invalid".to_owned();
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("does not resolve"), "{error}");
}

#[tokio::test]
async fn a_silent_port_is_given_up_in_time() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.port = listener.local_addr().unwrap().port();
    endpoint.timeout = Duration::from_millis(500);
    let began = Instant::now();
    let error = refusal(&endpoint).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.message.contains("stayed silent"), "{error}");
}

/// Accepts one connection, says something and hangs up or waits.
fn stranger_on_a_port(says: &'static [u8], hangs_up: bool) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(says);
        if !hangs_up {
            // Until the other side has gone.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    port
}

#[tokio::test]
async fn what_is_not_an_ssh_server_is_told_with_what_it_said() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.timeout = Duration::from_millis(500);
    for hangs_up in [true, false] {
        endpoint.port = stranger_on_a_port(b"HTTP/1.1 400 Bad Request\r\n\r\n", hangs_up);
        let error = refusal(&endpoint).await;
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.contains("is not an SSH server"), "{error}");
        assert!(
            cause(&error).contains("HTTP/1.1 400 Bad Request"),
            "{error}"
        );
    }
    endpoint.port = stranger_on_a_port(b"", true);
    let error = refusal(&endpoint).await;
    assert!(
        error.message.contains("closed it without a greeting"),
        "{error}"
    );
    endpoint.port = stranger_on_a_port(b"SSH-2.0-half\r\n", false);
    let error = refusal(&endpoint).await;
    assert!(
        error.message.contains("in the middle of the SSH handshake"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_without_a_common_algorithm_is_told() {
    let server = Setup::default()
        .option("Ciphers=aes128-ctr")
        .option("MACs=umac-64@openssh.com")
        .start();
    let error = refusal(&server.endpoint()).await;
    assert!(error.message.contains("handshake"), "{error}");
    assert!(cause(&error).contains("OpenSSH"), "{error}");
}

fn known_hosts(server: &Sshd, text: &str) -> Endpoint {
    let file = server.path("known_hosts");
    fs::write(&file, text).unwrap();
    let mut endpoint = server.endpoint();
    endpoint.host_key = HostKeyPolicy::KnownHosts {
        files: vec![file],
        accept_new: false,
    };
    endpoint
}

fn other_key(server: &Sshd, kind: &str) -> String {
    let text = fs::read_to_string(server.stranger(kind, "").with_extension("pub")).unwrap();
    text.split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn a_first_contact_is_recorded_once_and_told() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    let file = server.path("new/folder/known_hosts");
    endpoint.host_key = HostKeyPolicy::KnownHosts {
        files: vec![file.clone()],
        accept_new: true,
    };
    let told = Told::default();
    for _ in 0..2 {
        works(&endpoint, &told.events(), Arc::new(NoPassphrase)).await;
    }
    let line = format!(
        "[127.0.0.1]:{} {}\n",
        server.port,
        server.host_key("ed25519")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), line);
    let notes = told.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("First contact with box"), "{notes:?}");
    assert!(notes[0].contains("SHA256:") && notes[0].ends_with(&file.display().to_string()));
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    // OpenSSH reads the line the same way.
    let found = Command::new("ssh-keygen")
        .args(["-F", &format!("[127.0.0.1]:{}", server.port), "-f"])
        .arg(&file)
        .status()
        .unwrap();
    assert!(found.success());
}

fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

#[tokio::test]
async fn an_unknown_key_is_refused_where_new_ones_are_not_accepted() {
    let server = Sshd::start();
    let endpoint = known_hosts(&server, "");
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(error.message.contains("is not known"), "{error}");
    assert!(cause(&error).contains("SHA256:"), "{error}");
}

#[tokio::test]
async fn a_changed_key_is_refused_with_both_fingerprints_and_the_remedy() {
    let server = Sshd::start();
    let name = format!("[127.0.0.1]:{}", server.port);
    let other = other_key(&server, "ed25519");
    let endpoint = known_hosts(&server, &format!("# mine\n{name} {other}\n"));
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(error.message.contains("has changed"), "{error}");
    assert_eq!(cause(&error).matches("SHA256:").count(), 2, "{error}");
    assert!(cause(&error).contains("known_hosts line 2"), "{error}");
    let file = server.path("known_hosts");
    let remedy = format!("ssh-keygen -f {} -R '{name}'", file.display());
    assert!(error.hints[0].contains(&remedy), "{:?}", error.hints);
    // The remedy, taken at its word, mends it.
    let mended = Command::new("sh").arg("-c").arg(&remedy).output().unwrap();
    assert!(mended.status.success(), "{mended:?}");
    assert!(refusal(&endpoint).await.message.contains("is not known"));
}

#[tokio::test]
async fn a_server_with_several_keys_shows_the_one_on_record() {
    let server = Setup::default()
        .host_key("ed25519")
        .host_key("rsa")
        .host_key("ecdsa")
        .start();
    let name = format!("[127.0.0.1]:{}", server.port);
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let line = format!("{name} {}\n", server.host_key(kind));
        logs_in(&known_hosts(&server, &line)).await;
    }
    // Known on the standard port, as OpenSSH takes it too.
    logs_in(&known_hosts(
        &server,
        &format!("127.0.0.1 {}\n", server.host_key("rsa")),
    ))
    .await;
}

#[tokio::test]
async fn another_type_than_the_one_on_record_proves_nothing() {
    let server = Sshd::start();
    let name = format!("[127.0.0.1]:{}", server.port);
    let line = format!("{name} {}\n", other_key(&server, "ecdsa"));
    let mut endpoint = known_hosts(&server, &line);
    if let HostKeyPolicy::KnownHosts { accept_new, .. } = &mut endpoint.host_key {
        *accept_new = true;
    }
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(
        cause(&error).contains("no longer has a key of that type"),
        "{error}"
    );
}

#[tokio::test]
async fn hashed_names_wildcards_and_bad_lines_are_read() {
    let server = Sshd::start();
    let key = server.host_key("ed25519");
    let endpoint = known_hosts(&server, &format!("[127.0.0.1]:{} {key}\n", server.port));
    let file = server.path("known_hosts");
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(&file).unwrap().starts_with("|1|"));
    logs_in(&endpoint).await;

    let endpoint = known_hosts(&server, &format!("garbage\n[127.0.0.*]:* {key}\n"));
    let told = Told::default();
    works(&endpoint, &told.events(), Arc::new(NoPassphrase)).await;
    assert!(
        told.details()
            .iter()
            .any(|detail| detail.contains("line 1 is skipped"))
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_even_where_it_is_known() {
    let server = Sshd::start();
    let key = server.host_key("ed25519");
    let text = format!("[127.0.0.1]:{} {key}\n@revoked * {key}\n", server.port);
    let error = refusal(&known_hosts(&server, &text)).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(error.message.contains("revoked"), "{error}");
}

#[tokio::test]
async fn a_machine_is_pinned_by_its_id_and_not_by_its_address() {
    let (first, second) = (Sshd::start(), Sshd::start());
    let file = first.path("pins");
    let pinned = |server: &Sshd, id: &str| {
        let mut endpoint = server.endpoint();
        endpoint.host_key = HostKeyPolicy::Pinned {
            machine_id: id.to_owned(),
            file: file.clone(),
        };
        endpoint
    };
    let told = Told::default();
    works(
        &pinned(&first, "machine-1"),
        &told.events(),
        Arc::new(NoPassphrase),
    )
    .await;
    logs_in(&pinned(&second, "machine-2")).await;
    logs_in(&pinned(&first, "machine-1")).await;
    assert_eq!(told.notes(), [""; 0]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);

    let error = refusal(&pinned(&second, "machine-1")).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(error.message.contains("machine-1"), "{error}");
    assert!(
        error.hints[0].contains("delete line 1 of"),
        "{:?}",
        error.hints
    );
}

/// An agent of its own, killed with the test.
struct Agent(std::process::Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

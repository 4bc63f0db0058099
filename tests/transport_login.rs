//! Reaching a server and logging in: what works, and what is said when it does not.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/sshd.rs"]
mod sshd;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dwenv::error::{Error, ErrorKind};
use dwenv::events::Events;
use dwenv::secret::Secret;
use dwenv::transport::Transport as _;
use dwenv::transport::endpoint::Endpoint;
use dwenv::transport::session::{NoPassphrase, Passphrase, connect};
use sshd::{Setup, Sshd};

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

/// It is typed unseen.
#[tokio::test]
async fn a_passphrase_may_be_mistyped_twice() {
    struct Mistyped(AtomicUsize);
    impl Passphrase for Mistyped {
        fn ask(&self, _: &str) -> Option<Secret> {
            let answers = ["wrong", "wrogn", "right", "never asked for"];
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            answers.get(asked).map(|answer| Secret::new(*answer))
        }
    }
    let server = Sshd::start();
    let endpoint = server.endpoint_with(vec![server.key("ed25519", "right")]);
    let mistyped = Arc::new(Mistyped(AtomicUsize::new(0)));
    works(&endpoint, &Events::nowhere(), mistyped.clone()).await;
    assert_eq!(mistyped.0.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_refused_login_lists_what_was_offered_and_why_each_failed() {
    let server = Sshd::start();
    let stranger = server.stranger("ed25519", "");
    let encrypted = server.key("ed25519", "secret");
    let text = server.path("notes.txt");
    fs::write(&text, "no key").unwrap();
    let missing = server.path("missing");
    let mut endpoint = server.endpoint_with(vec![
        missing.clone(),
        text.clone(),
        stranger.with_extension("pub"),
        stranger.clone(),
        encrypted.clone(),
    ]);
    endpoint.unused = vec!["`CertificateFile` (config:2)".to_owned()];
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(
        error.message.contains("refused the login of root"),
        "{error}"
    );
    assert!(
        cause(&error).ends_with("; dwenv does not use `CertificateFile` (config:2)"),
        "{error:?}"
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
async fn a_password_logs_in_by_either_method() {
    for methods in [
        [
            "PasswordAuthentication=yes",
            "KbdInteractiveAuthentication=no",
            "UsePAM=no",
        ],
        [
            "PasswordAuthentication=no",
            "KbdInteractiveAuthentication=yes",
            "UsePAM=yes",
        ],
    ] {
        let setup = Setup::default().password("it's right");
        let server = methods
            .iter()
            .fold(setup, |setup, option| setup.option(option))
            .start();
        let mut endpoint = server.endpoint_with(vec![server.stranger("ed25519", "")]);
        endpoint.password = Some(Secret::new("it's right"));
        logs_in(&endpoint).await;
        endpoint.password = Some(Secret::new("wrong"));
        assert_eq!(refusal(&endpoint).await.kind, ErrorKind::Authentication);
    }
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
    assert!(began.elapsed() < Duration::from_secs(10));
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
        began.elapsed() < Duration::from_secs(10),
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

/// Debian 13's sshd does so after a few refused logins, and before it says that it is one.
#[tokio::test]
async fn an_ssh_server_that_turns_people_away_is_not_taken_for_another_program() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    for (says, told, hint) in [
        (
            &b"Not allowed at this time\r\n"[..],
            "lets nobody in from this address for now",
            "PerSourcePenalties",
        ),
        (
            b"Exceeded MaxStartups\r\n",
            "has too many that connect at the same time",
            "MaxStartups",
        ),
    ] {
        endpoint.port = stranger_on_a_port(says, true);
        let error = refusal(&endpoint).await;
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.message.contains(told), "{error}");
        assert!(error.hints[0].contains(hint), "{:?}", error.hints);
    }
}

#[tokio::test]
async fn what_is_not_an_ssh_server_is_told_with_what_it_said() {
    let server = Sshd::start();
    let mut endpoint = server.endpoint();
    endpoint.timeout = Duration::from_secs(3);
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

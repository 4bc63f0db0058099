//! Host keys: what is recorded, what is compared, and what is said when they differ.
//!
//! The server is Unix's sshd.
#![cfg(unix)]

#[path = "support/sshd.rs"]
mod sshd;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dwenv::error::{Error, ErrorKind};
use dwenv::events::Events;
use dwenv::transport::Transport as _;
use dwenv::transport::endpoint::{Endpoint, HostKeyPolicy};
use dwenv::transport::session::{NoPassphrase, connect};
use sshd::{Setup, Sshd, Told};

async fn works(endpoint: &Endpoint, events: &Events) {
    let session = connect(endpoint, events, Arc::new(NoPassphrase)).await;
    let session = session.unwrap_or_else(|error| panic!("{error}; {:?}", error.hints));
    session.exec("true").await.expect("an exec");
}

async fn logs_in(endpoint: &Endpoint) {
    works(endpoint, &Events::nowhere()).await;
}

async fn refusal(endpoint: &Endpoint) -> Error {
    match connect(endpoint, &Events::nowhere(), Arc::new(NoPassphrase)).await {
        Ok(_) => panic!("connected"),
        Err(error) => error,
    }
}

fn cause(error: &Error) -> &str {
    error.cause.as_deref().unwrap_or_default()
}

fn known_hosts(server: &Sshd, text: &str) -> Endpoint {
    let file = server.path("known_hosts");
    fs::write(&file, text).unwrap();
    let mut endpoint = server.endpoint();
    endpoint.host_key = HostKeyPolicy::KnownHosts {
        files: vec![file],
        accept_new: false,
        alias: None,
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
        alias: None,
    };
    let told = Told::default();
    for _ in 0..2 {
        works(&endpoint, &told.events()).await;
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
    works(&endpoint, &told.events()).await;
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

/// Who signs hosts' keys does not want an unknown one to be taken on trust.
#[tokio::test]
async fn a_host_with_an_authority_is_no_first_contact() {
    let server = Sshd::start();
    let authority = other_key(&server, "ed25519");
    let mut endpoint = known_hosts(&server, &format!("@cert-authority * {authority}\n"));
    if let HostKeyPolicy::KnownHosts { accept_new, .. } = &mut endpoint.host_key {
        *accept_new = true;
    }
    let error = refusal(&endpoint).await;
    assert_eq!(error.kind, ErrorKind::HostKey);
    assert!(
        cause(&error).contains("line 1 has a certificate authority for it"),
        "{error}"
    );
    // Its own key, once it is on record, is what counts.
    let own = format!(
        "[127.0.0.1]:{} {}\n",
        server.port,
        server.host_key("ed25519")
    );
    let text = format!("@cert-authority * {authority}\n{own}");
    logs_in(&known_hosts(&server, &text)).await;
}

#[tokio::test]
async fn a_key_is_filed_under_the_alias_whatever_the_address() {
    let server = Sshd::start();
    let mut endpoint = known_hosts(&server, "");
    if let HostKeyPolicy::KnownHosts {
        accept_new, alias, ..
    } = &mut endpoint.host_key
    {
        (*accept_new, *alias) = (true, Some("Cluster".to_owned()));
    }
    logs_in(&endpoint).await;
    let recorded = fs::read_to_string(server.path("known_hosts")).unwrap();
    assert_eq!(
        recorded,
        format!("cluster {}\n", server.host_key("ed25519"))
    );
    // What is on record for the address itself is not asked.
    let address = format!(
        "[127.0.0.1]:{} {}\n",
        server.port,
        other_key(&server, "ed25519")
    );
    fs::write(server.path("known_hosts"), address + &recorded).unwrap();
    logs_in(&endpoint).await;
    let wrong = format!("cluster {}\n", other_key(&server, "ed25519"));
    fs::write(server.path("known_hosts"), wrong).unwrap();
    let error = refusal(&endpoint).await;
    assert!(error.message.ends_with("has changed"), "{error}");
    assert!(error.hints[0].ends_with("-R cluster"), "{:?}", error.hints);
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
    works(&pinned(&first, "machine-1"), &told.events()).await;
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

//! The declaration as an author writes it: what holds, what is refused, and where the refusal points.

mod workshop {
    mod authors;
    mod init;
    mod names;
    mod structure;
    mod values;
    mod venue;
}

use std::fs;
use std::path::Path;

use dwenv::error::{Error, ErrorKind, ExitCode};
use dwenv::workshop::{Forward, Password, Secrets, Source, Workshop};
use tempfile::TempDir;

/// An author's folder with this `config.toml` and these files.
fn folder(config: &str, files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.toml"), config).unwrap();
    for (path, content) in files {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    folder
}

fn load(folder: &TempDir) -> Result<Workshop, Error> {
    dwenv::workshop::load(&folder.path().join("config.toml"), Secrets::Read)
}

fn accepted(config: &str) -> Workshop {
    load(&folder(config, &[])).unwrap()
}

/// What is said about a `config.toml`, without the folder that the test made.
fn refused(config: &str) -> String {
    refused_with(config, &[])
}

fn refused_with(config: &str, files: &[(&str, &[u8])]) -> String {
    let folder = folder(config, files);
    let error = load(&folder).expect_err("this must not be accepted");
    assert_eq!(error.kind, ErrorKind::Config);
    assert_eq!(error.exit_code(), ExitCode::Usage);
    told(&error, folder.path())
}

fn told(error: &Error, folder: &Path) -> String {
    let mut text = error.to_string();
    for hint in &error.hints {
        text += "\nhint: ";
        text += hint;
    }
    text.replace(
        &format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR),
        "",
    )
}

#[test]
fn the_declaration_inside_the_program_is_the_one_of_the_tutorial() {
    let workshop = Workshop::builtin().unwrap();
    assert_eq!(workshop.name, "docker-workshop");
    assert_eq!(workshop.machine.ip.to_string(), "192.168.33.10");
    assert_eq!(
        workshop.machine.forwards,
        [(8080, 8080), (5432, 5432)].map(|(guest, host)| Forward { guest, host })
    );
    assert_eq!(workshop.docker.minimum.to_string(), "20.10.0");
    assert!(workshop.docker.images.is_empty());
    assert!(
        matches!(&workshop.postgres.password, Password::Public(text) if text == "dockerworkshop")
    );
    let names: Vec<_> = workshop
        .server
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "server.py",
            "requirements.txt",
            "Dockerfile",
            "compose.yaml",
            "create_db.sql",
            "create_schema_and_fixtures.sql"
        ]
    );
    let columns: Vec<_> = workshop.postgres.tables[0]
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(columns, ["id", "created_at", "payload"]);
    assert_eq!(workshop.origin, None);
}

#[test]
fn what_is_left_out_is_as_inside_the_program() {
    let workshop = accepted("[box]\nmemory_mb = 4096\n");
    assert_eq!(workshop.machine.memory_mb, 4096);
    assert_eq!(workshop.machine.cpus, 2);
    assert!(
        workshop
            .server
            .files
            .iter()
            .any(|file| file.name == "server.py")
    );
    assert_eq!(accepted("").name, "docker-workshop");
    assert_eq!(accepted("\u{feff}name = \"x\"\r\n").name, "x");
}

#[test]
fn named_targets_are_the_authors() {
    let workshop = accepted(
        "[target.room-1]\nhost = \"10.20.0.11\"\nport = 2222\nuser = \"debian\"\nidentity = \"keys/id\"\n\n[target.v6]\nhost = \"fd00::1\"\n",
    );
    let room = &workshop.targets["room-1"];
    assert_eq!((room.host.as_str(), room.port), ("10.20.0.11", Some(2222)));
    assert!(room.identity.as_ref().unwrap().ends_with("keys/id"));
    assert_eq!(workshop.targets["v6"].user, None);
}

#[test]
fn files_get_the_line_ends_of_the_box() {
    let folder = folder(
        "[server]\nfiles = [\"a/server.py\"]\n",
        &[("a/server.py", b"\xef\xbb\xbfprint(1)\r\nprint(2)\r\n")],
    );
    let file = load(&folder).unwrap().server.files[0].clone();
    assert_eq!(file.name, "server.py");
    assert_eq!(file.content, "print(1)\nprint(2)\n");
}

#[test]
fn a_password_from_outside_is_a_secret() {
    // Cargo sets this variable for its tests.
    let workshop = accepted("[postgres]\npassword = { env = \"CARGO_PKG_NAME\" }\n");
    assert_eq!(workshop.postgres.password.reveal(), "dwenv");
    assert!(!format!("{workshop:?}").contains("\"dwenv\""));
    let folder = folder(
        "[postgres]\npassword = { file = \"secret\" }\n",
        &[("secret", "naïve 'canary' $(x)\r\n".as_bytes())],
    );
    let workshop = load(&folder).unwrap();
    assert_eq!(workshop.postgres.password.reveal(), "naïve 'canary' $(x)");
    assert!(!format!("{workshop:?}").contains("canary"));
}

#[test]
fn the_folder_or_the_command_line_says_which_declaration_holds() {
    let empty = TempDir::new().unwrap();
    let filled = folder("", &[]);
    let choose = |dir: &TempDir, config| Source::choose(dir.path(), config);
    assert_eq!(choose(&empty, None), Source::Builtin);
    assert_eq!(
        choose(&filled, None),
        Source::File(filled.path().join("config.toml"))
    );
    assert_eq!(
        choose(&filled, Some("other.toml")),
        Source::File(filled.path().join("other.toml"))
    );
    let url = "https://example.org/config.toml";
    assert_eq!(choose(&filled, Some(url)), Source::Url(url.to_owned()));
}

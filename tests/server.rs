//! The files of `provision/` on a real PostgreSQL and a real Python: what the box gets.
//!
//! Needs the Debian packages `postgresql` and `python3-psycopg`, and `systemd` for the unit.
#![cfg(unix)]

mod server {
    pub mod database;
    pub mod program;
    mod sql;
}

use std::fs;
use std::path::Path;
use std::process::Command;

use dwenv::workshop::{self, Secrets, Workshop};
use serde_json::json;
use server::database::Database;
use server::program::{Program, get, post, request};

#[test]
fn rows_are_read_and_stored() {
    let database = Database::start();
    database.apply(&Workshop::builtin().unwrap());
    let program = Program::start(&[("POSTGRES_PORT_5432_TCP_PORT", &database.port.to_string())]);
    let port = program.port;

    let (status, state) = get(port, "/");
    assert_eq!((status, &state["count"]), (200, &json!(1)));
    assert_eq!(state["rows"][0]["id"], 1);
    assert_eq!(state["rows"][0]["payload"], "Hello World");
    let at = state["rows"][0]["created_at"].as_str().unwrap();
    assert!(
        at.contains('T') && (at.contains('+') || at.ends_with('Z')),
        "{at}"
    );

    for payload in ["Grüße ✓", "'); DROP TABLE call; --", "", "two\nlines"] {
        let (status, state) = post(port, payload.as_bytes());
        assert_eq!(status, 201);
        assert_eq!(
            state["rows"].as_array().unwrap().last().unwrap()["payload"],
            payload
        );
    }
    assert_eq!(get(port, "/?x=1").1["count"], 5);

    // What it does not take is told as JSON, and it lives on.
    assert_eq!(post(port, b"\xff\xfe").0, 400);
    assert_eq!(post(port, b"a\0b").0, 400);
    assert_eq!(
        get(port, "/favicon.ico"),
        (404, json!({"error": "there is only /"}))
    );
    let send = |head: &str, body: &[u8]| {
        let answer = request(port, "127.0.0.1", head, body);
        assert!(
            answer.body.starts_with(b"{\"error\": "),
            "{head}: {answer:?}"
        );
        (answer.status, answer.head)
    };
    let (status, head) = send("DELETE / HTTP/1.1", b"");
    assert_eq!(status, 405);
    assert!(head.contains("Allow: GET, HEAD, POST"), "{head}");
    assert_eq!(send("POST /x HTTP/1.1\r\nContent-Length: 2", b"ab").0, 404);
    assert_eq!(send("POST / HTTP/1.1", b"ab").0, 411);
    assert_eq!(
        send(
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked",
            b"2\r\nab\r\n0\r\n\r\n"
        )
        .0,
        411
    );
    for length in ["-1", "+2", "x", "1e3", "\u{b2}"] {
        assert_eq!(
            send(
                &format!("POST / HTTP/1.1\r\nContent-Length: {length}"),
                b"ab"
            )
            .0,
            400
        );
    }
    // More announced than sent.
    assert_eq!(send("POST / HTTP/1.1\r\nContent-Length: 9", b"ab").0, 400);
    let long = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(70_000));
    assert_eq!(send(&long, b"").0, 431);

    let head = request(port, "127.0.0.1", "HEAD / HTTP/1.1", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.head.contains("Content-Type: application/json"));
    assert_eq!(request(port, "::1", "GET / HTTP/1.1", b"").status, 200);
    assert_eq!(get(port, "/").1["count"], 5);
    // Columns that somebody gave another type, which doctor names, are answered all the same.
    database.sql(
        "dockerworkshop",
        "ALTER TABLE call ALTER COLUMN created_at TYPE text, ALTER COLUMN id TYPE numeric",
    );
    assert_eq!(get(port, "/").1["count"], 5);
    // Short lines, no traces of the program's inside.
    assert!(!program.said().contains("Traceback"), "{}", program.said());
}

#[test]
fn a_body_has_an_upper_bound() {
    let database = Database::start();
    database.apply(&Workshop::builtin().unwrap());
    let program = Program::start(&[("POSTGRES_PORT_5432_TCP_PORT", &database.port.to_string())]);
    let largest = vec![b'x'; 1024 * 1024];
    assert_eq!(post(program.port, &largest).0, 201);
    // The whole body is sent before the answer is read, as many clients do.
    for size in [1024 * 1024 + 1, 5 * 1024 * 1024] {
        let (status, told) = post(program.port, &vec![b'x'; size]);
        assert_eq!(
            (status, told),
            (
                413,
                json!({"error": "a body can have 1048576 bytes at most"})
            )
        );
    }
    let endless = format!("POST / HTTP/1.1\r\nContent-Length: {}", "9".repeat(5000));
    assert_eq!(
        request(program.port, "127.0.0.1", &endless, b"ab").status,
        413
    );
    assert_eq!(get(program.port, "/").1["count"], 2);
}

#[test]
fn a_database_that_is_away_comes_back() {
    let mut database = Database::start();
    database.apply(&Workshop::builtin().unwrap());
    let mut program =
        Program::start(&[("POSTGRES_PORT_5432_TCP_PORT", &database.port.to_string())]);
    assert_eq!(get(program.port, "/").0, 200);
    database.stop();
    let (status, told) = get(program.port, "/");
    assert_eq!(status, 503);
    let reason = told["error"].as_str().unwrap();
    assert!(
        reason.starts_with("the database does not answer: ") && reason.contains("refused"),
        "{reason}"
    );
    assert_eq!(post(program.port, b"lost").0, 503);
    database.resume();
    assert_eq!(get(program.port, "/").1["count"], 1);
    assert_eq!(post(program.port, b"kept").0, 201);
    database.sql("dockerworkshop", "DROP TABLE call");
    assert!(
        get(program.port, "/").1["error"]
            .as_str()
            .unwrap()
            .contains("\"call\"")
    );
    // As systemd and Docker end it.
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn the_password_comes_from_systemd_the_environment_or_the_lab() {
    let workshop = Workshop::builtin().unwrap();
    let database = Database::start();
    database.apply(&workshop);
    database.sql("postgres", "ALTER ROLE dockerworkshop PASSWORD 'canary'");
    let port = database.port.to_string();
    let base = [("POSTGRES_PORT_5432_TCP_PORT", port.as_str())];
    let wrong = Program::start(&base);
    let (status, told) = get(wrong.port, "/");
    assert_eq!(status, 503);
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .contains("password authentication failed"),
        "{told}"
    );
    let by_environment = Program::start(&[base[0], ("POSTGRES_PASSWORD", "canary")]);
    assert_eq!(get(by_environment.port, "/").0, 200);
    let credentials = tempfile::TempDir::new().unwrap();
    fs::write(credentials.path().join("postgres-password"), "canary\n").unwrap();
    let folder = credentials.path().to_str().unwrap();
    let by_systemd = Program::start(&[
        base[0],
        ("CREDENTIALS_DIRECTORY", folder),
        ("POSTGRES_PASSWORD", "wrong"),
    ]);
    assert_eq!(get(by_systemd.port, "/").0, 200);
}

#[test]
fn a_declaration_with_other_names_reaches_the_server() {
    let database = Database::start();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("config.toml");
    let config = format!(
        "[postgres]\nport = {}\nrole = \"other\"\ndatabase = \"elsewhere\"\npassword = \"it's \\\"quoted\\\"\"\n",
        database.port
    );
    fs::write(&file, config).unwrap();
    let workshop = workshop::load(&file, Secrets::Read).unwrap();
    let create = &workshop.postgres.create_database.content;
    let names = "\\set role other\n\\set database elsewhere\n\\set password 'it''s \"quoted\"'\n";
    database.sql("postgres", &format!("{names}{create}"));
    let schema = &workshop.postgres.create_schema.content;
    database.sql("elsewhere", &format!("SET ROLE other;\n{schema}"));
    let environment = workshop.server_environment();
    let environment: Vec<_> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let program = Program::start(&environment);
    assert_eq!(get(program.port, "/").0, 200);
    assert_eq!(Workshop::builtin().unwrap().server_environment(), []);
}

#[test]
fn a_port_that_is_taken_is_told_with_what_to_do() {
    // Held for either protocol alone, or for both.
    for address in ["0.0.0.0:0", "[::]:0", "127.0.0.1:0"] {
        let holder = std::net::TcpListener::bind(address).unwrap();
        let port = holder.local_addr().unwrap().port();
        let output = Program::command()
            .env("PORT", port.to_string())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{address}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            format!(
                "Port {port} is in use. If the workshop's own service holds it, stop that first:\n    \
                 sudo systemctl stop docker-workshop\n"
            )
        );
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let workshop = Workshop::builtin().unwrap();
    let unit = workshop
        .server
        .unit_file
        .content
        .replace("@USER@", "root")
        .replace("@DIRECTORY@", "/tmp");
    assert!(!unit.contains("LoadCredential") && unit.contains("\nProtectHome=read-only\n"));
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join(&workshop.server.unit);
    fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&file)
        .output()
        .expect("this test needs systemd-analyze (apt install systemd)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = complaints
        .lines()
        .filter(|line| line.contains(&workshop.server.unit))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{complaints}");
}

#[test]
fn nothing_of_the_older_workshop_came_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = vec![root.join("config.toml"), root.join("Vagrantfile")];
    texts.extend(
        fs::read_dir(root.join("provision"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    // What was retired, was open to everybody, or is refused by today's programs.
    let gone = [
        "atlas.hashicorp.com",
        "box_url",
        "trusty",
        "nfs",
        ".dev\"",
        "sks-keyservers",
        "apt-key",
        "dockerproject.org",
        "docker-engine",
        "easy_install",
        "py-postgresql",
        "iron/python",
        "postgres:9",
        "172.17.0.2",
        "NetworkSettings.IPAddress",
        "version: '",
        "dockerworkshop_db_1",
        "trust\n",
        "swarm",
        "0.0.0.0/0",
        "latest",
    ];
    for file in texts {
        let text = fs::read_to_string(&file).unwrap();
        for word in gone {
            assert!(!text.contains(word), "{word} in {}", file.display());
        }
    }
}

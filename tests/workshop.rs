//! The declaration as an author writes it: what holds, what is refused, and where the refusal points.

use std::fs;
use std::path::Path;

use dwenv::error::{Error, ErrorKind, ExitCode};
use dwenv::workshop::{self, Forward, Password, Source, Workshop};
use insta::assert_snapshot;
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
    workshop::load(&folder.path().join("config.toml"))
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
fn a_missing_declaration_is_told() {
    let empty = TempDir::new().unwrap();
    let error = load(&empty).unwrap_err();
    assert_snapshot!(told(&error, empty.path()), @r"
    there is no config.toml
    hint: `dwenv init` writes one to start from
    ");
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

#[test]
fn a_needed_newer_dwenv_is_told_before_unknown_keys() {
    assert_snapshot!(refused("colour = 1\nrequires = \">=9.1\"\n"), @r#"
    config.toml:2:12: this workshop needs dwenv >=9.1, and this is dwenv 0.2.0
      |
    2 | requires = ">=9.1"
      |            ^^^^^^^
    hint: install the dwenv that its author names
    "#);
    assert_snapshot!(refused("requires = \"new\"\n"), @r#"
    config.toml:1:12: "new" cannot be `requires`: it is no version requirement (unexpected character 'n' while parsing major version number)
      |
    1 | requires = "new"
      |            ^^^^^
    hint: such as ">=0.2"
    "#);
    assert_snapshot!(refused("requires = 2\n"), @r"
    config.toml:1:12: 2 cannot be `requires`: it must be text, and this is a whole number
      |
    1 | requires = 2
      |            ^
    ");
}

#[test]
fn what_is_no_toml_is_told_at_its_place() {
    assert_snapshot!(refused("name = \"x\"\n[box\ncpus = 2\n"), @r"
    config.toml:2:5: no TOML: unclosed table, expected `]`
      |
    2 | [box
      |     ^
    ");
    assert_snapshot!(refused("[box]\ncpus = 2\ncpus = 3\n"), @r"
    config.toml:3:1: no TOML: duplicate key
      |
    3 | cpus = 3
      | ^^^^
    ");
    assert_snapshot!(refused_with("", &[("config.toml", b"name = \"\xff\"\n")]), @r"
    config.toml cannot be used: the file is not UTF-8 text
    hint: save it as UTF-8
    ");
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    assert_snapshot!(refused("nam = \"x\"\n"), @r#"
    config.toml:1:1: there is no key `nam` at the top of the file
      |
    1 | nam = "x"
      | ^^^
    hint: did you mean `name`?
    "#);
    assert_snapshot!(refused("[box]\n  memory = 1024\n"), @r"
    config.toml:2:3: there is no key `memory` in [box]
      |
    2 |   memory = 1024
      |   ^^^^^^
    hint: did you mean `memory_mb`?
    ");
    assert_snapshot!(refused("[postgress]\nport = 5433\n"), @r"
    config.toml:1:2: there is no key `postgress` at the top of the file
      |
    1 | [postgress]
      |  ^^^^^^^^^
    hint: did you mean `postgres`?
    ");
    assert_snapshot!(refused("[docker]\n\"zz\\u001b[2J\" = 1\n"), @r#"
    config.toml:2:1: there is no key `"zz\u001b[2J"` in [docker]
      |
    2 | "zz\u001b[2J" = 1
      | ^^^^^^^^^^^^^
    hint: there are: source, minimum, compose, images
    "#);
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 8080, hots = 8080 }]\n"), @r"
    config.toml:2:29: there is no key `hots` in [box.forwards]
      |
    2 | forwards = [{ guest = 8080, hots = 8080 }]
      |                             ^^^^
    hint: did you mean `host`?
    ");
    assert_snapshot!(refused("[postgres]\npassword = { variable = \"X\" }\n"), @r#"
    config.toml:2:14: there is no key `variable` in [postgres.password]
      |
    2 | password = { variable = "X" }
      |              ^^^^^^^^
    hint: there are: env, file
    "#);
}

#[test]
fn wrong_types_are_told() {
    assert_snapshot!(refused("name = 1\n"), @r"
    config.toml:1:8: 1 cannot be `name`: it must be text, and this is a whole number
      |
    1 | name = 1
      |        ^
    ");
    assert_snapshot!(refused("box = \"bento/debian-13\"\n"), @r#"
    config.toml:1:7: "bento/debian-13" cannot be `box`: it must be a table, and this is text
      |
    1 | box = "bento/debian-13"
      |       ^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[docker]\ncompose = \"yes\"\n"), @r#"
    config.toml:2:11: "yes" cannot be `docker.compose`: it must be true or false, and this is text
      |
    2 | compose = "yes"
      |           ^^^^^
    "#);
    assert_snapshot!(refused("[box]\ncpus = 1.5\n"), @r"
    config.toml:2:8: 1.5 cannot be `box.cpus`: it must be a whole number, and this is a number with a fraction
      |
    2 | cpus = 1.5
      |        ^^^
    ");
    assert_snapshot!(refused("[docker]\nimages = \"python:3-slim\"\n"), @r#"
    config.toml:2:10: "python:3-slim" cannot be `docker.images`: it must be a list, and this is text
      |
    2 | images = "python:3-slim"
      |          ^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[server]\nfiles = [\n  2026-11-01,\n]\n"), @r"
    config.toml:3:3: 2026-11-01 cannot be in `server.files`: it must be text, and this is a date or time
      |
    3 |   2026-11-01,
      |   ^^^^^^^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [8080]\n"), @r"
    config.toml:2:13: 8080 cannot be in `box.forwards`: it must be a table, and this is a whole number
      |
    2 | forwards = [8080]
      |             ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 8080 }]\n"), @r"
    config.toml:2:13: `host` is missing in `box.forwards`
      |
    2 | forwards = [{ guest = 8080 }]
      |             ^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn addresses_that_would_not_work_are_told() {
    assert_snapshot!(refused("[box]\nip = \"192.168.33.300\"\n"), @r#"
    config.toml:2:6: "192.168.33.300" cannot be `box.ip`: it is no IPv4 address
      |
    2 | ip = "192.168.33.300"
      |      ^^^^^^^^^^^^^^^^
    hint: such as 192.168.33.10
    "#);
    assert_snapshot!(refused("[box]\nip = \"192.168.33.1\"\n"), @r#"
    config.toml:2:6: "192.168.33.1" cannot be `box.ip`: it is the laptop's own address in that network
      |
    2 | ip = "192.168.33.1"
      |      ^^^^^^^^^^^^^^
    hint: its last number can be 2 to 254
    "#);
    assert_snapshot!(refused("[box]\nip = \"10.0.2.15\"\n"), @r#"
    config.toml:2:6: "10.0.2.15" cannot be `box.ip`: 10.0.2.0/24 is VirtualBox's NAT
      |
    2 | ip = "10.0.2.15"
      |      ^^^^^^^^^^^
    hint: such as 192.168.33.10
    "#);
    assert_snapshot!(refused("[box]\nhostname = \"docker-workshop.dev\"\n"), @r#"
    config.toml:2:12: "docker-workshop.dev" cannot be `box.hostname`: browsers open names under .dev only with https
      |
    2 | hostname = "docker-workshop.dev"
      |            ^^^^^^^^^^^^^^^^^^^^^
    hint: take a name without a dot, or one that ends in .test
    "#);
    assert_snapshot!(refused("[box]\nhostname = \"my box; reboot\"\n"), @r#"
    config.toml:2:12: "my box; reboot" cannot be `box.hostname`: it must be 1 to 63 small letters a-z, digits and hyphens
      |
    2 | hostname = "my box; reboot"
      |            ^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\nlisten_addresses = \"*'\"\n"), @r#"
    config.toml:2:20: "*'" cannot be `postgres.listen_addresses`: it is no list of addresses
      |
    2 | listen_addresses = "*'"
      |                    ^^^^
    hint: such as *, or localhost,192.168.33.10
    "#);
}

#[test]
fn ports_are_in_range_and_once() {
    assert_snapshot!(refused("[server]\nport = 70000\n"), @r"
    config.toml:2:8: 70000 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 70000
      |        ^^^^^
    ");
    assert_snapshot!(refused("[server]\nport = 80\n"), @r"
    config.toml:2:8: 80 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 80
      |        ^^
    ");
    assert_snapshot!(refused("[server]\nport = 99999999999999999999\n"), @r"
    config.toml:2:8: 99999999999999999999 cannot be `server.port`: it must be between 1024 and 65535
      |
    2 | port = 99999999999999999999
      |        ^^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(refused("[server]\nport = 5432\n"), @r"
    config.toml:2:8: 5432 cannot be `server.port`: PostgreSQL has that port
      |
    2 | port = 5432
      |        ^^^^
    ");
    assert_snapshot!(refused("[postgres]\nport = 8080\n"), @r"
    config.toml:2:8: 8080 cannot be `postgres.port`: the server has that port
      |
    2 | port = 8080
      |        ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [\n  { guest = 8080, host = 8080 },\n  { guest = 5432, host = 8080 },\n]\n"), @r"
    config.toml:4:26: 8080 cannot be `box.forwards.host`: another forward has that port of the laptop
      |
    4 |   { guest = 5432, host = 8080 },
      |                          ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 8080, host = 8080 }, { guest = 8080, host = 8081 }]\n"), @r"
    config.toml:2:54: 8080 cannot be `box.forwards.guest`: another forward leads to that port of the box
      |
    2 | forwards = [{ guest = 8080, host = 8080 }, { guest = 8080, host = 8081 }]
      |                                                      ^^^^
    ");
    assert_snapshot!(refused("[box]\nforwards = [{ guest = 80, host = 8080 }]\n"), @r"
    config.toml:2:12: [{ guest = 80, host = 8080 }] cannot be `box.forwards`: none of them leads to the server's port 8080
      |
    2 | forwards = [{ guest = 80, host = 8080 }]
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: add { guest = 8080, host = 8080 }
    ");
}

#[test]
fn the_database_is_never_open_to_everybody() {
    assert_snapshot!(refused("[postgres]\nallow_from = [\n    \"samenet\",\n    \"0.0.0.0/0\",\n]\n"), @r#"
    config.toml:4:5: "0.0.0.0/0" cannot be in `postgres.allow_from`: it would let in strangers on every network the box is in
      |
    4 |     "0.0.0.0/0",
      |     ^^^^^^^^^^^
    hint: name the networks of the workshop, such as samenet or 172.16.0.0/12
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"::/0\"]\n"), @r#"
    config.toml:2:15: "::/0" cannot be in `postgres.allow_from`: it would let in strangers on every network the box is in
      |
    2 | allow_from = ["::/0"]
      |               ^^^^^^
    hint: name the networks of the workshop, such as samenet or 172.16.0.0/12
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"10.0.2.15/24\"]\n"), @r#"
    config.toml:2:15: "10.0.2.15/24" cannot be in `postgres.allow_from`: it names a machine, not a network
      |
    2 | allow_from = ["10.0.2.15/24"]
      |               ^^^^^^^^^^^^^^
    hint: write 10.0.2.0/24, or 10.0.2.15/32
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = [\"samenet\", \"samenet\"]\n"), @r#"
    config.toml:2:26: "samenet" cannot be in `postgres.allow_from`: it is there already
      |
    2 | allow_from = ["samenet", "samenet"]
      |                          ^^^^^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\nallow_from = []\n"), @r#"
    config.toml:2:14: [] cannot be `postgres.allow_from`: the server itself could not log in
      |
    2 | allow_from = []
      |              ^^
    hint: at least "127.0.0.1/32" and "::1/128"
    "#);
}

#[test]
fn names_that_would_need_quoting_are_refused() {
    assert_snapshot!(refused("[postgres]\nrole = \"docker'; DROP TABLE call; --\"\n"), @r#"
    config.toml:2:8: "docker'; DROP TABLE call; --" cannot be `postgres.role`: it would need quoting in SQL
      |
    2 | role = "docker'; DROP TABLE call; --"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: take small letters a-z, digits and underscores, a letter first
    "#);
    assert_snapshot!(refused("[postgres]\nrole = \"postgres\"\n"), @r#"
    config.toml:2:8: "postgres" cannot be `postgres.role`: PostgreSQL has a role of its own by that name
      |
    2 | role = "postgres"
      |        ^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\ndatabase = \"user\"\n"), @r#"
    config.toml:2:12: "user" cannot be `postgres.database`: it is a word of SQL and would need quoting
      |
    2 | database = "user"
      |            ^^^^^^
    hint: such as workshop_user
    "#);
    assert_snapshot!(refused("[postgres.tables.Call]\nid = \"serial\"\n"), @r"
    config.toml:1:18: Call cannot be a name in `postgres.tables`: it would need quoting in SQL
      |
    1 | [postgres.tables.Call]
      |                  ^^^^
    hint: take small letters a-z, digits and underscores, a letter first
    ");
    assert_snapshot!(refused("[postgres.tables.call]\n\"created at\" = \"timestamptz\"\n"), @r#"
    config.toml:2:1: "created at" cannot be a name in `postgres.tables.call`: it would need quoting in SQL
      |
    2 | "created at" = "timestamptz"
      | ^^^^^^^^^^^^
    hint: take small letters a-z, digits and underscores, a letter first
    "#);
    assert_snapshot!(refused("[server]\nunit = \"web\"\n"), @r#"
    config.toml:2:8: "web" cannot be `server.unit`: it is no service
      |
    2 | unit = "web"
      |        ^^^^^
    hint: its name ends in .service
    "#);
    assert_snapshot!(refused("[server]\nunit = \"ssh.service\"\n"), @r#"
    config.toml:2:8: "ssh.service" cannot be `server.unit`: the box has a service of its own by that name
      |
    2 | unit = "ssh.service"
      |        ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[server]\ndirectory = \"$(reboot)\"\n"), @r#"
    config.toml:2:13: "$(reboot)" cannot be `server.directory`: it is no path without need of quoting
      |
    2 | directory = "$(reboot)"
      |             ^^^^^^^^^^^
    hint: take letters a-z, digits, dots, hyphens and underscores, and / between them
    "#);
    assert_snapshot!(refused("[server]\ndirectory = \"../other\"\n"), @r#"
    config.toml:2:13: "../other" cannot be `server.directory`: it leads out of its folder
      |
    2 | directory = "../other"
      |             ^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[box]\namd64 = \"bento/debian\\\" + x\"\n"), @r#"
    config.toml:2:9: "bento/debian\" + x" cannot be `box.amd64`: it is no name of a Vagrant box
      |
    2 | amd64 = "bento/debian\" + x"
      |         ^^^^^^^^^^^^^^^^^^^^
    hint: such as bento/debian-13
    "#);
    assert_snapshot!(refused("[target.vagrant]\nhost = \"x\"\n"), @r"
    config.toml:1:9: vagrant cannot be a name in `target`: --target already knows that word
      |
    1 | [target.vagrant]
      |         ^^^^^^^
    ");
    assert_snapshot!(refused("[target.one]\nhost = \"-oProxyCommand=x\"\n"), @r#"
    config.toml:2:8: "-oProxyCommand=x" cannot be `target.one.host`: it must be letters, digits, hyphens, dots and underscores
      |
    2 | host = "-oProxyCommand=x"
      |        ^^^^^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[target.one]\nhots = \"x\"\n"), @r#"
    config.toml:2:1: there is no key `hots` in [target.one]
      |
    2 | hots = "x"
      | ^^^^
    hint: did you mean `host`?
    "#);
    assert_snapshot!(refused("[target.one]\nuser = \"x\"\n"), @r"
    config.toml:1:1: `host` is missing in `target.one`
      |
    1 | [target.one]
      | ^^^^^^^^^^^^
    ");
}

#[test]
fn versions_words_and_types_are_checked() {
    assert_snapshot!(refused("[docker]\nminimum = \"twenty\"\n"), @r#"
    config.toml:2:11: "twenty" cannot be `docker.minimum`: it is no version (unexpected character 't' while parsing major version number)
      |
    2 | minimum = "twenty"
      |           ^^^^^^^^
    hint: such as 20.10 or 2.4.9
    "#);
    assert_snapshot!(refused("[docker]\nsource = \"distro\"\n"), @r#"
    config.toml:2:10: "distro" cannot be `docker.source`: it must be one of: distribution, docker
      |
    2 | source = "distro"
      |          ^^^^^^^^
    hint: did you mean `distribution`?
    "#);
    assert_snapshot!(refused("[docker]\nimages = [\"Python:3\"]\n"), @r#"
    config.toml:2:11: "Python:3" cannot be in `docker.images`: it is no image reference
      |
    2 | images = ["Python:3"]
      |           ^^^^^^^^^^
    hint: such as python:3-slim or postgres:17
    "#);
    assert_snapshot!(refused("[postgres.tables.call]\nid = \"seriel primary key\"\n"), @r#"
    config.toml:2:6: "seriel primary key" cannot be `postgres.tables.call.id`: `seriel` is no type of a column
      |
    2 | id = "seriel primary key"
      |      ^^^^^^^^^^^^^^^^^^^^
    hint: did you mean `serial`?
    "#);
    assert_snapshot!(refused("[postgres.tables.call]\nid = \"integer default\"\n"), @r#"
    config.toml:2:6: "integer default" cannot be `postgres.tables.call.id`: `default` says no value
      |
    2 | id = "integer default"
      |      ^^^^^^^^^^^^^^^^^
    hint: such as default now() or default ''
    "#);
}

#[test]
fn a_password_is_there_and_one_line() {
    assert_snapshot!(refused("[postgres]\npassword = \"\"\n"), @r#"
    config.toml:2:12: "" cannot be `postgres.password`: a password cannot be empty
      |
    2 | password = ""
      |            ^^
    "#);
    assert_snapshot!(refused("[postgres]\npassword = \"\"\"a\nb\"\"\"\n"), @r#"
    config.toml:2:12: """a… cannot be `postgres.password`: a password is one line without control characters
      |
    2 | password = """a
      |            ^^^^
    "#);
    assert_snapshot!(refused("[postgres]\npassword = { env = \"DWENV_TEST_UNSET\" }\n"), @r#"
    config.toml:2:20: "DWENV_TEST_UNSET" cannot be `postgres.password.env`: it is not set
      |
    2 | password = { env = "DWENV_TEST_UNSET" }
      |                    ^^^^^^^^^^^^^^^^^^
    hint: set DWENV_TEST_UNSET in the environment that dwenv runs in
    "#);
    assert_snapshot!(refused("[postgres]\npassword = { env = \"A B\" }\n"), @r#"
    config.toml:2:20: "A B" cannot be `postgres.password.env`: it is no name of an environment variable
      |
    2 | password = { env = "A B" }
      |                    ^^^^^
    "#);
    assert_snapshot!(refused("[postgres]\npassword = { file = \"secret\" }\n"), @r#"
    config.toml:2:21: "secret" cannot be `postgres.password.file`: there is no such file
      |
    2 | password = { file = "secret" }
      |                     ^^^^^^^^
    hint: looked for secret
    "#);
    assert_snapshot!(refused("[postgres]\npassword = { env = \"A\", file = \"b\" }\n"), @r#"
    config.toml:2:12: { env = "A", file = "b" } cannot be `postgres.password`: it names one source
      |
    2 | password = { env = "A", file = "b" }
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: { env = "VARIABLE" } or { file = "PATH" }
    "#);
    let content = refused_with(
        "[postgres]\npassword = { file = \"secret\" }\n",
        &[("secret", b"canary\nsecond line\n")],
    );
    assert_snapshot!(content, @r#"
    config.toml:2:21: "secret" cannot be `postgres.password.file`: a password is one line without control characters
      |
    2 | password = { file = "secret" }
      |                     ^^^^^^^^
    "#);
}

#[test]
fn files_are_there_small_text_and_inside_the_folder() {
    assert_snapshot!(refused("[postgres]\ncreate_schema = \"provision/schema.sql\"\n"), @r#"
    config.toml:2:17: "provision/schema.sql" cannot be `postgres.create_schema`: there is no such file
      |
    2 | create_schema = "provision/schema.sql"
      |                 ^^^^^^^^^^^^^^^^^^^^^^
    hint: looked for provision/schema.sql
    "#);
    assert_snapshot!(refused("[server]\nfiles = [\"../server.py\"]\n"), @r#"
    config.toml:2:10: "../server.py" cannot be in `server.files`: it leads out of its folder
      |
    2 | files = ["../server.py"]
      |          ^^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[server]\nfiles = [\"/etc/passwd\"]\n"), @r#"
    config.toml:2:10: "/etc/passwd" cannot be in `server.files`: it must be a relative path
      |
    2 | files = ["/etc/passwd"]
      |          ^^^^^^^^^^^^^
    "#);
    assert_snapshot!(refused("[server]\nfiles = [\"provision\\\\server.py\"]\n"), @r#"
    config.toml:2:10: "provision\\server.py" cannot be in `server.files`: folders are separated with / on every system
      |
    2 | files = ["provision\\server.py"]
      |          ^^^^^^^^^^^^^^^^^^^^^^
    hint: write provision/server.py
    "#);
    let one = |content: &[u8]| refused_with("[server]\nfiles = [\"x.py\"]\n", &[("x.py", content)]);
    assert_snapshot!(one(b" \n"), @r#"
    config.toml:2:10: "x.py" cannot be in `server.files`: the file is empty
      |
    2 | files = ["x.py"]
      |          ^^^^^^
    "#);
    assert_snapshot!(one(b"\xff\xfep\0"), @r#"
    config.toml:2:10: "x.py" cannot be in `server.files`: the file is not UTF-8 text
      |
    2 | files = ["x.py"]
      |          ^^^^^^
    hint: save it as UTF-8
    "#);
    assert_snapshot!(one(&vec![b'x'; 1024 * 1024 + 1]), @r#"
    config.toml:2:10: "x.py" cannot be in `server.files`: the file is larger than 1 MiB
      |
    2 | files = ["x.py"]
      |          ^^^^^^
    "#);
    assert_snapshot!(refused_with("[server]\nfiles = [\"x\"]\n", &[("x/y", b"y")]), @r#"
    config.toml:2:10: "x" cannot be in `server.files`: the file cannot be read (it is no file)
      |
    2 | files = ["x"]
      |          ^^^
    "#);
    let twice = refused_with(
        "[server]\nfiles = [\"a/x.py\", \"b/x.py\"]\n",
        &[("a/x.py", b"1"), ("b/x.py", b"2")],
    );
    assert_snapshot!(twice, @r#"
    config.toml:2:20: "b/x.py" cannot be in `server.files`: another file is already called x.py
      |
    2 | files = ["a/x.py", "b/x.py"]
      |                    ^^^^^^^^
    hint: in the box they all lie in one folder
    "#);
}

#[test]
#[cfg(unix)]
fn a_link_does_not_lead_out_of_the_folder() {
    let folder = folder("[server]\nfiles = [\"key\"]\n", &[]);
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("key")).unwrap();
    let error = load(&folder).unwrap_err();
    assert_snapshot!(told(&error, folder.path()), @r#"
    config.toml:2:10: "key" cannot be in `server.files`: it is a link that leads out of the folder
      |
    2 | files = ["key"]
      |          ^^^^^
    "#);
}

//! What would need quoting, and files and passwords that are not there or not what they should be.

use insta::assert_snapshot;

use crate::{folder, load, refused, refused_with, told};

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

#[test]
fn a_schema_file_is_one_transaction_or_told_with_its_line() {
    let file = |text: &str| {
        let config = "[postgres]\ncreate_schema = \"schema.sql\"\n";
        refused_with(config, &[("schema.sql", text.as_bytes())])
    };
    assert_snapshot!(file("BEGIN;\nCREATE TABLE a (id int);\nROLLBACK;\n"), @r#"
    config.toml:2:17: "schema.sql" cannot be `postgres.create_schema`: line 3 of schema.sql has ROLLBACK, which ends or changes the transaction
      |
    2 | create_schema = "schema.sql"
      |                 ^^^^^^^^^^^^
    hint: dwenv makes all changes to the tables in one transaction: all of the file, or nothing
    "#);
    assert_snapshot!(file("CREATE INDEX CONCURRENTLY i ON call (payload);\n"), @r#"
    config.toml:2:17: "schema.sql" cannot be `postgres.create_schema`: line 1 of schema.sql has CREATE INDEX CONCURRENTLY, which PostgreSQL does not run within a transaction
      |
    2 | create_schema = "schema.sql"
      |                 ^^^^^^^^^^^^
    hint: dwenv makes all changes to the tables in one transaction: all of the file, or nothing
    "#);
}

//! Keys and types: what is no declaration at all.

use insta::assert_snapshot;
use tempfile::TempDir;

use crate::{load, refused, refused_with, told};

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
    assert_snapshot!(refused("requires = 2\n"), @r#"
    config.toml:1:12: 2 cannot be `requires`: it must be text, and this is a whole number
      |
    1 | requires = 2
      |            ^
    hint: put it between quotes: `"2"`
    "#);
}

#[test]
fn what_is_no_toml_is_told_at_its_place() {
    assert_snapshot!(refused("name = \"x\"\n[box\ncpus = 2\n"), @r"
    config.toml:2:5: not TOML: unclosed table, expected `]`
      |
    2 | [box
      |     ^
    ");
    assert_snapshot!(refused("[box]\ncpus = 2\ncpus = 3\n"), @r"
    config.toml:3:1: not TOML: duplicate key
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
    hint: there are: source, repository, key_fingerprint, minimum, compose, images
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

/// Text without its quotes, and a path of Windows in them, are told in more than the parser's words.
#[test]
fn the_commonest_slips_have_a_hint() {
    for (slip, hint) in [
        ("[box]\nip = 192.168.33.10\n", "text stands between quotes"),
        ("name = docker\n", "text stands between quotes"),
        (
            "[server]\nfiles = [\"C:\\Users\\new\"]\n",
            "a backslash has a meaning",
        ),
    ] {
        let told = refused(slip);
        assert!(told.contains(&format!("hint: {hint}")), "{told}");
    }
}

#[test]
fn wrong_types_are_told() {
    assert_snapshot!(refused("name = 1\n"), @r#"
    config.toml:1:8: 1 cannot be `name`: it must be text, and this is a whole number
      |
    1 | name = 1
      |        ^
    hint: put it between quotes: `"1"`
    "#);
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
    assert_snapshot!(refused("[server]\nfiles = [\n  2026-11-01,\n]\n"), @r#"
    config.toml:3:3: 2026-11-01 cannot be in `server.files`: it must be text, and this is a date or time
      |
    3 |   2026-11-01,
      |   ^^^^^^^^^^
    hint: put it between quotes: `"2026-11-01"`
    "#);
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

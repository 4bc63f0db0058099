//! What an error tells.

use dwenv::error::{Error, ErrorKind, ExitCode};
use dwenv::output::style::Style;
use dwenv::output::{human, json};
use insta::assert_snapshot;
use serde_json::Value;

use super::{document, told};

fn refused() -> Error {
    Error::new(ErrorKind::Unreachable, "Nothing listens at 127.0.0.1 port 2222, where the box's SSH server should be")
        .because("Connection refused (os error 111)")
        .hint("Start the box, and wait until it says that it is ready; the first start takes a few minutes.")
        .hint("dwenv up --target vagrant --config https://example.org/a/very/long/path/config.toml")
}

fn misspelt() -> Error {
    Error::config("config.toml has an unknown key")
        .because("config.toml:3:1\n  |\n3 | memroy = 2048\n  | ^^^^^^")
        .hint("Did you mean `memory`?")
}

#[test]
fn errors_say_what_why_and_what_next() {
    assert_snapshot!(told(|out| human::error(out, &Style::PLAIN, &refused())), @r"
    error: Nothing listens at 127.0.0.1 port 2222, where the box's SSH server should
           be
      cause: Connection refused (os error 111)
      hint: Start the box, and wait until it says that it is ready; the first start
            takes a few minutes.
      hint: dwenv up --target vagrant --config https://example.org/a/very/long/path/config.toml
    ");
    assert_snapshot!(told(|out| human::error(out, &Style::PLAIN, &misspelt())), @r"
    error: config.toml has an unknown key
      cause:
        config.toml:3:1
          |
        3 | memroy = 2048
          | ^^^^^^
      hint: Did you mean `memory`?
    ");
}

#[test]
fn an_error_in_json_carries_its_exit_code() {
    assert_snapshot!(document(|out| json::error(out, &misspelt())), @r#"
    {
      "schema_version": 1,
      "error": {
        "kind": "config",
        "message": "config.toml has an unknown key",
        "cause": "config.toml:3:1\n  |\n3 | memroy = 2048\n  | ^^^^^^",
        "hints": [
          "Did you mean `memory`?"
        ],
        "exit_code": 2
      }
    }
    "#);
    let json: Value = serde_json::from_str(&document(|out| json::error(out, &refused()))).unwrap();
    assert_eq!(json["error"]["exit_code"], ExitCode::Undetermined as u8);
    assert_eq!(json["error"]["kind"], "unreachable");
}

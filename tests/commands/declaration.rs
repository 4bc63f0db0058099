//! What is wrong with a declaration.

use insta::assert_snapshot;

use super::place::Place;

#[test]
fn a_misspelt_key_is_shown_in_its_place() {
    let place = Place::new().with("config.toml", "name = \"lab\"\n\n[server]\nprot = 8080\n");
    assert_snapshot!(place.dwenv("doctor").ended(2), @r#"
        --- stderr ---
        error: config.toml:4:1: there is no key `prot` in [server]
                 |
               4 | prot = 8080
                 | ^^^^
          hint: Did you mean `port`?
        [exit 2]
        "#);
}

#[test]
fn a_wrong_declaration_is_a_document_too() {
    let place = Place::new().with("config.toml", "[box]\nip = \"192.168.33\"\n");
    let ran = place.dwenv("--format json provision --yes").ended(2);
    let error = &ran.document()["error"];
    assert_eq!(error["kind"], "config");
    assert_eq!(error["exit_code"], 2);
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("config.toml:2:6: ")
    );
    assert!(ran.err.starts_with("error: config.toml:2:6: "));
}

#[test]
fn another_file_and_a_file_that_is_not_there() {
    let place = Place::new().with("lab.toml", "requires = \">=99\"\nunknown = 1\n");
    assert_snapshot!(place.dwenv("doctor --config lab.toml").ended(2), @r#"
        --- stderr ---
        error: lab.toml:1:12: this workshop needs dwenv >=99, and this is dwenv 0.2.0
                 |
               1 | requires = ">=99"
                 |            ^^^^^^
          hint: Install the dwenv that its author names
        [exit 2]
        "#);
    assert_snapshot!(place.dwenv("doctor --config lba.toml").ended(2), @r#"
        --- stderr ---
        error: there is no lba.toml
          hint: `dwenv init` writes one to start from
        [exit 2]
        "#);
}

#[test]
fn a_secret_is_needed_by_who_logs_in_to_the_database_only() {
    let place = Place::new().with(
        "config.toml",
        "[postgres]\npassword = { env = \"DWENV_TEST_UNSET\" }\n",
    );
    place.dwenv("targets").ended(0);
    place.dwenv("doctor --list").ended(0);
    place.dwenv("lint").ended(0);
    let refused = place.dwenv("doctor").ended(2);
    assert!(refused.err.contains("DWENV_TEST_UNSET"), "{refused}");
}

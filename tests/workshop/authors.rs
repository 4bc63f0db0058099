//! The author's own checks, and what is not to be counted.

use dwenv::target::laptop::Os;

use crate::{accepted, refused};

#[test]
fn a_check_says_what_it_asks_and_what_it_expects() {
    let workshop = accepted(
        r#"
ignore = [{ id = "box.custom.git", reason = "for those who want it", until = "2027-01-31" }]

[checks.later]
title = "It is asked after git"
file = "~/notes"
needs = ["box.custom.git", "box.docker.daemon"]

[checks.git]
title = "Git is new enough"
command = "git --version"
version = ">=2.30, <3"
severity = "warn"
timeout = 20
hint = { all = "Install it", windows = "Install Git for Windows" }
"#,
    );
    let [later, git] = &workshop.checks[..] else {
        panic!("{:?}", workshop.checks);
    };
    assert_eq!(later.id, "box.custom.later");
    assert_eq!(later.needs, ["box.custom.git", "box.docker.daemon"]);
    assert_eq!(git.timeout.as_secs(), 20);
    assert_eq!(git.hint.on(Os::Windows), Some("Install Git for Windows"));
    assert_eq!(git.hint.on(Os::Linux), Some("Install it"));
    assert_eq!(workshop.ignores[0].until.unwrap().to_string(), "2027-01-31");
}

/// What is said about each of these, one after the other.
fn all_refused(configs: &[&str]) -> String {
    let told = configs.iter().map(|config| refused(config) + "\n\n");
    told.collect()
}

#[test]
fn an_id_that_no_check_has_is_told_with_those_that_are_near() {
    insta::assert_snapshot!(
        "an_id_that_no_check_has",
        all_refused(&[
            "ignore = [{ id = \"box.docker.demon\", reason = \"x\" }]\n",
            "[checks.a]\ntitle = \"A\"\nport = 1\nneeds = [\"nothing\"]\n",
        ])
    );
}

#[test]
fn a_check_that_is_wrong_is_pointed_at() {
    let one = |lines: &&str| refused(&format!("[checks.a]\ntitle = \"A\"\n{lines}\n")) + "\n\n";
    let told: String = [
        "command = \"true\"\nregex = 'a(b'",
        "command = \"java -version\"\nversion = \"21+\"",
        "commnad = \"true\"",
        "severity = \"warn\"",
        "severity = \"bad\"\nport = 1",
        "command = \"true\"\nport = 80",
        "port = 80\nrows = 1",
        "sql = \"select 1\"",
        "sql = \"select 1\"\nrows = 1\nplace = \"laptop\"",
        "http = \"https://127.0.0.1/\"",
        "http = \"127.0.0.1:8080\"",
        "port = 80\nroot = true",
        "command = \"id\"\nroot = \"yes\"",
        "command = \"id\"\nplace = \"laptop\"\nroot = true",
        "command = \"id\"\nneeds = [\"box.custom.a\"]",
        "command = \"id\"\ntimeout = 600",
        "command = \"id\"\nhint = { win = \"x\" }",
        "command = \" \"",
    ]
    .iter()
    .map(one)
    .collect();
    insta::assert_snapshot!("a_check_that_is_wrong", told);
    insta::assert_snapshot!(
        "a_check_that_is_named_wrong",
        all_refused(&[
            "[checks.\"A b\"]\ntitle = \"A\"\nport = 1\n",
            "[checks.a]\nport = 1\n",
            "checks = 1\n",
        ])
    );
}

#[test]
fn a_circle_of_checks_is_told_where_it_closes() {
    insta::assert_snapshot!(
        "a_circle_of_checks",
        refused(
            "[checks.a]\ntitle = \"A\"\nport = 1\nneeds = [\"box.custom.b\"]\n\n[checks.b]\ntitle = \"B\"\nport = 2\nneeds = [\"box.ssh\", \"box.custom.a\"]\n"
        )
    );
}

#[test]
fn what_is_ignored_has_a_reason_and_a_day_of_the_calendar() {
    insta::assert_snapshot!(
        "what_is_ignored",
        all_refused(&[
            "ignore = [{ id = \"box.disk\" }]\n",
            "ignore = [{ id = \"box.disk\", reason = \"x\", until = \"2027-02-30\" }]\n",
            "ignore = [{ id = \"box.disk\", reason = \"x\" }, { id = \"box.disk\", reason = \"y\" }]\n",
        ])
    );
}

/// The lines behind `# ` in the examples of config.toml.
#[test]
fn the_examples_in_config_toml_are_right() {
    let config = include_str!("../../config.toml");
    let (_, examples) = config.split_once("# Checks of your own").unwrap();
    let lines = examples.lines().filter_map(|line| line.strip_prefix("# "));
    let is_toml =
        |line: &&str| line.starts_with('[') || line.contains(" = ") && !line.starts_with("The ");
    let (ignore, checks): (Vec<&str>, Vec<&str>) = lines
        .filter(is_toml)
        .partition(|line| line.starts_with("ignore"));
    assert_eq!(ignore.len(), 1);
    let workshop = accepted(&format!("{}\n\n{}\n", ignore.join("\n"), checks.join("\n")));
    let ids: Vec<&str> = workshop
        .checks
        .iter()
        .map(|check| check.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "box.custom.git",
            "box.custom.notes",
            "laptop.custom.jupyter",
            "box.custom.page",
            "box.custom.fixtures"
        ]
    );
    assert_eq!(workshop.ignores.len(), 1);
}

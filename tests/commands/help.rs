//! Help, and a command line that is wrong.

use insta::assert_snapshot;

use super::place::Place;

const COMMANDS: &[&str] = &[
    "up",
    "provision",
    "doctor",
    "explain",
    "init",
    "lint",
    "ssh",
    "down",
    "destroy",
    "targets",
    "schema",
    "completions",
];

#[test]
fn the_version_is_one_line() {
    let ran = Place::new().dwenv("--version").ended(0);
    assert_eq!(ran.out, format!("dwenv {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_arguments_it_helps() {
    let place = Place::new();
    let ran = place.dwenv("").ended(2);
    assert_eq!(ran.out, "");
    assert_eq!(ran.err, place.dwenv("-h").ended(0).out);
}

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("../snapshots/help");
    for command in COMMANDS {
        let ran = place.dwenv(&format!("{command} --help")).ended(0);
        assert_eq!(ran.err, "");
        settings.bind(|| assert_snapshot!(*command, ran.out));
        let short = place.dwenv(&format!("{command} -h")).ended(0);
        assert!(short.out.len() <= ran.out.len(), "{command}");
    }
}

#[test]
fn a_misspelt_command_hears_the_one_that_was_meant() {
    assert_snapshot!(Place::new().dwenv("docter").ended(2), @r#"
        --- stderr ---
        error: unrecognized subcommand 'docter'

          tip: a similar subcommand exists: 'doctor'

        Usage: dwenv [OPTIONS] <COMMAND>

        For more information, try '--help'.
        [exit 2]
        "#);
}

#[test]
fn a_misspelt_option_hears_the_one_that_was_meant() {
    assert_snapshot!(Place::new().dwenv("doctor --targt sandbox").ended(2), @r#"
        --- stderr ---
        error: unexpected argument '--targt' found

          tip: a similar argument exists: '--target'

        Usage: dwenv doctor --target <TARGET>

        For more information, try '--help'.
        [exit 2]
        "#);
}

#[test]
fn verbose_and_quiet_exclude_each_other() {
    assert_snapshot!(Place::new().dwenv("doctor -v -q").ended(2), @r#"
        --- stderr ---
        error: the argument '--verbose' cannot be used with '--quiet'

        Usage: dwenv doctor --verbose

        For more information, try '--help'.
        [exit 2]
        "#);
}

#[test]
fn a_folder_that_is_not_there() {
    assert_snapshot!(Place::new().dwenv("-C nowhere doctor").ended(2), @r#"
        --- stderr ---
        error: there is no folder nowhere
        [exit 2]
        "#);
}

#[test]
fn completions_are_for_the_shell_that_was_asked_for() {
    let place = Place::new();
    for (shell, sign) in [
        ("bash", "complete -F _dwenv"),
        ("zsh", "#compdef dwenv"),
        ("fish", "complete -c dwenv"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ran = place.dwenv(&format!("completions {shell}")).ended(0);
        assert!(ran.out.contains(sign), "{shell}: {}", ran.out);
        assert_eq!(ran.err, "");
        for command in COMMANDS {
            assert!(ran.out.contains(command), "{shell} has no {command}");
        }
    }
    assert_snapshot!(place.dwenv("completions ksh").ended(2), @r#"
        --- stderr ---
        error: invalid value 'ksh' for '<SHELL>'
          [possible values: bash, elvish, fish, powershell, zsh]

          tip: a similar value exists: 'zsh'

        For more information, try '--help'.
        [exit 2]
        "#);
}

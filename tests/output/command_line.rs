//! The command line, its help, and its questions.

use dwenv::cli::{Cli, Command, command, format_asked};
use dwenv::error::{Error, ErrorKind, ExitCode};
use dwenv::events::BoxResult;
use dwenv::output::style::Style;
use dwenv::output::{Format, Verbosity, confirm, human};
use insta::assert_snapshot;

use super::commands::up;
use super::{run_of, told};

#[test]
fn only_a_clear_yes_is_a_yes() {
    let ask = |typed: &str| {
        let mut out = Vec::new();
        let answer = confirm::answer(&mut typed.as_bytes(), &mut out, &Style::PLAIN, "Go on?");
        (answer.unwrap(), String::from_utf8(out).unwrap())
    };
    assert_eq!(ask("y\n"), (Some(true), "Go on? [y/N] ".to_owned()));
    assert_eq!(ask("YES\r\n").0, Some(true));
    assert_eq!(ask("\n").0, Some(false));
    assert_eq!(ask("n\n").0, Some(false));
    for ended in ["", "y", "yep\n"] {
        assert_eq!(ask(ended).0, None, "the end of the input after {ended:?}");
    }
    let (answer, told) = ask("yep\ny\n");
    assert_eq!(answer, Some(true));
    assert_eq!(told.matches("Go on?").count(), 2);
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn options_for_every_command_stand_before_or_behind_it() {
    let parse = |line: &str| Cli::read(line.split(' '));
    let cli = parse("dwenv -C box --format json doctor --target a --target b -v").unwrap();
    assert_eq!(cli.global.targets, ["a", "b"]);
    assert_eq!(cli.global.format, Format::Json);
    assert_eq!(cli.global.verbosity(), Verbosity::Verbose);
    assert_eq!(cli.global.timeout, None);
    assert_eq!(
        parse("dwenv --target a doctor").unwrap().global.targets,
        ["a"]
    );
    let both = parse("dwenv --target a doctor --target b").unwrap();
    assert_eq!(both.global.targets, ["a", "b"]);
    let Command::Ssh { command } = parse("dwenv ssh -y -- docker ps -a").unwrap().command else {
        panic!("not ssh");
    };
    assert_eq!(command, ["docker", "ps", "-a"]);
    for wrong in [
        "dwenv",
        "dwenv doctor -q -v",
        "dwenv nonsense",
        "dwenv doctor --timeout 0",
    ] {
        assert_eq!(
            parse(wrong).unwrap_err().exit_code(),
            ExitCode::Usage as i32,
            "{wrong}"
        );
    }
}

#[test]
fn whoever_asks_for_json_is_known_before_the_rest_is_understood() {
    assert_eq!(
        format_asked(&["dwenv", "--format", "json", "--nonsense"]),
        Format::Json
    );
    assert_eq!(format_asked(&["dwenv", "--format=json"]), Format::Json);
    assert_eq!(
        format_asked(&["dwenv", "ssh", "--", "--format=json"]),
        Format::Human
    );
    assert_eq!(format_asked(&["dwenv", "--format"]), Format::Human);
}

#[test]
fn help_is_for_people_who_never_used_a_terminal() {
    let help = |long: bool| {
        let mut command = command().term_width(80);
        if long {
            command.render_long_help()
        } else {
            command.render_help()
        }
        .to_string()
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect::<String>()
    };
    assert_snapshot!(help(false), @r"
    Prepares your machine for a Docker workshop, and checks that it is ready

    Usage: dwenv [OPTIONS] <COMMAND>

    Commands:
      up           Start the box, set it up, and check that it is ready
      provision    Set the box up: install and configure what the workshop needs
      doctor       Check that everything is ready, and say how to mend what is not
      explain      Explain a check, a known failure, or an error that you paste
      init         Write the workshop's files into a folder, to read or to change
                   them
      lint         Look through a workshop's own files for what no longer works
      ssh          Log in to the box, or run a command there
      down         Stop the box; everything in it is kept
      destroy      Remove the box and everything in it
      targets      List the boxes that can be used here
      completions  Print a script that makes your shell complete dwenv's commands
      schema       Print the JSON Schema of a document that dwenv writes
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Options for every command:
      -C <DIR>                 Work in this folder instead of the current one
          --config <FILE|URL>  Read the workshop from this file or web address
          --target <TARGET>    Use this box; can be given several times
          --identity <FILE>    Log in to the box with this private key
          --timeout <TIME>     Give up on a box that has not let us in after this
                               long, such as `30s` or `2m`
          --format <FORMAT>    How results are told; junit and markdown are for
                               `doctor` only [default: human] [possible values:
                               human, json, ndjson, junit, markdown]
      -y, --yes                Answer every question with yes
      -v, --verbose            Tell everything: all checks, commands and timings
      -q, --quiet              Tell only results, warnings and errors
          --color <WHEN>       When to use colours [default: auto] [possible values:
                               auto, always, never]

    New here? Type `dwenv up`, and when it is done, `dwenv doctor`.
    ");
    assert_snapshot!(help(true), @r"
    Prepares your machine for a Docker workshop, and checks that it is ready

    Usage: dwenv [OPTIONS] <COMMAND>

    Commands:
      up           Start the box, set it up, and check that it is ready
      provision    Set the box up: install and configure what the workshop needs
      doctor       Check that everything is ready, and say how to mend what is not
      explain      Explain a check, a known failure, or an error that you paste
      init         Write the workshop's files into a folder, to read or to change
                   them
      lint         Look through a workshop's own files for what no longer works
      ssh          Log in to the box, or run a command there
      down         Stop the box; everything in it is kept
      destroy      Remove the box and everything in it
      targets      List the boxes that can be used here
      completions  Print a script that makes your shell complete dwenv's commands
      schema       Print the JSON Schema of a document that dwenv writes
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Options for every command:
      -C <DIR>
              Work in this folder instead of the current one

          --config <FILE|URL>
              Read the workshop from this file or web address

              Default: `config.toml` in the folder; where there is none, the
              workshop that is built into dwenv.

          --target <TARGET>
              Use this box; can be given several times

              `vagrant[:MACHINE]`, `sandbox[:NAME]`, `ssh://USER@HOST[:PORT]`, a
              name from `~/.ssh/config`, or one from `[target.NAME]` in config.toml.
              Several in one: `ssh://vagrant@192.168.33.[11-50]`; all of `[room]` in
              config.toml: `room`. Default: the box that `up` made or used last in
              this folder, else `vagrant`.

          --identity <FILE>
              Log in to the box with this private key

          --sudo-password-file <FILE>
              Read the password for sudo in the box from this file, which only you
              may read

              It is needed only where sudo asks for one. On a terminal you are
              asked, once for all boxes.

          --timeout <TIME>
              Give up on a box that has not let us in after this long, such as `30s`
              or `2m`

              Default: 10s, or up to 60s by `ConnectTimeout` in `~/.ssh/config`.

          --format <FORMAT>
              How results are told; junit and markdown are for `doctor` only

              Possible values:
              - human:    Text for a person
              - json:     One JSON document for a program
              - ndjson:   One JSON document a line, as things happen; the result is
                the last
              - junit:    JUnit's XML, for a build server
              - markdown: Markdown, to paste into a page or an issue

              [default: human]

          --log <FILE>
              Also write what happens into this file, a line each with its time;
              lines are added to what is there

      -y, --yes
              Answer every question with yes

      -v, --verbose
              Tell everything: all checks, commands and timings

      -q, --quiet
              Tell only results, warnings and errors

          --color <WHEN>
              When to use colours

              Possible values:
              - auto:   In a terminal that can show it
              - always: Everywhere, also in a file
              - never:  Nowhere

              [default: auto]

    Exit codes:
      0  Ready (warnings allowed), or done
      1  A check failed, or a change failed
      2  The command line or the configuration is wrong; nothing was touched
      3  Nothing failed, but something could not be determined: the box did not
         answer, refused the login, showed another host key, or was not tried
      4  Another run holds this box
      5  Interrupted: run it again
    ");
}

#[test]
fn the_exit_code_table_has_every_code() {
    let help = command().render_long_help().to_string();
    let table = help.split("Exit codes:").nth(1).unwrap();
    for code in [
        ExitCode::Ready,
        ExitCode::Failed,
        ExitCode::Usage,
        ExitCode::Undetermined,
        ExitCode::Locked,
        ExitCode::Interrupted,
    ] {
        assert!(table.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
    }
}

#[test]
fn a_box_that_does_not_come_up_says_why_under_its_own_heading() {
    let lost = Error::new(ErrorKind::Unreachable, "room-2 does not answer");
    let boxes = [
        ("sandbox".to_owned(), Ok(up())),
        ("ssh://anna@room-2".to_owned(), Err(lost)),
    ];
    assert_snapshot!(told(|out| human::up(out, &Style::PLAIN, &boxes, false)), @r"
    ssh://anna@room-2
    -----------------
    error: room-2 does not answer

       Target             Result
    ✓  sandbox            Ready for the workshop. http://192.168.33.10:8080
    ?  ssh://anna@room-2  room-2 does not answer.

    1 of 2 targets did not end well: mend the causes, then run
    `dwenv up --limit failed`.
    ");
    let json: serde_json::Value =
        serde_json::from_str(&run_of("up", &boxes, BoxResult::Up)).unwrap();
    assert_eq!(json["targets"][0]["target"], "sandbox");
    assert_eq!(json["targets"][1]["target"], "ssh://anna@room-2");
    assert_eq!(json["targets"][1]["error"]["kind"], "unreachable");
}

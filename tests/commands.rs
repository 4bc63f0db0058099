//! The built dwenv, as somebody at a terminal or a script meets it.

mod commands {
    pub mod place;
}

use std::fs;
use std::net::TcpListener;

use commands::place::Place;
use insta::assert_snapshot;

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

/// A port of this machine where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

// ---- help and usage

#[test]
fn the_version_is_one_line() {
    let ran = Place::new().dwenv("--version").ended(0);
    assert_eq!(ran.out, format!("dwenv {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn without_arguments_it_helps() {
    let ran = Place::new().dwenv("").ended(2);
    assert_snapshot!(ran, @r#"
        --- stderr ---
        Prepares your machine for a Docker workshop, and checks that it is ready

        Usage: dwenv [OPTIONS] <COMMAND>

        Commands:
          up           Start the box, set it up, and check that it is ready
          provision    Set the box up: install and configure what the workshop needs
          doctor       Check that everything is ready, and say how to mend what is not
          explain      Explain a check, a known failure, or an error that you paste
          init         Write the workshop's files into a folder, to read or to change them
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
              --timeout <SECONDS>  Give up on a box that has not let us in after so many seconds [default:
                                   10]
              --format <FORMAT>    How results are told; junit and markdown are for `doctor` only [default:
                                   human] [possible values: human, json, junit, markdown]
          -y, --yes                Answer every question with yes
          -v, --verbose            Tell everything: all checks, commands and timings
          -q, --quiet              Tell only results, warnings and errors
              --color <WHEN>       When to use colours [default: auto] [possible values: auto, always,
                                   never]

        New here? Type `dwenv up`, and when it is done, `dwenv doctor`.
        [exit 2]
        "#);
}

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("snapshots/help");
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

// ---- an attendee's first steps

#[test]
fn without_vagrant_doctor_says_just_that() {
    assert_snapshot!(Place::new().dwenv("doctor").ended(1), @r#"
        ✗ fail: Vagrant is installed and new enough [laptop.vagrant]
            Vagrant is not installed, or not on the PATH
          → Install it from https://developer.hashicorp.com/vagrant/install, then open a
            new terminal
            26 checks skipped because of laptop.vagrant

        27 checks: 1 fail, 26 skip
        1 problem to solve before the workshop: start with [laptop.vagrant] above.
        [exit 1]
        "#);
}

#[test]
fn without_vagrant_doctor_skips_everything_else() {
    let report = Place::new()
        .dwenv("doctor --format json")
        .ended(1)
        .document();
    assert_eq!(report["target"], "vagrant");
    assert_eq!(report["ready"], false);
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        let (id, status) = (
            check["id"].as_str().unwrap(),
            check["status"].as_str().unwrap(),
        );
        if id == "laptop.vagrant" {
            assert_eq!(status, "fail");
            assert_eq!(check["remedy"]["by"], "you");
        } else {
            assert_eq!(status, "skip", "{id}");
            assert_eq!(check["because"], "laptop.vagrant", "{id}");
        }
    }
    assert_eq!(report["counts"]["skip"], checks.len() - 1);
}

#[test]
fn without_vagrant_nothing_else_can_be_done_with_its_box() {
    let place = Place::new().with("Vagrantfile", "");
    for command in [
        "up",
        "provision",
        "provision --plan",
        "ssh",
        "down",
        "destroy --yes",
    ] {
        let ran = place.dwenv(&format!("{command} --target vagrant")).ended(1);
        insta::allow_duplicates! {
            assert_snapshot!(ran, @r#"
                --- stderr ---
                error: Vagrant is not installed, or not on the search path
                  hint: Install it from https://developer.hashicorp.com/vagrant/install, and
                        open a new terminal
                [exit 1]
                "#);
        }
    }
}

#[test]
fn quiet_keeps_to_results_and_verbose_tells_every_check() {
    let place = Place::new();
    let usual = place.dwenv("doctor").ended(1);
    let quiet = place.dwenv("doctor -q").ended(1);
    assert_eq!(quiet.err, "");
    assert_eq!(quiet.out, usual.out);
    let verbose = place.dwenv("doctor -v").ended(1);
    assert!(verbose.out.contains("[box.postgres.schema]"));
    assert!(verbose.out.lines().count() > 30, "{verbose}");
}

#[test]
fn no_targets() {
    assert_snapshot!(Place::new().dwenv("targets").ended(0), @r#"
        No targets are known in this folder.
        [exit 0]
        "#);
}

#[test]
fn declared_targets_are_listed() {
    let place = Place::new().with(
        "config.toml",
        "[target.room-1]\nhost = \"10.20.0.11\"\nport = 2222\nuser = \"debian\"\n",
    );
    assert_snapshot!(place.dwenv("targets").ended(0), @r#"
        Target  Provider  State  Address
        room-1  ssh              ssh://debian@10.20.0.11:2222
        [exit 0]
        "#);
    let listed = place.dwenv("targets --format json").ended(0).document();
    assert_eq!(listed["targets"][0]["name"], "room-1");
}

// ---- an author's files

#[test]
fn init_writes_everything_that_the_binary_carries() {
    let place = Place::new();
    assert_snapshot!(place.dwenv("init").ended(0), @r#"
        9 files were written into [SCRATCH]/folder.
            provision/Dockerfile
            provision/compose.yaml
            provision/create_db.sql
            provision/create_schema_and_fixtures.sql
            provision/docker-workshop.service
            provision/requirements.txt
            provision/server.py
            Vagrantfile
            config.toml
        → Change config.toml as you like, then run `dwenv up` there
        [exit 0]
        "#);
    assert!(place.read("config.toml").contains("[postgres.tables.call]"));
    assert!(place.read("Vagrantfile").contains("Vagrant.configure"));
    assert!(place.read("provision/server.py").contains("http.server"));
}

#[test]
fn init_into_a_folder_that_is_not_there_yet() {
    let place = Place::new();
    let ran = place.dwenv("init workshops/docker --format json").ended(0);
    let done = ran.document();
    assert_eq!(done["command"], "init");
    let shown = ["[SCRATCH]", "folder", "workshops", "docker"].join(std::path::MAIN_SEPARATOR_STR);
    assert_eq!(
        done["message"],
        format!("9 files were written into {shown}.")
    );
    assert_eq!(done["paths"].as_array().unwrap().len(), 9);
    assert!(
        place
            .read("workshops/docker/config.toml")
            .contains("requires")
    );
}

#[test]
fn init_again_finishes_what_is_missing_and_keeps_what_somebody_edited() {
    let place = Place::new();
    place.dwenv("init").ended(0);
    fs::remove_file(place.folder().join("provision/Dockerfile")).unwrap();
    assert_snapshot!(place.dwenv("init").ended(0), @r#"
        1 file was written into [SCRATCH]/folder.
            provision/Dockerfile
        → Change config.toml as you like, then run `dwenv up` there
        [exit 0]
        "#);
    assert_snapshot!(place.dwenv("init").ended(0), @r#"
        All files are in [SCRATCH]/folder already.
        → Change config.toml as you like, then run `dwenv up` there
        [exit 0]
        "#);
    place.write("provision/server.py", "# mine\n");
    assert_snapshot!(place.dwenv("init").ended(2), @r#"
        --- stderr ---
        error: provision/server.py in [SCRATCH]/folder would be overwritten;
               nothing was written
          hint: These files differ from what init writes: move them away, or give init
                an empty folder
        [exit 2]
        "#);
    assert_eq!(place.read("provision/server.py"), "# mine\n");
}

#[test]
fn init_after_a_change_of_the_box_writes_the_vagrantfile_anew() {
    let place = Place::new();
    place.dwenv("init").ended(0);
    let config = place.read("config.toml");
    place.write(
        "config.toml",
        &config.replace("192.168.33.10", "192.168.33.20"),
    );
    place.write("provision/server.py", "# mine\n");
    assert_snapshot!(place.dwenv("init").ended(0), @r#"
        1 file was written into [SCRATCH]/folder.
            Vagrantfile
        → Change config.toml as you like, then run `dwenv up` there
        [exit 0]
        "#);
    assert!(place.read("Vagrantfile").contains("192.168.33.20"));
}

#[test]
fn c_works_in_the_folder_that_it_names() {
    let place = Place::new();
    place.dwenv("init there").ended(0);
    let ran = place.dwenv("-C there init").ended(0);
    assert!(ran.out.contains("already"), "{ran}");
    assert!(!place.folder().join("config.toml").exists());
}

// ---- what is wrong with a declaration

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

// ---- targets

#[test]
fn targets_that_are_none() {
    let place = Place::new();
    let mut said = String::new();
    for target in [
        "room-1",
        "ftp://box",
        "vagrnt",
        "admin@box",
        "ssh://",
        "ssh://a:b@box",
    ] {
        let ran = place.dwenv(&format!("doctor --target {target}")).ended(2);
        assert_eq!(ran.out, "");
        said += &ran.err;
    }
    assert_snapshot!(said, @r#"
        error: there is no target `room-1`
          hint: Declare it: `[target.room-1]` with `host = …` in config.toml
          hint: Or give its address: `ssh://USER@room-1`
        error: `ftp://` is no kind of target
          hint: A target is `vagrant`, `vagrant:MACHINE`, `sandbox`, `sandbox:NAME`,
                `ssh://USER@HOST:PORT`, or a name from `[target.NAME]` or
                `~/.ssh/config`
        error: there is no target `vagrnt`
          hint: Did you mean `vagrant`?
        error: `admin@box` is no target
          hint: For a machine that SSH reaches, write `ssh://admin@box`
        error: there is no host in the target `ssh://`
          hint: Write `ssh://USER@HOST:PORT`; user and port may be left out
        error: a password stands in the target
          hint: Leave it out: a target is seen by everybody who lists processes
          hint: dwenv logs in with keys, or asks
        "#);
}

#[test]
fn a_closed_port() {
    let place = Place::new();
    let port = closed_port();
    let target = format!("ssh://admin@127.0.0.1:{port}");
    let without_port =
        |ran: &dyn std::fmt::Display| ran.to_string().replace(&port.to_string(), "PORT");
    let doctor = place.dwenv(&format!("doctor --target {target}")).ended(3);
    assert_snapshot!(without_port(&doctor), @r#"
        ? unknown: The box answers over SSH [box.ssh]
            ssh://admin@127.0.0.1:PORT refuses connections: nothing listens on port
            PORT: 127.0.0.1:PORT: Connection refused (os error 111)
          → Check the port, and that the SSH server runs there; a machine that is still
            starting refuses connections until it does
            24 checks skipped because of box.ssh

        25 checks: 1 unknown, 24 skip
        Could not tell: 1 check has no answer, start with [box.ssh] above.
        [exit 3]
        "#);
    let provision = place
        .dwenv(&format!("provision --target {target}"))
        .ended(3);
    assert_snapshot!(without_port(&provision), @r#"
        --- stderr ---
        error: ssh://admin@127.0.0.1:PORT refuses connections: nothing listens on port
               PORT
          cause: 127.0.0.1:PORT: Connection refused (os error 111)
          hint: Check the port, and that the SSH server runs there; a machine that is
                still starting refuses connections until it does
        [exit 3]
        "#);
    let up = place.dwenv(&format!("up --target {target}")).ended(3);
    assert_eq!(up.out, "");
}

#[test]
fn a_closed_port_as_a_document() {
    let place = Place::new();
    let target = format!("ssh://admin@127.0.0.1:{}", closed_port());
    let report = place
        .dwenv(&format!("doctor --format json --target {target}"))
        .ended(3)
        .document();
    assert_eq!(report["target"], target.as_str());
    assert_eq!(report["counts"]["unknown"], 1);
    assert_eq!(report["counts"]["fail"], 0);
    assert_eq!(report["checks"][0]["id"], "box.ssh");
    let ran = place
        .dwenv(&format!("provision --yes --format=json --target {target}"))
        .ended(3);
    assert_eq!(ran.document()["error"]["kind"], "unreachable");
}

#[test]
fn several_targets_are_one_document() {
    let place = Place::new();
    let one = format!("ssh://admin@127.0.0.1:{}", closed_port());
    let ran = place.dwenv(&format!(
        "doctor --target {one} --target vagrant --format json"
    ));
    let report = ran.ended(1).document();
    assert_eq!(report["ready"], false);
    assert_eq!(report["targets"][0]["target"], one.as_str());
    assert_eq!(report["targets"][1]["target"], "vagrant");
    let ran = place
        .dwenv(&format!("down --target {one} --target vagrant"))
        .ended(2);
    assert_snapshot!(ran, @r#"
        --- stderr ---
        error: this command takes one --target only
        [exit 2]
        "#);
}

#[test]
fn what_destroys_asks_first() {
    assert_snapshot!(Place::new().dwenv("destroy --target sandbox").ended(2), @r#"
        --- stderr ---
        error: nobody is there to say yes, so nothing was changed in the box
          hint: Add `--yes` to have it done without a question
        [exit 2]
        "#);
}

// ---- for programs

#[test]
fn a_usage_error_is_a_document_too() {
    let place = Place::new();
    for arguments in [
        "--format json docter",
        "doctor --format=json --targt x",
        "--format json",
        "doctor --format json -v -q",
        "completions --format json ksh",
        "provision --format json --timeout 0",
        "-C nowhere doctor --format json",
        "doctor --format json --target ftp://box",
    ] {
        let ran = place.dwenv(arguments).ended(2);
        let document = ran.document();
        assert_eq!(document["error"]["kind"], "usage", "{arguments}");
        assert_eq!(document["error"]["exit_code"], 2, "{arguments}");
        assert_ne!(ran.err, "", "{arguments}: people read it on stderr");
    }
}

#[test]
fn help_and_completions_are_not_json() {
    let place = Place::new();
    for arguments in [
        "--format json --help",
        "--format json --version",
        "--format json completions bash",
    ] {
        let ran = place.dwenv(arguments).ended(0);
        assert_ne!(ran.out, "", "{arguments}");
        assert!(!ran.out.starts_with('{'), "{arguments}");
    }
}

#[test]
fn colours_come_when_they_are_wanted() {
    let place = Place::new();
    let colored = |ran: commands::place::Ran| ran.ended(1).out.contains('\x1b');
    assert!(!colored(place.dwenv("doctor")), "no terminal");
    assert!(colored(place.dwenv("doctor --color always")));
    assert!(!colored(place.dwenv("doctor --color never")));
    let place = Place::new().variable("NO_COLOR", "1");
    assert!(!colored(place.dwenv("doctor")));
    assert!(
        colored(place.dwenv("doctor --color always")),
        "what was asked for counts more"
    );
    let place = Place::new()
        .variable("CLICOLOR_FORCE", "1")
        .variable("NO_COLOR", "1");
    assert!(!colored(place.dwenv("doctor")));
}

#[test]
fn a_terminal_without_unicode_gets_ascii() {
    let ran = Place::new()
        .variable("LC_ALL", "C")
        .dwenv("doctor")
        .ended(1);
    assert!(ran.out.is_ascii(), "{ran}");
}

/// `dwenv … | head -1`
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    use std::process::Stdio;
    let place = Place::new();
    for arguments in [&["completions", "bash"][..], &["doctor", "-v"], &["--help"]] {
        let mut child = place
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, "", "{arguments:?}");
        assert!(output.status.code().is_some(), "{arguments:?}");
    }
}

// ---- the laptop's programs

#[cfg(unix)]
mod laptop {
    use super::*;

    const VAGRANT: &str = r#"case $1 in
--version) echo "Vagrant 2.4.9" ;;
status)
  echo "1,default,metadata,provider,virtualbox"
  echo "1,default,provider-name,virtualbox"
  echo "1,default,state,not_created"
  ;;
*) echo "the stub does not know $*" >&2; exit 1 ;;
esac"#;

    fn place(vagrant: &str, virtualbox: &str) -> Place {
        Place::new()
            .with("Vagrantfile", "Vagrant.configure(\"2\") { |config| }\n")
            .program("vagrant", vagrant)
            .program("VBoxManage", virtualbox)
    }

    #[test]
    fn a_box_that_was_not_made_yet() {
        let place = place(VAGRANT, "echo 7.2.4r170995");
        assert_snapshot!(place.dwenv("doctor").ended(3), @r#"
            ? unknown: The box answers over SSH [box.ssh]
                the Vagrant machine `default` is not created yet
              → Make it: `dwenv up`
                24 checks skipped because of box.ssh

            27 checks: 2 pass, 1 unknown, 24 skip
            Could not tell: 1 check has no answer, start with [box.ssh] above.
            [exit 3]
            "#);
        assert_snapshot!(place.dwenv("provision").ended(3), @r#"
            --- stderr ---
            error: the Vagrant machine `default` is not created yet
              hint: Make it: `dwenv up`
            [exit 3]
            "#);
    }

    #[test]
    fn without_a_vagrantfile_there_is_no_box_to_look_for() {
        let place = place(VAGRANT, "echo 7.2.4r170995");
        fs::remove_file(place.folder().join("Vagrantfile")).unwrap();
        assert_snapshot!(place.dwenv("doctor").ended(2), @r#"
            --- stderr ---
            error: there is no Vagrantfile in [SCRATCH]/folder or above
              hint: Write the workshop's files here: `dwenv init`
              hint: Or go to the workshop's folder, or name it: `dwenv -C FOLDER …`
            [exit 2]
            "#);
    }

    #[test]
    fn virtualbox_is_missing() {
        let place = Place::new()
            .with("Vagrantfile", "")
            .program("vagrant", VAGRANT);
        assert_snapshot!(place.dwenv("doctor").ended(1), @r#"
            ✗ fail: VirtualBox is installed, new enough, and known to this Vagrant
                [laptop.virtualbox]
                VirtualBox is not installed, or not on the PATH
              → Install it from https://www.virtualbox.org/wiki/Downloads, then open a new
                terminal
                25 checks skipped because of laptop.virtualbox

            27 checks: 1 pass, 1 fail, 25 skip
            1 problem to solve before the workshop: start with [laptop.virtualbox] above.
            [exit 1]
            "#);
    }

    #[test]
    fn virtualbox_is_newer_than_this_vagrant() {
        let place = place(&VAGRANT.replace("2.4.9", "2.3.4"), "echo 7.1.0r164728");
        assert_snapshot!(place.dwenv("doctor").ended(1), @r#"
            ✗ fail: VirtualBox is installed, new enough, and known to this Vagrant
                [laptop.virtualbox]
                Vagrant 2.3.4 does not know VirtualBox 7.1.0
              → Install Vagrant 2.4.2 or newer from
                https://developer.hashicorp.com/vagrant/install
                25 checks skipped because of laptop.virtualbox

            27 checks: 1 pass, 1 fail, 25 skip
            1 problem to solve before the workshop: start with [laptop.virtualbox] above.
            [exit 1]
            "#);
    }

    #[test]
    fn vagrant_is_too_old() {
        let place = place("echo Vagrant 2.2.6", "echo 6.1.50r161033");
        assert_snapshot!(place.dwenv("doctor").ended(1), @r#"
            ✗ fail: Vagrant is installed and new enough [laptop.vagrant]
                Vagrant is 2.2.6; the workshop needs 2.2.19 or newer
              → Install a newer one from https://developer.hashicorp.com/vagrant/install
                26 checks skipped because of laptop.vagrant

            27 checks: 1 fail, 26 skip
            1 problem to solve before the workshop: start with [laptop.vagrant] above.
            [exit 1]
            "#);
    }

    #[test]
    fn vagrant_does_not_start() {
        let place = place("echo 'ruby: not found' >&2; exit 127", "echo 7.2.4r170995");
        assert_snapshot!(place.dwenv("doctor").ended(1), @r#"
            ✗ fail: Vagrant is installed and new enough [laptop.vagrant]
                Vagrant is there, but does not work: ruby: not found
              → Install it again, from https://developer.hashicorp.com/vagrant/install
                26 checks skipped because of laptop.vagrant

            27 checks: 1 fail, 26 skip
            1 problem to solve before the workshop: start with [laptop.vagrant] above.
            [exit 1]
            "#);
    }

    #[test]
    fn the_warning_of_a_missing_kernel_module_is_no_version() {
        let place = place(
            VAGRANT,
            "echo 'WARNING: The vboxdrv kernel module is not loaded.'; echo 7.0.20r163906",
        );
        let report = place.dwenv("doctor --format json").ended(3).document();
        assert_eq!(report["checks"][1]["id"], "laptop.virtualbox");
        assert_eq!(report["checks"][1]["status"], "pass");
    }
}

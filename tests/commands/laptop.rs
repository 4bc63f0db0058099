//! The laptop's programs, played by scripts.

use std::fs;

use insta::assert_snapshot;

use super::place::Place;

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
    // The laptop that the tests run on may have faults of its own: they are not looked at here.
    let report = place.dwenv("doctor --format json").out;
    let words = "the Vagrant machine `default` is not created yet";
    assert!(report.contains(words), "{report}");
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
          hint: Write the workshop's files here: `dwenv init`, with the same `--config`
                where you gave one
          hint: Or go to the workshop's folder, or name it: `dwenv -C FOLDER …`
        [exit 2]
        "#);
}

/// An attendee has downloaded one file and knows one command.
#[test]
fn in_an_empty_folder_up_writes_the_workshop_that_dwenv_carries() {
    let place = place(VAGRANT, "echo 7.2.4r170995");
    fs::remove_file(place.folder().join("Vagrantfile")).unwrap();
    let unasked = place.dwenv("up --target vagrant").ended(2);
    assert!(unasked.err.contains("there is no Vagrantfile"), "{unasked}");
    assert_eq!(fs::read_dir(place.folder()).unwrap().count(), 0);

    let written = place.dwenv("up --target vagrant --yes");
    let note = "9 files of the workshop were written into";
    assert!(written.err.contains(note), "{written}");
    let built_in = include_str!("../../config.toml");
    assert_eq!(place.read("config.toml"), built_in);
    assert!(place.read("Vagrantfile").contains("192.168.33.10"));

    // Somebody's own declaration is not written over, and asks for its own Vagrantfile.
    fs::remove_file(place.folder().join("Vagrantfile")).unwrap();
    let own = place.dwenv("up --target vagrant --yes").ended(2);
    assert!(own.err.contains("`dwenv init`"), "{own}");
}

#[test]
fn in_an_empty_folder_up_writes_the_workshop_that_it_is_given() {
    let place = place(VAGRANT, "echo 7.2.4r170995");
    fs::remove_file(place.folder().join("Vagrantfile")).unwrap();
    let place = place.with("../theirs.toml", "[box]\nmemory_mb = 4096\n");
    let up = "up --target vagrant --yes --config ../theirs.toml";
    let written = place.dwenv(up);
    let note = "2 files of the workshop were written into";
    assert!(written.err.contains(note), "{written}");
    assert_eq!(place.read("config.toml"), place.read("../theirs.toml"));
    assert!(place.read("Vagrantfile").contains("4096"));
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
            59 checks skipped because of laptop.virtualbox

        61 checks: 1 pass, 1 fail, 59 skip
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
            59 checks skipped because of laptop.virtualbox

        61 checks: 1 pass, 1 fail, 59 skip
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
            60 checks skipped because of laptop.vagrant

        61 checks: 1 fail, 60 skip
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
            60 checks skipped because of laptop.vagrant

        61 checks: 1 fail, 60 skip
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
    let report = place.dwenv("doctor --format json").document();
    assert_eq!(report["checks"][1]["id"], "laptop.virtualbox");
    assert_eq!(report["checks"][1]["status"], "pass");
}

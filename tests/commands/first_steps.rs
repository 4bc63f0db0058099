//! An attendee's first steps.

use insta::assert_snapshot;

use super::place::Place;

#[test]
fn without_vagrant_doctor_says_just_that() {
    assert_snapshot!(Place::new().dwenv("doctor").ended(1), @r#"
        ✗ fail: Vagrant is installed and new enough [laptop.vagrant]
            Vagrant is not installed, or not on the PATH
          → Install it from https://developer.hashicorp.com/vagrant/install, then open a
            new terminal
            60 checks skipped because of laptop.vagrant

        61 checks: 1 fail, 60 skip
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
        No targets are known in this folder. `dwenv init` writes the workshop's files, and `dwenv up` makes its box.
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

#[test]
fn init_writes_the_workshop_that_it_is_asked_for_with_the_files_that_it_names() {
    let place = Place::new()
        .with(
            "theirs/other.toml",
            "[box]\nmemory_mb = 4096\n[server]\nfiles = [\"lab/server.py\"]\n\
             [checks.editor]\ntitle = \"An editor is there\"\nplace = \"laptop\"\ncommand = \"true\"\n",
        )
        .with("theirs/lab/server.py", "print('theirs')\n")
        .with("theirs/notes.txt", "not the workshop's\n");
    place.dwenv("init new --config theirs/other.toml").ended(0);
    let names = ["new/config.toml", "new/lab/server.py"];
    let originals = ["theirs/other.toml", "theirs/lab/server.py"];
    assert_eq!(
        names.map(|name| place.read(name)),
        originals.map(|name| place.read(name))
    );
    assert!(place.read("new/Vagrantfile").contains("4096"));
    assert!(!place.folder().join("new/notes.txt").exists());
    let again = place.dwenv("init new --config theirs/other.toml").ended(0);
    assert!(again.out.contains("All files are in "), "{again}");

    // In a folder that has another one, nothing is written.
    let place = place.with("mine/config.toml", "[server]\nport = 9191\n");
    let ran = place.dwenv("init mine --config theirs/other.toml").ended(2);
    assert!(ran.err.contains("config.toml in "), "{ran}");
    assert!(ran.err.contains("would be overwritten"), "{ran}");
    assert!(!place.folder().join("mine/Vagrantfile").exists());
}

/// What a workshop brings must not be taken for Vagrant's, dwenv's or a shell's own file.
#[test]
fn init_writes_no_file_that_another_program_obeys() {
    for name in [
        "Vagrantfile",
        "lab/vagrantfile",
        "config.toml",
        ".bash_profile",
        ".ssh/authorized_keys",
        ".ssh/.dockerignore",
    ] {
        let config = format!("[server]\nfiles = [\"{name}\"]\n");
        let place = Place::new()
            .with("theirs/other.toml", &config)
            .with(&format!("theirs/{name}"), "theirs\n");
        let ran = place.dwenv("init new --config theirs/other.toml").ended(2);
        let told = format!("the workshop names {name} as a file");
        assert!(ran.err.replace("\n      ", "").contains(&told), "{ran}");
        assert!(!place.folder().join("new").exists());
    }
    let config = "[server]\nfiles = [\"lab/.dockerignore\"]\n";
    let place = Place::new()
        .with("theirs/other.toml", config)
        .with("theirs/lab/.dockerignore", "*\n");
    place.dwenv("init new --config theirs/other.toml").ended(0);
    assert_eq!(place.read("new/lab/.dockerignore"), "*\n");
}

#[test]
fn what_is_shared_is_not_told_beside() {
    let place = Place::new();
    for beside in ["--log run.log", "--format ndjson"] {
        let ran = place.dwenv(&format!("doctor --share {beside}")).ended(2);
        assert!(ran.to_string().contains("--share leaves"), "{ran}");
    }
    assert_eq!(place.dwenv("doctor --share -v").ended(1).err, "");
}

#[test]
fn a_sandbox_asks_nothing_of_the_laptop_ahead() {
    let place = Place::new();
    let ran = place.dwenv("doctor --before --target sandbox").ended(2);
    assert!(ran.err.contains("asks nothing of the laptop"), "{ran}");
}

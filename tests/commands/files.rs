//! An author's files.

use std::fs;

use insta::assert_snapshot;

use super::place::Place;

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
fn init_into_a_file_is_told_so() {
    let place = Place::new().with("notes", "");
    let ran = place.dwenv("init notes").ended(2);
    assert!(ran.err.contains("notes is a file, and"), "{ran}");
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

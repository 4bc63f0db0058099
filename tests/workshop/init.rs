//! `dwenv init` and the `Vagrantfile` that follows from the declaration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dwenv::error::ErrorKind;
use dwenv::workshop::{self, Secrets, Workshop, init, vagrantfile};
use tempfile::TempDir;

fn read(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn an_empty_folder_gets_everything_and_a_second_time_nothing() {
    let folder = TempDir::new().unwrap();
    let first = init(folder.path()).unwrap();
    assert_eq!(first.written.len(), 9, "{first:?}");
    assert_eq!(
        read(&folder, "config.toml"),
        fs::read_to_string(root().join("config.toml")).unwrap()
    );
    assert!(folder.path().join("provision/server.py").is_file());
    let workshop = workshop::load(&folder.path().join("config.toml"), Secrets::Read).unwrap();
    let inside = Workshop::builtin().unwrap();
    assert_eq!(
        format!("{:?}", workshop.server),
        format!("{:?}", inside.server)
    );
    let second = init(folder.path()).unwrap();
    assert_eq!((second.written.len(), second.unchanged.len()), (0, 9));
}

#[test]
fn a_run_that_was_cut_off_is_finished_by_the_next() {
    let folder = TempDir::new().unwrap();
    init(folder.path()).unwrap();
    for path in ["config.toml", "provision/Dockerfile"] {
        fs::remove_file(folder.path().join(path)).unwrap();
    }
    let again = init(folder.path()).unwrap();
    assert_eq!(
        again.written,
        ["provision/Dockerfile", "config.toml"].map(PathBuf::from)
    );
}

#[test]
fn a_changed_declaration_gives_a_changed_vagrantfile_and_touches_nothing_else() {
    let folder = TempDir::new().unwrap();
    init(folder.path()).unwrap();
    let config = read(&folder, "config.toml").replace("memory_mb = 2048", "memory_mb = 4096");
    fs::write(folder.path().join("config.toml"), &config).unwrap();
    fs::write(folder.path().join("provision/server.py"), "print('mine')\n").unwrap();
    let again = init(folder.path()).unwrap();
    assert_eq!(again.written, [PathBuf::from("Vagrantfile")]);
    assert!(read(&folder, "Vagrantfile").contains("virtualbox.memory = 4096"));
    assert_eq!(read(&folder, "config.toml"), config);
    assert_eq!(read(&folder, "provision/server.py"), "print('mine')\n");
}

#[test]
fn somebodys_files_are_named_and_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("provision")).unwrap();
    fs::write(folder.path().join("provision/server.py"), "print('mine')\n").unwrap();
    fs::write(folder.path().join("Vagrantfile"), "# mine\n").unwrap();
    let error = init(folder.path()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert!(
        error
            .message
            .starts_with("provision/server.py, Vagrantfile in "),
        "{error}"
    );
    assert!(!folder.path().join("config.toml").exists());
    assert_eq!(read(&folder, "Vagrantfile"), "# mine\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_vagrantfile_that_somebody_edited_is_left_alone() {
    let folder = TempDir::new().unwrap();
    init(folder.path()).unwrap();
    let edited = read(&folder, "Vagrantfile").replace("boot_timeout = 600", "boot_timeout = 900");
    fs::write(folder.path().join("Vagrantfile"), &edited).unwrap();
    assert_eq!(init(folder.path()).unwrap_err().kind, ErrorKind::Usage);
    assert_eq!(read(&folder, "Vagrantfile"), edited);
}

#[test]
fn other_line_ends_are_no_difference() {
    let folder = TempDir::new().unwrap();
    init(folder.path()).unwrap();
    for path in ["config.toml", "Vagrantfile", "provision/create_db.sql"] {
        let text = read(&folder, path).replace('\n', "\r\n");
        fs::write(folder.path().join(path), text).unwrap();
    }
    assert_eq!(init(folder.path()).unwrap().written, Vec::<PathBuf>::new());
}

#[test]
fn a_wrong_declaration_is_told_before_anything_is_written() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("config.toml"), "nam = 1\n").unwrap();
    assert_eq!(init(folder.path()).unwrap_err().kind, ErrorKind::Config);
    assert!(!folder.path().join("Vagrantfile").exists());
}

/// To bring it up to date: delete it, and run `dwenv init` in the root of the project.
#[test]
fn the_projects_vagrantfile_is_the_generated_one() {
    let generated = vagrantfile(&Workshop::builtin().unwrap());
    let present = fs::read_to_string(root().join("Vagrantfile")).unwrap();
    assert_eq!(present.replace("\r\n", "\n"), generated);
}

#[test]
fn the_vagrantfile_avoids_what_broke_in_older_ones() {
    let text = vagrantfile(&Workshop::builtin().unwrap());
    for word in ["box_url", "nfs", ".dev\"", "trusty", "0.0.0.0"] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(text.contains(r#"ip: "192.168.33.10""#));
    assert!(text.contains(r#"guest: 8080, host: 8080, host_ip: "127.0.0.1""#));
}

#[test]
fn ruby_understands_the_vagrantfile() {
    let output = Command::new("ruby")
        .args(["-wc"])
        .arg(root().join("Vagrantfile"))
        .output()
        .expect("this test needs ruby (apt install ruby)");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert_eq!(complaints, "");
}

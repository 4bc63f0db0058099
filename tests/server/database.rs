//! A PostgreSQL of its own for one test: a cluster in a temporary folder, on a free port of the loopback.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dwenv::workshop::Workshop;
use tempfile::TempDir;

use super::program::free_port;

const DEADLINE: Duration = Duration::from_secs(60);

pub struct Database {
    pub port: u16,
    folder: TempDir,
    programs: PathBuf,
    server: Option<Child>,
}

impl Database {
    pub fn start() -> Self {
        let programs = newest_programs();
        let folder = TempDir::new().unwrap();
        if let Some((user, group)) = other_user() {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut database = Self {
            port: free_port(),
            folder,
            programs,
            server: None,
        };
        let output = database
            .command("initdb")
            .args([
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--username=postgres",
            ])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256", "-D"])
            .arg(database.data())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        database.resume();
        database
    }

    /// Starts the server (again) and waits until it answers.
    pub fn resume(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args([
                "-c",
                "listen_addresses=localhost",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=20",
                "-k",
            ])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.server = Some(command.spawn().unwrap());
        let since = Instant::now();
        while !self.psql("postgres", "SELECT 1").status.success() {
            assert!(
                since.elapsed() < DEADLINE,
                "PostgreSQL does not start: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops the server at once, as if the machine's PostgreSQL were stopped.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // SIGKILL would leave its shared memory behind.
            let _ = Command::new("kill")
                .args(["-INT", &server.id().to_string()])
                .status();
            let since = Instant::now();
            while matches!(server.try_wait(), Ok(None)) {
                if since.elapsed() > DEADLINE {
                    let _ = server.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Runs the workshop's SQL files, as the README of the box has it: the first as superuser, the second as
    /// the role.
    pub fn apply(&self, workshop: &Workshop) {
        let postgres = &workshop.postgres;
        self.sql("postgres", &postgres.create_database.content);
        let schema = format!(
            "SET ROLE {};\n{}",
            postgres.role, postgres.create_schema.content
        );
        let output = self.sql(&postgres.database, &schema);
        assert!(!output.contains("NOTICE"), "{output}");
    }

    /// What psql prints, which must succeed: columns separated by `|`.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let output = self.psql(database, text);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{complaints}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn psql(&self, database: &str, text: &str) -> std::process::Output {
        let mut child = Command::new(self.programs.join("psql"))
            .args([
                "-XqAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                database,
                "-h",
            ])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // psql may have ended already, which its exit status tells better.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Whether the role can log in over TCP with this password.
    pub fn login(&self, role: &str, password: &str) -> bool {
        Command::new(self.programs.join("psql"))
            .args([
                "-XqAt",
                "-U",
                role,
                "-d",
                "dockerworkshop",
                "-h",
                "127.0.0.1",
                "-c",
                "SELECT 1",
            ])
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", password)
            .output()
            .unwrap()
            .status
            .success()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs, as a user other than root, whom it refuses.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .current_dir(self.folder.path())
            .env("LC_ALL", "C.UTF-8");
        if let Some((user, group)) = other_user() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Debian keeps PostgreSQL's programs in a folder for each major version.
fn newest_programs() -> PathBuf {
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable();
    let newest = versions
        .pop()
        .expect("this test needs PostgreSQL in /usr/lib/postgresql (apt install postgresql)");
    Path::new("/usr/lib/postgresql")
        .join(newest.to_string())
        .join("bin")
}

/// User and group that stand in for root, if this is root: those that the package made.
fn other_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let fields = users
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == "postgres")
        .expect("this test, run by root, needs the user postgres (apt install postgresql)");
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

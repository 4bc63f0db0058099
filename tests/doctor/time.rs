//! Days ahead, again and again, and not for ever.

#[cfg(target_os = "linux")]
use std::fs;
use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::schema;
use crate::place::Place;

#[cfg(target_os = "linux")]
#[test]
fn days_ahead_only_the_laptop_is_looked_at() {
    let place = Place::new();
    let command = place.command(&["doctor", "--before", "--format", "json"]);
    let document = place.ran(without_network(&command)).ended(1).document();
    assert_eq!(schema::fault(&document), None);
    let checks = document["checks"].as_array().unwrap();
    for check in checks {
        let id = check["id"].as_str().unwrap();
        assert!(id.starts_with("laptop."), "{id}");
        assert!(!id.starts_with("laptop.reach"), "{id} needs a box");
    }
    let vagrant = checks
        .iter()
        .find(|check| check["id"] == "laptop.vagrant")
        .unwrap();
    assert_eq!(vagrant["status"], "fail");
}

/// The same command in a network of its own without a way out: days ahead the internet is asked too.
#[cfg(target_os = "linux")]
fn without_network(command: &Command) -> Command {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut alone = Command::new("/usr/bin/unshare");
    alone
        .args(["--map-root-user", "--net"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .stdin(Stdio::null())
        .env_clear()
        .envs(variables);
    alone
}

/// A program that hangs, and one that it started: no other process has this command line.
#[cfg(target_os = "linux")]
struct Hanging(String);

#[cfg(target_os = "linux")]
impl Hanging {
    fn new(number: u32) -> Self {
        Self(format!("/bin/sleep 77.{}{number}", std::process::id()))
    }

    fn script(&self) -> String {
        format!("{0} & {0}", self.0)
    }

    /// One that was killed keeps its command line until the kernel takes it away.
    fn ends(&self) {
        let is_this = |process: fs::DirEntry| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.trim_end() == self.0
        };
        let until = Instant::now() + Duration::from_secs(5);
        while fs::read_dir("/proc").unwrap().flatten().any(is_this) {
            assert!(Instant::now() < until, "`{}` lives on", self.0);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn days_ahead_what_hangs_costs_no_more_than_the_deadline() {
    const VAGRANT: &str = r#"case $1 in
--version) echo "Vagrant 2.4.9" ;;
status) echo "1,default,provider-name,virtualbox"; echo "1,default,state,not_created" ;;
esac"#;
    const VIRTUALBOX: &str = "echo 7.2.4r170995";
    let (program, other, own) = (Hanging::new(1), Hanging::new(2), Hanging::new(3));
    let check = format!(
        "[checks.slow]\ntitle = \"It hangs\"\nplace = \"laptop\"\ntimeout = 20\ncommand = \"{}\"\n",
        own.script()
    );
    for (vagrant, virtualbox, config, hanging, unknown) in [
        (
            VAGRANT,
            &program.script()[..],
            "",
            &program,
            "laptop.virtualbox",
        ),
        // It is asked for the provider first, and for its version after that.
        (&other.script(), VIRTUALBOX, "", &other, "laptop.vagrant"),
        (VAGRANT, VIRTUALBOX, &check, &own, "laptop.custom.slow"),
    ] {
        let place = Place::new()
            .with("Vagrantfile", "")
            .with("config.toml", config)
            .program("vagrant", vagrant)
            .program("VBoxManage", virtualbox)
            .program("kill", "exec /bin/kill \"$@\"")
            .program("sh", "exec /bin/sh \"$@\"");
        let line = ["doctor", "--before", "--deadline", "3s", "--format", "json"];
        let began = Instant::now();
        let ran = place.ran(without_network(&place.command(&line)));
        let took = began.elapsed();
        // Without the deadline they would take eight seconds, or a minute.
        assert!(took < Duration::from_secs(7), "{took:?}\n{ran}");
        let document = ran.document();
        assert_eq!(schema::fault(&document), None, "{ran}");
        let checks = document["checks"].as_array().unwrap();
        let status = |id: &str| {
            let check = checks.iter().find(|check| check["id"] == id);
            check.map(|check| check["status"].as_str().unwrap())
        };
        assert_eq!(status(unknown), Some("unknown"), "{ran}");
        // What nothing hangs at is judged all the same.
        if unknown != "laptop.vagrant" {
            assert_eq!(status("laptop.vagrant"), Some("pass"), "{ran}");
        }
        hanging.ends();
    }
}

#[test]
fn waiting_ends_with_the_last_state_only() {
    let began = Instant::now();
    let ran = Place::new()
        .dwenv("doctor --target ssh://debian@127.0.0.1:1 --wait 5s --format json")
        .ended(3);
    let document = ran.document();
    assert_eq!(document["counts"]["unknown"], 1);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "it looked once: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(
        ran.err.contains("box.ssh"),
        "the reason is told: {}",
        ran.err
    );
}

#[test]
fn a_silent_box_costs_no_more_than_the_deadline() {
    // It takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let line = format!(
        "doctor --target ssh://debian@127.0.0.1:{port} --timeout 60 --deadline 3s --format json"
    );
    let began = Instant::now();
    let document = Place::new().dwenv(&line).ended(3).document();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(document["checks"][0]["status"], "unknown");
    drop(silent);
}

//! Days ahead, again and again, and not for ever.

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

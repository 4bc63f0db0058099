//! `--deep` and `--strict`: what is asked more, what is not, and what counts more.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dwenv::target::sandbox::Suite;

use crate::workbox::Workbox;

#[test]
fn a_healthy_box_is_asked_more_only_where_somebody_wants_it() {
    let mut it = Workbox::provisioned(Suite::Trixie);
    let doctor = |it: &Workbox, more: &[&str]| {
        it.dwenv(&[&["doctor", "--target", "sandbox"], more].concat())
    };
    doctor(&it, &["-v"])
        .exit(0)
        .says("handshakes 1, execs 1, tunnels");
    doctor(&it, &["-v", "--deep"])
        .exit(0)
        .says("handshakes 1, execs 2, tunnels");
    let usual = doctor(&it, &["--format", "json"]).ready().checks();
    let deep = doctor(&it, &["--deep", "--format", "json"])
        .ready()
        .checks();
    assert!(deep.len() > usual.len());
    let deep_only = "box.dns";
    assert!(!usual.iter().any(|check| check.id == deep_only));
    assert!(deep.iter().any(|check| check.id == deep_only));

    // Nobody wants to know why what is skipped fails.
    it.run("sudo systemctl stop docker-workshop");
    doctor(&it, &["-v"]).exit(1).says("execs 2, tunnels");
    let skipping = ["-v", "--skip", "box.server", "--skip", "laptop.reach"];
    doctor(&it, &skipping).exit(0).says("execs 1, tunnels");
    it.run("sudo systemctl start docker-workshop");
    it.await_in_box("ss -Hltn 'sport = :8080' | grep -q .");

    // A warning spoils nothing, unless it is to.
    it.run("echo 'LC_ALL=\"xx_YY.UTF-8\"' | sudo tee /etc/default/locale >/dev/null");
    let warned = doctor(&it, &["--format", "json"]);
    assert_eq!(warned.exit(0).json()["ready"], true);
    assert_eq!(warned.json()["counts"]["warn"], 1);
    let strict = doctor(&it, &["--strict", "--format", "json"]);
    assert_eq!(strict.exit(1).json()["ready"], false);
    assert_eq!(strict.json()["counts"], warned.json()["counts"]);
    doctor(&it, &["--strict", "--format", "junit"]).exit(1);
    doctor(&it, &["--strict", "--skip", "box.locale"]).exit(0);

    nobody_on_the_internet_is_asked_on_the_day(&mut it);
}

/// Whoever is asked beyond the box is asked days ahead: in the room a bad network would hold everybody up.
fn nobody_on_the_internet_is_asked_on_the_day(it: &mut Workbox) {
    let path = programs(it);
    it.variable("PATH", &path);
    let asked = Arc::new(AtomicUsize::new(0));
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = format!("http://{}", proxy.local_addr().expect("an address"));
    let count = asked.clone();
    thread::spawn(move || {
        for stream in proxy.incoming() {
            // Whoever asks is hung up on.
            drop(stream);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    it.variable("http_proxy", &place);
    it.variable("https_proxy", &place);
    it.variable("no_proxy", &it.address().to_string());

    it.dwenv(&["doctor", "-v", "--deep", "--target", "vagrant"])
        .says("vagrant: handshakes 1, execs 2, tunnels");
    assert_eq!(asked.load(Ordering::SeqCst), 0, "on the day");
    it.dwenv(&["doctor", "--before", "--target", "vagrant"]);
    assert!(asked.load(Ordering::SeqCst) > 0, "days ahead");
}

/// A Vagrant that has one machine, which is the sandbox. The search path on which it stands first.
fn programs(it: &Workbox) -> String {
    let folder = it.lab().folder().join("programs");
    fs::create_dir_all(&folder).expect("a folder");
    let machine = it.machine();
    let ssh_config = format!(
        "Host default\n  HostName {}\n  User vagrant\n  Port {}\n  IdentityFile {}\n",
        machine.spec.address,
        machine.port,
        machine.identity.display()
    );
    let vagrant = format!(
        "case $1 in\n\
         --version) echo Vagrant 2.4.9 ;;\n\
         status) printf '%s\\n' 1,default,provider-name,virtualbox 1,default,state,running ;;\n\
         ssh-config) printf %s {} ;;\n\
         esac",
        dwenv::quote::sh(&ssh_config)
    );
    for (name, script) in [
        ("vagrant", vagrant.as_str()),
        ("VBoxManage", "echo 7.2.4r170995"),
    ] {
        let program = folder.join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    }
    let data = it.folder().join(".vagrant/machines/default/virtualbox");
    fs::create_dir_all(&data).expect("a folder");
    fs::write(data.join("id"), "an-id").expect("a file");
    fs::write(it.folder().join("Vagrantfile"), "").expect("a file");
    let usual = std::env::var("PATH").unwrap_or_default();
    format!("{}:{usual}", folder.display())
}

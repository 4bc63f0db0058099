//! Sandboxes, on real machines: made, started, found again, stopped, removed, and cleaned up after a
//! crash.
#![cfg(target_os = "linux")]

#[path = "support/sandbox.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dwenv::events::{Event, Events};
use dwenv::target::sandbox::{Running, Spec, State, Suite};
use support::{Lab, assert_host_is_clean, inits, names_in, run, said, shown, ssh, timed};

#[test]
fn a_sandbox_lives_through_up_down_up_and_destroy() {
    let lab = Lab::new();
    let spec = lab.spec("default", 10);
    let first = timed("up from nothing", || lab.up(&spec));
    assert_eq!(
        said(
            &first,
            "hostname; id -un; sudo -n id -un; date +%Z; echo $LANG"
        ),
        "default-box\nvagrant\nroot\nUTC\nC.UTF-8"
    );
    assert_eq!(said(&first, "cat /etc/machine-id"), first.id);
    assert_eq!(
        said(&first, "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"),
        first.host_public_key
    );
    assert_eq!(
        said(&first, "systemctl is-system-running --wait"),
        "running"
    );
    said(&first, "echo mine > note; sync");

    let again = timed("up of a running one", || lab.up(&spec));
    assert_eq!(
        (again.id, &again.host_public_key),
        (first.id.clone(), &first.host_public_key)
    );
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Running(_)))
    ));

    timed("down", || lab.store.down("default", &shown())).unwrap();
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Stopped(_)))
    ));
    assert_host_is_clean(&lab);
    lab.store
        .down("default", &shown())
        .expect("a second down has nothing to do");

    let back = timed("up of a stopped one", || lab.up(&spec));
    assert_eq!(said(&back, "cat note"), "mine");
    assert_eq!(back.host_public_key, first.host_public_key);

    timed("destroy", || lab.store.destroy("default", &shown())).unwrap();
    assert!(lab.store.find("default").unwrap().is_none());
    assert_host_is_clean(&lab);
    assert_eq!(names_in(&lab.folder().join("machines")), [""; 0]);
    assert_eq!(names_in(&lab.folder().join("bridges")), [""; 0]);
    lab.store
        .destroy("default", &shown())
        .expect("a second destroy has nothing to do");
}

#[test]
fn two_sandboxes_share_a_bridge_and_reach_each_other() {
    let lab = Lab::new();
    let one = lab.up(&lab.spec("one", 10));
    let (two, other) = thread::scope(|scope| {
        // Two runs at once: the second waits for the first and finds its machine.
        let spec = lab.spec("two", 11);
        let second = scope.spawn({
            let (lab, spec) = (&lab, spec.clone());
            move || lab.up(&spec)
        });
        (lab.up(&spec), second.join().unwrap())
    });
    assert_eq!(two.id, other.id);
    assert_ne!(
        (&one.id, &one.host_public_key),
        (&two.id, &two.host_public_key)
    );

    let reach = |from: &Running, to: &Running| {
        let probe = format!(
            "timeout 5 bash -c 'head -c 4 </dev/tcp/{}/22'",
            to.spec.address
        );
        assert_eq!(said(from, &probe), "SSH-");
    };
    reach(&one, &two);
    reach(&two, &one);
    let clash = Spec {
        address: lab.address(11),
        ..lab.spec("three", 12)
    };
    let error = lab.store.up(&clash, &shown()).unwrap_err();
    assert!(
        error.message.contains("`two` already has the address"),
        "{error}"
    );

    let names: Vec<_> = lab
        .store
        .list()
        .unwrap()
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(names, ["one", "three", "two"]);
    lab.store.down("one", &shown()).unwrap();
    assert_eq!(said(&two, "echo still here"), "still here");
    said(&two, "sudo apt-get update -qq");
    lab.store.destroy("two", &shown()).unwrap();
    assert_host_is_clean(&lab);
}

#[test]
fn a_network_that_is_in_use_is_refused_and_named() {
    let lab = Lab::new();
    let link = Link::new(&lab);
    let error = lab
        .store
        .up(&lab.spec("default", 10), &shown())
        .unwrap_err();
    assert!(error.message.contains(&link.0), "{error}");
    drop(link);
    assert_host_is_clean(&lab);
    lab.up(&lab.spec("default", 10));
}

#[test]
fn what_a_crash_leaves_is_cleaned_up() {
    let lab = Lab::new();
    let spec = lab.spec("default", 10);
    let home = lab.folder().join("machines/default");

    // Cut while it was copied.
    let half = lab.folder().join("machines/.default.new");
    fs::create_dir_all(half.join("root/etc")).unwrap();
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Broken(_)))
    ));
    let first = lab.up(&spec);
    assert!(!half.exists());

    // systemd-nspawn killed the hard way: the machine lives on without it.
    said(&first, "echo mine > note; sync");
    kill(recorded(&home.join("run/supervisor")));
    kill(recorded(&home.join("run/nspawn")));
    thread::sleep(Duration::from_millis(300));
    assert_eq!(said(&first, "cat note"), "mine");
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Broken(_)))
    ));
    let second = lab.up(&spec);
    assert_eq!(said(&second, "cat note"), "mine");
    assert_eq!(inits(&home).len(), 1, "the old machine has ended");

    // All records of what runs are lost: up finds it by its root folder.
    fs::remove_dir_all(home.join("run")).unwrap();
    let third = lab.up(&spec);
    assert_eq!(said(&third, "cat note"), "mine");
    assert_eq!(inits(&home).len(), 1);

    // Cut while it was removed, with the machine's record gone and the machine still running.
    fs::remove_dir_all(home.join("run")).unwrap();
    fs::remove_file(home.join("machine.json")).unwrap();
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Broken(_)))
    ));
    assert!(
        lab.store
            .up(&spec, &shown())
            .unwrap_err()
            .message
            .contains("damaged")
    );
    lab.store.destroy("default", &shown()).unwrap();
    assert_host_is_clean(&lab);

    // Cut between making the bridge and starting the machine.
    let fourth = lab.up(&spec);
    kill(recorded(&home.join("run/supervisor")));
    kill(inits(&home)[0]);
    thread::sleep(Duration::from_millis(500));
    assert!(run("iptables", &["-w", "-S", "FORWARD"]).contains(&lab.bridges()[0]));
    lab.store.destroy(&fourth.spec.name, &shown()).unwrap();
    assert_host_is_clean(&lab);
}

#[test]
fn a_sandbox_reboots_and_powers_off_from_inside() {
    let lab = Lab::new();
    let spec = lab.spec("default", 10);
    let first = lab.up(&spec);
    let boot = "cat /proc/1/stat | cut -d' ' -f22";
    let before = said(&first, boot);
    ssh(&first, "sudo systemctl reboot");
    let deadline = Instant::now() + Duration::from_secs(60);
    while ssh(&first, boot).stdout.trim_ascii() == before.as_bytes()
        || !ssh(&first, boot).status.success()
    {
        assert!(Instant::now() < deadline, "it did not come back");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(matches!(
        lab.store.find("default"),
        Ok(Some(State::Running(_)))
    ));

    ssh(&first, "sudo systemctl poweroff");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !matches!(lab.store.find("default"), Ok(Some(State::Stopped(_)))) {
        assert!(Instant::now() < deadline, "it did not end");
        thread::sleep(Duration::from_millis(200));
    }
    lab.up(&spec);
    lab.store.down("default", &shown()).unwrap();
    assert_host_is_clean(&lab);
}

#[test]
fn a_unit_killed_in_one_debian_13_lives_on_in_another() {
    a_killed_unit_is_one_machines_own(Suite::Trixie);
}

#[test]
fn a_unit_killed_in_one_debian_12_lives_on_in_another() {
    a_killed_unit_is_one_machines_own(Suite::Bookworm);
}

#[test]
fn docker_postgresql_and_hardened_services_work_in_debian_13() {
    workshop_programs_work(Suite::Trixie);
}

#[test]
fn docker_postgresql_and_hardened_services_work_in_debian_12() {
    workshop_programs_work(Suite::Bookworm);
}

#[test]
fn long_steps_tell_where_they_are_at_least_every_two_seconds() {
    let lab = Lab::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let events = Events::to(move |event| {
        let running = !matches!(event, Event::StepFinished { .. } | Event::StepFailed { .. });
        sink.lock().unwrap().push((Instant::now(), running, event));
    });
    lab.store.up(&lab.spec("default", 10), &events).unwrap();
    lab.store.destroy("default", &events).unwrap();
    let heard = heard.lock().unwrap();
    let at_work = heard.windows(2).filter(|pair| pair[0].1);
    let silences: Vec<_> = at_work
        .map(|pair| (pair[1].0 - pair[0].0, &pair[0].2))
        .filter(|(silence, _)| *silence > Duration::from_secs(2))
        .collect();
    // A computer that does much else may hold one of them up for a while.
    let is_held_up = |(silence, _): &(Duration, _)| *silence < Duration::from_secs(6);
    assert!(
        silences.len() < 2 && silences.iter().all(is_held_up),
        "{silences:?}"
    );
}

fn a_killed_unit_is_one_machines_own(suite: Suite) {
    let lab = Lab::new();
    let [one, two] = [("one", 10), ("two", 11)].map(|(name, last)| {
        let machine = lab.up(&Spec {
            suite,
            ..lab.spec(name, last)
        });
        said(
            &machine,
            "sudo systemd-run --quiet --unit=common sleep 1000; \
             sudo systemd-run --quiet --uid=nobody --unit=common-too sleep 1000",
        );
        machine
    });
    let state = "systemctl is-active common; systemctl is-system-running --wait";
    assert_eq!(said(&two, state), "active\nrunning");
    said(&one, "sudo systemctl kill -s KILL common");
    let ended =
        "until systemctl is-failed -q common; do sleep 0.1; done; systemctl is-active common-too";
    assert_eq!(said(&one, &format!("timeout 20 sh -c '{ended}'")), "active");
    assert_eq!(said(&two, state), "active\nrunning");
    // To stop a unit ends whatever stands in its group.
    said(&one, "sudo systemctl stop common-too");
    assert_eq!(said(&two, "systemctl is-active common-too"), "active");

    lab.store.down("one", &shown()).unwrap();
    assert_eq!(said(&two, state), "active\nrunning");
    lab.store.destroy("two", &shown()).unwrap();
    assert_host_is_clean(&lab);
}

fn workshop_programs_work(suite: Suite) {
    let lab = Lab::new();
    let spec = Spec {
        suite,
        ..lab.spec("box", 10)
    };
    let machine = timed("up", || lab.up(&spec));
    assert_eq!(
        said(&machine, "systemctl is-system-running --wait"),
        "running"
    );
    let release = said(&machine, ". /etc/os-release; echo $VERSION_CODENAME");
    assert_eq!(
        release,
        if suite == Suite::Trixie {
            "trixie"
        } else {
            "bookworm"
        }
    );
    // Debian 13 has the client in a package of its own.
    let client = if suite == Suite::Trixie {
        "docker-cli"
    } else {
        ""
    };
    timed("apt-get install", || {
        said(
            &machine,
            &format!(
                "sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y \
                 -qq --no-install-recommends docker.io {client} iptables postgresql busybox-static \
                 >/dev/null"
            ),
        )
    });
    said(&machine, "sudo docker info >/dev/null");
    said(
        &machine,
        "sudo tar -C / -c usr/bin/busybox | sudo docker import - tiny >/dev/null",
    );
    let container = said(
        &machine,
        "sudo docker run --rm -p 8080:80 tiny /usr/bin/busybox echo from a container",
    );
    assert_eq!(container, "from a container");
    assert_eq!(
        said(&machine, "cd /; sudo -u postgres psql -Atc 'select 40 + 2'"),
        "42"
    );
    // The options that a hardened service uses, all at once.
    let hardened = said(
        &machine,
        "echo hush | sudo tee /root/word >/dev/null; sudo systemd-run --quiet --pipe --wait \
         -p DynamicUser=yes -p ProtectSystem=strict -p PrivateTmp=yes -p ProtectHome=yes \
         -p NoNewPrivileges=yes -p PrivateDevices=yes -p ProtectKernelTunables=yes \
         -p ProtectControlGroups=yes -p RestrictNamespaces=yes -p LoadCredential=word:/root/word \
         sh -c 'cat \"$CREDENTIALS_DIRECTORY/word\"; ! touch /usr/x 2>/dev/null && touch /tmp/x && echo kept'",
    );
    assert_eq!(hardened, "hush\nkept");
    assert_eq!(
        said(
            &machine,
            "systemctl is-system-running; systemctl --failed --no-legend"
        ),
        "running"
    );

    // All of it again after a cold start.
    lab.store.down("box", &shown()).unwrap();
    let machine = lab.up(&spec);
    assert_eq!(
        said(&machine, "systemctl is-system-running --wait"),
        "running"
    );
    said(&machine, "sudo docker run --rm tiny /usr/bin/busybox true");
    timed("destroy", || lab.store.destroy("box", &shown())).unwrap();
    assert_host_is_clean(&lab);
}

/// The pid in a record that a process wrote of itself.
fn recorded(path: &Path) -> u32 {
    let line = fs::read_to_string(path).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    run("sh", &["-c", "kill -KILL \"$1\"", "sh", &pid.to_string()]);
}

/// A stranger's interface with an address in the lab's network.
struct Link(String);

impl Link {
    fn new(lab: &Lab) -> Self {
        let name = format!("stranger{}", lab.address(9).octets()[2]);
        run("ip", &["link", "add", &name, "type", "bridge"]);
        let link = Self(name);
        let address = format!("{}/24", lab.address(9));
        run("ip", &["address", "add", &address, "dev", &link.0]);
        link
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip")
            .args(["link", "delete", &self.0])
            .status();
    }
}

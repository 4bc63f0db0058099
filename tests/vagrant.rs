//! The real Vagrant, from nothing to a box and back to nothing.

#![cfg(target_os = "linux")]

#[path = "support/sample.rs"]
mod sample;
#[path = "support/vagrant_rig.rs"]
mod vagrant_rig;

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use dwenv::error::ErrorKind;
use dwenv::events::{Event, Events};
use dwenv::target::hostonly;
use dwenv::target::laptop::{self, Installed, Os};
use dwenv::target::vagrant::said::State;
use dwenv::target::{Located, Provider, Reach, Vagrant};
use dwenv::transport::endpoint::HostKeyPolicy;
use vagrant_rig::{MACHINE, Rig};

/// Runs a command in the box with OpenSSH, by what was located.
fn ssh(located: &Located, command: &str) -> String {
    let endpoint = &located.endpoint;
    let mut ssh = Command::new("ssh");
    for identity in &endpoint.identities {
        ssh.arg("-i").arg(identity);
    }
    let output = ssh
        .args(["-F", "none", "-p", &endpoint.port.to_string()])
        .args([
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "LogLevel=ERROR",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .arg(format!("{}@{}", endpoint.user, endpoint.host))
        .arg(command)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_real_vagrant_makes_stops_and_removes_a_box() {
    let began = Instant::now();
    let told = |what: &str| println!("{what} at {:.1} s", began.elapsed().as_secs_f64());
    let rig = Rig::start();
    told("rig ready");
    let workshop = sample::workshop();
    let nobody = Events::nowhere();
    let vagrant = Vagrant::in_folder(&rig.folder().join("."))
        .unwrap()
        .with_environment(rig.environment());

    let machines = vagrant.status().await.unwrap();
    assert_eq!(machines.len(), 1);
    assert_eq!(machines[0].name, MACHINE);
    assert_eq!(machines[0].provider, "docker");
    assert_eq!(machines[0].state, State::NotCreated);

    let missing = vagrant.locate(None, &workshop, &nobody).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::Unreachable);
    assert_eq!(
        missing.message,
        "the Vagrant machine `docker-workshop` is not created yet"
    );
    assert_eq!(missing.hints, ["make it: `dwenv up`"]);
    let wrong = vagrant
        .locate(Some("docker-workshp"), &workshop, &nobody)
        .await;
    assert_eq!(
        wrong.unwrap_err().hints,
        ["did you mean `vagrant:docker-workshop`?"]
    );

    let heard = Arc::new(Mutex::new(Vec::new()));
    let events = Events::to({
        let heard = Arc::clone(&heard);
        move |event| heard.lock().unwrap().push(event)
    });
    told("up begins");
    vagrant.up(None, &workshop, &events).await.unwrap();
    told("up done");
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert!(matches!(heard.first(), Some(Event::StepStarted { .. })));
    assert!(matches!(heard.last(), Some(Event::StepFinished { .. })));
    let says = |what: &str| {
        heard.iter().any(
            |event| matches!(event, Event::StepProgress { detail, .. } if detail.contains(what)),
        )
    };
    assert!(says("Machine booted and ready!"), "{heard:#?}");

    let asked = Instant::now();
    let located = vagrant.locate(None, &workshop, &nobody).await.unwrap();
    let asked = asked.elapsed();
    assert_eq!(located.endpoint.name, "vagrant");
    assert_eq!(located.endpoint.user, "vagrant");
    assert_eq!(located.provider, Provider::Vagrant("docker".into()));
    assert_eq!(
        located.reach,
        [Reach::Address(located.endpoint.host.clone())]
    );
    let id = std::fs::read_to_string(
        rig.folder()
            .join(format!(".vagrant/machines/{MACHINE}/docker/id")),
    )
    .unwrap();
    let HostKeyPolicy::Pinned { machine_id, file } = &located.endpoint.host_key else {
        panic!("{:?}", located.endpoint.host_key);
    };
    assert_eq!(machine_id, id.trim());
    assert_eq!(*file, rig.folder().join(".dwenv/host_keys"));
    assert_eq!(ssh(&located, "sudo id -un").trim(), "root");
    assert_eq!(
        ssh(&located, "sudo systemctl is-system-running --wait").trim(),
        "running"
    );
    told("logged in");

    // The second time nobody asks Vagrant: there is none on this path.
    let without = Vagrant::in_folder(&rig.folder())
        .unwrap()
        .with_environment(vec![("PATH".into(), "".into())]);
    let remembered = Instant::now();
    let again = without.locate(None, &workshop, &nobody).await.unwrap();
    println!(
        "asking Vagrant took {:.2} s, remembering {:.4} s",
        asked.as_secs_f64(),
        remembered.elapsed().as_secs_f64()
    );
    assert_eq!(again.endpoint.host, located.endpoint.host);
    assert!(without.forget(None));
    assert!(!without.forget(None));
    let forgotten = without.locate(None, &workshop, &nobody).await.unwrap_err();
    assert_eq!(
        forgotten.message,
        "Vagrant is not installed, or not on the search path"
    );

    vagrant.locate(None, &workshop, &nobody).await.unwrap();
    told("down begins");
    vagrant.down(None).await.unwrap();
    told("down done");
    let off = vagrant.locate(None, &workshop, &nobody).await.unwrap_err();
    assert_eq!(
        off.message,
        "the Vagrant machine `docker-workshop` is powered off"
    );
    assert_eq!(off.hints, ["start it: `dwenv up`"]);

    vagrant.up(Some(MACHINE), &workshop, &nobody).await.unwrap();
    told("up again done");
    let located = vagrant
        .locate(Some(MACHINE), &workshop, &nobody)
        .await
        .unwrap();
    assert_eq!(located.endpoint.name, "vagrant:docker-workshop");
    assert_eq!(ssh(&located, "hostname").trim(), MACHINE);
    // apt reaches its mirror from in there, as provisioning needs it to.
    assert!(ssh(&located, "sudo apt-get update").contains("Reading package lists"));

    vagrant.destroy(None).await.unwrap();
    told("destroy done");
    assert_eq!(vagrant.status().await.unwrap()[0].state, State::NotCreated);
}

/// A folder whose Vagrantfile asks for VirtualBox, and a `VBoxManage` that says what it is told to.
///
/// Vagrant prints its real errors then; no machine is needed for them.
struct Stub {
    folder: tempfile::TempDir,
}

impl Stub {
    fn new(vboxmanage: Option<&str>) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let vagrantfile = "Vagrant.configure(\"2\") do |config|\n  config.vm.box = \"none\"\nend\n";
        std::fs::write(folder.path().join("Vagrantfile"), vagrantfile).unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        if let Some(body) = vboxmanage {
            let stub = folder.path().join("bin/VBoxManage");
            std::fs::write(&stub, format!("#!/bin/sh\n{body}\n")).unwrap();
            std::fs::set_permissions(&stub, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Self { folder }
    }

    fn environment(&self) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        let bin = self.folder.path().join("bin");
        [
            ("PATH", format!("{}:/usr/bin:/bin", bin.display()).into()),
            ("VAGRANT_HOME", self.folder.path().join("home").into()),
            ("VAGRANT_CHECKPOINT_DISABLE", "1".into()),
            // Docker would be taken as a provider, too.
            ("VAGRANT_DEFAULT_PROVIDER", "virtualbox".into()),
        ]
        .map(|(name, value): (&str, std::ffi::OsString)| (name.into(), value))
        .into()
    }

    fn vagrant(&self) -> Vagrant {
        Vagrant::in_folder(self.folder.path())
            .unwrap()
            .with_environment(self.environment())
    }
}

#[tokio::test]
async fn vagrants_own_errors_come_with_their_remedy() {
    for (vboxmanage, cause, remedy) in [
        (
            Some("echo 7.2.4r170995"),
            "version of VirtualBox installed",
            "Install the newest Vagrant",
        ),
        (
            Some("exit 0"),
            "calls to detect the version are returning empty",
            "Install VirtualBox again",
        ),
        (
            Some("echo 'WARNING: The vboxdrv kernel module is not loaded.'; echo 7.0.20r163906"),
            "kernel module is not loaded",
            "/sbin/vboxconfig",
        ),
        (None, "could not detect VirtualBox", "Install VirtualBox"),
    ] {
        let stub = Stub::new(vboxmanage);
        let error = stub.vagrant().status().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        let said = error.cause.unwrap_or_default();
        assert!(said.contains(cause), "{said}");
        let hints = error.hints.join("\n");
        assert!(hints.contains(remedy), "{hints}");
    }
}

#[tokio::test]
async fn an_address_that_virtualbox_refuses_is_told_before_anything_is_downloaded() {
    let stub = Stub::new(Some("case $1 in --version) echo 7.0.20r163906;; esac"));
    let workshop = sample::workshop();
    let conf = std::fs::read_to_string(hostonly::NETWORKS_CONF).ok();
    let version = semver::Version::new(7, 0, 20);
    let judged = hostonly::check(Os::this(), &version, conf.as_deref(), workshop.machine.ip);
    let error = stub
        .vagrant()
        .up(None, &workshop, &Events::nowhere())
        .await
        .unwrap_err();
    match judged {
        Err(expected) => {
            assert_eq!(error.message, expected.message);
            assert_eq!(error.hints[0], expected.hints[0]);
        }
        // This machine allows the address, so the attempt goes on, to the box that nobody has.
        Ok(()) => assert_eq!(error.message, "Vagrant could not start `default`"),
    }
}

#[tokio::test]
async fn a_failing_up_tells_vagrants_words() {
    let stub = Stub::new(Some("case $1 in --version) echo 7.0.20r163906;; esac"));
    let mut workshop = sample::workshop();
    workshop.machine.ip = [192, 168, 56, 10].into();
    let error = stub
        .vagrant()
        .up(None, &workshop, &Events::nowhere())
        .await
        .unwrap_err();
    assert_eq!(error.message, "Vagrant could not start `default`");
    let said = error.cause.unwrap_or_default();
    assert!(said.contains("downloading the remote file"), "{said}");
}

#[tokio::test]
async fn several_machines_are_listed_and_a_broken_vagrantfile_is_a_wrong_configuration() {
    let stub = Stub::new(Some("echo 7.0.20r163906"));
    let file = stub.folder.path().join("Vagrantfile");
    let two = "Vagrant.configure(\"2\") do |config|\n  config.vm.box = \"none\"\n  config.vm.define \"web\"\n  config.vm.define \"db\"\nend\n";
    std::fs::write(&file, two).unwrap();
    let workshop = sample::workshop();
    let locate = async || {
        let events = Events::nowhere();
        stub.vagrant()
            .locate(None, &workshop, &events)
            .await
            .unwrap_err()
    };
    let several = locate().await;
    assert_eq!(several.kind, ErrorKind::Usage);
    assert_eq!(several.message, "this Vagrantfile has 2 machines: web, db");

    std::fs::write(
        &file,
        "Vagrant.configure(\"2\") do |config|\n  config.vm.box =\n",
    )
    .unwrap();
    let broken = locate().await;
    assert_eq!(broken.kind, ErrorKind::Config);
    assert!(broken.cause.unwrap_or_default().contains("syntax error"));

    let elsewhere = Vagrant::in_folder(&std::env::temp_dir()).unwrap_err();
    assert!(elsewhere.message.starts_with("there is no Vagrantfile in "));
    assert!(elsewhere.hints[0].contains("dwenv init"));
}

#[tokio::test]
async fn what_is_installed_is_told_apart_from_what_is_broken() {
    let asked = async |vboxmanage| {
        let stub = Stub::new(vboxmanage);
        laptop::virtualbox(&stub.environment()).await
    };
    let found = asked(Some("echo 'WARNING: no module'; echo 7.0.16_Debianr162802")).await;
    let Installed::Yes {
        version, warning, ..
    } = found
    else {
        panic!("{found:?}");
    };
    assert_eq!(version, semver::Version::new(7, 0, 16));
    assert_eq!(warning.as_deref(), Some("WARNING: no module"));
    for body in ["exit 0", "echo 7.0.16r1; exit 1", "echo no module >&2"] {
        let found = asked(Some(body)).await;
        assert!(
            matches!(found, Installed::Broken { .. }),
            "{body}: {found:?}"
        );
    }
    assert_eq!(asked(None).await, Installed::No);

    let here = laptop::vagrant(&Vec::new()).await;
    assert!(matches!(here, Installed::Yes { .. }), "{here:?}");
}

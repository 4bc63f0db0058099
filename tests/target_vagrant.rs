//! What is asked of Vagrant, and when, seen through a program that only counts.

#![cfg(unix)]

#[path = "support/sample.rs"]
mod sample;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dwenv::events::Events;
use dwenv::target::{self, Provider, Reach, Target, Vagrant};
use dwenv::transport::endpoint::{Agent, HostKeyPolicy};

/// A `vagrant` that answers for one VirtualBox machine and counts how often it is asked.
fn fake_vagrant(dir: &Path) -> Vagrant {
    let program = r#"#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >> asked
case $1 in
status) printf '%s\n' 1,default,provider-name,virtualbox 1,default,state,running ;;
ssh-config) cat ssh-config ;;
esac
"#;
    let ssh_config = format!(
        "Host default\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  IdentityFile {}\n  IdentitiesOnly yes\n",
        dir.join("key").display()
    );
    for (name, text) in [
        ("Vagrantfile", ""),
        ("vagrant", program),
        ("ssh-config", &ssh_config),
        ("key", ""),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    let data = dir.join(".vagrant/machines/default/virtualbox");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("id"), "first-id").unwrap();
    fs::set_permissions(dir.join("vagrant"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.display());
    Vagrant::in_folder(dir)
        .unwrap()
        .with_environment(vec![("PATH".into(), path.into())])
}

#[tokio::test]
async fn a_virtualbox_machine_is_asked_for_once_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let vagrant = fake_vagrant(dir);
    let workshop = sample::workshop();
    let located = async || {
        let events = Events::nowhere();
        vagrant.locate(None, &workshop, &events).await.unwrap()
    };
    let asked = || {
        fs::read_to_string(dir.join("asked"))
            .unwrap()
            .lines()
            .count()
    };

    let first = located().await;
    assert_eq!(first.endpoint.host, "127.0.0.1");
    assert_eq!(first.endpoint.port, 2222);
    assert_eq!(first.endpoint.agent, Agent::OfFiles);
    assert_eq!(
        first.reach,
        [
            Reach::Address("192.168.33.10".into()),
            Reach::Forwarded(vec![(8080, 8080), (5432, 15432)])
        ]
    );
    let HostKeyPolicy::Pinned { machine_id, file } = first.endpoint.host_key else {
        panic!("pinned");
    };
    assert_eq!(machine_id, "first-id");
    assert_eq!(file, dir.join(".dwenv/host_keys"));
    assert_eq!(asked(), 2);
    located().await;
    assert_eq!(asked(), 2);

    let data = dir.join(".vagrant/machines/default/virtualbox");
    let changes: [(&str, &dyn Fn()); 5] = [
        ("another id", &|| {
            fs::write(data.join("id"), "second-id").unwrap()
        }),
        ("another key", &|| {
            let key = fs::File::options()
                .append(true)
                .open(dir.join("key"))
                .unwrap();
            key.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("started since", &|| {
            fs::write(data.join("synced_folders"), "{}").unwrap()
        }),
        ("another Vagrantfile", &|| {
            fs::write(dir.join("Vagrantfile"), "#\n").unwrap()
        }),
        ("it did not answer", &|| assert!(vagrant.forget(None))),
    ];
    for (number, (what, change)) in changes.into_iter().enumerate() {
        change();
        located().await;
        located().await;
        assert_eq!(asked(), 4 + 2 * number, "{what}");
    }
}

#[test]
fn who_made_a_machine_is_known_without_vagrant() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Vagrantfile"), "").unwrap();
    let makes = |machine: Option<&str>| {
        let machine = machine.map(str::to_owned);
        match target::usual_provider(&Target::Vagrant { machine }, folder.path()) {
            Provider::Vagrant(provider) => provider,
            other => panic!("{other:?}"),
        }
    };
    let make = |name: &str, provider: &str, id: &str| {
        let data = folder
            .path()
            .join(format!(".vagrant/machines/{name}/{provider}"));
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("id"), id).unwrap();
    };
    assert_eq!(makes(None), "virtualbox");
    make("one", "docker", "7f");
    // Vagrant leaves folders of what it was asked about and did not make.
    fs::create_dir_all(folder.path().join(".vagrant/machines/one/virtualbox")).unwrap();
    assert_eq!(makes(None), "docker");
    make("two", "libvirt", "8a");
    assert_eq!(makes(None), "virtualbox");
    assert_eq!(makes(Some("two")), "libvirt");
    assert_eq!(makes(Some("three")), "virtualbox");
}

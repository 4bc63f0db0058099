//! The laptop's checks on this very machine, with the real Vagrant and a `VBoxManage` that says what it is
//! told to.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use dwenv::facts::laptop;
use dwenv::facts::probe::{Ask, Question};
use dwenv::facts::{Record, RecordStatus};
use dwenv::resources;
use dwenv::workshop::Workshop;
use serde_json::Value;

/// The findings about the laptop, by their ids, where `VBoxManage` has this body.
fn doctor(vboxmanage: Option<&str>) -> BTreeMap<String, Value> {
    let folder = tempfile::tempdir().unwrap();
    let vagrantfile = "Vagrant.configure(\"2\") do |config|\n  config.vm.box = \"none\"\nend\n";
    fs::write(folder.path().join("Vagrantfile"), vagrantfile).unwrap();
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    if let Some(body) = vboxmanage {
        let stub = bin.join("VBoxManage");
        fs::write(&stub, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&stub, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .arg("-C")
        .arg(folder.path())
        .args(["doctor", "--target", "vagrant", "--format", "json"])
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .env("VAGRANT_HOME", folder.path().join("home"))
        .env("VAGRANT_CHECKPOINT_DISABLE", "1")
        .env("VAGRANT_DEFAULT_PROVIDER", "virtualbox")
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let checks = report["checks"]
        .as_array()
        .unwrap_or_else(|| panic!("{report:#}"));
    checks
        .iter()
        .map(|check| (check["id"].as_str().unwrap().to_owned(), check.clone()))
        .collect()
}

#[test]
fn a_virtualbox_that_vagrant_does_not_know_or_that_is_broken_or_missing_is_the_root() {
    for (vboxmanage, says) in [
        (Some("echo 7.2.4r170995"), "does not know VirtualBox 7.2.4"),
        (Some("exit 0"), "does not work"),
        (None, "is not installed"),
    ] {
        let checks = doctor(vboxmanage);
        let virtualbox = &checks["laptop.virtualbox"];
        assert_eq!(virtualbox["status"], "fail", "{virtualbox:#}");
        let summary = virtualbox["summary"].as_str().unwrap();
        assert!(summary.contains(says), "{summary}");
        for id in [
            "laptop.kernel-modules",
            "laptop.kvm",
            "laptop.hostonly-range",
            "box.ssh",
        ] {
            assert_eq!(
                checks[id]["because"], "laptop.virtualbox",
                "{:#}",
                checks[id]
            );
        }
    }
}

#[test]
fn a_kernel_without_virtualboxs_module_is_named() {
    let warning = "WARNING: The vboxdrv kernel module is not loaded.";
    let checks = doctor(Some(&format!("echo '{warning}'; echo 7.0.20r163906")));
    assert_eq!(checks["laptop.virtualbox"]["status"], "pass", "{checks:#?}");
    // Where modinfo is missing nobody knows why; that it is not loaded passes nowhere.
    let modules = &checks["laptop.kernel-modules"];
    let status = modules["status"].as_str().unwrap();
    assert!(matches!(status, "fail" | "unknown" | "skip"), "{modules:#}");
}

#[tokio::test]
async fn this_machine_answers_every_question_at_once_where_no_program_is_asked() {
    let workshop = Workshop::builtin().unwrap();
    let probes = resources::probes(&workshop);
    let folder = tempfile::tempdir().unwrap();
    let without_programs: Vec<_> = probes
        .iter()
        .filter(|probe| {
            matches!(&probe.question, Question::Laptop(question) if !matches!(question.ask,
                Ask::Version(_) | Ask::Program { .. } | Ask::WebDate(_) | Ask::Vouched(_)))
        })
        .cloned()
        .collect();
    let began = Instant::now();
    let answers = laptop::ask(&without_programs, folder.path(), soon()).await;
    let took = began.elapsed();
    assert!(answers.len() > 8, "{answers:#?}");
    for (id, record) in &answers {
        assert_eq!(record.status, RecordStatus::Done(0), "{id}: {record:?}");
    }
    println!("{} questions in {took:?}", answers.len());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_program_that_hangs_costs_its_own_record_only() {
    use dwenv::facts::{Probe, probe::LaptopQuestion};
    use dwenv::target::laptop::Os;
    let asking = |id, line: &str| {
        let ask = Ask::Program {
            name: "sh",
            arguments: vec!["-c".to_owned(), line.to_owned()],
            variables: &[],
        };
        let question = LaptopQuestion { on: Os::ALL, ask };
        Probe::new(id, Question::Laptop(question))
    };
    let long = format!("sleep 60.{}", std::process::id());
    let probes = [
        asking("slow", &format!("{long} & {long}")).within(Duration::from_millis(300)),
        asking("quick", "echo here"),
    ];
    let answers: BTreeMap<String, Record> = laptop::ask(&probes, &std::env::temp_dir(), soon())
        .await
        .into_iter()
        .collect();
    assert_eq!(answers["slow"].status, RecordStatus::TimedOut);
    assert_eq!(answers["quick"].output, "here\n");
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_running(&long) {
        assert!(Instant::now() < deadline, "`{long}` lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Long after what is asked here has answered.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

/// Whether some process has this command line. One that was killed keeps its own until the kernel takes it away.
fn is_running(command: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.trim_end() == command
    })
}

//! The built dwenv, and what it tells.

use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;

use crate::root;

fn dwenv(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .arg("explain")
        .args(arguments)
        .current_dir(root().join("tests/data/explain"))
        .stdin(Stdio::null())
        .env("LANG", "C.UTF-8")
        .output()
        .unwrap()
}

fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!(
        "{}{}[exit {}]",
        text(&output.stdout),
        text(&output.stderr),
        output.status.code().unwrap()
    )
}

#[test]
fn a_check_is_explained() {
    assert_snapshot!(shown(&dwenv(&["box.docker.daemon"])), @r#"
        box.docker.daemon
            Docker's daemon runs, will run after a restart of the box, and answers.
            Where it ended itself, a diagnosis repeats its last error. A file that it
            reads when it starts and that was written since is a warning; not one from a
            time to come, which a clock that was ahead has left.
            Why: without it every `docker` command fails with "Cannot connect to the
            Docker daemon".
            Mended by: provision, which starts and enables it, and starts it again where
            its files are newer, unless it would refuse them: its containers stop. A
            masked unit is left alone: somebody forbade it to start. A firewall that
            lacks parts of the kernel needs a restart of the box; an engine that does
            not fit the kernel's cgroups needs a newer engine.
            Needs: `box.docker.package`, `box.docker.config`, `box.docker.storage`
            Finds: docker-down, docker-iptables, docker-cgroup
        [exit 0]
        "#);
}

#[test]
fn a_row_is_explained_with_the_commands_of_the_system() {
    assert_snapshot!(shown(&dwenv(&["hostonly-range", "--system", "linux"])), @r#"
        hostonly-range (on the laptop)
            VirtualBox allows host-only networks only in 192.168.56.0/21, unless a file
            lists more, and the box's address lies outside.
          → List the box's network, such as 192.168.33.0/24, in VirtualBox's file beside
            the usual one; or give the box an address such as 192.168.56.10 in
            config.toml.
              sudo mkdir -p /etc/vbox
              echo '* NETWORK.0/24 192.168.56.0/21' | sudo tee -a /etc/vbox/networks.conf
            Found by: laptop.hostonly-range, lint.address-range, and by its words
            Mended by dwenv: after a question only
            Source: hashicorp/vagrant network.rb, KIT sdn-cockpit#14,
            Be-Secure/oah-bes-vm#18
        [exit 0]
        "#);
    assert_snapshot!(shown(&dwenv(&["hyperv-conflict", "--system", "macos"])), @r#"
        hyperv-conflict (on the laptop)
            Hyper-V, WSL2, Windows Sandbox or Device Guard holds the processor's
            virtualisation, so VirtualBox does without, slowly, or not at all.
          → With the newest VirtualBox and a longer `config.vm.boot_timeout` both can
            stay. Otherwise switch the Windows hypervisor off, as administrator, and
            restart; `auto` in place of `off` undoes it.
              bcdedit /set hypervisorlaunchtype off
            Only on Windows.
            Found by: laptop.hypervisor, and by its words
            Mended by dwenv: never
            Source: jmunixusers/cs-vm-build#406, MicrosoftDocs/WSL#798,
            kubernetes/minikube#4587, hashicorp/vagrant#9025
        [exit 0]
        "#);
}

#[test]
fn a_file_is_explained_the_cause_first() {
    let ran = dwenv(&["kvm-conflict-amd.txt", "--system", "linux"]);
    assert_snapshot!(shown(&ran), @r#"
        line 37: kvm-conflict (on the laptop)
            Stderr: VBoxManage: error: VirtualBox can't enable the AMD-V extension.
            Please disable the KVM kernel extension, recompile your kernel and reboot
            (VERR_SVM_IN_USE)
            Linux's own KVM holds the processor's virtualisation: since kernel 6.12 from
            the moment its module is loaded.
          → VirtualBox 7.2.10 and newer gets along with KVM: update it. With an older
            one, end every KVM machine and unload KVM's module, kvm_intel or kvm_amd,
            until the next start.
              sudo modprobe -r kvm_intel kvm_amd
            The same words can also mean: kvm-guest-running
            line 19 follows from it: boot-invalid-state

        1 cause in 38 lines: start with kvm-conflict above.
        [exit 0]
        "#);
}

#[test]
fn where_nothing_is_recognised_it_says_so() {
    assert_snapshot!(shown(&dwenv(&["healthy-docker.txt"])), @r#"
        Nothing was recognised in 12 lines: that is not to say that nothing is wrong.
        `dwenv doctor` looks for itself.
        [exit 3]
        "#);
}

#[test]
fn a_sentence_is_taken_for_what_a_program_said() {
    let said = "permission denied while trying to connect to the Docker daemon socket";
    let told = shown(&dwenv(&[said]));
    assert!(told.starts_with("line 1: docker-group"), "{told}");
    assert!(told.ends_with("[exit 0]"), "{told}");
    assert!(shown(&dwenv(&["what is this"])).ends_with("[exit 3]"));
}

#[test]
fn an_unknown_id_hears_what_was_meant() {
    assert_snapshot!(shown(&dwenv(&["box.doker.daemon"])), @r#"
        error: there is no check, no known failure and no file box.doker.daemon
          hint: Did you mean one of `box.docker.daemon`, `box.docker.version`,
                `box.docker.images`?
        [exit 2]
        "#);
    assert_snapshot!(shown(&dwenv(&["aptlock"])), @r#"
        error: there is no check, no known failure and no file aptlock
          hint: Did you mean `apt-lock`?
        [exit 2]
        "#);
    assert_snapshot!(shown(&dwenv(&["zzz"])), @r#"
        error: there is no check, no known failure and no file zzz
          hint: `dwenv doctor --list` lists the checks with their ids
        [exit 2]
        "#);
}

#[test]
fn nothing_to_read_is_a_usage_error() {
    assert_snapshot!(shown(&dwenv(&["-"])), @r#"
        error: there was nothing to read
          hint: Give it a file, such as `dwenv explain vagrant-up.log`, or pipe a
                program's words into it
        [exit 2]
        "#);
}

#[test]
fn programs_get_one_document() {
    for (arguments, kind) in [
        (["box.docker.daemon", "--format=json"], "check"),
        (["apt-lock", "--format=json"], "failure"),
        (["kvm-conflict-amd.txt", "--format=json"], "text"),
    ] {
        let output = dwenv(&arguments);
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schema_version"], 1);
        assert_eq!(document["kind"], kind);
        if kind == "text" {
            let first = &document["recognised"][0];
            assert_eq!(first["failure"]["id"], "kvm-conflict");
            assert_eq!(first["because"], serde_json::Value::Null);
            assert_eq!(document["recognised"][1]["because"], "kvm-conflict");
        }
    }
}

/// Whatever doctor and lint print between brackets.
#[test]
fn every_id_that_is_printed_can_be_asked_about() {
    let told = shown(&dwenv(&["[box.ssh]"]));
    assert!(told.starts_with("box.ssh\n"), "{told}");
    let told = shown(&dwenv(&["lint.dead-host"]));
    assert!(told.contains("It finds a host that is gone."), "{told}");
    let told = shown(&dwenv(&["laptop.custom.git"]));
    assert!(told.contains("box.custom.NAME"), "{told}");
    let told = shown(&dwenv(&["box.docker"]));
    assert!(told.contains("Did you mean one of `box.docker."), "{told}");
}

/// A name of another encoding is a mistake like any other.
#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let word = std::ffi::OsStr::from_bytes(b"b\xffd");
    let ended = Command::new(env!("CARGO_BIN_EXE_dwenv"))
        .args(["explain".as_ref(), word])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(
        told.contains("invalid UTF-8") && !told.contains("panicked"),
        "{told}"
    );
}

//! `dwenv explain`: the catalogue, what it recognises, and what is told of it.
//!
//! `tests/data/explain/` holds what programs said, a file each: the rows that it means, its source, a blank line,
//! and the words. Where nobody has seen the words, the source says so: assumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use dwenv::doctor::catalogue::{Catalogue, Coverage, Fix, Row, System};
use dwenv::doctor::explain::{self, filled, read};
use dwenv::resources::ALL;
use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// Checks and rules that rows name, and that are still to be written.
const AWAITED: &[&str] = &[
    "box.apt.dpkg",
    "box.apt.lock",
    "box.apt.sources",
    "box.dns",
    "box.docker.api",
    "box.docker.config",
    "box.docker.forwarding",
    "box.docker.rate-limit",
    "box.docker.session",
    "box.docker.storage",
    "box.docker.subnets",
    "box.inodes",
    "box.locale",
    "box.memory",
    "box.mtu",
    "box.postgres.cluster",
    "box.postgres.collation",
    "box.postgres.data",
    "box.postgres.password",
    "box.postgres.rules",
    "box.proxy",
    "box.server.address",
    "box.server.line-endings",
    "box.server.python",
    "box.sshd.keys",
    "laptop.architecture",
    "laptop.box-download",
    "laptop.clock",
    "laptop.disk",
    "laptop.excluded-ports",
    "laptop.hostonly-overlap",
    "laptop.hostonly-range",
    "laptop.hypervisor",
    "laptop.kernel-modules",
    "laptop.kvm",
    "laptop.memory",
    "laptop.memory-integrity",
    "laptop.owner",
    "laptop.plugins",
    "laptop.port.5432",
    "laptop.port.8080",
    "laptop.project-folder",
    "laptop.proxy",
    "laptop.route",
    "laptop.secure-boot",
    "laptop.ssh-key",
    "laptop.tls",
    "laptop.vagrant-home",
    "laptop.virtualisation",
    "lint.address-range",
    "lint.bashrc",
    "lint.compose-v1",
    "lint.crlf",
    "lint.dead-host",
    "lint.dev-hostname",
    "lint.docker-removed",
    "lint.driver",
    "lint.end-of-life",
    "lint.image-password",
    "lint.nfs",
    "lint.pgdata",
    "lint.port-unheard",
    "lint.root-pip",
    "lint.schema1",
    "lint.single-architecture",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Sample {
    name: String,
    expects: Vec<String>,
    text: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> = fs::read_dir(root().join("tests/data/explain"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let all = fs::read_to_string(&path).unwrap();
            let (head, text) = all.split_once("\n\n").expect("a head and a text");
            let (expects, source) = head.split_once("\nsource: ").expect("a source");
            assert!(!source.trim().is_empty(), "{name}");
            let expects = expects.strip_prefix("expects: ").unwrap();
            Sample {
                name,
                expects: match expects {
                    "nothing" => Vec::new(),
                    ids => ids.split(", ").map(str::to_owned).collect(),
                },
                text: text.as_bytes().to_vec(),
            }
        })
        .collect();
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

fn recognised(text: &[u8]) -> Vec<String> {
    let reading = read(text);
    let ids = reading.recognised.iter().map(|one| one.row.id.clone());
    ids.collect()
}

// ---- the catalogue

#[test]
fn every_row_is_whole() {
    let catalogue = Catalogue::get();
    let mut ids = BTreeSet::new();
    for row in &catalogue.rows {
        let id = &row.id;
        assert!(ids.insert(id), "{id} stands there twice");
        assert_ne!(row.coverage(), Coverage::Nothing, "{id}");
        assert!(
            row.out_of_reach.is_none() || matches!(row.coverage(), Coverage::OutOfReach(_)),
            "{id} is found, and out of reach"
        );
        for text in [&row.cause, &row.cure] {
            assert!(text.ends_with('.'), "{id}: {text}");
            assert!(text.len() < 330, "{id}: too long: {text}");
        }
        assert!(!row.source.is_empty(), "{id}");
        for other in row.follows.iter().chain(&row.or) {
            assert!(catalogue.row(other).is_some(), "{id} names {other}");
        }
        for system in [System::Linux, System::Macos, System::Windows] {
            for command in row.commands_on(system) {
                let shown = filled(row, command, &BTreeMap::new());
                let named: BTreeSet<&str> = braces(&shown).collect();
                assert!(named.is_empty(), "{id}: nothing fills {named:?}");
            }
        }
    }
}

/// Single words in braces, as commands have them for what a pattern catches.
fn braces(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        word.then_some(name)
    })
}

#[test]
fn no_row_follows_itself() {
    fn causes<'a>(row: &'a Row, seen: &mut Vec<&'a str>) {
        assert!(
            !seen.contains(&row.id.as_str()),
            "a circle: {seen:?} {}",
            row.id
        );
        seen.push(&row.id);
        for id in &row.follows {
            causes(Catalogue::get().row(id).unwrap(), seen);
        }
        seen.pop();
    }
    for row in &Catalogue::get().rows {
        causes(row, &mut Vec::new());
    }
}

#[test]
fn what_finds_a_row_exists() {
    let checks: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|kind| kind.checks())
        .map(|check| check.id)
        .collect();
    let named: BTreeSet<&str> = Catalogue::get()
        .rows
        .iter()
        .flat_map(|row| row.checks.iter().map(String::as_str))
        .collect();
    let awaited: BTreeSet<&str> = AWAITED.iter().copied().collect();
    let missing: Vec<&&str> = named
        .iter()
        .filter(|id| !checks.contains(*id) && !awaited.contains(*id))
        .collect();
    assert!(
        missing.is_empty(),
        "rows name what is not there: {missing:?}"
    );
    let here: Vec<&&str> = awaited
        .iter()
        .filter(|id| checks.contains(*id) || !named.contains(*id))
        .collect();
    assert!(here.is_empty(), "no longer awaited: {here:?}");
}

#[test]
fn what_is_safe_unattended_loses_nothing() {
    let losing = [
        "destroy",
        "unregistervm",
        "docker rm",
        "prune",
        "lock",
        "down",
        "reboot",
    ];
    for row in &Catalogue::get().rows {
        for system in [System::Linux, System::Macos, System::Windows] {
            for command in row.commands_on(system).filter(|_| row.fix == Fix::Yes) {
                let loses = losing.iter().any(|word| command.contains(word));
                assert!(!loses, "{}: {command}", row.id);
            }
        }
    }
}

/// The table of `docs/failures.md`.
fn listed() -> String {
    let mut listed = String::from("| failure | where | found by |\n|---|---|---|\n");
    for row in &Catalogue::get().rows {
        let found = match row.coverage() {
            Coverage::Checked { also_explained } => {
                let checks: Vec<String> = row.checks.iter().map(|id| format!("`{id}`")).collect();
                let words = if also_explained { ", explained" } else { "" };
                format!("{}{words}", checks.join(", "))
            }
            Coverage::Explained => "explained".to_owned(),
            Coverage::OutOfReach(reason) => format!("out of reach: {reason}"),
            Coverage::Nothing => panic!("{}", row.id),
        };
        let place = format!("{:?}", row.place).to_lowercase();
        listed.push_str(&format!("| {} | {place} | {found} |\n", row.id));
    }
    listed
}

/// `UPDATE_FAILURES=1 cargo test --test explain` writes the table anew.
#[test]
fn the_page_lists_every_row() {
    let path = root().join("docs/failures.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("| failure |").expect("a table");
    let whole = format!("{head}{}", listed());
    if std::env::var_os("UPDATE_FAILURES").is_some() {
        fs::write(&path, whole).unwrap();
        return;
    }
    assert!(
        page == whole,
        "docs/failures.md is not as data/failures.toml: write it anew with UPDATE_FAILURES=1"
    );
}

// ---- recognising

#[test]
fn every_sample_is_recognised_as_its_rows_and_as_no_other() {
    let wrong: Vec<String> = samples()
        .iter()
        .filter_map(|sample| {
            let found = recognised(&sample.text);
            let Sample { name, expects, .. } = sample;
            (found != *expects).then(|| format!("{name}: {found:?}, not {expects:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_with_words_has_a_sample() {
    let samples = samples();
    let shown: BTreeSet<&str> = samples
        .iter()
        .flat_map(|sample| sample.expects.iter().map(String::as_str))
        .collect();
    let missing: Vec<&str> = Catalogue::get()
        .rows
        .iter()
        .filter(|row| !(row.says.is_empty() && row.matches.is_empty()))
        .map(|row| row.id.as_str())
        .filter(|id| !shown.contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn however_a_text_was_copied_it_is_recognised() {
    for sample in samples() {
        let text = String::from_utf8(sample.text.clone()).unwrap();
        let check = |how: &str, bytes: &[u8]| {
            let found = recognised(bytes);
            assert_eq!(found, sample.expects, "{} with {how}", sample.name);
        };
        check("Windows' line ends", text.replace('\n', "\r\n").as_bytes());
        let quoted: String = text.lines().map(|line| format!("> {line}\n")).collect();
        check("the marks of a mail", quoted.as_bytes());
        let colours: String = text
            .lines()
            .map(|line| format!("\x1b[31m{line}\x1b[0m\n"))
            .collect();
        check("colours", colours.as_bytes());
        let mut utf_16 = vec![0xff, 0xfe];
        utf_16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        check("UTF-16", &utf_16);
        let curly = text.replace('\'', "\u{2019}");
        check("a chat's quotes", curly.as_bytes());
        let machine: String = text
            .lines()
            .map(|line| match line.starts_with(['=', ' ']) {
                true => format!("{line}\n"),
                false => format!("==> docker-workshop: {line}\n"),
            })
            .collect();
        check("Vagrant's prefix", machine.as_bytes());
        let mut rubbish = b"\0\xff\xfe\x80 PNG\r\n\x1a\n".to_vec();
        rubbish.extend(&sample.text);
        rubbish.extend(b"\n\x1b[\xc3\x28");
        check("rubbish around it", &rubbish);
    }
}

/// A terminal breaks lines anywhere; copied from there, the parts stand on lines of their own.
#[test]
fn lines_that_a_terminal_broke_are_recognised() {
    for sample in samples() {
        let text = String::from_utf8(sample.text.clone()).unwrap();
        for width in [80, 100, 120] {
            let wrapped: String = text
                .lines()
                .map(|line| {
                    let letters: Vec<char> = line.chars().collect();
                    let parts = letters.chunks(width).map(|part| part.iter().collect());
                    format!("{}\n", parts.collect::<Vec<String>>().join("\n"))
                })
                .collect();
            let found = recognised(wrapped.as_bytes());
            assert_eq!(found, sample.expects, "{} at {width}", sample.name);
        }
    }
}

#[test]
fn what_was_said_is_told_with_its_line_and_its_values() {
    let reading = read(b"$ apt-get install x\n\nE: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt)\n");
    let one = &reading.recognised[0];
    assert_eq!((one.row.id.as_str(), one.line), ("apt-lock", 3));
    assert!(one.said.starts_with("E: Could not get lock"));
    let commands: Vec<String> = one
        .row
        .commands_on(System::Linux)
        .map(|command| filled(one.row, command, &one.values))
        .collect();
    assert_eq!(commands[0], "dwenv ssh -- ps -o pid,etime,args -p 812");
    let nothing_caught = filled(one.row, "kill {pid}", &BTreeMap::new());
    assert_eq!(nothing_caught, "kill PID");
}

#[test]
fn a_pasted_text_puts_nothing_of_its_own_into_a_command() {
    let reading = read(b"Permissions 0644 for 'x; reboot' are too open.\n");
    let one = &reading.recognised[0];
    for command in one.row.commands_on(System::Linux) {
        let command = filled(one.row, command, &one.values);
        assert_eq!(command, "chmod 600 KEY");
    }
}

#[test]
fn megabytes_take_seconds() {
    let line = "==> docker-workshop: Warning: Connection reset. Retrying... docker: Error /dev/vbox 192.168.33.10\n";
    let mut text = line.repeat((4 << 20) / line.len()).into_bytes();
    text.extend(b"x".repeat(1 << 20));
    text.extend(b"\nE: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n");
    let started = Instant::now();
    assert_eq!(recognised(&text), ["dpkg-interrupted"]);
    // Loose: an unoptimised build on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(60));
}

const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/explain.proptest-regressions"
);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // What once was a fault stays a test.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let reading = read(&bytes);
        for one in &reading.recognised {
            prop_assert!(one.line >= 1 && one.line <= reading.lines);
        }
    }

    #[test]
    fn a_sample_that_was_cut_or_changed_is_no_fault(
        (at, length, with) in (any::<prop::sample::Index>(), 0..200usize, prop::collection::vec(any::<u8>(), 0..20)),
        which in any::<prop::sample::Index>(),
    ) {
        let samples = samples();
        let mut text = which.get(&samples).text.clone();
        let begin = at.index(text.len());
        let end = (begin + length).min(text.len());
        text.splice(begin..end, with);
        let reading = read(&text);
        for one in &reading.recognised {
            prop_assert!(one.line >= 1 && one.line <= reading.lines);
            prop_assert!(!one.said.contains('\x1b'));
        }
    }
}

// ---- the command

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
            Why: without it every `docker` command fails with "Cannot connect to the
            Docker daemon".
            Mended by: provision, which starts and enables it. A masked unit is left
            alone: somebody forbade it to start.
            Needs: `box.docker.package`
            Finds: docker-down, docker-iptables
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
          hint: `dwenv doctor -v` lists the checks with their ids
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

#[test]
fn a_blank_text_is_nothing() {
    assert!(explain::is_blank(b" \r\n\x1b[0m\n"));
    assert!(!explain::is_blank(b"x"));
}

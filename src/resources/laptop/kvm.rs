//! Whether KVM leaves the processor to VirtualBox: a dated table, because the answer turned round once.

use std::sync::LazyLock;

use semver::{Version, VersionReq};
use serde::Deserialize;

use super::common::{Files, Here, content, is_there, kernel_version, virtualbox};
use super::{
    Check, Context, Judgement, LINUX, LaptopKind, State, When, Wrong, box_answers, proved,
};
use crate::facts::laptop::{Entry, KvmUser};
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Observed, Probe};
use crate::resources::observed;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.kvm",
        title: "KVM leaves the processor's virtualisation to VirtualBox",
        needs: &["laptop.virtualbox", "laptop.virtualisation"],
        probe: KVM,
    }],
    on: LINUX,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const KVM: &str = "laptop.kvm";
const USERS: &str = "laptop.kvm_users";
const PARAMETER: &str = "/sys/module/kvm/parameters/enable_virt_at_load";
const MODULES: [&str; 2] = ["kvm_intel", "kvm_amd"];
const MODULE_FOLDERS: [&str; 2] = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];
const COMMAND_LINE: &str = "/proc/cmdline";
const OVERRIDE: &str = "/etc/modprobe.d/virtualbox-kvm.conf";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut paths = vec![
        PARAMETER,
        COMMAND_LINE,
        "/etc/modprobe.d/*",
        "/usr/lib/modprobe.d/*",
    ];
    paths.extend(MODULE_FOLDERS);
    let mut probes = Here::probes(workshop);
    probes.push(Probe::laptop(KVM, LINUX, Ask::Files(paths)));
    probes.push(Probe::laptop(USERS, LINUX, Ask::KvmUsers));
    probes
}

/// What VirtualBox needs of KVM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Want {
    NoGuest,
    Off,
    On,
    Disputed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    checked: String,
    #[allow(dead_code, reason = "for whoever brings the table up to date")]
    source: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kernel: VersionReq,
    virtualbox: VersionReq,
    want: Want,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../data/kvm.toml"))
        .expect("a test reads the table that is compiled in")
});

fn want(kernel: &Version, virtualbox: &Version) -> Option<Want> {
    TABLE
        .rows
        .iter()
        .find(|row| row.kernel.matches(kernel) && row.virtualbox.matches(virtualbox))
        .map(|row| row.want)
}

/// KVM as it is.
struct Kvm {
    /// The module of this processor, where it is loaded.
    module: Option<&'static str>,
    at_load: Option<bool>,
    /// Where somebody set the parameter.
    set_in: Vec<String>,
}

impl Kvm {
    fn read(files: &Files) -> Observed<Self> {
        let mut module = None;
        for (name, folder) in MODULES.iter().zip(MODULE_FOLDERS) {
            if is_there(files, folder)? {
                module = Some(*name);
            }
        }
        let at_load = if is_there(files, PARAMETER)? {
            match content(files, PARAMETER)?.trim() {
                "Y" | "1" => Some(true),
                "N" | "0" => Some(false),
                other => return Err(super::common::not_understood(PARAMETER, other)),
            }
        } else {
            None
        };
        let set_in = files.iter().filter_map(|(path, entry)| match entry {
            Entry::Text(text) if path != PARAMETER && sets_parameter(text) => Some(path.clone()),
            _ => None,
        });
        Ok(Self {
            module,
            at_load,
            set_in: set_in.collect(),
        })
    }
}

fn sets_parameter(text: &str) -> bool {
    text.lines()
        .any(|line| !line.trim_start().starts_with('#') && line.contains("enable_virt_at_load"))
}

fn look(_: &Check, _: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let Here(here) = observed!(facts, Here);
    let Some(kernel) = kernel_version(&here.release) else {
        return State::Unknown(format!("the kernel `{}` is not understood", here.release));
    };
    let Some(virtualbox) = virtualbox(facts) else {
        return State::Unknown("VirtualBox's version is not known".to_owned());
    };
    let kvm = match facts
        .records()
        .json(KVM)
        .and_then(|files| Kvm::read(&files))
    {
        Ok(kvm) => kvm,
        Err(unobserved) => return State::from(&unobserved),
    };
    let Some(module) = kvm.module else {
        return State::AsDeclared("KVM is not loaded".to_owned());
    };
    let pair = format!("kernel {kernel} and VirtualBox {virtualbox}");
    match (want(&kernel, &virtualbox), kvm.at_load) {
        (Some(Want::NoGuest), _) | (Some(Want::Off), Some(false)) => look_for_guests(facts),
        (Some(Want::On), Some(true)) => State::AsDeclared(format!("as {pair} need it")),
        (Some(Want::Off), Some(true)) => taken(module, &pair),
        (Some(Want::On), Some(false)) => left_behind(&kvm, &pair),
        (Some(Want::Disputed), _) => Wrong::warn(format!(
            "Reports about {pair} contradict each other (dwenv's table of {})",
            TABLE.checked
        ))
        .text("Try whether the box starts. If not, either KVM must be off (`options kvm enable_virt_at_load=0` in /etc/modprobe.d, and a restart), or such a line must go; another VirtualBox 7.2 avoids the question")
        .drifted(),
        (Some(_), None) => State::Unknown(format!("{PARAMETER} is not there, on {pair}")),
        (None, _) => State::Unknown(format!(
            "{pair} are not in dwenv's table of {}",
            TABLE.checked
        )),
    }
}

fn taken(module: &str, pair: &str) -> State<Judgement> {
    Wrong::fail(format!(
        "KVM took the processor's virtualisation when it was loaded, and with {pair} VirtualBox cannot have it"
    ))
    .text("Unload KVM now, and keep it from taking it at the next start. Where KVM is a part of the kernel, add `kvm.enable_virt_at_load=0` to the kernel's command line instead")
    .command(format!("sudo modprobe -r {module}"))
    .command(format!(
        "echo 'options kvm enable_virt_at_load=0' | sudo tee {OVERRIDE}"
    ))
    .drifted()
}

fn left_behind(kvm: &Kvm, pair: &str) -> State<Judgement> {
    let places = if kvm.set_in.is_empty() {
        "a file in /etc/modprobe.d or the kernel's command line".to_owned()
    } else {
        kvm.set_in.join(", ")
    };
    let mut wrong = Wrong::fail(format!(
        "`enable_virt_at_load` is off, and with {pair} VirtualBox needs it on: the box does not start, or the laptop freezes"
    ))
    .text(format!(
        "An older VirtualBox needed it off. Take it out of {places}, then restart the laptop"
    ));
    for file in kvm.set_in.iter().filter(|path| *path != COMMAND_LINE) {
        let file = crate::quote::sh(file);
        wrong = wrong.command(format!(
            "sudo sed -i.orig-$(date -u +%Y%m%dT%H%M%SZ) '/enable_virt_at_load/s/^/#/' {file}"
        ));
    }
    wrong.drifted()
}

fn look_for_guests(facts: &Facts) -> State<Judgement> {
    let users: Vec<KvmUser> = match facts.records().json(USERS) {
        Ok(users) => users,
        Err(unobserved) => return State::from(&unobserved),
    };
    let Some(user) = users.first() else {
        return State::AsDeclared("no other virtual machine runs".to_owned());
    };
    let name = format!("{} (pid {})", user.name, user.pid);
    let wrong = if users.iter().any(|user| user.has_kvm_open == Some(true)) {
        Wrong::fail(format!(
            "Another virtual machine runs with KVM: {name}. VirtualBox cannot start one beside it"
        ))
    } else {
        Wrong::warn(format!(
            "Another virtual machine seems to run: {name}. With KVM, VirtualBox cannot start one beside it"
        ))
    };
    wrong
        .text("Shut that machine down: it may be of libvirt, GNOME Boxes or an Android emulator")
        .drifted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_turns_round_at_virtualbox_7_2_10() {
        for (kernel, virtualbox, expected) in [
            ("6.1.0", "7.0.20", Want::NoGuest),
            ("6.11.9", "7.2.12", Want::NoGuest),
            ("6.12.0", "7.2.8", Want::Off),
            ("6.18.2", "7.0.26", Want::Off),
            ("6.18.2", "7.2.10", Want::On),
            ("6.12.48", "7.2.14", Want::Disputed),
            ("6.13.0", "7.2.14", Want::On),
            ("6.12.48", "7.2.18", Want::On),
        ] {
            let found = want(&kernel.parse().unwrap(), &virtualbox.parse().unwrap());
            assert_eq!(found, Some(expected), "{kernel} {virtualbox}");
        }
    }
}

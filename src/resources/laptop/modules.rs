//! VirtualBox's own kernel modules: built for the running kernel, allowed, loaded.

use super::common::{Files, Here, content, is_there, lines, program, said, virtualbox};
use super::{
    Check, Context, Judgement, LINUX, LaptopKind, MAC, State, UNIX, When, Wrong, box_answers,
    proved,
};
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Observed, Probe, Unobserved};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

const SECURE_BOOT: &str = "laptop.secure-boot";

pub const SECURE_BOOT_KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: SECURE_BOOT,
        title: "Secure Boot lets VirtualBox's kernel module in",
        needs: &["laptop.virtualbox"],
        probe: MODULES,
    }],
    on: LINUX,
    virtualbox: true,
    when: When::Always,
    probes,
    look: look_at_secure_boot,
};

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.kernel-modules",
        title: "VirtualBox's kernel modules are loaded",
        needs: &["laptop.virtualbox", SECURE_BOOT],
        probe: MODULES,
    }],
    on: UNIX,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const MODULES: &str = "laptop.modules";
const MODULE_FILE: &str = "laptop.vboxdrv";
const KEXTS: &str = "laptop.kexts";
const LOADED: &str = "/sys/module/vboxdrv";
const HEADERS: &str = "/lib/modules/{release}/build";
const BUILDER: &str = "/sbin/vboxconfig";
const OS_RELEASE: &str = "/etc/os-release";
const EFI: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const KEY: &str = "/var/lib/dkms/mok.pub";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let paths = vec![LOADED, HEADERS, BUILDER, OS_RELEASE, EFI, KEY];
    let mut probes = Here::probes(workshop);
    probes.push(Probe::laptop(MODULES, LINUX, Ask::Files(paths)));
    probes.push(program(MODULE_FILE, LINUX, "modinfo", &["-n", "vboxdrv"]));
    probes.push(program(KEXTS, MAC, "kmutil", &["showloaded"]));
    probes
}

/// VirtualBox's module on Linux.
struct Module {
    is_loaded: bool,
    has_headers: bool,
    has_builder: bool,
    has_key: bool,
    secure_boot: bool,
    distribution: String,
    /// Whether it is built for the running kernel.
    is_built: Observed<bool>,
}

impl Module {
    fn read(facts: &Facts) -> Observed<Self> {
        let files: Files = facts.records().json(MODULES)?;
        Ok(Self {
            is_loaded: is_there(&files, LOADED)?,
            has_headers: is_there(&files, HEADERS)?,
            has_builder: is_there(&files, BUILDER)?,
            has_key: is_there(&files, KEY)?,
            // Four bytes of attributes, then the value. No file: no EFI, so no Secure Boot.
            secure_boot: is_there(&files, EFI)? && content(&files, EFI)?.ends_with('\u{1}'),
            distribution: content(&files, OS_RELEASE).unwrap_or_default().to_owned(),
            is_built: built(facts),
        })
    }

    /// Whether the distribution is, or comes from, one of these.
    fn is_like(&self, names: &[&str]) -> bool {
        let ids = self
            .distribution
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
        ids.flat_map(|value| value.trim_matches('"').split(' '))
            .any(|id| names.contains(&id))
    }
}

/// modinfo prints where the module's file is.
fn built(facts: &Facts) -> Observed<bool> {
    let (status, text) = said(facts.records(), MODULE_FILE)?;
    match (status, text.trim()) {
        (0, path) if path.contains("vboxdrv") => Ok(true),
        (1, text) if text.contains("not found") => Ok(false),
        (_, text) => Err(super::common::not_understood("modinfo's answer", text)),
    }
}

fn look_at_secure_boot(_: &Check, _: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let module = match Module::read(facts) {
        Ok(module) => module,
        Err(unobserved) => return State::from(&unobserved),
    };
    if module.is_loaded {
        return State::AsDeclared("the module is loaded".to_owned());
    }
    if !module.secure_boot {
        return State::AsDeclared("Secure Boot is off".to_owned());
    }
    match module.is_built {
        Err(unobserved) => State::from(&unobserved),
        Ok(false) => State::AsDeclared("there is no module yet to let in".to_owned()),
        Ok(true) => {
            let wrong = Wrong::fail("Secure Boot is on and refuses VirtualBox's kernel module, which nobody has signed")
                .text("Have your laptop trust the key that signs it: the first command asks for a password of your own; after the restart choose \"Enroll MOK\" on the blue screen and type it again");
            let wrong = if module.has_key {
                wrong.command(format!("sudo mokutil --import {KEY}"))
            } else {
                wrong
                    .command("sudo openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=modules/ -outform DER -keyout /root/module.key -out /root/module.der")
                    .command("sudo mokutil --import /root/module.der")
            };
            wrong.command("sudo reboot").drifted()
        }
    }
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    if context.laptop == Os::MacOs {
        return look_at_mac(facts);
    }
    let Here(here) = observed!(facts, Here);
    let module = match Module::read(facts) {
        Ok(module) => module,
        Err(unobserved) => return State::from(&unobserved),
    };
    if module.is_loaded {
        return State::AsDeclared("vboxdrv is loaded".to_owned());
    }
    match &module.is_built {
        Ok(true) => Wrong::fail("VirtualBox's kernel module is there, and not loaded")
            .text("Load it; what the kernel says against it stands in the journal")
            .command("sudo modprobe vboxdrv")
            .drifted(),
        Ok(false) => not_built(&module, &here.release),
        Err(Unobserved(reason)) => State::Unknown(reason.clone()),
    }
}

fn not_built(module: &Module, release: &str) -> State<Judgement> {
    let headers = if module.has_headers {
        ""
    } else {
        ", whose headers are missing"
    };
    let wrong = Wrong::fail(format!(
        "VirtualBox's kernel module was not built for the kernel that runs, {release}{headers}"
    ));
    if module.is_like(&["nixos"]) {
        return wrong
            .text("Set `virtualisation.virtualbox.host.enable = true;` in configuration.nix, then build the system anew")
            .command("sudo nixos-rebuild switch")
            .drifted();
    }
    let (install, name) = if module.is_like(&["debian", "ubuntu"]) {
        (
            Some(format!("sudo apt-get install linux-headers-{release} dkms")),
            "dkms",
        )
    } else if module.is_like(&["fedora", "rhel"]) {
        (
            Some(format!("sudo dnf install kernel-devel-{release}")),
            "akmods",
        )
    } else if module.is_like(&["arch"]) {
        (Some("sudo pacman -S linux-headers".to_owned()), "dkms")
    } else {
        (None, "dkms")
    };
    let build = match (module.has_builder, name) {
        (true, _) => format!("sudo {BUILDER}"),
        (false, "akmods") => "sudo akmods --force".to_owned(),
        (false, _) => "sudo dkms autoinstall".to_owned(),
    };
    let text = match install {
        Some(_) => "Install the kernel's headers, build the module, load it",
        None => {
            "Install the headers of the running kernel with your distribution's package manager, then build the module and load it"
        }
    };
    let wrong = install.into_iter().fold(wrong.text(text), Wrong::command);
    wrong
        .command(build)
        .command("sudo modprobe vboxdrv")
        .drifted()
}

/// Until 6.1 VirtualBox brought kernel extensions, which macOS wants to be allowed.
fn look_at_mac(facts: &Facts) -> State<Judgement> {
    match virtualbox(facts) {
        Some(version) if version.major >= 7 => {
            return State::AsDeclared(format!("VirtualBox {version} needs none"));
        }
        Some(_) => {}
        None => return State::Unknown("VirtualBox's version is not known".to_owned()),
    }
    let text = match lines(facts.records(), KEXTS) {
        Ok(text) => text,
        Err(unobserved) => return State::from(&unobserved),
    };
    if text.contains("org.virtualbox.kext.VBoxDrv") {
        return State::AsDeclared("VBoxDrv is loaded".to_owned());
    }
    if !text.contains("com.apple.") {
        return State::from(&super::common::not_understood("kmutil's answer", text));
    }
    Wrong::fail("macOS has not let VirtualBox's kernel extension in")
        .text("In System Settings, Privacy & Security, allow the software of Oracle, restart, and install VirtualBox again. VirtualBox 7 needs no extension")
        .drifted()
}

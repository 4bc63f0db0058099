//! The processor's virtualisation: in it, turned on in the firmware, and not swallowed by an outer machine.

use super::common::{Computer, Files, Sysctl, content};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, When, Wrong, box_answers, proved,
};
use crate::doctor::report::By;
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Probe};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.virtualisation",
        title: "The processor's virtualisation is turned on",
        needs: &["laptop.architecture"],
        probe: CPU,
    }],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const CPU: &str = "laptop.cpu";
const CPUINFO: &str = "/proc/cpuinfo";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";
const VENDOR: &str = "/sys/class/dmi/id/sys_vendor";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let files = Ask::Files(vec![CPUINFO, PRODUCT, VENDOR]);
    let mut probes = vec![Probe::laptop(CPU, &[Os::Linux], files)];
    probes.extend(Computer::probes(workshop));
    probes.extend(Sysctl::probes(workshop));
    probes
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    match context.laptop {
        Os::Windows => windows(&observed!(facts, Computer)),
        Os::MacOs => match observed!(facts, Sysctl).get("kern.hv_support") {
            Some(1) => State::AsDeclared("macOS offers it".to_owned()),
            Some(0) => Wrong::fail("This Mac offers no virtualisation to programs")
                .text("VirtualBox cannot run here: ask for another way to take part, such as a machine that dwenv reaches over SSH")
                .mended_by(By::Organiser)
                .drifted(),
            _ => State::Unknown("sysctl does not tell kern.hv_support".to_owned()),
        },
        Os::Linux | Os::Other => linux(facts),
    }
}

fn linux(facts: &Facts) -> State<Judgement> {
    let files: Files = match facts.records().json(CPU) {
        Ok(files) => files,
        Err(unobserved) => return State::from(&unobserved),
    };
    let cpuinfo = match content(&files, CPUINFO) {
        Ok(text) => text,
        Err(unobserved) => return State::from(&unobserved),
    };
    let field = |name: &str| {
        cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then_some(value.trim())
        })
    };
    // Every processor's flags are shown with these two.
    let Some(flags) = field("flags").filter(|flags| flags.contains("fpu") && flags.contains("tsc"))
    else {
        return State::Unknown(format!("{CPUINFO} shows no flags of an x86 processor"));
    };
    let has = |name: &str| flags.split_whitespace().any(|flag| flag == name);
    if has("vmx") || has("svm") {
        let name = if has("vmx") { "VT-x" } else { "AMD-V" };
        return State::AsDeclared(name.to_owned());
    }
    if has("hypervisor") {
        let told = |path| content(&files, path).unwrap_or_default().trim();
        return nested(format!("{} {}", told(VENDOR), told(PRODUCT)).trim());
    }
    off(field("vendor_id") == Some("AuthenticAMD"))
}

fn windows(computer: &Computer) -> State<Judgement> {
    let maker = computer.manufacturer.as_deref().unwrap_or_default();
    let model = computer.model.as_deref().unwrap_or_default();
    match (
        computer.hypervisor_present,
        computer.virtualization_firmware_enabled,
    ) {
        (_, Some(false)) if is_virtual(maker, model) => nested(&format!("{maker} {model}")),
        // A hypervisor that runs has it turned on; the processor's own field then says false.
        (Some(true), _) => State::AsDeclared("on: a hypervisor runs on it".to_owned()),
        (Some(false), Some(true)) => State::AsDeclared("turned on in the firmware".to_owned()),
        (Some(false), Some(false)) => {
            let name = computer.processor.as_deref().unwrap_or_default();
            off(name.contains("AMD"))
        }
        _ => State::Unknown("Windows does not tell whether it is on".to_owned()),
    }
}

/// As virtual machines call themselves.
fn is_virtual(maker: &str, model: &str) -> bool {
    model.contains("Virtual")
        || [
            "VMware",
            "QEMU",
            "innotek",
            "Xen",
            "Parallels",
            "Amazon EC2",
        ]
        .iter()
        .any(|name| maker.contains(name))
}

fn off(is_amd: bool) -> State<Judgement> {
    let (name, setting) = if is_amd {
        ("AMD-V", "SVM Mode")
    } else {
        ("VT-x", "Intel Virtualization Technology")
    };
    Wrong::fail(format!("{name} is turned off in the firmware"))
        .text(format!(
            "Restart the laptop, press the key for its setup (often F2 or Del), turn on \"{setting}\", save, and power it off once. A company's laptop may ask for a password there: its IT has it"
        ))
        .drifted()
}

fn nested(name: &str) -> State<Judgement> {
    let name = if name.is_empty() { "unnamed" } else { name };
    Wrong::fail(format!(
        "This is itself a virtual machine ({name}), and its host does not pass virtualisation on"
    ))
    .text("Whoever runs the host turns on nested virtualisation for this machine; or take part with a laptop of your own")
    .mended_by(By::It)
    .drifted()
}

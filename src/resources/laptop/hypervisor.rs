//! What else uses the processor's virtualisation on Windows: Hyper-V, WSL 2, memory integrity.

use serde::Deserialize;

use super::common::{Computer, powershell};
use super::{
    Check, Context, Judgement, LaptopKind, State, WINDOWS, When, Wrong, box_answers, proved,
};
use crate::facts::{Fact, Facts, Observed, Probe, Records};
use crate::resources::observed;
use crate::workshop::Workshop;

const INTEGRITY: &str = "laptop.memory-integrity";

pub const KIND: LaptopKind = LaptopKind {
    checks: &[
        Check {
            id: INTEGRITY,
            title: "Windows' memory integrity leaves virtualisation to VirtualBox",
            needs: &["laptop.virtualisation"],
            probe: DeviceGuard::PROBE,
        },
        Check {
            id: "laptop.hypervisor",
            title: "No other hypervisor has the processor's virtualisation",
            needs: &["laptop.virtualisation"],
            probe: Computer::PROBE,
        },
    ],
    on: WINDOWS,
    virtualbox: true,
    when: When::Always,
    probes: |workshop| [Computer::probes(workshop), DeviceGuard::probes(workshop)].concat(),
    look,
};

/// Windows' security that stands on virtualisation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeviceGuard {
    /// 2: it runs.
    virtualization_based_security_status: u32,
    /// 2 among them: memory integrity.
    security_services_running: Vec<u32>,
}

impl DeviceGuard {
    const PROBE: &str = "laptop.deviceguard";

    fn has_integrity(&self) -> bool {
        self.virtualization_based_security_status == 2
            && self.security_services_running.contains(&2)
    }
}

impl Fact for DeviceGuard {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let line = "$d = Get-CimInstance -Namespace root\\Microsoft\\Windows\\DeviceGuard -ClassName Win32_DeviceGuard; \
            [pscustomobject]@{ VirtualizationBasedSecurityStatus = $d.VirtualizationBasedSecurityStatus; \
            SecurityServicesRunning = @($d.SecurityServicesRunning) } | ConvertTo-Json -Compress";
        vec![powershell(Self::PROBE, line)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json(Self::PROBE)
    }
}

fn look(check: &Check, _: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    if check.id == INTEGRITY {
        return look_at_integrity(facts);
    }
    let computer = observed!(facts, Computer);
    match computer.hypervisor_present {
        Some(false) => State::AsDeclared("none runs".to_owned()),
        Some(true)
            if matches!(facts.get::<DeviceGuard>().as_ref(), Ok(guard) if guard.has_integrity()) =>
        {
            State::AsDeclared(format!("Windows itself has it: see {INTEGRITY}"))
        }
        Some(true) => Wrong::warn(
            "Hyper-V has the processor's virtualisation (for WSL 2, Docker Desktop or the Sandbox), so VirtualBox runs on top of it, slowly or not at all",
        )
        .text("Install the newest VirtualBox and see whether the box starts. If it does not: as administrator turn Hyper-V off and restart; WSL 2 and Docker Desktop do not work until it is set to `auto` again. On a company's laptop ask its IT first")
        .command("bcdedit /set hypervisorlaunchtype off")
        .command("shutdown /r /t 0")
        .drifted(),
        None => State::Unknown("Windows does not tell whether a hypervisor runs".to_owned()),
    }
}

fn look_at_integrity(facts: &Facts) -> State<Judgement> {
    let guard = observed!(facts, DeviceGuard);
    if !guard.has_integrity() {
        return State::AsDeclared("off".to_owned());
    }
    Wrong::warn("Memory integrity is on: VirtualBox runs on top of Windows' hypervisor, slowly or not at all")
        .text("See whether the box starts. If it does not: in Windows Security, Device security, Core isolation, turn memory integrity off and restart. It protects Windows, so turn it on again afterwards; on a company's laptop ask its IT")
        .drifted()
}

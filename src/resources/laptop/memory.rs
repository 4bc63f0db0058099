//! Memory for the box beside what the laptop already does.

use super::common::{Computer, Files, Sysctl, content, gigabytes, lines, not_understood, program};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, When, Wrong, box_answers, proved,
};
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Observed, Probe};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.memory",
        title: "The laptop has memory for the box",
        needs: &[],
        probe: LINUX_PROBE,
    }],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const LINUX_PROBE: &str = "laptop.memory";
const MAC_PROBE: &str = "laptop.vm_stat";
const MEMINFO: &str = "/proc/meminfo";

/// What the laptop's own programs need besides the box, in kB.
const BESIDE_KB: u64 = 1_572_864;

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut probes = vec![
        Probe::laptop(LINUX_PROBE, &[Os::Linux], Ask::Files(vec![MEMINFO])),
        program(MAC_PROBE, &[Os::MacOs], "vm_stat", &[]),
    ];
    probes.extend(Sysctl::probes(workshop));
    probes.extend(Computer::probes(workshop));
    probes
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    // The memory of a box that runs is taken already.
    if box_answers(facts) {
        return proved();
    }
    let free = match free_kb(context.laptop, facts) {
        Ok(free) => free,
        Err(unobserved) => return State::from(&unobserved),
    };
    let of_box = u64::from(context.workshop.machine.memory_mb) * 1024;
    if free >= of_box + BESIDE_KB {
        return State::AsDeclared(format!("{} free", gigabytes(free)));
    }
    Wrong::warn(format!(
        "Only {} of memory are free; the box takes {}, and the laptop itself some 1.5 GB",
        gigabytes(free),
        gigabytes(of_box)
    ))
    .text("Close programs that are not needed, a browser with many pages first")
    .drifted()
}

fn free_kb(laptop: Os, facts: &Facts) -> Observed<u64> {
    match laptop {
        Os::Windows => {
            let computer = facts.get::<Computer>().as_ref().clone()?;
            let free = computer.free_physical_memory;
            free.ok_or_else(|| not_understood("Windows' free memory", "nothing"))
        }
        Os::MacOs => {
            let page = facts.get::<Sysctl>().as_ref().clone()?.get("hw.pagesize");
            let text = lines(facts.records(), MAC_PROBE)?;
            mac_pages(text)
                .zip(page)
                .map(|(pages, page)| pages * page / 1024)
                .ok_or_else(|| not_understood("vm_stat's answer", text))
        }
        Os::Linux | Os::Other => {
            let files: Files = facts.records().json(LINUX_PROBE)?;
            let text = content(&files, MEMINFO)?;
            text.lines()
                .find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix(" kB"))
                .and_then(|number| number.trim().parse().ok())
                .ok_or_else(|| not_understood(MEMINFO, text))
        }
    }
}

/// `Pages free:                               12345.` and what macOS gives back when it is asked for.
fn mac_pages(text: &str) -> Option<u64> {
    let pages = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix('.')?.parse().ok()
    };
    Some(pages("Pages free:")? + pages("Pages inactive:")? + pages("Pages speculative:")?)
}

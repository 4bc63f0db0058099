//! What a box runs out of beside the space on its disk: memory and inodes.

use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::target::Provider;
use crate::workshop::Workshop;

pub struct Capacity;

const CHECKS: &[Check] = &[
    Check {
        id: "box.memory",
        title: "The box has memory left",
        needs: &["box.ssh"],
        probe: Memory::PROBE,
    },
    Check {
        id: "box.inodes",
        title: "The box's disk has room for more files",
        needs: &["box.ssh"],
        probe: Inodes::PROBE,
    },
];

/// Available memory with which the next container has others killed, and with which nothing starts.
const SCARCE_KB: u64 = 200_000;
const GONE_KB: u64 = 50_000;
/// Inodes that are few for a disk, in percent, and too few for the packages of Docker and PostgreSQL.
const SCARCE_PERCENT: u64 = 2;
const GONE_INODES: u64 = 8_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    MemoryScarce(Memory),
    MemoryGone(Memory),
    /// So many processes were ended for want of memory since the box started.
    Killed(u64),
    InodesScarce {
        mount: String,
        free: u64,
    },
    InodesGone {
        mount: String,
        free: u64,
    },
}

/// The box's memory, in kB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    total: u64,
    available: u64,
    swap_free: u64,
    /// Processes that the kernel ended for want of memory since it started; `None` in a container, where
    /// the count is the host's.
    killed: Option<u64>,
}

impl Memory {
    const PROBE: &str = "memory";
}

impl Fact for Memory {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let fragment = "[ ! -e /run/systemd/container ] || echo container\n\
             grep -hE '^(MemTotal|MemAvailable|SwapFree|oom_kill)[: ]' /proc/meminfo /proc/vmstat";
        vec![Probe::new(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let field = |name: &str| -> Option<u64> {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix([':', ' ']))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let garbled = || {
            Unobserved(format!(
                "the kernel's account of memory is not understood: {text}"
            ))
        };
        let is_container = text.lines().any(|line| line == "container");
        Ok(Self {
            total: field("MemTotal").ok_or_else(garbled)?,
            available: field("MemAvailable").ok_or_else(garbled)?,
            swap_free: field("SwapFree").ok_or_else(garbled)?,
            killed: field("oom_kill").filter(|_| !is_container),
        })
    }
}

/// Inodes by mount point: all and free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inodes(Vec<(String, u64, u64)>);

impl Inodes {
    const PROBE: &str = "inodes";
}

impl Fact for Inodes {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // Folders that are not there yet make df say so on stderr and end with 1: no fault of the box.
        let fragment = "df -Pi / /var /var/lib/docker /var/lib/postgresql 2>/dev/null; true";
        vec![Probe::new(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let mut mounts: Vec<(String, u64, u64)> = Vec::new();
        let mut lines = text.lines();
        let is_asked = lines.next().is_some_and(|line| line.contains("IFree"));
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            // A file system without a table of inodes, such as btrfs, has `0` or `-` there.
            if let [_, all, _, free, _, mount] = words[..]
                && let (Ok(all), Ok(free)) = (all.parse(), free.parse())
                && !mounts.iter().any(|(known, ..)| known == mount)
                && all > 0
            {
                mounts.push((mount.to_owned(), all, free));
            }
        }
        if is_asked {
            Ok(Self(mounts))
        } else {
            Err(Unobserved(format!("df's answer is not understood: {text}")))
        }
    }
}

impl Resource for Capacity {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [Memory::probes(workshop), Inodes::probes(workshop)].concat()
    }

    fn diff(&self, check: &Check, _: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.memory" => diff_memory(facts),
            _ => diff_inodes(facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        match drift {
            Drift::MemoryScarce(memory) => judge_memory(Status::Warn, context, available(memory)),
            Drift::MemoryGone(memory) => judge_memory(Status::Fail, context, available(memory)),
            Drift::Killed(count) => judge_memory(
                Status::Warn,
                context,
                format!(
                    "Since the box started, {count} {} ended for want of memory",
                    if *count == 1 {
                        "process was"
                    } else {
                        "processes were"
                    }
                ),
            ),
            Drift::InodesScarce { mount, free } => {
                judge_inodes(Status::Warn, context, mount, *free)
            }
            Drift::InodesGone { mount, free } => judge_inodes(Status::Fail, context, mount, *free),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::MemoryScarce(_) | Drift::MemoryGone(_) | Drift::Killed(_) => {
                Plan::leave("dwenv ends nothing that runs, and gives a box no memory")
            }
            Drift::InodesScarce { mount, .. } | Drift::InodesGone { mount, .. } => {
                Plan::leave(format!("dwenv deletes nothing to make room on {mount}"))
            }
        }
    }

    fn predict(&self, _: Context, _: &Facts, _: &Drift) {}
}

fn diff_memory(facts: &Facts) -> State<Drift> {
    let memory = observed!(facts, Memory);
    if memory.available + memory.swap_free < GONE_KB {
        return State::Drifted(Drift::MemoryGone(memory));
    }
    if memory.available < SCARCE_KB {
        return State::Drifted(Drift::MemoryScarce(memory));
    }
    match memory.killed {
        Some(count @ 1..) => State::Drifted(Drift::Killed(count)),
        _ => State::AsDeclared(available(&memory)),
    }
}

fn diff_inodes(facts: &Facts) -> State<Drift> {
    let Inodes(mounts) = observed!(facts, Inodes);
    let fewest = mounts
        .into_iter()
        .min_by_key(|(_, all, free)| free.saturating_mul(1000) / all);
    let Some((mount, all, free)) = fewest else {
        return State::AsDeclared("this file system counts none".to_owned());
    };
    if free.saturating_mul(100) / all >= SCARCE_PERCENT {
        State::AsDeclared(format!("{free} files more on {mount}"))
    } else if free < GONE_INODES {
        State::Drifted(Drift::InodesGone { mount, free })
    } else {
        State::Drifted(Drift::InodesScarce { mount, free })
    }
}

fn available(memory: &Memory) -> String {
    format!(
        "{} MB of {} MB are available",
        memory.available / 1000,
        memory.total / 1000
    )
}

fn judge_memory(status: Status, context: Context, summary: String) -> Judgement {
    let look = context.in_box("ps -eo pid,rss,args --sort=-rss");
    let (text, commands, by) = match context.provider {
        Provider::Vagrant(_) => (
            "End what is not needed in the box, or give the box more memory in the Vagrantfile and start it again",
            vec![look, "vagrant reload".to_owned()],
            By::You,
        ),
        _ => (
            "End what is not needed in the box; if that is not enough, it needs more memory",
            vec![look],
            By::You,
        ),
    };
    Judgement {
        status,
        summary,
        remedy: Some(Remedy {
            text: text.to_owned(),
            commands,
            by,
        }),
    }
}

fn judge_inodes(status: Status, context: Context, mount: &str, free: u64) -> Judgement {
    Judgement {
        status,
        summary: format!("{mount} takes only {free} files more, however much space it has"),
        remedy: Some(Remedy {
            text: "Look which folder has so many files, and delete what is not needed".to_owned(),
            commands: vec![
                context.in_box(&format!("sudo du --inodes -x -d 3 -t 2000 {mount}")),
                context.in_box("docker system df"),
            ],
            by: By::You,
        }),
    }
}

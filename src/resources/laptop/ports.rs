//! The laptop's ports that lead into the box: free, VirtualBox's own, or somebody else's.

use super::common::{Kept, not_understood, program, said};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, WINDOWS, When, Wrong, box_answers, proved,
};
use crate::doctor::report::By;
use crate::facts::laptop::{PortTried, Tried};
use crate::facts::probe::Ask;
use crate::facts::{Fact, Facts, Observed, Probe};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

const SERVER: &str = "laptop.port.8080";
const POSTGRES: &str = "laptop.port.5432";
const EXCLUDED: &str = "laptop.excluded-ports";
const TRIED: &str = "laptop.ports";
const LISTENERS: &str = "laptop.listeners";
const PROCESSES: &str = "laptop.processes";

pub const EXCLUDED_KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: EXCLUDED,
        title: "Windows keeps none of the workshop's ports for itself",
        needs: &[],
        probe: EXCLUDED,
    }],
    on: WINDOWS,
    virtualbox: true,
    when: When::Always,
    probes: |_| {
        let arguments = [
            "interface",
            "ipv4",
            "show",
            "excludedportrange",
            "protocol=tcp",
        ];
        vec![program(EXCLUDED, WINDOWS, "netsh", &arguments)]
    },
    look: look_at_excluded,
};

pub const KIND: LaptopKind = LaptopKind {
    checks: &[
        Check {
            id: SERVER,
            title: "The laptop's port for the server is free for the box",
            needs: &[EXCLUDED],
            probe: TRIED,
        },
        Check {
            id: POSTGRES,
            title: "The laptop's port for PostgreSQL is free for the box",
            needs: &[EXCLUDED],
            probe: TRIED,
        },
    ],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let ports = workshop.machine.forwards.iter().map(|forward| forward.host);
    let mut probes = vec![
        Probe::laptop(TRIED, Os::ALL, Ask::Ports(ports.collect())),
        program(LISTENERS, &[Os::Linux], "ss", &["-Hltnp"]),
        program(
            LISTENERS,
            &[Os::MacOs],
            "lsof",
            &["-nP", "-iTCP", "-sTCP:LISTEN"],
        ),
        program(LISTENERS, WINDOWS, "netstat", &["-ano"]),
        program(PROCESSES, WINDOWS, "tasklist", &["/FO", "CSV", "/NH"]),
    ];
    probes.extend(Kept::probes(workshop));
    probes
}

/// The laptop's port that leads to a service of the box.
fn host_port(id: &str, workshop: &Workshop) -> Option<u16> {
    let guest = if id == POSTGRES {
        workshop.postgres.port
    } else {
        workshop.server.port
    };
    let mut forwards = workshop.machine.forwards.iter();
    forwards
        .find(|forward| forward.guest == guest)
        .map(|forward| forward.host)
}

/// Whether a check of a port has one: the declaration may forward none.
pub fn is_declared(id: &str, workshop: &Workshop) -> bool {
    !id.starts_with("laptop.port.") || host_port(id, workshop).is_some()
}

/// Who listens at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    name: String,
    pid: u32,
}

impl Holder {
    /// VirtualBox forwards a box's ports by the process of its machine. lsof cuts its name.
    fn is_virtualbox(&self) -> bool {
        ["VBoxHeadl", "VBoxSVC", "VirtualBox", "VBoxNetNAT"]
            .iter()
            .any(|name| self.name.starts_with(name))
    }
}

fn look(check: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let Some(port) = host_port(check.id, context.workshop) else {
        return State::Unknown("no port leads to it".to_owned());
    };
    let tried: Vec<PortTried> = match facts.records().json(TRIED) {
        Ok(tried) => tried,
        Err(unobserved) => return State::from(&unobserved),
    };
    let tried: Vec<&PortTried> = tried.iter().filter(|tried| tried.port == port).collect();
    let Some(ipv4) = tried.iter().find(|tried| tried.address.is_ipv4()) else {
        return State::Unknown(format!("port {port} was not tried"));
    };
    // Either family counts: whoever is first asked for `localhost` may answer.
    let taken = tried
        .iter()
        .any(|it| it.connect == Tried::Done || it.bind == Tried::InUse);
    if taken {
        return held(port, context, facts);
    }
    match &ipv4.bind {
        Tried::Done => State::AsDeclared(format!("{port} is free")),
        Tried::Denied => Wrong::fail(format!("The system lets nobody use port {port}"))
            .text("Something keeps it for itself, or forbids ports to you: ask for another one, and the organiser can set it in config.toml")
            .mended_by(By::Organiser)
            .drifted(),
        other => State::Unknown(format!("port {port} can be neither had nor reached: {other:?}")),
    }
}

fn held(port: u16, context: Context, facts: &Facts) -> State<Judgement> {
    let holder = match holder(port, context.laptop, facts) {
        Ok(Some(holder)) => holder,
        // Others' processes are not shown to everybody, nor those of another namespace.
        Ok(None) | Err(_) => {
            return Wrong::fail(format!(
                "Port {port} of the laptop is in use by something that cannot be seen"
            ))
            .text("It belongs to another user or to the system. Stop what you think it is, or restart the laptop and look again before you start anything")
            .command(show(context.laptop, port))
            .drifted();
        }
    };
    let Holder { name, pid } = &holder;
    let has_machine = match facts.get::<Kept>().as_ref() {
        Err(unobserved) if holder.is_virtualbox() => return State::from(unobserved),
        kept => matches!(kept, Ok(kept) if kept.has_machine()),
    };
    if holder.is_virtualbox() && has_machine {
        return State::AsDeclared(format!("{port} leads to the box, by {name} (pid {pid})"));
    }
    let summary = format!("Port {port} of the laptop is held by {name} (pid {pid})");
    if holder.is_virtualbox() {
        return Wrong::fail(format!("{summary}: the machine of another project runs"))
            .text("Find that machine and stop it, by its id")
            .command("vagrant global-status")
            .drifted();
    }
    Wrong::fail(summary)
        .text(format!(
            "Stop {name} for the workshop; if it comes back by itself, it is a service: stop that"
        ))
        .command(if context.laptop == Os::Windows {
            format!("taskkill /PID {pid}")
        } else {
            format!("kill {pid}")
        })
        .drifted()
}

/// What shows the holder to those who may see it.
fn show(laptop: Os, port: u16) -> String {
    match laptop {
        Os::Windows => format!("netstat -ano | findstr :{port}"),
        Os::MacOs => format!("sudo lsof -nP -iTCP:{port} -sTCP:LISTEN"),
        Os::Linux | Os::Other => format!("sudo ss -ltnp 'sport = :{port}'"),
    }
}

fn holder(port: u16, laptop: Os, facts: &Facts) -> Observed<Option<Holder>> {
    let records = facts.records();
    let (_, text) = said(records, LISTENERS)?;
    let suffix = format!(":{port}");
    let line = |at: usize| {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words.get(at).is_some_and(|word| word.ends_with(&suffix)))
    };
    Ok(match laptop {
        // `TCP    0.0.0.0:8080    0.0.0.0:0    LISTENING    4712`; the word is in the system's language.
        Os::Windows => {
            let pid = text
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .find(|words| {
                    words.first() == Some(&"TCP")
                        && words.get(1).is_some_and(|own| own.ends_with(&suffix))
                        && matches!(words.get(2), Some(&"0.0.0.0:0" | &"[::]:0"))
                })
                .and_then(|words| words.last()?.parse().ok());
            let processes = records.text(PROCESSES)?;
            pid.and_then(|pid| windows_process(processes, pid))
        }
        // `java  4712 anna  52u  IPv6 0x…  0t0  TCP *:8080 (LISTEN)`
        Os::MacOs => {
            if !text.is_empty() && !text.starts_with("COMMAND") {
                return Err(not_understood("lsof's answer", text));
            }
            line(8).and_then(|words| {
                Some(Holder {
                    name: words[0].replace("\\x20", " "),
                    pid: words.get(1)?.parse().ok()?,
                })
            })
        }
        // `LISTEN 0 244 [::]:5432 [::]:* users:(("postgres",pid=812,fd=6))`
        Os::Linux | Os::Other => line(3).and_then(|words| {
            let users = words.get(5..)?.join(" ");
            let (_, pid) = users.split_once("pid=")?;
            Some(Holder {
                name: users.split('"').nth(1)?.to_owned(),
                pid: pid
                    .split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse()
                    .ok()?,
            })
        }),
    })
}

/// `"postgres.exe","4712","Services","0","21,344 K"`
fn windows_process(list: &str, pid: u32) -> Option<Holder> {
    list.lines().find_map(|line| {
        let mut cells = line.trim().trim_matches('"').split("\",\"");
        let name = cells.next()?;
        (cells.next()?.parse() == Ok(pid)).then(|| Holder {
            name: name.to_owned(),
            pid,
        })
    })
}

fn look_at_excluded(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let text = match facts.records().text(EXCLUDED) {
        Ok(text) => text,
        Err(unobserved) => return State::from(&unobserved),
    };
    // The head is in the system's language; the line under it is not.
    let Some((_, table)) = text.split_once("-----") else {
        return State::from(&not_understood("netsh's answer", text));
    };
    let ranges: Vec<(u16, u16)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        })
        .collect();
    let mut ports = context.workshop.machine.forwards.iter().map(|it| it.host);
    let taken = ports.find_map(|port| {
        let range = ranges
            .iter()
            .find(|(first, last)| (*first..=*last).contains(&port))?;
        Some((port, *range))
    });
    match taken {
        None => State::AsDeclared("none".to_owned()),
        Some((port, (first, last))) => Wrong::fail(format!(
            "Windows keeps the ports {first} to {last} for itself (Hyper-V and WSL ask for them), {port} among them"
        ))
        .text("As administrator, let Windows choose anew, and start the box before anything else does; on a company's laptop ask its IT")
        .command("net stop winnat")
        .command("net start winnat")
        .drifted(),
    }
}

//! The laptop's side: its programs, and whether the box's services can be reached from it.

use semver::Version;

use super::firewall::{Closed, Firewall};
use super::system::Connection;
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::laptop::Program;
use crate::facts::probe::{Ask, LaptopProgram, Service};
use crate::facts::reach::Way;
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records};
use crate::target::Provider;
use crate::target::compat::{self, Support};
use crate::target::laptop::{self, Os};
use crate::workshop::Workshop;

pub struct LaptopPrograms;
pub struct Reach;

const VAGRANT: &str = "laptop.vagrant";

/// The programs that every other check of a laptop stands on.
pub const PROGRAMS: &[&str] = &[VAGRANT, "laptop.virtualbox"];

const PROGRAM_CHECKS: &[Check] = &[
    Check {
        id: VAGRANT,
        title: "Vagrant is installed and new enough",
        needs: &[],
        probe: "vagrant",
    },
    Check {
        id: "laptop.virtualbox",
        title: "VirtualBox is installed, new enough, and known to this Vagrant",
        needs: &[VAGRANT],
        probe: "virtualbox",
    },
];

const REACH_SERVER: &str = "laptop.reach.8080";

const REACH_CHECKS: &[Check] = &[
    Check {
        id: REACH_SERVER,
        title: "The laptop reaches the server",
        // A server that does not answer in the box itself says nothing about the way there.
        needs: &["box.server.http"],
        probe: "reach_server",
    },
    Check {
        id: "laptop.reach.5432",
        title: "The laptop reaches PostgreSQL",
        needs: &["box.postgres.listen"],
        probe: "reach_postgres",
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VagrantProgram(pub Program);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualBoxProgram(pub Program);

impl Fact for VagrantProgram {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![
            Probe::laptop("vagrant", Os::ALL, Ask::Version(LaptopProgram::Vagrant))
                .within(laptop::DEADLINE),
        ]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json("vagrant").map(Self)
    }
}

impl Fact for VirtualBoxProgram {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![
            Probe::laptop(
                "virtualbox",
                Os::ALL,
                Ask::Version(LaptopProgram::VirtualBox),
            )
            .within(laptop::DEADLINE),
        ]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json("virtualbox").map(Self)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramDrift {
    NotInstalled(&'static str),
    Broken {
        name: &'static str,
        said: String,
    },
    TooOld {
        name: &'static str,
        found: Version,
        wanted: Version,
    },
    Mismatch {
        virtualbox: Version,
        vagrant: Version,
        needed: Option<Version>,
    },
    /// Both are newer than the table of which drives which.
    NotInTable {
        virtualbox: Version,
        vagrant: Version,
    },
}

impl Resource for LaptopPrograms {
    type Drift = ProgramDrift;

    fn checks(&self) -> &'static [Check] {
        PROGRAM_CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        match context.provider {
            Provider::Vagrant(provider) => check.id == VAGRANT || provider == "virtualbox",
            Provider::Sandbox | Provider::Ssh => false,
        }
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            VagrantProgram::probes(workshop),
            VirtualBoxProgram::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<ProgramDrift> {
        let wanted = &context.workshop.laptop;
        if check.id == VAGRANT {
            let VagrantProgram(program) = observed!(facts, VagrantProgram);
            return diff_program("Vagrant", program, &wanted.vagrant);
        }
        let VirtualBoxProgram(program) = observed!(facts, VirtualBoxProgram);
        match (&program, facts.get::<VagrantProgram>().as_ref()) {
            (Program::Version(virtualbox), Ok(VagrantProgram(Program::Version(vagrant))))
                if *virtualbox >= wanted.virtualbox =>
            {
                diff_pair(virtualbox, vagrant, facts)
            }
            _ => diff_program("VirtualBox", program, &wanted.virtualbox),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &ProgramDrift) -> Judgement {
        let mut status = Status::Fail;
        let mut commands = Vec::new();
        let (summary, text) = match drift {
            ProgramDrift::NotInstalled(name) => (
                format!("{name} is not installed, or not on the PATH"),
                format!("Install it from {}, then open a new terminal", page(name)),
            ),
            ProgramDrift::Broken { name, said } => (
                format!("{name} is there, but does not work: {said}"),
                format!("Install it again, from {}", page(name)),
            ),
            ProgramDrift::TooOld {
                name,
                found,
                wanted,
            } => (
                format!("{name} is {found}; the workshop needs {wanted} or newer"),
                format!("Install a newer one from {}", page(name)),
            ),
            ProgramDrift::Mismatch {
                virtualbox,
                vagrant,
                needed,
            } => (
                format!("Vagrant {vagrant} does not know VirtualBox {virtualbox}"),
                match needed {
                    Some(needed) => {
                        format!("Install Vagrant {needed} or newer from {}", page("Vagrant"))
                    }
                    None => {
                        "No Vagrant that dwenv knows of supports it: install an older VirtualBox \
                             from https://www.virtualbox.org/wiki/Download_Old_Builds"
                            .to_owned()
                    }
                },
            ),
            ProgramDrift::NotInTable {
                virtualbox,
                vagrant,
            } => {
                status = Status::Unknown;
                commands.push(format!("dwenv up --target {}", context.target));
                (
                    format!(
                        "Whether Vagrant {vagrant} knows VirtualBox {virtualbox} is not in dwenv's table of {}",
                        compat::as_of().0
                    ),
                    "Try it; if Vagrant refuses this VirtualBox, install an older one".to_owned(),
                )
            }
        };
        Judgement {
            status,
            summary,
            remedy: Some(Remedy {
                text,
                commands,
                by: By::You,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, _: &ProgramDrift) -> Plan {
        Plan::leave("dwenv installs nothing on the laptop")
    }

    fn predict(&self, _: Context, _: &Facts, _: &ProgramDrift) {}
}

fn diff_program(name: &'static str, program: Program, wanted: &Version) -> State<ProgramDrift> {
    match program {
        Program::Version(found) if found < *wanted => State::Drifted(ProgramDrift::TooOld {
            name,
            found,
            wanted: wanted.clone(),
        }),
        Program::Version(found) => State::AsDeclared(format!("{name} {found}")),
        Program::NotInstalled => State::Drifted(ProgramDrift::NotInstalled(name)),
        Program::Broken(said) => State::Drifted(ProgramDrift::Broken { name, said }),
    }
}

fn diff_pair(virtualbox: &Version, vagrant: &Version, facts: &Facts) -> State<ProgramDrift> {
    let (virtualbox, vagrant) = (virtualbox.clone(), vagrant.clone());
    let needed = match compat::supports(&vagrant, &virtualbox) {
        Support::Yes => {
            return State::AsDeclared(format!("VirtualBox {virtualbox}, Vagrant {vagrant}"));
        }
        Support::NeedsVagrant(needed) => Some(needed),
        Support::UnknownSeries if vagrant > *compat::as_of().1 => {
            // What no table says is proved by a box that answers.
            if matches!(facts.get::<Connection>().as_ref(), Ok(Connection(None))) {
                return State::AsDeclared(format!(
                    "VirtualBox {virtualbox}, and Vagrant {vagrant} made a box with it"
                ));
            }
            return State::Drifted(ProgramDrift::NotInTable {
                virtualbox,
                vagrant,
            });
        }
        Support::UnknownSeries => None,
    };
    State::Drifted(ProgramDrift::Mismatch {
        virtualbox,
        vagrant,
        needed,
    })
}

/// Where its maker has it.
fn page(program: &str) -> &'static str {
    match program {
        "Vagrant" => "https://developer.hashicorp.com/vagrant/install",
        _ => "https://www.virtualbox.org/wiki/Downloads",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachServer(pub Vec<Way>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachPostgres(pub Vec<Way>);

impl Fact for ReachServer {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let question = Question::Reach {
            port: workshop.server.port,
            service: Service::Http,
        };
        vec![Probe::new("reach_server", question)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json("reach_server").map(Self)
    }
}

impl Fact for ReachPostgres {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let question = Question::Reach {
            port: workshop.postgres.port,
            service: Service::Postgres,
        };
        vec![Probe::new("reach_postgres", question)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        records.json("reach_postgres").map(Self)
    }
}

/// The ways that failed, and whether another one works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachDrift {
    failed: Vec<Way>,
    works: Vec<String>,
    /// What the box's own firewall has against it.
    closed: Option<Closed>,
}

impl Resource for Reach {
    type Drift = ReachDrift;

    fn checks(&self) -> &'static [Check] {
        REACH_CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            ReachServer::probes(workshop),
            ReachPostgres::probes(workshop),
            Firewall::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<ReachDrift> {
        let workshop = context.workshop;
        let (ways, port) = if check.id == REACH_SERVER {
            (observed!(facts, ReachServer).0, workshop.server.port)
        } else {
            (observed!(facts, ReachPostgres).0, workshop.postgres.port)
        };
        let (works, failed): (Vec<Way>, Vec<Way>) =
            ways.into_iter().partition(|way| way.failure.is_none());
        let works: Vec<String> = works.into_iter().map(|way| way.address).collect();
        match (failed.is_empty(), works.is_empty()) {
            (true, true) => State::Unknown("there is no way from the laptop to the box".to_owned()),
            (true, false) => State::AsDeclared(works.join(", ")),
            (false, _) => State::Drifted(ReachDrift {
                failed,
                works,
                closed: Firewall::closing(facts, port),
            }),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &ReachDrift) -> Judgement {
        let mut said: Vec<String> = drift
            .failed
            .iter()
            .map(|way| format!("{}: {}", way.address, way.failure.as_deref().unwrap_or("")))
            .collect();
        said.extend(drift.closed.as_ref().map(Closed::summary));
        let status = if drift.works.is_empty() {
            Status::Fail
        } else {
            Status::Warn
        };
        let text = if drift.closed.is_some() {
            Closed::CURE.to_owned()
        } else if drift.works.is_empty() {
            "A VPN or a firewall stands between the laptop and the box: switch it off for the workshop"
                .to_owned()
        } else {
            format!(
                "Use {} instead; a VPN may have taken the other way",
                drift.works.join(", ")
            )
        };
        let opened = drift.closed.as_ref().map(|closed| closed.command(context));
        Judgement {
            status,
            summary: said.join("; "),
            remedy: Some(Remedy {
                text,
                commands: opened.into_iter().collect(),
                by: By::You,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &ReachDrift) -> Plan {
        Plan::leave(if drift.closed.is_some() {
            Closed::LEFT
        } else {
            "the way from the laptop to the box is not the box's to change"
        })
    }

    fn predict(&self, _: Context, _: &Facts, _: &ReachDrift) {}
}

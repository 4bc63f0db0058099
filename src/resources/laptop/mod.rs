//! The laptop: one file a subject. dwenv changes nothing there, so a check has no plan, only a remedy.

pub mod architecture;
pub mod boxes;
mod certificate;
pub mod clock;
pub mod common;
pub mod disk;
pub mod folders;
pub mod hostonly;
pub mod hypervisor;
pub mod keys;
pub mod kvm;
pub mod memory;
pub mod modules;
pub mod network;
pub mod plugins;
pub mod ports;
pub mod proxy;
pub mod tls;
pub mod virtualisation;

use super::system::Connection;
use super::{Check, Context, Judgement, Plan, Resource, State};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Facts, Probe};
use crate::target::Provider;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

/// A kind of check of the laptop.
pub struct LaptopKind {
    pub checks: &'static [Check],
    /// The systems on which they say something.
    pub on: &'static [Os],
    /// Whether they matter only where VirtualBox makes the box.
    pub virtualbox: bool,
    pub when: When,
    pub probes: fn(&Workshop) -> Vec<Probe>,
    pub look: fn(&Check, Context, &Facts) -> State<Judgement>,
}

/// When a check of the laptop is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Where the deep probes were asked: days ahead, and after something failed.
    Deep,
    /// Days ahead only.
    Before,
}

/// The systems of which VirtualBox has its own drivers.
const LINUX: &[Os] = &[Os::Linux];
const WINDOWS: &[Os] = &[Os::Windows];
const MAC: &[Os] = &[Os::MacOs];
const UNIX: &[Os] = &[Os::Linux, Os::MacOs];
const KNOWN: &[Os] = &[Os::Linux, Os::MacOs, Os::Windows];

impl Resource for LaptopKind {
    type Drift = Judgement;

    fn checks(&self) -> &'static [Check] {
        self.checks
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        let Provider::Vagrant(provider) = context.provider else {
            return false;
        };
        let now = match self.when {
            When::Always => true,
            When::Deep => context.deep || context.before,
            When::Before => context.before,
        };
        now && self.on.contains(&context.laptop)
            && (!self.virtualbox || provider == "virtualbox")
            && ports::is_declared(check.id, context.workshop)
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        (self.probes)(workshop)
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Judgement> {
        (self.look)(check, context, facts)
    }

    fn judge(&self, _: Context, _: &Facts, drift: &Judgement) -> Judgement {
        drift.clone()
    }

    fn plan(&self, _: Context, _: &Facts, _: &Judgement) -> Plan {
        Plan::leave("dwenv changes nothing on the laptop")
    }

    fn predict(&self, _: Context, _: &Facts, _: &Judgement) {}
}

/// Whether the box answers. Then whatever VirtualBox needs is there: it is proved, and looking again could
/// only raise a false alarm.
fn box_answers(facts: &Facts) -> bool {
    matches!(facts.get::<Connection>().as_ref(), Ok(Connection(None)))
}

fn proved() -> State<Judgement> {
    State::AsDeclared("the box runs".to_owned())
}

/// What is wrong, in words, and what to do about it.
struct Wrong {
    status: Status,
    summary: String,
    remedy: Remedy,
}

impl Wrong {
    fn fail(summary: impl Into<String>) -> Self {
        Self::new(Status::Fail, summary)
    }

    fn warn(summary: impl Into<String>) -> Self {
        Self::new(Status::Warn, summary)
    }

    fn new(status: Status, summary: impl Into<String>) -> Self {
        Self {
            status,
            summary: summary.into(),
            remedy: Remedy {
                text: String::new(),
                commands: Vec::new(),
                by: By::You,
            },
        }
    }

    fn mended_by(mut self, by: By) -> Self {
        self.remedy.by = by;
        self
    }

    fn text(mut self, text: impl Into<String>) -> Self {
        self.remedy.text = text.into();
        self
    }

    fn command(mut self, command: impl Into<String>) -> Self {
        self.remedy.commands.push(command.into());
        self
    }

    fn drifted(self) -> State<Judgement> {
        State::Drifted(Judgement {
            status: self.status,
            summary: self.summary,
            remedy: Some(self.remedy),
        })
    }
}

/// One word of the shell that people of this system use.
fn quoted(laptop: Os, text: &str) -> String {
    if laptop == Os::Windows {
        format!("\"{text}\"")
    } else {
        crate::quote::sh(text)
    }
}

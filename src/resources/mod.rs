//! What should be: one file a kind of resource, with its facts, `diff`, `judge` and `plan` together.
//!
//! To add a kind: write its file, and add its one line to [`ALL`].

pub mod apt;
pub mod apt_sources;
pub mod apt_state;
pub mod capacity;
pub mod change;
pub mod clock;
pub mod custom;
pub mod docker;
mod docker_repository;
pub mod files;
pub mod firewall;
pub mod laptop;
pub mod locale;
pub mod network;
pub mod packages;
pub mod ports;
pub mod postgres;
pub mod proxy;
pub mod reach;
pub mod releases;
pub mod server;
pub mod sshd;
pub mod system;
pub mod transaction;
pub mod units;
pub mod venue;

use crate::doctor::report::{Remedy, Scope, Status};
use crate::facts::{Facts, Probe, Unobserved};
use crate::target::Provider;
use crate::target::laptop::Os;
use crate::workshop::{AuthorsCheck, Workshop};

pub use change::{Change, Plan};

/// Every kind of resource, in the order in which ties between their checks are broken.
pub const ALL: &[&dyn Kind] = &[
    &reach::LaptopPrograms,
    &laptop::architecture::KIND,
    &laptop::virtualisation::KIND,
    &laptop::hypervisor::KIND,
    &laptop::modules::SECURE_BOOT_KIND,
    &laptop::modules::KIND,
    &laptop::kvm::KIND,
    &laptop::plugins::KIND,
    &laptop::folders::KIND,
    &laptop::keys::OWNER_KIND,
    &laptop::keys::KEY_KIND,
    &laptop::memory::KIND,
    &laptop::disk::KIND,
    &laptop::hostonly::RANGE_KIND,
    &laptop::hostonly::KIND,
    &laptop::ports::EXCLUDED_KIND,
    &laptop::ports::KIND,
    &laptop::proxy::KIND,
    &laptop::clock::KIND,
    &laptop::tls::KIND,
    &laptop::boxes::KIND,
    &system::System,
    // Before whatever fetches something.
    &venue::Venue,
    &capacity::Capacity,
    &apt_state::AptState,
    &network::Network,
    &proxy::Proxy,
    &apt_sources::AptSources,
    &locale::Locale,
    &sshd::Sshd,
    &ports::Ports,
    &docker_repository::DockerRepository,
    &docker::Docker,
    &postgres::Postgres,
    &server::Server,
    &reach::Reach,
];

/// The declaration, and what kind of target it is held against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub workshop: &'a Workshop,
    pub provider: &'a Provider,
    /// The target as it was written, for remedies that name a command of dwenv.
    pub target: &'a str,
    /// The system of the laptop that the facts come from.
    pub laptop: Os,
    /// Only the laptop is looked at, days ahead: there may be no box yet.
    pub before: bool,
    /// The deep probes were asked too: see [`Probe::deep`].
    pub deep: bool,
}

impl Context<'_> {
    /// A command for the box as it is typed on the laptop. `command` is for the box's shell.
    ///
    /// Quotation marks are the one way to quote that sh, PowerShell and cmd share; a command that needs
    /// others does not belong in a remedy.
    #[must_use]
    pub fn in_box(&self, command: &str) -> String {
        let ssh = format!("dwenv ssh --target {} --", self.target);
        if command.chars().all(is_simple) {
            format!("{ssh} {command}")
        } else {
            format!("{ssh} \"{command}\"")
        }
    }
}

/// Whether a character means itself in sh, PowerShell and cmd.
fn is_simple(c: char) -> bool {
    c.is_ascii_alphanumeric() || " -_./=:@,+".contains(c)
}

/// One thing that is proved, by a stable id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// `scope.subject.aspect`.
    pub id: &'static str,
    /// What is true when it passes.
    pub title: &'static str,
    /// Checks that must pass before this one can be judged. Those that do not apply are passed over.
    pub needs: &'static [&'static str],
    /// The probe whose duration is this check's.
    pub probe: &'static str,
}

/// A check that applies here: one of dwenv's own, or one of the author's.
pub struct Applicable<'a> {
    pub id: &'a str,
    pub title: &'a str,
    pub needs: Vec<&'a str>,
    pub probe: &'a str,
    judge: Judge<'a>,
}

#[derive(Clone, Copy)]
enum Judge<'a> {
    Kind(&'static dyn Kind, &'static Check),
    Author(&'a AuthorsCheck),
}

impl Applicable<'_> {
    /// A check of a kind.
    #[must_use]
    pub fn of(kind: &'static dyn Kind, check: &'static Check) -> Self {
        Self {
            id: check.id,
            title: check.title,
            needs: check.needs.to_vec(),
            probe: check.probe,
            judge: Judge::Kind(kind, check),
        }
    }

    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.id.starts_with("laptop.") {
            Scope::Laptop
        } else {
            Scope::Box
        }
    }

    /// On the day, whoever lacks Vagrant or VirtualBox hears just that. Days ahead there is time for all of it.
    fn behind_the_programs(mut self, context: Context) -> Self {
        let laptops = self.scope() == Scope::Laptop && !reach::PROGRAMS.contains(&self.id);
        if laptops && !context.before {
            self.needs.splice(0..0, reach::PROGRAMS.iter().copied());
        }
        self
    }

    /// Whether it can be judged days ahead, when there may be no box yet: it is of the laptop, and does
    /// not look at the box from there.
    #[must_use]
    pub fn is_judged_before(&self) -> bool {
        let of_the_box = |need: &&str| need.starts_with("box.");
        self.scope() == Scope::Laptop && !self.needs.iter().any(of_the_box)
    }

    /// Whether the author of the workshop declared it.
    #[must_use]
    pub fn is_authors(&self) -> bool {
        matches!(self.judge, Judge::Author(_))
    }

    /// How it stands, a drift told in words.
    #[must_use]
    pub fn judge(&self, context: Context, facts: &Facts) -> State<Judgement> {
        match self.judge {
            Judge::Kind(kind, check) => kind.judge(check, context, facts),
            Judge::Author(check) => custom::judge(check, context.laptop, facts.records()),
        }
    }

    /// How it stands, a drift turned into a plan; the facts are then those after the change.
    #[must_use]
    pub fn plan(&self, context: Context, facts: &Facts) -> State<Plan> {
        match self.judge {
            Judge::Kind(kind, check) => kind.plan(check, context, facts),
            Judge::Author(check) => custom::plan(check, context.laptop, facts.records()),
        }
    }
}

/// How a declared thing stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State<D> {
    /// As declared; in words, what was seen.
    AsDeclared(String),
    Drifted(D),
    Unknown(String),
    /// Neither declared nor there: there is nothing to say.
    Nothing,
}

/// What doctor says of a drift.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// `Warn`, `Fail`, or `Unknown` where the drift means that nothing more can be known.
    pub status: Status,
    /// What was seen.
    pub summary: String,
    pub remedy: Option<Remedy>,
}

/// A kind of resource.
pub trait Resource {
    type Drift;

    fn checks(&self) -> &'static [Check];

    /// Whether a check says anything about this declaration on this kind of target.
    fn applies(&self, _check: &Check, _context: Context) -> bool {
        true
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe>;

    /// The only place that knows what "right" means.
    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Self::Drift>;

    fn judge(&self, context: Context, facts: &Facts, drift: &Self::Drift) -> Judgement;

    fn plan(&self, context: Context, facts: &Facts, drift: &Self::Drift) -> Plan;

    /// What the facts will be once the planned change for this drift is made.
    fn predict(&self, context: Context, facts: &Facts, drift: &Self::Drift);
}

/// A [`Resource`] without its type of drift, so that all kinds stand in one list.
pub trait Kind: Sync {
    fn checks(&self) -> &'static [Check];
    fn applies(&self, check: &Check, context: Context) -> bool;
    fn probes(&self, workshop: &Workshop) -> Vec<Probe>;
    /// The check's state, a drift told in words.
    fn judge(&self, check: &Check, context: Context, facts: &Facts) -> State<Judgement>;
    /// The check's state, a drift turned into a plan; the facts are then those after the change.
    fn plan(&self, check: &Check, context: Context, facts: &Facts) -> State<Plan>;
}

impl<R: Resource + Sync> Kind for R {
    fn checks(&self) -> &'static [Check] {
        Resource::checks(self)
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        Resource::applies(self, check, context)
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Resource::probes(self, workshop)
    }

    fn judge(&self, check: &Check, context: Context, facts: &Facts) -> State<Judgement> {
        self.diff(check, context, facts)
            .map(|drift| Resource::judge(self, context, facts, &drift))
    }

    fn plan(&self, check: &Check, context: Context, facts: &Facts) -> State<Plan> {
        self.diff(check, context, facts).map(|drift| {
            let plan = Resource::plan(self, context, facts, &drift);
            if matches!(plan, Plan::Change(_)) {
                self.predict(context, facts, &drift);
            }
            plan
        })
    }
}

impl<D> State<D> {
    fn map<T>(self, change: impl FnOnce(D) -> T) -> State<T> {
        match self {
            Self::AsDeclared(seen) => State::AsDeclared(seen),
            Self::Drifted(drift) => State::Drifted(change(drift)),
            Self::Unknown(reason) => State::Unknown(reason),
            Self::Nothing => State::Nothing,
        }
    }
}

impl<D> From<&Unobserved> for State<D> {
    fn from(unobserved: &Unobserved) -> Self {
        Self::Unknown(unobserved.0.clone())
    }
}

/// The ids of dwenv's own checks.
pub fn ids() -> impl Iterator<Item = &'static str> {
    let checks = ALL.iter().flat_map(|kind| kind.checks());
    checks.map(|check| check.id)
}

/// Checks whose failure explains that this one ended so. Unlike `needs` they hold nothing up: a check that
/// passes all the same has passed.
#[must_use]
pub fn explained_by(check: &Applicable, status: Status) -> &'static [&'static str] {
    match (check.id, check.probe, status) {
        // Whichever package is missing, apt is what should have brought it.
        (_, packages::Packages::PROBE, Status::Fail) => &["box.apt.dpkg", "box.apt.sources"],
        // apt complains of what is wrong with Docker's archive too.
        ("box.apt.sources", _, Status::Warn | Status::Fail) => &["box.docker.repository"],
        ("box.apt.sources", _, Status::Unknown) => &["box.clock", "box.dns", "box.sudo"],
        // Who may not become root cannot read what is for root alone.
        ("box.dns" | "box.proxy" | "box.docker.config", _, Status::Unknown) => &["box.sudo"],
        ("box.postgres.data", _, Status::Unknown) => &["box.disk"],
        // A box that VirtualBox cannot start does not answer.
        ("box.ssh", _, Status::Unknown) => &[
            "laptop.architecture",
            "laptop.virtualisation",
            "laptop.secure-boot",
            "laptop.kernel-modules",
            "laptop.kvm",
            "laptop.owner",
            "laptop.project-folder",
            "laptop.vagrant-home",
            "laptop.disk",
            "laptop.hostonly-range",
            "laptop.hostonly-overlap",
            "laptop.excluded-ports",
            "laptop.port.8080",
            "laptop.port.5432",
        ],
        _ => &[],
    }
}

/// The checks that apply, each after those that it needs or that may explain it; ties in the order of
/// [`ALL`], the author's last.
#[must_use]
pub fn in_order(context: Context) -> Vec<Applicable> {
    let own = ALL
        .iter()
        .flat_map(|kind| kind.checks().iter().map(|check| (*kind, check)))
        .filter(|(kind, check)| kind.applies(check, context))
        .map(|(kind, check)| Applicable::of(kind, check))
        .map(|check| check.behind_the_programs(context));
    let authors = context.workshop.checks.iter().map(|check| Applicable {
        id: &check.id,
        title: &check.title,
        needs: custom::needs(check),
        probe: &check.id,
        judge: Judge::Author(check),
    });
    let mut waiting: Vec<Applicable> = own
        .chain(authors)
        .filter(|check| !context.before || check.is_judged_before())
        .collect();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let free = waiting.iter().position(|check| {
            let waits_for = |need: &&str| waiting.iter().any(|other| other.id == *need);
            let reasons = [Status::Fail, Status::Unknown].map(|status| explained_by(check, status));
            let mut before = check.needs.iter().chain(reasons.into_iter().flatten());
            !before.any(waits_for)
        });
        // A circle of needs would be a fault in the list above; a test holds that there is none.
        ordered.push(waiting.remove(free.unwrap_or(0)));
    }
    ordered
}

/// Every probe that the declared resources ask for, each once: the deep ones among them too.
#[must_use]
pub fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    let own = ALL.iter().flat_map(|kind| kind.probes(workshop));
    for probe in own.chain(workshop.checks.iter().map(custom::probe)) {
        if !probes.iter().any(|known| known.is_same(&probe)) {
            probes.push(probe);
        }
    }
    probes
}

/// Unwraps an observed fact in `diff`, or ends it with "unknown".
macro_rules! observed {
    ($facts:expr, $fact:ty) => {
        match $facts.get::<$fact>().as_ref() {
            Ok(fact) => fact.clone(),
            Err(unobserved) => return State::from(unobserved),
        }
    };
}
use observed;

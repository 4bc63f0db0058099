//! Docker Engine, Compose, the networks that it makes, and the images that the workshop needs.

mod client;
mod daemon;
mod engine;
pub mod facts;
mod hub;
mod images;
mod judge;
mod networks;
mod plan;
mod table;

use super::packages::Packages;
use super::units::Units;
use super::{Check, Context, Judgement, Plan, Resource, State};
use crate::facts::{Fact, Facts, Probe};
use crate::workshop::Workshop;
use daemon::Failure;
pub use daemon::settings;
pub use facts::DockerApi;
use facts::{DaemonWords, DockerGroup, Host};
use hub::Hub;
pub use images::as_listed;
use networks::Clash;
pub use plan::start_again;

pub struct Docker;

const UNIT: &str = "docker.service";

const CHECKS: &[Check] = &[
    Check {
        id: "box.docker.package",
        title: "Docker Engine is installed",
        needs: &["box.os", "box.docker.repository"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.docker.version",
        title: "Docker Engine is new enough",
        needs: &["box.docker.package"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.docker.config",
        title: "Docker's daemon understands its file of settings",
        needs: &["box.docker.package"],
        probe: Host::PROBE,
    },
    Check {
        id: "box.docker.storage",
        title: "Docker can keep its images where it is told to",
        needs: &["box.docker.config"],
        probe: Host::PROBE,
    },
    Check {
        id: "box.docker.daemon",
        title: "Docker's daemon runs, now and after a restart of the box",
        needs: &[
            "box.docker.package",
            "box.docker.config",
            "box.docker.storage",
        ],
        probe: Units::PROBE,
    },
    Check {
        id: "box.docker.group",
        title: "The login user may use Docker",
        needs: &["box.docker.package"],
        probe: DockerGroup::PROBE,
    },
    Check {
        id: "box.docker.api",
        title: "Docker's client and its daemon speak one language",
        needs: &["box.docker.daemon", "box.docker.group"],
        probe: DockerApi::PROBE,
    },
    Check {
        id: "box.docker.compose",
        title: "Docker Compose is installed, and fits the engine",
        needs: &["box.os", "box.docker.repository"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.docker.forwarding",
        title: "The box lets its containers out to the network",
        needs: &["box.docker.daemon"],
        probe: Host::PROBE,
    },
    Check {
        id: "box.docker.subnets",
        title: "Docker's networks have addresses of their own",
        needs: &["box.docker.daemon"],
        probe: Host::PROBE,
    },
    Check {
        id: "box.docker.rate-limit",
        title: "Docker Hub lets this network pull images",
        needs: &["box.docker.daemon", "box.docker.group"],
        probe: Hub::PROBE,
    },
    Check {
        id: "box.docker.images",
        title: "The workshop's images are in the box",
        needs: &[
            "box.docker.daemon",
            "box.docker.group",
            "box.docker.rate-limit",
        ],
        probe: DockerApi::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    EngineMissing(Vec<&'static str>),
    /// The distribution's packages, where Docker's own are declared.
    EngineConflicts(Vec<&'static str>),
    /// A second Docker, which sees the home folder only.
    EngineOfSnap,
    EngineTooOld {
        found: String,
        wanted: String,
    },
    /// The file is no JSON that the daemon could read.
    ConfigBroken {
        error: String,
    },
    /// The daemon reads the file, and refuses what it says.
    ConfigRefused {
        said: String,
    },
    StorageDriverGone {
        driver: String,
    },
    StorageOnFilesystem {
        folder: String,
        kind: String,
    },
    StorageRefused {
        said: String,
    },
    DaemonStopped {
        state: String,
    },
    /// It was started and ended itself; its own words, where they were asked for.
    DaemonFailed {
        state: String,
        failure: Failure,
    },
    DaemonNotEnabled,
    /// These files were written since it was started.
    RestartOwed(Vec<String>),
    DaemonMasked,
    DaemonSilent,
    /// sshd keeps everybody from the box's sockets, so the daemon could not be asked: its file, and the line.
    SshdCloses {
        file: String,
        line: String,
    },
    NotInGroup {
        user: String,
    },
    SessionOlderThanGroup {
        user: String,
    },
    ClientTooOld {
        package: &'static str,
        speaks: String,
        lowest: String,
    },
    ClientPinned {
        file: String,
        version: String,
        lowest: String,
        highest: String,
    },
    ComposeMissing {
        package: &'static str,
        command: &'static str,
    },
    /// Compose 1 beside an engine whose images it does not understand.
    ComposeTooOld {
        found: String,
        engine: String,
    },
    ForwardingOff,
    SubnetClash(Clash),
    PullsUsedUp {
        /// How many there are in the first place.
        limit: Option<u64>,
    },
    ImagesMissing {
        first: String,
        others: Vec<String>,
    },
}

impl Resource for Docker {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        let docker = &context.workshop.docker;
        match check.id {
            "box.docker.compose" => docker.compose,
            "box.docker.images" => !docker.images.is_empty(),
            "box.docker.rate-limit" => {
                context.deep && docker.images.iter().any(|image| hub::serves(image))
            }
            _ => true,
        }
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Units::probes(workshop),
            Host::probes(workshop),
            DockerGroup::probes(workshop),
            DockerApi::probes(workshop),
            DaemonWords::probes(workshop),
            Hub::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.docker.package" => engine::diff_package(context, facts),
            "box.docker.version" => engine::diff_version(context, facts),
            "box.docker.config" => daemon::diff_config(facts),
            "box.docker.storage" => daemon::diff_storage(facts),
            "box.docker.daemon" => daemon::diff_daemon(facts),
            "box.docker.group" => client::diff_group(facts),
            "box.docker.api" => client::diff_api(facts),
            "box.docker.compose" => client::diff_compose(context, facts),
            "box.docker.forwarding" => networks::diff_forwarding(facts),
            "box.docker.subnets" => networks::diff_subnets(facts),
            "box.docker.rate-limit" => hub::diff(facts),
            _ => images::diff(context, facts),
        }
    }

    fn judge(&self, context: Context, facts: &Facts, drift: &Drift) -> Judgement {
        judge::judge(context, facts, drift)
    }

    fn plan(&self, _: Context, facts: &Facts, drift: &Drift) -> Plan {
        plan::plan(facts, drift)
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        plan::predict(context, facts, drift);
    }
}

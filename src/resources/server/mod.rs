//! The small Python server: its packages, files, unit, and its answer.

mod declared;
pub mod facts;
mod judge;
mod plan;
mod words;

pub use plan::expect_database;

use super::change::Plan;
use super::files::BoxFile;
use super::firewall::{Closed, Firewall};
use super::packages::Packages;
use super::ports::{Listener, Listeners};
use super::releases;
use super::system::Login;
use super::units::Units;
use super::{Check, Context, Judgement, Resource, State, observed};
use crate::facts::server::Answer;
use crate::facts::{Fact, Facts, Probe};
use crate::workshop::{Password, Workshop};
use declared::FileDrift;
use facts::{Files, Http};
use words::{LastWords, Python};

pub struct Server;

const CHECKS: &[Check] = &[
    Check {
        id: "box.server.packages",
        title: "Python and its PostgreSQL driver are installed",
        needs: &["box.os"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.server.line-endings",
        title: "The lines of the server's files end as Linux has it",
        needs: &["box.os"],
        probe: Files::PROBE,
    },
    Check {
        id: "box.server.files",
        title: "The server's files are as declared",
        needs: &["box.os", "box.server.line-endings"],
        probe: Files::PROBE,
    },
    Check {
        id: "box.server.python",
        title: "Python finds its PostgreSQL driver, and the driver its library",
        needs: &["box.server.packages", "box.server.files"],
        probe: Python::PROBE,
    },
    Check {
        id: "box.server.unit",
        title: "The server runs, now and after a restart of the box",
        needs: &[
            "box.server.packages",
            "box.server.files",
            "box.server.python",
            "box.port.8080",
        ],
        probe: Units::PROBE,
    },
    Check {
        id: "box.server.address",
        title: "The server listens to everybody, not to the box alone",
        needs: &["box.server.unit"],
        probe: Listeners::PROBE,
    },
    Check {
        id: "box.server.http",
        title: "The server answers with rows from PostgreSQL",
        needs: &[
            "box.server.unit",
            "box.server.address",
            "box.postgres.password",
            "box.postgres.schema",
        ],
        probe: Http::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    PackagesMissing(Vec<&'static str>),
    /// Files with carriage returns, and what they would be without.
    LineEndings(Vec<BoxFile>),
    FilesDiffer(Vec<FileDrift>),
    PythonFails {
        /// The module that is found under the driver's name.
        module: Option<String>,
        said: String,
    },
    UnitDiffers(Vec<FileDrift>),
    /// Files beside the unit that change what is declared.
    UnitOverridden(Vec<String>),
    CredentialMissing,
    /// The password of a declaration that has it in the open now.
    CredentialLeft,
    UnitMasked,
    UnitStopped {
        state: String,
    },
    /// It was started and ended itself, in these words.
    UnitFailed {
        state: String,
        said: String,
    },
    UnitNotEnabled,
    RestartOwed,
    /// Nobody outside the box reaches these addresses, or nobody by IPv4.
    AddressNarrow {
        addresses: Vec<String>,
    },
    Silent,
    /// Nobody answers, since the box's firewall keeps even the box from asking.
    Closed(Closed),
    WrongAnswer {
        status: u16,
        reason: String,
    },
}

impl Resource for Server {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        check.id != "box.server.python" || context.deep
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Files::probes(workshop),
            Units::probes(workshop),
            Listeners::probes(workshop),
            Http::probes(workshop),
            Python::probes(workshop),
            LastWords::probes(workshop),
            Firewall::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.server.packages" => diff_packages(facts),
            "box.server.line-endings" => diff_line_endings(context, facts),
            "box.server.files" => diff_files(context, facts),
            "box.server.python" => words::diff_python(facts),
            "box.server.unit" => diff_unit(context, facts),
            "box.server.address" => diff_address(context, facts),
            _ => diff_http(context, facts),
        }
    }

    fn judge(&self, context: Context, facts: &Facts, drift: &Drift) -> Judgement {
        judge::judge(context, facts, drift)
    }

    fn plan(&self, context: Context, facts: &Facts, drift: &Drift) -> Plan {
        plan::plan(context.workshop, facts, drift)
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        plan::predict(context.workshop, facts, drift);
    }
}

fn diff_packages(facts: &Facts) -> State<Drift> {
    let missing = observed!(facts, Packages).missing(releases::SERVER);
    if missing.is_empty() {
        State::AsDeclared(releases::SERVER.join(", "))
    } else {
        State::Drifted(Drift::PackagesMissing(missing))
    }
}

fn diff_line_endings(context: Context, facts: &Facts) -> State<Drift> {
    let found = observed!(facts, Files);
    let login = observed!(facts, Login);
    let files = declared::with_carriage_returns(context.workshop, &login, &found);
    if files.is_empty() {
        State::AsDeclared("no carriage return stands before a line's end".to_owned())
    } else {
        State::Drifted(Drift::LineEndings(files))
    }
}

fn diff_files(context: Context, facts: &Facts) -> State<Drift> {
    let found = observed!(facts, Files);
    let login = observed!(facts, Login);
    let drifts = declared::drifts(declared::own_files(context.workshop, &login), &found);
    if drifts.is_empty() {
        State::AsDeclared(declared::folder(context.workshop, &login))
    } else {
        State::Drifted(Drift::FilesDiffer(drifts))
    }
}

fn diff_unit(context: Context, facts: &Facts) -> State<Drift> {
    let workshop = context.workshop;
    let found = observed!(facts, Files);
    let login = observed!(facts, Login);
    let unit = observed!(facts, Units).get(&workshop.server.unit);
    let drifts = declared::drifts(declared::units(workshop, &login), &found);
    let secret = matches!(workshop.postgres.password, Password::Secret(_));
    let newest = declared::read_at_start(workshop, &login)
        .iter()
        .filter_map(|path| Some(found.0.get(path)?.written_at))
        .max();
    if unit.load == "masked" {
        State::Drifted(Drift::UnitMasked)
    } else if !drifts.is_empty() {
        State::Drifted(Drift::UnitDiffers(drifts))
    } else if let overriding = declared::overriding(workshop, &unit)
        && !overriding.is_empty()
    {
        State::Drifted(Drift::UnitOverridden(overriding))
    } else if secret && !declared::credential_is_safe(&found) {
        State::Drifted(Drift::CredentialMissing)
    } else if !unit.is_running() {
        let state = format!("{} ({})", unit.active, unit.result);
        State::Drifted(match words::said(facts).filter(|_| unit.has_failed()) {
            Some(said) => Drift::UnitFailed { state, said },
            None => Drift::UnitStopped { state },
        })
    } else if !unit.is_enabled() {
        State::Drifted(Drift::UnitNotEnabled)
    } else if unit.needs_reload || newest > Some(unit.active_since) {
        State::Drifted(Drift::RestartOwed)
    } else if !secret && found.0.contains_key(declared::CREDENTIAL) {
        State::Drifted(Drift::CredentialLeft)
    } else {
        State::AsDeclared(format!(
            "{} runs (pid {})",
            workshop.server.unit, unit.main_pid
        ))
    }
}

fn diff_address(context: Context, facts: &Facts) -> State<Drift> {
    let port = context.workshop.server.port;
    let listeners = observed!(facts, Listeners);
    let addresses: Vec<String> = listeners
        .on(port)
        .map(|ours| ours.address.clone())
        .collect();
    let hears =
        |listener: &Listener| listener.hears_ipv4() && !listener.address.starts_with("127.");
    if addresses.is_empty() {
        State::AsDeclared("nobody listens yet".to_owned())
    } else if listeners.on(port).any(hears) {
        State::AsDeclared(addresses.join(", "))
    } else {
        State::Drifted(Drift::AddressNarrow { addresses })
    }
}

fn diff_http(context: Context, facts: &Facts) -> State<Drift> {
    let is_unanswered = matches!(facts.get::<Http>().as_ref(), Err(_) | Ok(Http(None)));
    let closed = Firewall::closing(facts, context.workshop.server.port);
    if let Some(closed) = closed.filter(|closed| is_unanswered && closed.holds_inside()) {
        return State::Drifted(Drift::Closed(closed));
    }
    match observed!(facts, Http).0 {
        None => State::Drifted(Drift::Silent),
        Some(Answer {
            status: 200,
            count: Some(count),
            ..
        }) => State::AsDeclared(format!("rows: {count}")),
        Some(answer) => State::Drifted(Drift::WrongAnswer {
            status: answer.status,
            reason: answer.reason,
        }),
    }
}

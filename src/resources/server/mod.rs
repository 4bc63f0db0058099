//! The small Python server: its packages, files, unit, and its answer.

mod declared;
mod facts;
mod plan;

pub use plan::expect_database;

use super::change::Plan;
use super::packages::Packages;
use super::releases;
use super::system::Login;
use super::units::Units;
use super::{Check, Context, Judgement, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::services::Answer;
use crate::facts::{Fact, Facts, Probe};
use crate::workshop::{Password, Workshop};
use declared::FileDrift;
use facts::{Files, Http};

pub struct Server;

const CHECKS: &[Check] = &[
    Check {
        id: "box.server.packages",
        title: "Python and its PostgreSQL driver are installed",
        needs: &["box.os"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.server.files",
        title: "The server's files are as declared",
        needs: &["box.os"],
        probe: Files::PROBE,
    },
    Check {
        id: "box.server.unit",
        title: "The server runs, now and after a restart of the box",
        needs: &["box.server.packages", "box.server.files", "box.port.8080"],
        probe: Units::PROBE,
    },
    Check {
        id: "box.server.http",
        title: "The server answers with rows from PostgreSQL",
        needs: &["box.server.unit", "box.postgres.schema"],
        probe: Http::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    PackagesMissing(Vec<&'static str>),
    FilesDiffer(Vec<FileDrift>),
    UnitDiffers(Vec<FileDrift>),
    CredentialMissing,
    UnitMasked,
    UnitStopped { state: String },
    UnitNotEnabled,
    RestartOwed,
    Silent,
    WrongAnswer { status: u16, reason: String },
}

impl Resource for Server {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Files::probes(workshop),
            Units::probes(workshop),
            Http::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.server.packages" => diff_packages(facts),
            "box.server.files" => diff_files(context, facts),
            "box.server.unit" => diff_unit(context, facts),
            _ => diff_http(facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let unit = &context.workshop.server.unit;
        let provision = || vec![format!("dwenv provision --target {}", context.target)];
        let journal = || {
            vec![
                format!("sudo journalctl -u {unit} -n 20 --no-pager"),
                format!("sudo systemctl restart {unit}"),
            ]
        };
        let (summary, text, commands) = match drift {
            Drift::PackagesMissing(packages) => (
                format!("Not installed: {}", packages.join(", ")),
                "Install what is missing",
                provision(),
            ),
            Drift::FilesDiffer(drifts) | Drift::UnitDiffers(drifts) => (
                declared::summary_of_all(drifts),
                "Put the declared files in place; one that somebody edited is kept beside",
                provision(),
            ),
            Drift::CredentialMissing => (
                "The declared password of the database is not where the server reads it, for root alone"
                    .to_owned(),
                "Put it in place",
                provision(),
            ),
            Drift::UnitMasked => (
                format!("{unit} is masked: somebody forbade it to start"),
                "In the box, allow it again",
                vec![
                    format!("sudo systemctl unmask {unit}"),
                    format!("sudo systemctl enable --now {unit}"),
                ],
            ),
            Drift::UnitStopped { state } => (
                format!("{unit} is {state}"),
                "In the box, start it; if it will not start, its journal says why",
                vec![
                    format!("sudo systemctl enable --now {unit}"),
                    format!("sudo journalctl -u {unit} -n 20 --no-pager"),
                ],
            ),
            Drift::UnitNotEnabled => (
                format!("{unit} runs, but will not start with the box"),
                "In the box, enable it",
                vec![format!("sudo systemctl enable {unit}")],
            ),
            Drift::RestartOwed => (
                format!("{unit} still runs what its files were before"),
                "In the box, start it again",
                vec![
                    "sudo systemctl daemon-reload".to_owned(),
                    format!("sudo systemctl restart {unit}"),
                ],
            ),
            Drift::Silent => (
                format!(
                    "{unit} runs, but nobody answers at port {}",
                    context.workshop.server.port
                ),
                "In the box, see what it says, and start it again",
                journal(),
            ),
            Drift::WrongAnswer { status, reason } => (
                if reason.is_empty() {
                    format!("What answers {status} is not the workshop's server.py")
                } else {
                    format!("The server answers {status}: {reason}")
                },
                "In the box, see what it says, and start it again",
                journal(),
            ),
        };
        Judgement {
            status: Status::Fail,
            summary,
            remedy: Some(Remedy {
                text: text.to_owned(),
                commands,
                by: By::You,
            }),
        }
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
    } else if secret && !declared::credential_is_safe(&found) {
        State::Drifted(Drift::CredentialMissing)
    } else if !unit.is_running() {
        State::Drifted(Drift::UnitStopped {
            state: format!("{} ({})", unit.active, unit.result),
        })
    } else if !unit.is_enabled() {
        State::Drifted(Drift::UnitNotEnabled)
    } else if unit.needs_reload || newest > Some(unit.active_since) {
        State::Drifted(Drift::RestartOwed)
    } else {
        State::AsDeclared(format!(
            "{} runs (pid {})",
            workshop.server.unit, unit.main_pid
        ))
    }
}

fn diff_http(facts: &Facts) -> State<Drift> {
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

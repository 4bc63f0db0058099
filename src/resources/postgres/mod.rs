//! PostgreSQL: its package and cluster, who may log in from where, role, database and schema.

pub mod facts;
mod files;
mod judge;
mod login;
mod plan;
mod predict;
mod questions;
mod running;
pub mod schema;
mod transaction;

use super::files::sha256;
use super::packages::{Packages, upstream_version};
use super::ports::Listeners;
use super::system::Disk;
use super::units::Units;
use super::{Check, Context, Judgement, Plan, Resource, State, observed, releases};
use crate::facts::{Fact, Facts, Probe};
use crate::workshop::Workshop;
use facts::{Cluster, Clusters, RoleLogin, Server, Stored, WrongSetting};
use files::ClusterFiles;
use schema::SchemaDrift;

pub struct Postgres;

const CHECKS: &[Check] = &[
    Check {
        id: "box.postgres.package",
        title: "PostgreSQL is installed",
        needs: &["box.os"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.postgres.version",
        title: "PostgreSQL is new enough",
        needs: &["box.postgres.package"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.postgres.data",
        title: "PostgreSQL may use its folder of data",
        needs: &["box.postgres.package", "box.port.5432"],
        probe: ClusterFiles::PROBE,
    },
    Check {
        id: "box.postgres.running",
        title: "PostgreSQL runs, now and after a restart of the box",
        needs: &["box.postgres.package", "box.port.5432", "box.postgres.data"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.listen",
        title: "PostgreSQL listens to the laptop and the containers",
        needs: &["box.postgres.running"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.rules",
        title: "PostgreSQL's rules let the laptop and the containers in",
        needs: &["box.postgres.listen"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.collation",
        title: "PostgreSQL sorts by the rules that its indexes were built by",
        needs: &["box.postgres.running"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.role",
        title: "The workshop's role is there and may log in",
        needs: &["box.postgres.rules"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.password",
        title: "The workshop's role logs in with its password",
        needs: &["box.postgres.role"],
        probe: RoleLogin::PROBE,
    },
    Check {
        id: "box.postgres.database",
        title: "The workshop's database is there",
        needs: &["box.postgres.role"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.schema",
        title: "The workshop's tables are as declared",
        needs: &["box.postgres.database"],
        probe: Clusters::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    PackageMissing,
    TooOld {
        found: u64,
        wanted: u32,
    },
    NoCluster,
    OtherPort {
        cluster: Cluster,
    },
    Masked {
        unit: String,
    },
    Stopped {
        cluster: Cluster,
    },
    /// It was started and ended itself, in these words.
    Failed {
        cluster: Cluster,
        said: String,
    },
    NotEnabled,
    /// Lines of its files of settings that it would not start with.
    SettingsWrong {
        unit: String,
        lines: Vec<WrongSetting>,
    },
    /// It runs by what its files said before; these settings wait for its start.
    SettingsOwed {
        pending: Vec<String>,
    },
    /// The cluster is left out when the others start.
    NotAuto {
        cluster: Cluster,
    },
    Unusable {
        said: String,
    },
    DataModes {
        unit: String,
        folder: String,
        owner: String,
        mode: String,
    },
    /// A lock was left behind, and its number belongs to another process by now.
    DataHeld {
        unit: String,
        folder: String,
        pid: u32,
        process: String,
    },
    DataFull {
        unit: String,
        folder: String,
        free_kb: u64,
    },
    Listen {
        found: String,
    },
    Deaf,
    RulesBroken {
        /// The cluster's configuration, and the wrong lines of its rules.
        cluster: Option<Cluster>,
        lines: Vec<(u32, String)>,
    },
    RulesMissing {
        addresses: Vec<String>,
    },
    RulesNotLoaded,
    Collations(Vec<String>),
    RoleMissing,
    RoleUnsuitable {
        what: &'static str,
    },
    PasswordStored {
        how: Stored,
    },
    PasswordRefused {
        said: String,
    },
    DatabaseMissing,
    DatabaseOwner {
        owner: String,
    },
    Schema(Vec<SchemaDrift>),
    /// The tables are as declared, and the file that made them was another.
    SchemaFileChanged {
        /// When that was, in UTC; empty where it is not known.
        at: String,
    },
}

impl Resource for Postgres {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        check.id != "box.postgres.data" || context.deep
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Units::probes(workshop),
            Clusters::probes(workshop),
            Listeners::probes(workshop),
            RoleLogin::probes(workshop),
            ClusterFiles::probes(workshop),
            Disk::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.postgres.package" => diff_package(facts),
            "box.postgres.version" => diff_version(context, facts),
            "box.postgres.data" => files::diff(context, facts),
            "box.postgres.running" => running::diff(context, facts),
            _ => {
                let Some(server) = observed!(facts, Clusters).server else {
                    return State::Unknown("PostgreSQL could not be asked".to_owned());
                };
                match check.id {
                    "box.postgres.listen" => login::diff_listen(context, &server, facts),
                    "box.postgres.rules" => login::diff_rules(context, &server, facts),
                    "box.postgres.collation" => diff_collation(server),
                    "box.postgres.role" => login::diff_role(context, &server),
                    "box.postgres.password" => login::diff_password(context, &server, facts),
                    "box.postgres.database" => diff_database(context, &server),
                    _ => diff_schema(context, server),
                }
            }
        }
    }

    fn judge(&self, context: Context, facts: &Facts, drift: &Drift) -> Judgement {
        judge::judge(context, facts, drift)
    }

    fn plan(&self, context: Context, facts: &Facts, drift: &Drift) -> Plan {
        plan::plan(context.workshop, facts, drift)
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        predict::predict(context.workshop, facts, drift);
    }
}

fn diff_package(facts: &Facts) -> State<Drift> {
    match observed!(facts, Packages).version(releases::POSTGRES) {
        Some(version) => State::AsDeclared(format!("{} {version}", releases::POSTGRES)),
        None => State::Drifted(Drift::PackageMissing),
    }
}

fn diff_version(context: Context, facts: &Facts) -> State<Drift> {
    let wanted = context.workshop.postgres.minimum_major;
    // What answers at our port counts: the package may have brought a newer cluster beside it.
    if let Ok(clusters) = facts.get::<Clusters>().as_ref()
        && let Some(server) = &clusters.server
        && server.version > 0
    {
        let found = u64::from(server.version / 10_000);
        return if found < u64::from(wanted) {
            State::Drifted(Drift::TooOld { found, wanted })
        } else {
            State::AsDeclared(format!("{found} runs ({wanted} or newer is needed)"))
        };
    }
    let packages = observed!(facts, Packages);
    match packages.version(releases::POSTGRES) {
        Some("") => State::AsDeclared("known once it is installed".to_owned()),
        Some(text) => match upstream_version(text) {
            Some(found) if found.major < u64::from(wanted) => State::Drifted(Drift::TooOld {
                found: found.major,
                wanted,
            }),
            Some(found) => {
                State::AsDeclared(format!("{} ({wanted} or newer is needed)", found.major))
            }
            None => State::Unknown(format!("the version `{text}` is not understood")),
        },
        None => State::Unknown("no PostgreSQL package is installed".to_owned()),
    }
}

fn diff_collation(server: Server) -> State<Drift> {
    match server.outdated_collations {
        Some(databases) if databases.is_empty() => {
            State::AsDeclared("as the system's library has them".to_owned())
        }
        Some(databases) => State::Drifted(Drift::Collations(databases)),
        // Before release 15 no database says which rules it was made with. A server that is only predicted
        // is made by the present library.
        None => State::AsDeclared("this release does not tell".to_owned()),
    }
}

fn diff_database(context: Context, server: &Server) -> State<Drift> {
    let declared = &context.workshop.postgres;
    match &server.database {
        None => State::Drifted(Drift::DatabaseMissing),
        Some(database) if database.owner != declared.role => State::Drifted(Drift::DatabaseOwner {
            owner: database.owner.clone(),
        }),
        Some(_) => State::AsDeclared(format!("{} of {}", declared.database, declared.role)),
    }
}

fn diff_schema(context: Context, server: Server) -> State<Drift> {
    let declared = &context.workshop.postgres;
    let Some(tables) = server.tables else {
        let database = &declared.database;
        return State::Unknown(format!("{database} does not say what tables it has"));
    };
    let drifts = schema::differences(&declared.tables, &tables, &declared.role);
    let file = sha256(&declared.create_schema.content);
    if let Some(applied) = server
        .applied
        .filter(|it| drifts.is_empty() && it.sha256 != file)
    {
        State::Drifted(Drift::SchemaFileChanged { at: applied.at })
    } else if drifts.is_empty() {
        let names: Vec<&str> = declared
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        State::AsDeclared(names.join(", "))
    } else {
        State::Drifted(Drift::Schema(drifts))
    }
}

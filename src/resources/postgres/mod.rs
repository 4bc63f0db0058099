//! PostgreSQL: its package and cluster, who may log in from where, role, database and schema.

pub mod facts;
mod plan;
pub mod schema;

use super::packages::{Packages, upstream_version};
use super::ports::{Listener, Listeners};
use super::units::Units;
use super::{Check, Context, Judgement, Plan, Resource, State, observed, releases};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Probe};
use crate::workshop::Workshop;
use facts::{Cluster, Clusters, RoleLogin, Rule, Server};
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
        id: "box.postgres.running",
        title: "PostgreSQL runs, now and after a restart of the box",
        needs: &["box.postgres.package", "box.port.5432"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.listen",
        title: "PostgreSQL lets the laptop and the containers in",
        needs: &["box.postgres.running"],
        probe: Clusters::PROBE,
    },
    Check {
        id: "box.postgres.role",
        title: "The workshop's role can log in with its password",
        needs: &["box.postgres.listen"],
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
    TooOld { found: u64, wanted: u32 },
    NoCluster,
    OtherPort { cluster: Cluster },
    Stopped { cluster: Cluster },
    NotEnabled,
    Unusable { said: String },
    Listen { found: String },
    Deaf,
    RulesBroken { line: u32, error: String },
    RulesMissing { addresses: Vec<String> },
    RulesNotLoaded,
    RoleMissing,
    RoleUnsuitable { what: &'static str },
    PasswordRefused { said: String },
    DatabaseMissing,
    DatabaseOwner { owner: String },
    Schema(Vec<SchemaDrift>),
}

impl Resource for Postgres {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Units::probes(workshop),
            Clusters::probes(workshop),
            Listeners::probes(workshop),
            RoleLogin::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.postgres.package" => diff_package(facts),
            "box.postgres.version" => diff_version(context, facts),
            "box.postgres.running" => diff_running(context, facts),
            _ => {
                let Some(server) = observed!(facts, Clusters).server else {
                    return State::Unknown("PostgreSQL could not be asked".to_owned());
                };
                match check.id {
                    "box.postgres.listen" => diff_listen(context, &server, facts),
                    "box.postgres.role" => diff_role(context, &server, facts),
                    "box.postgres.database" => diff_database(context, &server),
                    _ => diff_schema(context, server),
                }
            }
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let (commands, by) = remedy_commands(context, drift);
        Judgement {
            status: Status::Fail,
            summary: summary(context, drift),
            remedy: Some(Remedy {
                text: remedy_text(drift).to_owned(),
                commands,
                by,
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

fn diff_package(facts: &Facts) -> State<Drift> {
    match observed!(facts, Packages).version(releases::POSTGRES) {
        Some(version) => State::AsDeclared(format!("{} {version}", releases::POSTGRES)),
        None => State::Drifted(Drift::PackageMissing),
    }
}

fn diff_version(context: Context, facts: &Facts) -> State<Drift> {
    let wanted = context.workshop.postgres.minimum_major;
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

fn diff_running(context: Context, facts: &Facts) -> State<Drift> {
    let port = context.workshop.postgres.port;
    let clusters = observed!(facts, Clusters);
    match (clusters.on_port(port), clusters.clusters.first()) {
        (None, None) => State::Drifted(Drift::NoCluster),
        (None, Some(other)) => State::Drifted(Drift::OtherPort {
            cluster: other.clone(),
        }),
        (Some(cluster), _) if clusters.server.is_none() && clusters.nobody_listens() => {
            State::Drifted(Drift::Stopped {
                cluster: cluster.clone(),
            })
        }
        (Some(_), _) if clusters.server.is_none() => State::Drifted(Drift::Unusable {
            said: clusters.said.trim().to_owned(),
        }),
        (Some(_), _)
            if !observed!(facts, Units)
                .get("postgresql.service")
                .is_enabled() =>
        {
            State::Drifted(Drift::NotEnabled)
        }
        (Some(cluster), _) => State::AsDeclared(format!(
            "cluster {}/{} answers at port {port}",
            cluster.version, cluster.name
        )),
    }
}

fn diff_listen(context: Context, server: &Server, facts: &Facts) -> State<Drift> {
    let declared = &context.workshop.postgres;
    if let Some(Rule {
        line,
        error: Some(error),
        ..
    }) = server.rules.iter().find(|rule| rule.error.is_some())
    {
        return State::Drifted(Drift::RulesBroken {
            line: *line,
            error: error.clone(),
        });
    }
    if server.listen != declared.listen_addresses {
        return State::Drifted(Drift::Listen {
            found: server.listen.clone(),
        });
    }
    // Where a stranger holds the port when it starts, PostgreSQL warns and listens to IPv6 alone. (Version
    // 0 is a server that is only predicted: its sockets cannot be seen yet.)
    if server.version > 0
        && declared.listen_addresses != "::"
        && let Ok(listeners) = facts.get::<Listeners>().as_ref()
        && !listeners.on(declared.port).any(Listener::hears_ipv4)
    {
        return State::Drifted(Drift::Deaf);
    }
    // The first rule that fits a login decides, so ours have to stand before all others.
    let ours = |rule: &Rule| {
        rule.kind.as_deref() == Some("host")
            && rule.method.as_deref() == Some("scram-sha-256")
            && rule.databases.as_deref() == Some(std::slice::from_ref(&declared.database))
            && rule.roles.as_deref() == Some(std::slice::from_ref(&declared.role))
    };
    let leading = server.rules.iter().take_while(|rule| ours(rule));
    let blocks: Vec<String> = leading.filter_map(Rule::block).collect();
    let missing = |address: &&String| !blocks.contains(address);
    let addresses: Vec<String> = declared
        .allow_from
        .iter()
        .filter(missing)
        .cloned()
        .collect();
    let surplus = blocks
        .iter()
        .any(|block| !declared.allow_from.contains(block));
    if addresses.is_empty() && !surplus && !server.rules_loaded {
        State::Drifted(Drift::RulesNotLoaded)
    } else if addresses.is_empty() && !surplus {
        State::AsDeclared(format!(
            "listens on {}, lets in {}",
            server.listen,
            declared.allow_from.join(", ")
        ))
    } else {
        State::Drifted(Drift::RulesMissing { addresses })
    }
}

fn diff_role(context: Context, server: &Server, facts: &Facts) -> State<Drift> {
    let Some(role) = &server.role else {
        return State::Drifted(Drift::RoleMissing);
    };
    if !role.can_login {
        let what = "may not log in";
        return State::Drifted(Drift::RoleUnsuitable { what });
    }
    if role.superuser {
        let what = "is a superuser";
        return State::Drifted(Drift::RoleUnsuitable { what });
    }
    match observed!(facts, RoleLogin).0 {
        Some(Ok(())) => State::AsDeclared(format!(
            "{} logs in with its password",
            context.workshop.postgres.role
        )),
        // Class 28 is a refused login.
        Some(Err(refusal)) if refusal.code.starts_with("28") => {
            State::Drifted(Drift::PasswordRefused {
                said: refusal.message,
            })
        }
        // These come after the password was accepted: no such database, none that one may enter.
        Some(Err(refusal)) if ["3D000", "42501", "55000"].contains(&refusal.code.as_str()) => {
            State::AsDeclared(format!("logs in ({})", refusal.message))
        }
        Some(Err(refusal)) => State::Unknown(format!(
            "PostgreSQL did not get to the password: {}",
            refusal.message
        )),
        None => State::Unknown("the box let no login to PostgreSQL through".to_owned()),
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
    if drifts.is_empty() {
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

fn summary(context: Context, drift: &Drift) -> String {
    let declared = &context.workshop.postgres;
    match drift {
        Drift::PackageMissing => format!("Not installed: {}", releases::POSTGRES),
        Drift::TooOld { found, wanted } => {
            format!("The box has PostgreSQL {found}; the workshop needs {wanted} or newer")
        }
        Drift::NoCluster => "PostgreSQL is installed, but there is no cluster of data".to_owned(),
        Drift::OtherPort { cluster } => format!(
            "The cluster {}/{} has port {}, not {}",
            cluster.version, cluster.name, cluster.port, declared.port
        ),
        Drift::Stopped { cluster } => {
            format!(
                "The cluster {}/{} does not run",
                cluster.version, cluster.name
            )
        }
        Drift::NotEnabled => "PostgreSQL runs, but will not start with the box".to_owned(),
        Drift::Unusable { said } => format!("PostgreSQL does not answer its superuser: {said}"),
        Drift::Listen { found } => format!(
            "PostgreSQL listens on `{found}`, not on `{}`",
            declared.listen_addresses
        ),
        Drift::Deaf => format!(
            "PostgreSQL runs, but nobody listens on port {}: it was taken when PostgreSQL started",
            declared.port
        ),
        Drift::RulesBroken { line, error } => {
            format!("pg_hba.conf is wrong in line {line}: {error}")
        }
        Drift::RulesNotLoaded => {
            "PostgreSQL has not read pg_hba.conf since it was last written".to_owned()
        }
        Drift::RulesMissing { addresses } if addresses.is_empty() => {
            "pg_hba.conf lets in more than is declared".to_owned()
        }
        Drift::RulesMissing { addresses } => format!(
            "The first rules of pg_hba.conf do not let {} in from {}",
            declared.role,
            addresses.join(", ")
        ),
        Drift::RoleMissing => format!("There is no role {}", declared.role),
        Drift::RoleUnsuitable { what } => format!("The role {} {what}", declared.role),
        Drift::PasswordRefused { said } => {
            format!("PostgreSQL refuses {}'s password: {said}", declared.role)
        }
        Drift::DatabaseMissing => format!("There is no database {}", declared.database),
        Drift::DatabaseOwner { owner } => format!(
            "The database {} belongs to {owner}, not to {}",
            declared.database, declared.role
        ),
        Drift::Schema(drifts) => {
            let lines: Vec<String> = drifts.iter().map(SchemaDrift::summary).collect();
            format!("In {}: {}", declared.database, lines.join("; "))
        }
    }
}

fn remedy_text(drift: &Drift) -> &'static str {
    match drift {
        Drift::PackageMissing => "Install it",
        Drift::TooOld { .. } => "Use a box with a newer release",
        Drift::NoCluster => "Make the cluster",
        Drift::OtherPort { .. } => "Give the cluster the declared port",
        Drift::Stopped { .. } | Drift::NotEnabled => "Start it, and keep it started",
        Drift::Unusable { .. } => "In the box, see what it says, and start it again",
        Drift::Deaf => "Start it again",
        Drift::Listen { .. } | Drift::RulesMissing { .. } | Drift::RulesNotLoaded => {
            "Let the laptop and the containers in"
        }
        Drift::RulesBroken { .. } => {
            "In the box, mend that line; until then no change takes effect"
        }
        Drift::RoleMissing | Drift::RoleUnsuitable { .. } | Drift::PasswordRefused { .. } => {
            "Make the role as declared, with its password"
        }
        Drift::DatabaseMissing | Drift::DatabaseOwner { .. } => "Make the database as declared",
        Drift::Schema(drifts) if drifts.iter().any(loses) => {
            "In the box, change the column by hand: turning its type could lose what is in the rows"
        }
        Drift::Schema(_) => "Mend the tables; no row is lost",
    }
}

/// Whether provision leaves it, because mending it could lose what is in the rows.
fn loses(drift: &SchemaDrift) -> bool {
    drift.mend("").is_err()
}

fn remedy_commands(context: Context, drift: &Drift) -> (Vec<String>, By) {
    let declared = &context.workshop.postgres;
    match drift {
        Drift::Schema(drifts) if drifts.iter().any(loses) => (
            vec![format!(
                "sudo -u postgres psql -p {} {}",
                declared.port, declared.database
            )],
            By::You,
        ),
        Drift::TooOld { .. } => (Vec::new(), By::Organiser),
        Drift::RulesBroken { .. } => (
            vec![
                "sudo nano \"$(sudo -u postgres psql -Atc 'show hba_file')\"".to_owned(),
                "sudo systemctl reload postgresql".to_owned(),
            ],
            By::You,
        ),
        Drift::Unusable { .. } => (
            vec![
                "sudo journalctl -u 'postgresql@*' -n 20 --no-pager".to_owned(),
                "sudo systemctl restart postgresql".to_owned(),
            ],
            By::You,
        ),
        _ => (
            vec![format!("dwenv provision --target {}", context.target)],
            By::You,
        ),
    }
}

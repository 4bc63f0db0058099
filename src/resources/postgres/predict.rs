//! What PostgreSQL will be once a planned change is made.

use super::super::packages::Packages;
use super::super::releases;
use super::super::server::expect_database;
use super::super::units::{Unit, Units};
use super::Drift;
use super::facts::{
    Cluster, Clusters, Database, ObservedColumn, ObservedTable, Role, RoleLogin, Rule, Server,
    Settings, Stored,
};
use super::files::ClusterFiles;
use crate::facts::Facts;
use crate::workshop::{Postgres, Table, Workshop};

pub fn predict(workshop: &Workshop, facts: &Facts, drift: &Drift) {
    let declared = &workshop.postgres;
    match drift {
        Drift::PackageMissing => {
            facts.predict::<Packages>(|known| known.expect([releases::POSTGRES]));
            expect_running(declared, facts, Server::default());
        }
        Drift::NoCluster => expect_running(declared, facts, Server::default()),
        // What a stopped cluster holds cannot be seen. It is taken to be as declared: the probe after
        // the start shows whether more is needed.
        Drift::OtherPort { .. } | Drift::Stopped { .. } | Drift::NotEnabled => {
            expect_running(declared, facts, as_declared(declared));
            facts.predict::<RoleLogin>(|login| login.0 = Some(Ok(())));
        }
        Drift::Listen { .. } | Drift::RulesMissing { .. } | Drift::RulesNotLoaded => {
            expect(facts, |server| {
                let after = as_declared(declared);
                server.rules_loaded = true;
                if server.listen != after.listen {
                    server.version = after.version;
                }
                server.listen = after.listen;
                server.rules = after.rules;
            })
        }
        Drift::RoleMissing
        | Drift::RoleUnsuitable { .. }
        | Drift::PasswordRefused { .. }
        | Drift::PasswordStored { .. }
        | Drift::DatabaseMissing => {
            // The file makes both, whichever was missing.
            expect(facts, |server| {
                let after = as_declared(declared);
                server.role = after.role;
                if server.database.is_none() {
                    server.database = after.database;
                    server.tables = Some(Vec::new());
                }
            });
            facts.predict::<RoleLogin>(|login| login.0 = Some(Ok(())));
        }
        Drift::DatabaseOwner { .. } => expect(facts, |server| {
            server.database = as_declared(declared).database;
        }),
        Drift::Schema(_) => expect(facts, |server| {
            server.tables = as_declared(declared).tables;
            // Where a table was missing, the declared file was run.
            server.applied = None;
        }),
        // Version 0 says that its sockets cannot be seen yet.
        Drift::Deaf => {
            expect(facts, |server| server.version = 0);
            facts.predict::<RoleLogin>(|login| login.0 = Some(Ok(())));
        }
        // What it holds then is seen after its start, as with one that was stopped.
        Drift::DataModes { .. } => {
            expect_running(declared, facts, as_declared(declared));
            facts.predict::<RoleLogin>(|login| login.0 = Some(Ok(())));
            facts.predict::<ClusterFiles>(|files| files.0.clear());
        }
        Drift::SettingsOwed { .. } => expect(facts, |server| {
            server.settings = Settings::default();
        }),
        Drift::Collations(_) => expect(facts, |server| {
            server.outdated_collations = Some(Vec::new());
        }),
        Drift::NotAuto { cluster } => facts.predict::<Clusters>(|known| {
            let same = |other: &&mut Cluster| other.unit() == cluster.unit();
            if let Some(other) = known.clusters.iter_mut().find(same) {
                other.start = "auto".to_owned();
            }
        }),
        Drift::TooOld { .. }
        | Drift::Unusable { .. }
        | Drift::Masked { .. }
        | Drift::Failed { .. }
        | Drift::SettingsWrong { .. }
        | Drift::DataHeld { .. }
        | Drift::DataFull { .. }
        | Drift::SchemaFileChanged { .. }
        | Drift::RulesBroken { .. } => {}
    }
    expect_database(facts);
}

fn expect(facts: &Facts, change: impl FnOnce(&mut Server)) {
    facts.predict::<Clusters>(|clusters| change(clusters.server.get_or_insert_default()));
}

fn expect_running(declared: &Postgres, facts: &Facts, server: Server) {
    facts.predict::<Clusters>(|clusters| {
        clusters.clusters = vec![Cluster {
            version: String::new(),
            name: "main".to_owned(),
            port: declared.port,
            start: "auto".to_owned(),
        }];
        clusters.server.get_or_insert(server);
    });
    facts.predict::<Units>(|units| {
        let unit = Unit::expected();
        units.0.insert("postgresql.service".to_owned(), unit);
    });
}

/// A server that holds just what is declared.
fn as_declared(declared: &Postgres) -> Server {
    let rule = |address: &String| Rule {
        kind: Some("host".to_owned()),
        databases: Some(vec![declared.database.clone()]),
        roles: Some(vec![declared.role.clone()]),
        address: Some(address.clone()),
        method: Some("scram-sha-256".to_owned()),
        ..Rule::default()
    };
    let table = |table: &Table| ObservedTable {
        name: table.name.clone(),
        owner: declared.role.clone(),
        columns: table.columns.iter().map(ObservedColumn::from).collect(),
        ..ObservedTable::default()
    };
    Server {
        version: 0,
        listen: declared.listen_addresses.clone(),
        rules_loaded: true,
        rules: declared.allow_from.iter().map(rule).collect(),
        role: Some(Role {
            can_login: true,
            superuser: false,
            stored: Some(Stored::Scram),
        }),
        settings: Settings::default(),
        outdated_collations: Some(Vec::new()),
        database: Some(Database {
            owner: declared.role.clone(),
        }),
        tables: Some(declared.tables.iter().map(table).collect()),
        applied: None,
    }
}

//! That the declared cluster runs, and will run after a restart of the box.

use super::super::units::Units;
use super::super::{Context, State, observed};
use super::Drift;
use super::facts::{Cluster, Clusters};
use super::files::ClusterFiles;
use crate::facts::Facts;

/// What starts all clusters with the box.
const WRAPPER: &str = "postgresql.service";

pub fn diff(context: Context, facts: &Facts) -> State<Drift> {
    let port = context.workshop.postgres.port;
    let clusters = observed!(facts, Clusters);
    // The newest is the one that an upgrade of the package put beside.
    let Some(cluster) = clusters.on_port(port) else {
        return State::Drifted(match clusters.clusters.last() {
            None => Drift::NoCluster,
            Some(other) => Drift::OtherPort {
                cluster: other.clone(),
            },
        });
    };
    if clusters.server.is_none() && !clusters.nobody_listens() {
        return State::Drifted(Drift::Unusable {
            said: clusters.said.trim().to_owned(),
        });
    }
    let units = observed!(facts, Units);
    if units.get(WRAPPER).load == "masked" {
        let unit = WRAPPER.to_owned();
        return State::Drifted(Drift::Masked { unit });
    }
    if cluster.start == "masked" {
        let unit = cluster.unit();
        return State::Drifted(Drift::Masked { unit });
    }
    let Some(server) = &clusters.server else {
        return State::Drifted(stopped(cluster, &units, facts));
    };
    let settings = &server.settings;
    let drift = if !settings.wrong.is_empty() {
        Drift::SettingsWrong {
            unit: cluster.unit(),
            lines: settings.wrong.clone(),
        }
    } else if cluster.start != "auto" {
        Drift::NotAuto {
            cluster: cluster.clone(),
        }
    } else if !units.get(WRAPPER).is_enabled() {
        Drift::NotEnabled
    } else if settings.unread || !settings.pending.is_empty() {
        Drift::SettingsOwed {
            pending: settings.pending.clone(),
        }
    } else {
        return State::AsDeclared(format!(
            "cluster {}/{} answers at port {port}",
            cluster.version, cluster.name
        ));
    };
    State::Drifted(drift)
}

/// Whether somebody stopped it, or it ended itself. Only a diagnosis knows in which words.
fn stopped(cluster: &Cluster, units: &Units, facts: &Facts) -> Drift {
    let files = facts.get::<ClusterFiles>();
    let files = files.as_ref().as_ref().ok();
    let said = files.and_then(|files| files.of(cluster)?.said.clone());
    let unit = units.get(&cluster.unit());
    match said {
        Some(said) if unit.has_failed() => Drift::Failed {
            cluster: cluster.clone(),
            said,
        },
        _ => Drift::Stopped {
            cluster: cluster.clone(),
        },
    }
}

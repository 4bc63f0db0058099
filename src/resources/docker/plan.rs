//! How Docker's drifts are mended, and what is so afterwards.

use super::super::change::{Action, Change, Install, Pull};
use super::super::files::{self, BoxFile};
use super::super::packages::Packages;
use super::super::system::Login;
use super::super::units::{Unit, Units};
use super::super::{Context, Plan, releases};
use super::facts::{CONFIG, DockerApi, DockerGroup, Host, LAST_ERROR, VALIDATE};
use super::images::as_listed;
use super::{Drift, UNIT, networks};
use crate::facts::Facts;
use crate::facts::docker::Api;
use crate::provision::outcome::Difference;
use crate::quote;

/// A daemon that runs is not given up for settings that it would not start with.
fn or_keep_running() -> String {
    format!(
        "{VALIDATE}said=$(validate) || true\n\
         case $said in *'unable to configure'*) echo \"$said\" >&2; exit 1 ;; esac\n"
    )
}

/// The daemon again, with what its files say now, once systemd has read what is its.
#[must_use]
pub fn start_again() -> String {
    let restart = or_why(&format!("systemctl restart {UNIT}"));
    format!("{}{restart}", or_keep_running())
}

fn restart() -> String {
    format!(
        "systemctl daemon-reload\n\
         systemctl reset-failed {UNIT} 2>/dev/null || true\n{}",
        start_again()
    )
}

pub fn plan(facts: &Facts, drift: &Drift) -> Plan {
    match drift {
        Drift::EngineMissing(packages) => Plan::install(packages.iter().copied()),
        Drift::ComposeMissing { package, .. } => Plan::install([*package]),
        Drift::EngineConflicts(packages) => Plan::Change(Change {
            title: format!("Replace {} by Docker's own packages", packages.join(", ")),
            action: Action::Install(replacement(packages)),
            differences: Vec::new(),
            unattended: false,
        }),
        Drift::EngineOfSnap => {
            Plan::leave("somebody installed Docker by snap, and its data with it")
        }
        Drift::EngineTooOld { found, wanted } => Plan::leave(format!(
            "Docker {found} is what this release has, and {wanted} is wanted: \
             the box or the declaration has to change"
        )),
        Drift::ConfigBroken { .. }
        | Drift::ConfigRefused { .. }
        | Drift::StorageDriverGone { .. }
        | Drift::StorageOnFilesystem { .. }
        | Drift::StorageRefused { .. } => Plan::leave(format!(
            "{}. {CONFIG} is somebody's own, and what was meant cannot be known",
            super::judge::summary(drift)
        )),
        Drift::DaemonMasked => {
            Plan::leave(format!("{UNIT} is masked, so somebody forbade it to start"))
        }
        Drift::DaemonStopped { .. } | Drift::DaemonFailed { .. } => Plan::script(
            "Start Docker's daemon",
            format!(
                "systemctl reset-failed {UNIT} docker.socket 2>/dev/null || true\n{}",
                or_why(&format!("systemctl enable --now docker.socket {UNIT}"))
            ),
        )
        .unattended(),
        Drift::DaemonNotEnabled => {
            Plan::script("Enable Docker's daemon", format!("systemctl enable {UNIT}")).unattended()
        }
        Drift::RestartOwed(_) => Plan::script(
            "Start Docker's daemon again, with what its files say now; its containers stop",
            restart(),
        ),
        Drift::DaemonSilent => Plan::script(
            "Start Docker's daemon again",
            or_why(&format!("systemctl restart docker.socket {UNIT}")),
        ),
        Drift::SshdCloses { file, line } => Plan::leave(format!(
            "Docker cannot be asked over SSH: {file} has `{line}`, which is whoever's looks after the box"
        )),
        Drift::NotInGroup { user } => Plan::script(
            format!("Add {user} to the group {}", DockerGroup::NAME),
            format!("usermod -aG {} {}", DockerGroup::NAME, quote::sh(user)),
        )
        .unattended(),
        Drift::SessionOlderThanGroup { .. } => {
            Plan::leave("only a new login has the group's rights")
        }
        Drift::ClientTooOld { package, .. } => Plan::leave(format!(
            "a newer {package} comes with a newer release, or from Docker's own repository"
        )),
        Drift::ClientPinned { file, .. } => Plan::leave(format!("{file} is somebody's own")),
        Drift::ComposeTooOld { .. } => Plan::leave(
            "a newer Compose comes with a newer release, or from Docker's own repository",
        ),
        Drift::ForwardingOff => Plan::script(
            "Let packets of the containers through",
            "sysctl -q -w net.ipv4.ip_forward=1",
        ),
        Drift::SubnetClash(clash) if clash.is_default() => move_networks(facts),
        Drift::SubnetClash(clash) => Plan::leave(format!(
            "the network {} is somebody's own, and containers may hang on it",
            clash.network()
        )),
        Drift::PullsUsedUp { .. } => Plan::leave("Docker Hub grants no more pulls for now"),
        // One at a time: the others are still missed when this one is there.
        Drift::ImagesMissing { first, .. } => Plan::Change(Change {
            title: format!("Pull {first}"),
            action: Action::Pull(Pull {
                image: first.clone(),
                home: facts
                    .get::<Login>()
                    .as_ref()
                    .as_ref()
                    .map_or(String::new(), |login| login.home.clone()),
            }),
            differences: Vec::new(),
            unattended: false,
        }),
    }
}

/// Other addresses for Docker's networks. The daemon is started anew: its containers stop.
fn move_networks(facts: &Facts) -> Plan {
    let host = facts.get::<Host>();
    let Some((host, content)) = host
        .as_ref()
        .as_ref()
        .ok()
        .and_then(|host| Some((host, networks::moved(host)?)))
    else {
        return Plan::leave("no block of addresses is known that is free in this box");
    };
    let old = host.config.clone().unwrap_or_default();
    let shown = Difference {
        subject: CONFIG.to_owned(),
        text: files::unified_diff(CONFIG, &old, &content),
    };
    let (write, stdin) = files::write_script(&[BoxFile {
        path: CONFIG.to_owned(),
        owner: "root".to_owned(),
        mode: "644",
        content,
    }]);
    Plan::script_reading(
        "Give Docker's networks addresses of their own, and start the daemon again",
        format!(
            "{write}systemctl reset-failed {UNIT} 2>/dev/null || true\n{}",
            or_why(&format!("systemctl restart {UNIT}"))
        ),
        stdin,
    )
    .showing(vec![shown])
}

pub fn predict(context: Context, facts: &Facts, drift: &Drift) {
    match drift {
        Drift::EngineMissing(packages) => {
            facts.predict::<Packages>(|known| known.expect(packages.iter().copied()));
            expect_daemon(facts);
            facts.predict::<DockerGroup>(|group| {
                group.0.get_or_insert_default();
            });
            facts.predict::<DockerApi>(|api| {
                api.0.get_or_insert_default();
            });
            expect_forwarding(facts);
        }
        Drift::EngineConflicts(conflicts) => {
            facts.predict::<Packages>(|known| {
                known
                    .0
                    .retain(|name, _| !conflicts.contains(&name.as_str()));
                known.expect(releases::UPSTREAM_DOCKER.iter().copied());
            });
            expect_daemon(facts);
            expect_forwarding(facts);
        }
        Drift::ComposeMissing { package, .. } => {
            facts.predict::<Packages>(|known| known.expect([*package]));
        }
        Drift::DaemonStopped { .. }
        | Drift::DaemonFailed { .. }
        | Drift::DaemonNotEnabled
        | Drift::DaemonSilent => {
            expect_daemon(facts);
            expect_answer(context, facts);
            expect_forwarding(facts);
        }
        Drift::NotInGroup { user } => {
            facts.predict::<DockerGroup>(|group| {
                group.0.get_or_insert_default().push(user.clone());
            });
            facts.predict::<Login>(|login| login.groups.push(DockerGroup::NAME.to_owned()));
            expect_answer(context, facts);
        }
        Drift::ForwardingOff => expect_forwarding(facts),
        Drift::SubnetClash(clash) => facts.predict::<Host>(|host| {
            host.config = networks::moved(host);
            host.routes.retain(|route| *route != clash.ours);
            host.newer.clear();
        }),
        Drift::RestartOwed(_) => expect_daemon(facts),
        Drift::ImagesMissing { first, .. } => facts.predict::<DockerApi>(|api| {
            let images = &mut api.0.get_or_insert_default().images;
            images.push(as_listed(first));
        }),
        Drift::EngineTooOld { .. }
        | Drift::EngineOfSnap
        | Drift::ConfigBroken { .. }
        | Drift::ConfigRefused { .. }
        | Drift::StorageDriverGone { .. }
        | Drift::StorageOnFilesystem { .. }
        | Drift::StorageRefused { .. }
        | Drift::DaemonMasked
        | Drift::SshdCloses { .. }
        | Drift::SessionOlderThanGroup { .. }
        | Drift::ClientTooOld { .. }
        | Drift::ClientPinned { .. }
        | Drift::ComposeTooOld { .. }
        | Drift::PullsUsedUp { .. } => {}
    }
}

/// A daemon that does not start tells its journal why, and systemd does not.
fn or_why(start: &str) -> String {
    format!("{start} || {{\n{LAST_ERROR}\nexit 1\n}}\n")
}

/// One transaction: a box is never without Docker because a download failed between the two.
fn replacement(conflicts: &[&str]) -> Install {
    let wanted = releases::UPSTREAM_DOCKER
        .iter()
        .map(|name| (*name).to_owned());
    let removed = conflicts.iter().map(|name| format!("{name}-"));
    Install {
        packages: wanted.chain(removed).collect(),
        settings: [].into(),
    }
}

fn expect_daemon(facts: &Facts) {
    facts.predict::<Units>(|units| {
        units.0.insert(UNIT.to_owned(), Unit::expected());
    });
    facts.predict::<Host>(|host| host.newer.clear());
}

/// The daemon has packets forwarded whenever it starts.
fn expect_forwarding(facts: &Facts) {
    facts.predict::<Host>(|host| host.forwarding = Some(true));
}

/// Which images a daemon has that did not answer cannot be seen. They are taken to be as declared: the probe
/// after the change shows whether more is needed.
fn expect_answer(context: Context, facts: &Facts) {
    let declared = context.workshop.docker.images.iter();
    let images = declared.map(|image| as_listed(image)).collect();
    facts.predict::<DockerApi>(|api| {
        api.0.get_or_insert(Api {
            images,
            ..Api::default()
        });
    });
}

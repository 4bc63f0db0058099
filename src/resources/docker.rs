//! Docker Engine, Compose, and the images that the workshop needs.

use super::apt;
use super::change::{Action, Change, Install};
use super::packages::{Packages, upstream_version};
use super::releases;
use super::system::{Login, Os};
use super::units::{Unit, Units};
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::services::Api;
use crate::facts::{Fact, Facts, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::quote;
use crate::workshop::{DockerSource, Workshop};

pub struct Docker;

const GROUP: &str = "docker";
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
        id: "box.docker.daemon",
        title: "Docker's daemon runs, now and after a restart of the box",
        needs: &["box.docker.package"],
        probe: Units::PROBE,
    },
    Check {
        id: "box.docker.group",
        title: "The login user may use Docker",
        needs: &["box.docker.package"],
        probe: DockerGroup::PROBE,
    },
    Check {
        id: "box.docker.compose",
        title: "Docker Compose is installed",
        needs: &["box.os", "box.docker.repository"],
        probe: Packages::PROBE,
    },
    Check {
        id: "box.docker.images",
        title: "The workshop's images are in the box",
        needs: &["box.docker.daemon", "box.docker.group"],
        probe: DockerApi::PROBE,
    },
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    EngineMissing(Vec<&'static str>),
    /// The distribution's packages, where Docker's own are declared.
    EngineConflicts(Vec<&'static str>),
    EngineTooOld {
        found: String,
        wanted: String,
    },
    DaemonStopped {
        state: String,
    },
    DaemonNotEnabled,
    DaemonMasked,
    DaemonSilent,
    NotInGroup {
        user: String,
    },
    SessionOlderThanGroup {
        user: String,
    },
    ComposeMissing {
        package: &'static str,
        command: &'static str,
    },
    ImagesMissing(Vec<String>),
}

/// What Docker's API answered; `None` when its socket let nobody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerApi(pub Option<Api>);

impl DockerApi {
    pub const PROBE: &str = "docker";
}

impl Fact for DockerApi {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::new(Self::PROBE, Question::Docker)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::Refused(_)) => Ok(Self(None)),
            _ => records.json(Self::PROBE).map(|api| Self(Some(api))),
        }
    }
}

/// Members of the group docker, by the account; `None` when there is no such group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerGroup(pub Option<Vec<String>>);

impl DockerGroup {
    const PROBE: &str = "docker_group";
}

impl Fact for DockerGroup {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // getent ends with 2 when there is no such group.
        let fragment = format!("getent group {GROUP} || [ $? -eq 2 ]");
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let members = text
            .rsplit_once(':')
            .ok_or_else(|| Unobserved(format!("getent's answer is not understood: {text}")))?
            .1;
        let names = members.split(',').filter(|name| !name.is_empty());
        Ok(Self(Some(names.map(str::to_owned).collect())))
    }
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
            _ => true,
        }
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Packages::probes(workshop),
            Units::probes(workshop),
            DockerGroup::probes(workshop),
            DockerApi::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.docker.package" => diff_package(context, facts),
            "box.docker.version" => diff_version(context, facts),
            "box.docker.daemon" => diff_daemon(facts),
            "box.docker.group" => diff_group(facts),
            "box.docker.compose" => diff_compose(context, facts),
            _ => diff_images(context, facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let provision = || vec![format!("dwenv provision --target {}", context.target)];
        let fail = |summary: String, text: &str, commands: Vec<String>, by: By| Judgement {
            status: Status::Fail,
            summary,
            remedy: Some(Remedy {
                text: text.to_owned(),
                commands,
                by,
            }),
        };
        match drift {
            Drift::EngineMissing(packages) => fail(
                format!("Not installed: {}", packages.join(", ")),
                "Install it",
                provision(),
                By::You,
            ),
            Drift::EngineConflicts(packages) => fail(
                format!(
                    "In the way of Docker's own packages: {}",
                    packages.join(", ")
                ),
                "Replace them; images, containers and volumes stay",
                provision(),
                By::You,
            ),
            Drift::EngineTooOld { found, wanted } => fail(
                format!("The box has Docker {found}; the workshop needs {wanted} or newer"),
                "Use a box with a newer release, or Docker's own repository",
                Vec::new(),
                By::Organiser,
            ),
            Drift::DaemonStopped { state } => fail(
                format!("{UNIT} is {state}"),
                "In the box, start it; if it will not start, its journal says why",
                vec![
                    format!("sudo systemctl enable --now {UNIT}"),
                    format!("sudo journalctl -u {UNIT} -n 20 --no-pager"),
                ],
                By::You,
            ),
            Drift::DaemonNotEnabled => fail(
                format!("{UNIT} runs, but will not start with the box"),
                "In the box, enable it",
                vec![format!("sudo systemctl enable {UNIT}")],
                By::You,
            ),
            Drift::DaemonMasked => fail(
                format!("{UNIT} is masked: somebody forbade it to start"),
                "In the box, allow it again",
                vec![
                    format!("sudo systemctl unmask {UNIT} docker.socket"),
                    format!("sudo systemctl enable --now {UNIT}"),
                ],
                By::You,
            ),
            Drift::DaemonSilent => fail(
                format!("{UNIT} runs, but its socket answers nobody"),
                "In the box, start it again",
                vec!["sudo systemctl restart docker.socket docker.service".to_owned()],
                By::You,
            ),
            Drift::NotInGroup { user } => fail(
                format!("{user} is not in the group {GROUP}"),
                "In the box, add the user to the group, then log out and in again",
                vec![format!("sudo usermod -aG {GROUP} {}", quote::sh(user))],
                By::You,
            ),
            Drift::SessionOlderThanGroup { user } => fail(
                format!("{user} is in the group {GROUP}, but this login began before that"),
                "Log out of the box and in again",
                vec![format!("dwenv ssh --target {}", context.target)],
                By::You,
            ),
            Drift::ComposeMissing { package, command } => fail(
                format!("`{command}` is not there: {package} is not installed"),
                "Install it",
                provision(),
                By::You,
            ),
            Drift::ImagesMissing(images) => fail(
                format!("Not in the box: {}", images.join(", ")),
                "Pull what is missing",
                provision(),
                By::You,
            ),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::EngineMissing(packages) => Plan::install(packages.iter().copied()),
            Drift::ComposeMissing { package, .. } => Plan::install([*package]),
            Drift::EngineConflicts(packages) => Plan::script(
                format!("Replace {} by Docker's own packages", packages.join(", ")),
                replace_script(packages),
            ),
            Drift::EngineTooOld { found, wanted } => Plan::leave(format!(
                "Docker {found} is what this release has, and {wanted} is wanted: \
                 the box or the declaration has to change"
            )),
            Drift::DaemonMasked => {
                Plan::leave(format!("{UNIT} is masked, so somebody forbade it to start"))
            }
            Drift::DaemonStopped { .. } => Plan::script(
                "Start Docker's daemon",
                format!(
                    "systemctl reset-failed {UNIT} docker.socket 2>/dev/null || true\nsystemctl enable --now docker.socket {UNIT}"
                ),
            ),
            Drift::DaemonNotEnabled => {
                Plan::script("Enable Docker's daemon", format!("systemctl enable {UNIT}"))
            }
            Drift::DaemonSilent => Plan::script(
                "Start Docker's daemon again",
                format!("systemctl restart docker.socket {UNIT}"),
            ),
            Drift::NotInGroup { user } => Plan::script(
                format!("Add {user} to the group {GROUP}"),
                format!("usermod -aG {GROUP} {}", quote::sh(user)),
            ),
            Drift::SessionOlderThanGroup { .. } => {
                Plan::leave("only a new login has the group's rights".to_owned())
            }
            Drift::ImagesMissing(images) => Plan::Change(Change {
                title: format!("Pull {}", images.join(", ")),
                action: Action::Pull(images.clone()),
                differences: Vec::new(),
                unattended: false,
            }),
        }
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
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
            }
            Drift::EngineConflicts(conflicts) => {
                facts.predict::<Packages>(|known| {
                    known
                        .0
                        .retain(|name, _| !conflicts.contains(&name.as_str()));
                    known.expect(releases::UPSTREAM_DOCKER.iter().copied());
                });
                expect_daemon(facts);
            }
            Drift::ComposeMissing { package, .. } => {
                facts.predict::<Packages>(|known| known.expect([*package]));
            }
            Drift::DaemonStopped { .. } | Drift::DaemonNotEnabled | Drift::DaemonSilent => {
                expect_daemon(facts);
                expect_answer(context, facts);
            }
            Drift::NotInGroup { user } => {
                facts.predict::<DockerGroup>(|group| {
                    group.0.get_or_insert_default().push(user.clone());
                });
                facts.predict::<Login>(|login| login.groups.push(GROUP.to_owned()));
                expect_answer(context, facts);
            }
            Drift::ImagesMissing(images) => facts.predict::<DockerApi>(|api| {
                let pulled = images.iter().map(|image| with_tag(image));
                api.0.get_or_insert_default().images.extend(pulled);
            }),
            Drift::EngineTooOld { .. }
            | Drift::DaemonMasked
            | Drift::SessionOlderThanGroup { .. } => {}
        }
    }
}

/// One transaction: a box is never without Docker because a download failed between the two.
fn replace_script(conflicts: &[&str]) -> String {
    let wanted = releases::UPSTREAM_DOCKER
        .iter()
        .map(|name| (*name).to_owned());
    let removed = conflicts.iter().map(|name| format!("{name}-"));
    apt::install_script(&Install {
        packages: wanted.chain(removed).collect(),
        settings: [].into(),
    })
}

fn expect_daemon(facts: &Facts) {
    facts.predict::<Units>(|units| {
        units.0.insert(UNIT.to_owned(), Unit::expected());
    });
}

/// Which images a daemon has that did not answer cannot be seen. They are taken to be as declared: the probe
/// after the change shows whether more is needed.
fn expect_answer(context: Context, facts: &Facts) {
    let declared = context.workshop.docker.images.iter();
    let images = declared.map(|image| with_tag(image)).collect();
    facts.predict::<DockerApi>(|api| {
        api.0.get_or_insert(Api {
            images,
            ..Api::default()
        });
    });
}

fn diff_package(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    if context.workshop.docker.source == DockerSource::Docker {
        return diff_upstream(&packages);
    }
    // Docker's own packages serve a workshop as well as the distribution's.
    if let Some(version) = packages.version(releases::UPSTREAM_ENGINE) {
        return State::AsDeclared(format!("{} {version}", releases::UPSTREAM_ENGINE));
    }
    let os = observed!(facts, Os);
    let Some(release) = os.release() else {
        return State::Unknown(format!(
            "{} has no row in the table of releases",
            os.pretty_name
        ));
    };
    let missing = packages.missing(release.docker);
    if missing.is_empty() {
        State::AsDeclared(engine_version(&packages).unwrap_or_default())
    } else {
        State::Drifted(Drift::EngineMissing(missing))
    }
}

fn diff_upstream(packages: &Packages) -> State<Drift> {
    let conflicts: Vec<&str> = releases::UPSTREAM_CONFLICTS
        .iter()
        .copied()
        .filter(|name| packages.version(name).is_some())
        .collect();
    let missing = packages.missing(releases::UPSTREAM_DOCKER);
    if !conflicts.is_empty() {
        State::Drifted(Drift::EngineConflicts(conflicts))
    } else if missing.is_empty() {
        State::AsDeclared(engine_version(packages).unwrap_or_default())
    } else {
        State::Drifted(Drift::EngineMissing(missing))
    }
}

fn engine_version(packages: &Packages) -> Option<String> {
    ["docker-ce", "docker.io"]
        .into_iter()
        .find_map(|name| Some(format!("{name} {}", packages.version(name)?)))
}

fn diff_version(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    let wanted = &context.workshop.docker.minimum;
    let package = ["docker-ce", "docker.io"]
        .into_iter()
        .find_map(|name| packages.version(name));
    match package {
        // Predicted: which version the archives have is known only once it is installed.
        Some("") => State::AsDeclared("known once it is installed".to_owned()),
        Some(text) => match upstream_version(text) {
            Some(found) if found < *wanted => State::Drifted(Drift::EngineTooOld {
                found: found.to_string(),
                wanted: wanted.to_string(),
            }),
            Some(found) => State::AsDeclared(format!("{found} ({wanted} or newer is needed)")),
            None => State::Unknown(format!("the version `{text}` is not understood")),
        },
        None => State::Unknown("no Docker package is installed".to_owned()),
    }
}

fn diff_daemon(facts: &Facts) -> State<Drift> {
    let unit = observed!(facts, Units).get(UNIT);
    let login = observed!(facts, Login);
    let may_ask = login.uid == 0 || login.groups.iter().any(|group| group == GROUP);
    if unit.load == "masked" {
        State::Drifted(Drift::DaemonMasked)
    } else if !unit.is_running() {
        State::Drifted(Drift::DaemonStopped {
            state: format!("{} ({})", unit.active, unit.result),
        })
    } else if !unit.is_enabled() {
        State::Drifted(Drift::DaemonNotEnabled)
    } else {
        match facts.get::<DockerApi>().as_ref() {
            // Whoever may not use the socket learns nothing from it.
            _ if !may_ask => State::AsDeclared(format!("{UNIT} runs")),
            Ok(DockerApi(None)) => State::Drifted(Drift::DaemonSilent),
            Ok(DockerApi(Some(api))) if api.version.is_empty() => {
                State::AsDeclared(format!("{UNIT} runs"))
            }
            Ok(DockerApi(Some(api))) => {
                State::AsDeclared(format!("Docker {} answers", api.version))
            }
            Err(unobserved) => State::from(unobserved),
        }
    }
}

fn diff_group(facts: &Facts) -> State<Drift> {
    let login = observed!(facts, Login);
    if login.uid == 0 {
        return State::AsDeclared("the login user is root".to_owned());
    }
    let DockerGroup(members) = observed!(facts, DockerGroup);
    let user = login.user.clone();
    let in_account = members.is_some_and(|members| members.contains(&user));
    let in_session = login.groups.iter().any(|group| group == GROUP);
    match (in_account, in_session) {
        (_, true) => State::AsDeclared(format!("{user} is in the group {GROUP}")),
        (true, false) => State::Drifted(Drift::SessionOlderThanGroup { user }),
        (false, false) => State::Drifted(Drift::NotInGroup { user }),
    }
}

fn diff_compose(context: Context, facts: &Facts) -> State<Drift> {
    let packages = observed!(facts, Packages);
    let plugin = releases::UPSTREAM_COMPOSE;
    if let Some(version) = packages.version(plugin) {
        return State::AsDeclared(format!("`docker compose`, {plugin} {version}"));
    }
    if context.workshop.docker.source == DockerSource::Docker {
        return State::Drifted(Drift::ComposeMissing {
            package: plugin,
            command: "docker compose",
        });
    }
    let os = observed!(facts, Os);
    let Some(release) = os.release() else {
        return State::Unknown(format!(
            "{} has no row in the table of releases",
            os.pretty_name
        ));
    };
    match packages.version(release.compose) {
        Some(version) => State::AsDeclared(format!(
            "`{}`, {} {version}",
            release.compose_command, release.compose
        )),
        None => State::Drifted(Drift::ComposeMissing {
            package: release.compose,
            command: release.compose_command,
        }),
    }
}

fn diff_images(context: Context, facts: &Facts) -> State<Drift> {
    let DockerApi(Some(api)) = observed!(facts, DockerApi) else {
        return State::Unknown("Docker's socket let nobody in".to_owned());
    };
    let declared = &context.workshop.docker.images;
    let absent = |image: &&String| !api.images.contains(&with_tag(image));
    let missing: Vec<String> = declared.iter().filter(absent).cloned().collect();
    if missing.is_empty() {
        State::AsDeclared(declared.join(", "))
    } else {
        State::Drifted(Drift::ImagesMissing(missing))
    }
}

/// A reference as Docker itself shows it: with the tag `latest` where it has none, and without the
/// address of Docker's own registry.
#[must_use]
pub fn with_tag(image: &str) -> String {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains(':') || name.contains('@') {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

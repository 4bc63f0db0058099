//! The small Python server: its packages, files, unit, and its answer.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::files::{self, BoxFile};
use super::packages::Packages;
use super::releases;
use super::system::Login;
use super::units::{Unit, Units};
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::services::Answer;
use crate::facts::{Fact, Facts, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::provision::outcome::Difference;
use crate::quote;
use crate::workshop::{Password, Workshop};

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

/// How one file differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDrift {
    file: BoxFile,
    /// What is in the box instead; `None` when nothing is.
    found: Option<FoundFile>,
}

/// A file in the box.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFile {
    pub sha256: String,
    pub owner: String,
    pub mode: String,
    /// Last written, in seconds since 1970.
    pub written_at: u64,
    /// Only of a file that differs, and only its first 64 KiB.
    pub content: Option<String>,
}

/// The server's files in the box, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(pub BTreeMap<String, FoundFile>);

impl Files {
    pub const PROBE: &str = "files";
}

impl Fact for Files {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let server = &workshop.server;
        let folder = quote::sh(&server.directory);
        let names = server.files.iter().map(|file| quote::sh(&file.name));
        let paths: Vec<String> = names
            .map(|name| format!("\"$1\"/{folder}/{name}"))
            .chain([
                unit_path(workshop),
                drop_in_path(workshop),
                CREDENTIAL.to_owned(),
            ])
            .collect();
        let sums: Vec<String> = server
            .files
            .iter()
            .map(|f| files::sha256(&f.content))
            .collect();
        // Whoever may not read a file still sees that it is there.
        let fragment = format!(
            r#"set -- {paths}
stat -c 'stat|%a|%U|%Y|%F|%n' "$@" 2>/dev/null
sha256sum "$@" 2>/dev/null | while read -r sum path; do
  echo "sum|$sum|$path"
  case ' {sums} ' in
    *" $sum "*) ;;
    *) echo "content|$(head -c 65536 "$path" | base64 -w 0)|$path" ;;
  esac
done
true"#,
            paths = paths.join(" "),
            sums = sums.join(" "),
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut found: BTreeMap<String, FoundFile> = BTreeMap::new();
        for line in records.text(Self::PROBE)?.lines() {
            let words: Vec<&str> = line.split('|').collect();
            match words[..] {
                ["stat", mode, owner, written_at, kind, path] if kind.starts_with("regular") => {
                    let file = found.entry(path.to_owned()).or_default();
                    file.mode = mode.to_owned();
                    file.owner = owner.to_owned();
                    file.written_at = written_at.parse().unwrap_or(0);
                }
                ["stat", ..] => {}
                ["sum", sum, path] => {
                    found.entry(path.to_owned()).or_default().sha256 = sum.to_owned();
                }
                ["content", base64, path] => {
                    let bytes = BASE64_STANDARD.decode(base64).unwrap_or_default();
                    found.entry(path.to_owned()).or_default().content =
                        Some(String::from_utf8_lossy(&bytes).into_owned());
                }
                _ => {
                    return Err(Unobserved(format!(
                        "stat's answer is not understood: {line}"
                    )));
                }
            }
        }
        Ok(Self(found))
    }
}

/// The server's answer to `GET /`, asked inside the box; `None` when nobody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http(pub Option<Answer>);

impl Http {
    pub const PROBE: &str = "http";
}

impl Fact for Http {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let port = workshop.server.port;
        vec![Probe::new(Self::PROBE, Question::Http { port })]
    }

    fn observe(records: &Records) -> Observed<Self> {
        match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::Refused(_)) => Ok(Self(None)),
            _ => records.json(Self::PROBE).map(|answer| Self(Some(answer))),
        }
    }
}

/// Where a password that is a secret lies in the box: for root and, by systemd, the server alone.
const CREDENTIAL: &str = "/etc/dwenv/postgres-password";

fn unit_path(workshop: &Workshop) -> String {
    format!("/etc/systemd/system/{}", workshop.server.unit)
}

fn drop_in_path(workshop: &Workshop) -> String {
    format!("{}.d/dwenv.conf", unit_path(workshop))
}

fn folder(workshop: &Workshop, login: &Login) -> String {
    format!("{}/{}", login.home, workshop.server.directory)
}

/// The server's own files, as they shall be.
fn declared_files(workshop: &Workshop, login: &Login) -> Vec<BoxFile> {
    let folder = folder(workshop, login);
    let file = |file: &crate::workshop::DeclaredFile| BoxFile {
        path: format!("{folder}/{}", file.name),
        owner: login.user.clone(),
        mode: "644",
        content: file.content.clone(),
    };
    workshop.server.files.iter().map(file).collect()
}

/// The unit, and the drop-in with what the declaration has other than the server's own defaults.
fn declared_units(workshop: &Workshop, login: &Login) -> Vec<BoxFile> {
    let text = &workshop.server.unit_file.content;
    let mut drop_in = "# Kept by `dwenv provision`.\n[Service]\n".to_owned();
    for (name, value) in workshop.server_environment() {
        let assignment = quote::systemd(&format!("{name}={value}"));
        drop_in.push_str(&format!("Environment={assignment}\n"));
    }
    if matches!(workshop.postgres.password, Password::Secret(_)) {
        drop_in.push_str(&format!("LoadCredential=postgres-password:{CREDENTIAL}\n"));
    }
    let unit = text
        .replace("@USER@", &login.user)
        .replace("@DIRECTORY@", &folder(workshop, login));
    let root = |path: String, content: String| BoxFile {
        path,
        owner: "root".to_owned(),
        mode: "644",
        content,
    };
    vec![
        root(unit_path(workshop), unit),
        root(drop_in_path(workshop), drop_in),
    ]
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
                summary_of_all(drifts),
                "Put the declared files in place; one that somebody edited is kept beside",
                provision(),
            ),
            Drift::CredentialMissing => (
                "The declared password of the database is not where the server reads it".to_owned(),
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
        let workshop = context.workshop;
        let unit = &workshop.server.unit;
        match drift {
            Drift::PackagesMissing(packages) => Plan::install(packages.iter().copied()),
            Drift::FilesDiffer(drifts) => {
                let files: Vec<BoxFile> = drifts.iter().map(|drift| drift.file.clone()).collect();
                let (script, stdin) = files::write_script(&files);
                let names: Vec<&str> = drifts.iter().map(FileDrift::name).collect();
                let title = format!(
                    "Write {} into {}",
                    names.join(", "),
                    workshop.server.directory
                );
                Plan::script_reading(title, script, stdin)
                    .showing(drifts.iter().map(FileDrift::difference).collect())
            }
            Drift::UnitMasked => {
                Plan::leave(format!("{unit} is masked, so somebody forbade it to start"))
            }
            Drift::UnitNotEnabled => Plan::script(
                format!("Enable {unit}"),
                format!("systemctl enable {}", quote::sh(unit)),
            ),
            Drift::UnitDiffers(drifts) => match facts.get::<Login>().as_ref() {
                Ok(login) => start(
                    "Write and start",
                    workshop,
                    &declared_units(workshop, login),
                )
                .showing(drifts.iter().map(FileDrift::difference).collect()),
                Err(unobserved) => Plan::leave(unobserved.0.clone()),
            },
            Drift::CredentialMissing => start("Give the password to", workshop, &[]),
            Drift::UnitStopped { .. } => start("Start", workshop, &[]),
            Drift::RestartOwed | Drift::Silent | Drift::WrongAnswer { .. } => {
                start("Restart", workshop, &[])
            }
        }
    }

    fn predict(&self, context: Context, facts: &Facts, drift: &Drift) {
        let workshop = context.workshop;
        match drift {
            Drift::PackagesMissing(packages) => {
                facts.predict::<Packages>(|known| known.expect(packages.iter().copied()));
            }
            // Written after the unit was started: its restart is owed.
            Drift::FilesDiffer(drifts) => expect_files(facts, drifts, u64::MAX),
            Drift::UnitDiffers(drifts) => {
                expect_files(facts, drifts, 0);
                expect_running(workshop, facts);
            }
            Drift::UnitMasked => {}
            Drift::CredentialMissing
            | Drift::UnitStopped { .. }
            | Drift::UnitNotEnabled
            | Drift::RestartOwed
            | Drift::Silent
            | Drift::WrongAnswer { .. } => expect_running(workshop, facts),
        }
    }
}

/// Writes the unit's files, and (re)starts it; done when its port is open.
fn start(verb: &str, workshop: &Workshop, units: &[BoxFile]) -> Plan {
    let server = &workshop.server;
    let mut written = units.to_vec();
    if let Password::Secret(secret) = &workshop.postgres.password {
        written.push(BoxFile {
            path: CREDENTIAL.to_owned(),
            owner: "root".to_owned(),
            mode: "600",
            content: secret.reveal().to_owned(),
        });
    }
    let (write, stdin) = files::write_script(&written);
    let script = format!(
        r#"{write}systemctl daemon-reload
systemctl enable {unit}
systemctl reset-failed {unit} 2>/dev/null || true
systemctl restart {unit}
tries=100
until [ -n "$(ss -Hltn 'sport = :{port}')" ]; do
  tries=$((tries - 1))
  if [ $tries -le 0 ]; then
    echo "nothing listens on port {port}" >&2
    journalctl -u {unit} -n 20 --no-pager
    exit 1
  fi
  sleep 0.1
done
"#,
        unit = quote::sh(&server.unit),
        port = server.port,
    );
    Plan::script_reading(format!("{verb} {}", server.unit), script, stdin)
}

fn expect_files(facts: &Facts, drifts: &[FileDrift], written_at: u64) {
    facts.predict::<Files>(|known| {
        for FileDrift { file, .. } in drifts {
            known.0.insert(
                file.path.clone(),
                FoundFile {
                    sha256: files::sha256(&file.content),
                    owner: file.owner.clone(),
                    mode: file.mode.to_owned(),
                    written_at,
                    content: None,
                },
            );
        }
    });
}

fn expect_running(workshop: &Workshop, facts: &Facts) {
    facts.predict::<Units>(|units| {
        // The port is still seen held by the process that the change replaces.
        let main_pid = units.get(&workshop.server.unit).main_pid;
        let unit = Unit {
            main_pid,
            ..Unit::expected()
        };
        units.0.insert(workshop.server.unit.clone(), unit);
    });
    facts.predict::<Http>(|http| http.0 = Some(Answer::expected()));
    // Starting the unit puts it in place; before anything else is mended it is found missing.
    facts.predict::<Files>(|known| {
        known.0.entry(CREDENTIAL.to_owned()).or_default();
    });
}

/// Says that the database will be as declared: a server that answered without one needs nothing more.
pub fn expect_database(facts: &Facts) {
    facts.predict::<Http>(|http| {
        if http.0.as_ref().is_some_and(|answer| answer.status == 503) {
            http.0 = Some(Answer::expected());
        }
    });
}

fn diff_packages(facts: &Facts) -> State<Drift> {
    let missing = observed!(facts, Packages).missing(releases::SERVER);
    if missing.is_empty() {
        State::AsDeclared(releases::SERVER.join(", "))
    } else {
        State::Drifted(Drift::PackagesMissing(missing))
    }
}

fn drifts(declared: Vec<BoxFile>, found: &Files) -> Vec<FileDrift> {
    let drifted = |file: BoxFile| {
        let found = found.0.get(&file.path).cloned();
        let same = found.as_ref().is_some_and(|found| {
            found.sha256 == files::sha256(&file.content) && found.owner == file.owner
        });
        (!same).then_some(FileDrift { file, found })
    };
    declared.into_iter().filter_map(drifted).collect()
}

fn diff_files(context: Context, facts: &Facts) -> State<Drift> {
    let found = observed!(facts, Files);
    let login = observed!(facts, Login);
    let drifts = drifts(declared_files(context.workshop, &login), &found);
    if drifts.is_empty() {
        State::AsDeclared(folder(context.workshop, &login))
    } else {
        State::Drifted(Drift::FilesDiffer(drifts))
    }
}

fn diff_unit(context: Context, facts: &Facts) -> State<Drift> {
    let workshop = context.workshop;
    let found = observed!(facts, Files);
    let login = observed!(facts, Login);
    let unit = observed!(facts, Units).get(&workshop.server.unit);
    let drifts = drifts(declared_units(workshop, &login), &found);
    let secret = matches!(workshop.postgres.password, Password::Secret(_));
    // Only what the unit itself reads matters: the Python file that it runs, not the tutorial's others.
    let code = format!("{}/server.py", folder(workshop, &login));
    let written = |path: &str| found.0.get(path).map_or(0, |file| file.written_at);
    if unit.load == "masked" {
        State::Drifted(Drift::UnitMasked)
    } else if !drifts.is_empty() {
        State::Drifted(Drift::UnitDiffers(drifts))
    } else if secret && !found.0.contains_key(CREDENTIAL) {
        State::Drifted(Drift::CredentialMissing)
    } else if !unit.is_running() {
        State::Drifted(Drift::UnitStopped {
            state: format!("{} ({})", unit.active, unit.result),
        })
    } else if !unit.is_enabled() {
        State::Drifted(Drift::UnitNotEnabled)
    } else if unit.needs_reload || written(&code) > unit.active_since {
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

/// The differences in words, files that differ in the same way together.
fn summary_of_all(drifts: &[FileDrift]) -> String {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for drift in drifts {
        let how = drift.how();
        match groups.iter_mut().find(|(known, _)| *known == how) {
            Some((_, paths)) => paths.push(&drift.file.path),
            None => groups.push((how, vec![&drift.file.path])),
        }
    }
    let words = |(how, paths): &(String, Vec<&str>)| match paths[..] {
        [path] => format!("{how}: {path}"),
        _ => in_one_folder(how, paths),
    };
    groups.iter().map(words).collect::<Vec<_>>().join("; ")
}

/// Several paths, their folder named once where they share one.
fn in_one_folder(how: &str, paths: &[&str]) -> String {
    let split: Vec<(&str, &str)> = paths
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .collect();
    match split.first() {
        Some((folder, _)) if split.iter().all(|(other, _)| other == folder) => {
            let names: Vec<&str> = split.iter().map(|(_, name)| *name).collect();
            format!("{how}, in {folder}: {}", names.join(", "))
        }
        _ => format!("{how}: {}", paths.join(", ")),
    }
}

impl FileDrift {
    fn name(&self) -> &str {
        self.file.path.rsplit('/').next().unwrap_or(&self.file.path)
    }

    fn how(&self) -> String {
        match &self.found {
            None => "Missing".to_owned(),
            Some(found) if found.sha256.is_empty() => "Cannot be read".to_owned(),
            Some(found) if found.sha256 == files::sha256(&self.file.content) => {
                format!("Belongs to {}, not to {}", found.owner, self.file.owner)
            }
            Some(_) => "Differs from the declared one".to_owned(),
        }
    }

    fn difference(&self) -> Difference {
        let found = self.found.as_ref();
        let old = found
            .and_then(|found| found.content.clone())
            .unwrap_or_default();
        Difference {
            subject: self.file.path.clone(),
            text: files::unified_diff(&self.file.path, &old, &self.file.content),
        }
    }
}

//! How the server's drifts are mended, and what is so afterwards.

use super::super::change::Plan;
use super::super::files::{self, BoxFile};
use super::super::firewall::Closed;
use super::super::packages::Packages;
use super::super::ports::Listeners;
use super::super::system::Login;
use super::super::units::{BEGINNING, Unit, Units};
use super::Drift;
use super::declared::{self, FileDrift};
use super::facts::{Files, FoundFile, Http};
use crate::facts::Facts;
use crate::facts::server::Answer;
use crate::quote;
use crate::workshop::{Password, Workshop};

pub fn plan(workshop: &Workshop, facts: &Facts, drift: &Drift) -> Plan {
    let unit = &workshop.server.unit;
    match drift {
        Drift::PackagesMissing(packages) => Plan::install(packages.iter().copied()),
        Drift::LineEndings(files) => convert(files),
        Drift::PythonFails { said, .. } => {
            Plan::leave(format!("Python does not find its driver: {said}"))
        }
        Drift::UnitOverridden(paths) => {
            Plan::leave(format!("{} is somebody's own", paths.join(", ")))
        }
        Drift::AddressNarrow { .. } => {
            Plan::leave("the declared server.py chooses where it listens")
        }
        Drift::CredentialLeft => Plan::script(
            "Remove the password that the server does not need any more",
            format!("rm -f {}", declared::CREDENTIAL),
        ),
        Drift::FilesDiffer(drifts) => {
            let files: Vec<BoxFile> = drifts.iter().map(|drift| drift.file.clone()).collect();
            let (script, stdin) = files::write_script(&files);
            Plan::script_reading(
                write_title(&workshop.server.directory, drifts),
                script,
                stdin,
            )
            .showing(drifts.iter().map(FileDrift::difference).collect())
        }
        Drift::UnitMasked => {
            Plan::leave(format!("{unit} is masked, so somebody forbade it to start"))
        }
        Drift::UnitNotEnabled => Plan::script(
            format!("Enable {unit}"),
            format!("systemctl enable {}", quote::sh(unit)),
        )
        .unattended(),
        Drift::UnitDiffers(drifts) => match facts.get::<Login>().as_ref() {
            Ok(login) => start(
                "Write and start",
                workshop,
                &declared::units(workshop, login),
            )
            .showing(drifts.iter().map(FileDrift::difference).collect()),
            Err(unobserved) => Plan::leave(unobserved.0.clone()),
        },
        Drift::Closed(_) => Plan::leave(Closed::LEFT),
        Drift::CredentialMissing => start("Give the password to", workshop, &[]),
        Drift::UnitStopped { .. } | Drift::UnitFailed { .. } => {
            start("Start", workshop, &[]).unattended()
        }
        Drift::RestartOwed | Drift::Silent | Drift::WrongAnswer { .. } => {
            start("Restart", workshop, &[])
        }
    }
}

pub fn predict(workshop: &Workshop, facts: &Facts, drift: &Drift) {
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
        Drift::LineEndings(files) => facts.predict::<Files>(|known| {
            for file in files {
                let found = known.0.entry(file.path.clone()).or_default();
                found.sha256 = files::sha256(&file.content);
                found.content = Some(file.content.clone());
                // Written after the unit was started: its restart is owed.
                found.written_at = u64::MAX;
            }
        }),
        Drift::CredentialLeft => forget_credential(facts),
        Drift::UnitMasked
        | Drift::PythonFails { .. }
        | Drift::UnitOverridden(_)
        | Drift::AddressNarrow { .. }
        | Drift::Closed(_) => {}
        Drift::CredentialMissing
        | Drift::UnitStopped { .. }
        | Drift::UnitFailed { .. }
        | Drift::UnitNotEnabled
        | Drift::RestartOwed
        | Drift::Silent
        | Drift::WrongAnswer { .. } => expect_running(workshop, facts),
    }
}

/// Who agrees to a plan knows of each file that another takes the place of.
fn write_title(directory: &str, drifts: &[FileDrift]) -> String {
    let names = |replaces| {
        let those = drifts.iter().filter(|drift| drift.replaces() == replaces);
        those.map(FileDrift::name).collect::<Vec<_>>().join(", ")
    };
    let (fresh, replaced) = (names(false), names(true));
    const KEPT: &str = "what somebody edited is kept beside";
    match (fresh.as_str(), replaced.as_str()) {
        (fresh, "") => format!("Write {fresh} into {directory}"),
        ("", replaced) => format!("Replace {replaced} in {directory}; {KEPT}"),
        (fresh, replaced) => {
            format!("Write {fresh} into {directory}, and replace {replaced}; {KEPT}")
        }
    }
}

/// How to start a unit whose turn is only kept from it by a PostgreSQL that answers already: Debian's start of a
/// cluster sleeps for two seconds behind that. Everything else that the unit wants has to be there, since systemd then
/// heeds nothing of it.
const BESIDE_POSTGRES: &str = r#"beside_postgres() { # UNIT PORT
  jobs=$(command systemctl list-jobs --no-legend | awk '$1 + 0 > 0 { print $2 }')
  [ -n "$jobs" ] && ! echo "$jobs" | grep -qv '^postgresql[@.]' || return 1
  for ready in /usr/lib/postgresql/*/bin/pg_isready; do :; done
  "$ready" -q -h /run/postgresql -p "$2" || return 1
  wanted=$(command systemctl show --value -p Requires -p Requisite -p BindsTo -p Wants "$1" | tr ' ' '\n' | grep -v '^postgresql[@.]')
  ! command systemctl is-active $wanted | grep -qvx active
}
"#;

/// Writes the unit's files, and (re)starts it; done when its port is open.
fn start(verb: &str, workshop: &Workshop, units: &[BoxFile]) -> Plan {
    let server = &workshop.server;
    let mut written = units.to_vec();
    if let Password::Secret(secret) = &workshop.postgres.password {
        written.push(BoxFile {
            path: declared::CREDENTIAL.to_owned(),
            owner: "root".to_owned(),
            mode: "600",
            content: secret.reveal().to_owned(),
        });
    }
    let (write, stdin) = files::write_script(&written);
    let forget = match workshop.postgres.password {
        Password::Secret(_) => String::new(),
        _ => format!("rm -f {}\n", declared::CREDENTIAL),
    };
    let script = format!(
        r#"{write}{forget}systemctl daemon-reload
systemctl enable {unit}
systemctl reset-failed {unit} 2>/dev/null || true
{BESIDE_POSTGRES}mode=replace
if beside_postgres {unit} {postgres}; then mode=ignore-dependencies; fi
systemctl restart --job-mode="$mode" {unit}
tries={tries}
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
        tries = BEGINNING * 10,
        unit = quote::sh(&server.unit),
        port = server.port,
        postgres = workshop.postgres.port,
    );
    Plan::script_reading(format!("{verb} {}", server.unit), script, stdin)
        .with_secret(files::hold_secret(&written))
}

/// The previous version stays beside, as with every file that somebody edited.
fn convert(files: &[BoxFile]) -> Plan {
    let mut script = files::KEEP.to_owned();
    for file in files {
        let path = quote::sh(&file.path);
        script.push_str(&format!("keep {path}\nsed -i 's/\\r$//' {path}\n"));
    }
    let names = files
        .iter()
        .map(|file| file.path.rsplit('/').next().unwrap_or(&file.path));
    Plan::script(
        format!(
            "Take the carriage returns out of {}",
            names.collect::<Vec<_>>().join(", ")
        ),
        script,
    )
}

fn forget_credential(facts: &Facts) {
    facts.predict::<Files>(|known| {
        known.0.remove(declared::CREDENTIAL);
    });
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
                    is_folder: false,
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
    // Where it listens then is seen once it does.
    let pid = match facts.get::<Units>().as_ref() {
        Ok(units) => units.get(&workshop.server.unit).main_pid,
        Err(_) => 0,
    };
    facts.predict::<Listeners>(|listeners| {
        listeners
            .0
            .retain(|listener| listener.port != workshop.server.port || listener.pid != pid);
    });
    // Starting the unit puts a secret password in place; before anything else is mended it is found missing.
    if !matches!(workshop.postgres.password, Password::Secret(_)) {
        return forget_credential(facts);
    }
    facts.predict::<Files>(|known| {
        let safe = FoundFile {
            owner: "root".to_owned(),
            mode: "600".to_owned(),
            ..FoundFile::default()
        };
        known.0.insert(declared::CREDENTIAL.to_owned(), safe);
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

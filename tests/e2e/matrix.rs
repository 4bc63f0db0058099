//! The fault matrix: whatever is done to a box, doctor names just that as the cause, and what it prints mends it.
//!
//! The rows stand in `tests/data/faults/`, one file a room. `DWENV_FAULT=NAME` runs only the rows whose name
//! holds NAME; several are parted by commas.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use dwenv::target::sandbox::Suite;
use serde::Deserialize;

use crate::running::{Check, Ran};
use crate::support;
use crate::workbox::Workbox;

/// The fewest rows that the matrix has.
const FEWEST: usize = 80;
/// How often a box that nothing was done to is asked.
const HEALTHY_RUNS: usize = 100;
/// What an attendee stored before anything went wrong.
const PAYLOAD: &str = "A row of an attendee";

/// One thing that goes wrong. What each key means stands at the head of `boxos.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    about: String,
    inject: String,
    #[serde(default)]
    fails: Vec<String>,
    #[serde(default)]
    warns: Vec<String>,
    #[serde(default)]
    says: String,
    #[serde(default = "commands")]
    remedies: Vec<Remedy>,
    #[serde(default)]
    undo: String,
    #[serde(default)]
    loses_rows: bool,
    #[serde(default = "trixie")]
    suites: Vec<String>,
    #[serde(default)]
    by_ssh: bool,
}

/// What mends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Remedy {
    /// The commands that doctor prints, as printed.
    Commands,
    /// `dwenv provision`, whatever doctor prints.
    Provision,
    /// Nothing that is typed: `undo` does it.
    Undo,
}

fn commands() -> Vec<Remedy> {
    vec![Remedy::Commands]
}

fn trixie() -> Vec<String> {
    vec![Suite::Trixie.name().to_owned()]
}

impl Fault {
    /// The checks that are to name a cause, with how they end.
    fn causes(&self) -> BTreeSet<(&str, &str)> {
        let fails = self.fails.iter().map(|id| (id.as_str(), "fail"));
        let warns = self.warns.iter().map(|id| (id.as_str(), "warn"));
        fails.chain(warns).collect()
    }
}

#[derive(Deserialize)]
struct File {
    fault: Vec<Fault>,
}

fn faults() -> Vec<Fault> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder of the faults")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let mut faults = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a file of faults");
        let file: File =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        faults.extend(file.fault);
    }
    faults
}

/// The rows of one release, those among them that `DWENV_FAULT` asks for.
fn of(suite: Suite) -> Vec<Fault> {
    let wanted = std::env::var("DWENV_FAULT").unwrap_or_default();
    let is_wanted = |fault: &Fault| wanted.split(',').any(|part| fault.name.contains(part));
    let mut faults = faults();
    faults.retain(|fault| fault.suites.iter().any(|name| name == suite.name()) && is_wanted(fault));
    faults
}

#[test]
fn there_are_enough_rows_and_each_has_a_name_of_its_own() {
    let faults = faults();
    let names: BTreeSet<&String> = faults.iter().map(|fault| &fault.name).collect();
    assert_eq!(names.len(), faults.len());
    assert!(faults.len() >= FEWEST, "only {} rows", faults.len());
}

#[test]
fn debian_13() {
    let faults = Mutex::new(of(Suite::Trixie).into_iter());
    // Two machines, since each row mostly waits.
    let told = std::thread::scope(|scope| {
        let other = scope.spawn(|| matrix(Suite::Trixie, &faults, 0));
        let one = matrix(Suite::Trixie, &faults, HEALTHY_RUNS);
        [one, other.join().expect("the other machine")].concat()
    });
    tell(told);
}

#[test]
fn debian_12() {
    let faults = Mutex::new(of(Suite::Bookworm).into_iter());
    tell(matrix(Suite::Bookworm, &faults, HEALTHY_RUNS));
}

/// A row of the matrix, and what was not as it should be.
type Told = (Fault, Result<(), String>);
/// A row of the table that an attendee stored: its id and payload.
type Row = (u64, String);

/// Works on one machine through what is left of the rows, after so many runs while nothing is wrong.
fn matrix(suite: Suite, faults: &Mutex<std::vec::IntoIter<Fault>>, healthy: usize) -> Vec<Told> {
    let next = || faults.lock().unwrap_or_else(PoisonError::into_inner).next();
    let mut it = Workbox::provisioned(suite);
    for _ in 0..healthy {
        it.doctor().ready();
    }
    let mut rows = it.post(PAYLOAD);
    let mut told = Vec::new();
    while let Some(fault) = next() {
        let mut all = fault.remedies.iter();
        let result = all.try_for_each(|remedy| {
            run(&it, &fault, *remedy)?;
            keeps(&it, &fault, &mut rows)
        });
        if let Err(wrong) = &result {
            println!("{}: {wrong}", fault.name);
            // What comes after it is not to suffer from it.
            drop(it);
            it = Workbox::provisioned(suite);
            rows = it.post(PAYLOAD);
        }
        told.push((fault, result));
    }
    told
}

/// What an attendee stored is still there, or the fixture alone where the fault took it.
fn keeps(it: &Workbox, fault: &Fault, rows: &mut Vec<Row>) -> Result<(), String> {
    let found = it.rows();
    let expected = if fault.loses_rows {
        vec![(1, "Hello World".to_owned())]
    } else {
        rows.clone()
    };
    if found != expected {
        return Err(format!("the rows are {found:?}, not {expected:?}"));
    }
    if fault.loses_rows {
        *rows = it.post(PAYLOAD);
    }
    Ok(())
}

fn tell(told: Vec<Told>) {
    let mut table = String::new();
    let wrong = told.iter().filter(|(_, result)| result.is_err()).count();
    for (fault, result) in &told {
        let causes: Vec<&str> = fault.causes().iter().map(|(id, _)| *id).collect();
        let mark = if result.is_ok() { "ok   " } else { "WRONG" };
        let left = if fault.remedies.contains(&Remedy::Undo) {
            " (undone, not by what is printed)"
        } else {
            ""
        };
        writeln!(
            table,
            "{mark} {:<34} {:<28} {}{left}",
            fault.name,
            causes.join(" "),
            fault.about
        )
        .expect("a text");
        if let Err(reason) = result {
            writeln!(table, "      {reason}").expect("a text");
        }
    }
    println!("{table}{} faults, {wrong} wrong", told.len());
    assert_eq!(wrong, 0, "\n{table}");
}

/// Does it, asks doctor, does what doctor says, and asks again.
fn run(it: &Workbox, fault: &Fault, remedy: Remedy) -> Result<(), String> {
    println!("--- {} ({remedy:?})", fault.name);
    in_box(it, &fault.inject).map_err(|said| format!("cannot be injected: {said}"))?;
    let seen = if fault.by_ssh {
        let target = format!("ssh://vagrant@{}", it.address());
        let identity = it.machine().identity.display().to_string();
        it.dwenv(&[
            "doctor",
            "--format",
            "json",
            "--target",
            &target,
            "--identity",
            &identity,
        ])
    } else {
        it.doctor()
    };
    let causes = causes(&seen, fault)?;
    let mut commands: Vec<String> = causes
        .into_iter()
        .flat_map(|check| check.commands)
        .collect();
    match remedy {
        Remedy::Commands if commands.is_empty() => {
            return Err("has no command to mend it".to_owned());
        }
        Remedy::Commands => commands.dedup(),
        Remedy::Provision => commands = vec!["dwenv provision --yes --target sandbox".to_owned()],
        Remedy::Undo => commands.clear(),
    }
    for command in commands {
        it.type_in(&command)
            .map_err(|said| format!("`{command}` failed: {said}"))?;
    }
    if !fault.undo.is_empty() {
        in_box(it, &fault.undo).map_err(|said| format!("cannot be undone: {said}"))?;
    }
    // A service that was just started needs a moment.
    let after = it.dwenv(&[
        "doctor", "--wait", "5m", "--format", "json", "--target", "sandbox",
    ]);
    let left = wrong(&after);
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("afterwards there is still {}", words(&left)))
    }
}

/// The findings that name a cause, if they are just those that are expected.
fn causes(seen: &Ran, fault: &Fault) -> Result<Vec<Check>, String> {
    let found = wrong(seen);
    let told = found
        .iter()
        .map(|check| (check.id.as_str(), check.status.as_str()));
    let expected = fault.causes();
    if told.collect::<BTreeSet<_>>() != expected {
        return Err(format!("doctor names {}", words(&found)));
    }
    let is_cause = |id: &String| expected.iter().any(|(cause, _)| cause == id);
    let stray = seen
        .checks()
        .into_iter()
        .find(|check| check.status == "skip" && !check.because.as_ref().is_some_and(is_cause));
    if let Some(stray) = stray {
        return Err(format!("{} is skipped because of something else", stray.id));
    }
    if !found
        .iter()
        .any(|check| check.summary.contains(&fault.says))
    {
        return Err(format!("doctor does not say {:?}", fault.says));
    }
    Ok(found)
}

/// What neither passed nor follows from something else.
fn wrong(seen: &Ran) -> Vec<Check> {
    let is_cause = |check: &Check| check.status != "pass" && check.status != "skip";
    seen.checks().into_iter().filter(is_cause).collect()
}

fn words(checks: &[Check]) -> String {
    let each: Vec<String> = checks
        .iter()
        .map(|check| format!("{} ({}): {}", check.id, check.status, check.summary))
        .collect();
    each.join("; ")
}

fn in_box(it: &Workbox, script: &str) -> Result<(), String> {
    let command = format!("sudo sh -euc {}", dwenv::quote::sh(script));
    let output = support::ssh(&it.machine(), &command);
    if output.status.success() {
        Ok(())
    } else {
        Err(support::text(&output.stderr))
    }
}

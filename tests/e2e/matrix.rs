//! The fault matrix: whatever is done to a box, doctor names just that as the cause, and what it prints mends it.
//!
//! The rows stand in `tests/data/faults/`, one file a room. `DWENV_FAULT=NAME` runs only the rows whose name
//! holds NAME.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dwenv::target::sandbox::Suite;
use serde::Deserialize;

use crate::support;
use crate::workbox::{Check, Ran, Workbox};

/// The fewest rows that the matrix has.
const FEWEST: usize = 60;
/// How often a box that nothing was done to is asked.
const HEALTHY_RUNS: usize = 100;

/// One thing that goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    about: String,
    /// For root's sh in the box.
    inject: String,
    /// The checks that name a cause: all that do not pass, but for those that are skipped because of them.
    expect: BTreeSet<String>,
    /// How those end.
    status: String,
    /// Part of what one of them says.
    #[serde(default)]
    says: String,
    remedy: Remedy,
    /// For root's sh in the box, where the remedy leaves something behind.
    #[serde(default)]
    undo: String,
    /// The one release that has this fault.
    only: Option<String>,
}

/// What mends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Remedy {
    /// The commands that doctor prints, as printed.
    Commands,
    /// Those, and they are `dwenv provision`.
    Provision,
    /// Nothing that is typed: the finding says what to do, and `undo` does it.
    Undo,
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
    let here = |fault: &Fault| match &fault.only {
        Some(only) => only == suite.name(),
        None => suite == Suite::Trixie,
    };
    let mut faults = faults();
    faults.retain(|fault| here(fault) && fault.name.contains(&wanted));
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
    let faults = of(Suite::Trixie);
    // Two machines, since each row mostly waits.
    let (first, second) = faults.split_at(faults.len() / 2);
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| matrix(Suite::Trixie, second, false));
        let one = matrix(Suite::Trixie, first, true);
        (one, other.join().expect("the second half"))
    });
    tell([one, two].concat());
}

#[test]
fn debian_12() {
    tell(matrix(Suite::Bookworm, &of(Suite::Bookworm), true));
}

/// A row of the matrix, and what was not as it should be.
type Told = (Fault, Result<(), String>);

fn matrix(suite: Suite, faults: &[Fault], healthy: bool) -> Vec<Told> {
    let mut it = Workbox::provisioned(suite);
    if healthy {
        for _ in 0..HEALTHY_RUNS {
            it.doctor().ready();
        }
    }
    let mut told = Vec::new();
    for fault in faults {
        let result = run(&it, fault);
        if let Err(wrong) = &result {
            println!("{}: {wrong}", fault.name);
            // What comes after it is not to suffer from it.
            drop(it);
            it = Workbox::provisioned(suite);
        }
        told.push((fault.clone(), result));
    }
    told
}

fn tell(told: Vec<Told>) {
    let mut table = String::new();
    let wrong = told.iter().filter(|(_, result)| result.is_err()).count();
    for (fault, result) in &told {
        let causes: Vec<&str> = fault.expect.iter().map(String::as_str).collect();
        let mark = if result.is_ok() { "ok   " } else { "WRONG" };
        writeln!(
            table,
            "{mark} {:<34} {:<28} {}",
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
fn run(it: &Workbox, fault: &Fault) -> Result<(), String> {
    println!("--- {}", fault.name);
    in_box(it, &fault.inject).map_err(|said| format!("cannot be injected: {said}"))?;
    let seen = it.doctor();
    let causes = causes(&seen, fault)?;
    let mut commands: Vec<&String> = causes.iter().flat_map(|check| &check.commands).collect();
    commands.dedup();
    if fault.remedy == Remedy::Provision
        && !commands
            .iter()
            .all(|line| line.starts_with("dwenv provision"))
    {
        return Err(format!("is to be mended by provision, not by {commands:?}"));
    }
    if fault.remedy != Remedy::Undo {
        if commands.is_empty() {
            return Err("has no command to mend it".to_owned());
        }
        for command in commands {
            it.type_in(command)
                .map_err(|said| format!("`{command}` failed: {said}"))?;
        }
    }
    if !fault.undo.is_empty() {
        in_box(it, &fault.undo).map_err(|said| format!("cannot be undone: {said}"))?;
    }
    // A service that was just started needs a moment.
    let after = it.dwenv(&[
        "doctor", "--wait", "20s", "--format", "json", "--target", "sandbox",
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
    let ids: BTreeSet<String> = found.iter().map(|check| check.id.clone()).collect();
    if ids != fault.expect || found.iter().any(|check| check.status != fault.status) {
        return Err(format!("doctor names {}", words(&found)));
    }
    let stray = seen.checks().into_iter().find(|check| {
        check.status == "skip" && !check.because.as_ref().is_some_and(|id| ids.contains(id))
    });
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

impl Workbox {
    /// Types a command at a terminal in the workshop's folder, and says yes to what it asks.
    fn type_in(&self, command: &str) -> Result<(), String> {
        let ours = self.command(&[]);
        let dwenv = Path::new(ours.get_program())
            .parent()
            .expect("a folder")
            .display();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut typing = Command::new("timeout");
        typing
            .args(["120", "script", "-qec", command, "/dev/null"])
            .current_dir(self.folder())
            .envs(
                ours.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", format!("{dwenv}:{path}"))
            .env("TERM", "dumb");
        let mut typing = typing
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let keys = typing.stdin.take();
        // A command that asks nothing may have ended before the answer comes.
        let _ = keys.map(|mut keys| keys.write_all(b"y\ny\ny\n"));
        let typed = typing
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        if typed.status.success() {
            Ok(())
        } else {
            Err(support::text(&typed.stdout))
        }
    }
}

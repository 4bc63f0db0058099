//! What the catalogue says a check finds, that check finds: in a recorded laptop, in a case of a box, or in a fault that
//! real machines are given.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dwenv::doctor;
use dwenv::doctor::catalogue::Catalogue;
use dwenv::doctor::report::{Finding, Status};
use serde::Deserialize;

use super::case::{self, Case};
use crate::laptops;

/// By the name of a fault or a case, the checks that find something.
type Found = BTreeMap<String, BTreeSet<String>>;

/// A fault of `tests/data/faults`; `tests/e2e/matrix.rs` holds that these checks find it, and no others.
#[derive(Deserialize)]
struct Fault {
    name: String,
    #[serde(default)]
    fails: Vec<String>,
    #[serde(default)]
    warns: Vec<String>,
}

#[derive(Deserialize)]
struct Faults {
    fault: Vec<Fault>,
}

fn finding(case: &Case, counts: impl Fn(&Finding) -> bool) -> BTreeSet<String> {
    let findings = doctor::judge(case.context(), &case.facts());
    let counted = findings.into_iter().filter(counts);
    counted.map(|finding| finding.id).collect()
}

fn on_laptops() -> Found {
    let mut found: Found = laptops::faults()
        .into_iter()
        .map(|(name, fault)| (name, [fault.check].into()))
        .collect();
    let wrong = |finding: &Finding| !matches!(finding.status, Status::Pass | Status::Skip);
    for case in case::all() {
        if let Some(name) = case.name.strip_prefix("laptop/") {
            found.insert(name.to_owned(), finding(&case, wrong));
        }
    }
    found
}

/// A case of a box bears its file's name before its own, a fault does not.
fn on_boxes() -> Found {
    // What could not be asked is nothing found; a box that lets nobody in is.
    let wrong = |finding: &Finding| match finding.status {
        Status::Warn | Status::Fail => true,
        Status::Unknown => finding.id == "box.ssh",
        Status::Pass | Status::Skip => false,
    };
    let cases = case::all().into_iter();
    let mut found: Found = cases
        .map(|case| (case.name.clone(), finding(&case, wrong)))
        .collect();
    for file in fs::read_dir(case::data().join("faults")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        let faults: Faults = toml::from_str(&text).unwrap();
        for fault in faults.fault {
            let ids = fault.fails.into_iter().chain(fault.warns);
            found.insert(fault.name, ids.collect());
        }
    }
    found
}

/// Holds that every check of this scope that a row names finds something where the row's fault is: in what bears the
/// row's name, or what the table names for it.
fn are_seen(scope: &str, table: &str, found: &Found) {
    let text = fs::read_to_string(case::data().join(table)).unwrap();
    let other_names: BTreeMap<String, Vec<String>> = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for row in &Catalogue::get().rows {
        let claimed = || row.checks.iter().filter(|id| id.starts_with(scope));
        let others = other_names.get(&row.id).into_iter().flatten();
        for name in others.clone() {
            match found.get(name) {
                None => wrong.push(format!("{}: there is no {name}", row.id)),
                Some(ids) if claimed().all(|id| !ids.contains(id)) => {
                    wrong.push(format!("{}: none of its checks finds {name}", row.id));
                }
                Some(_) => {}
            }
        }
        let by_name = found.keys().filter(|name| name.starts_with(&row.id));
        let seen: BTreeSet<&String> = by_name
            .chain(others)
            .filter_map(|name| found.get(name))
            .flatten()
            .collect();
        let unseen = claimed().filter(|id| !seen.contains(id));
        wrong.extend(unseen.map(|id| format!("{}: never seen by {id}", row.id)));
    }
    for id in other_names.keys() {
        if Catalogue::get().row(id).is_none() {
            wrong.push(format!("{id} is no row"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_check_of_the_laptop_that_a_row_names_is_seen_to_find_it() {
    are_seen("laptop.", "laptops/rows.toml", &on_laptops());
}

#[test]
fn each_check_of_the_box_that_a_row_names_is_seen_to_find_it() {
    are_seen("box.", "rows.toml", &on_boxes());
}

//! What the catalogue says a check of the laptop finds, that check finds in a recorded laptop.

use std::collections::{BTreeMap, BTreeSet};

use dwenv::doctor;
use dwenv::doctor::catalogue::Catalogue;
use dwenv::doctor::report::Status;

use super::case;
use crate::laptops;

/// What each fault and each case of a laptop is named for: the checks that find something.
fn found() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = laptops::faults()
        .into_iter()
        .map(|(name, fault)| (name, [fault.check].into()))
        .collect();
    for case in case::all() {
        let Some(name) = case.name.strip_prefix("laptop/") else {
            continue;
        };
        let wrong = doctor::judge(case.context(), &case.facts())
            .into_iter()
            .filter(|finding| !matches!(finding.status, Status::Pass | Status::Skip))
            .map(|finding| finding.id);
        found.insert(name.to_owned(), wrong.collect());
    }
    found
}

#[test]
fn each_check_of_the_laptop_that_a_row_names_is_seen_to_find_it() {
    let text = std::fs::read_to_string(case::data().join("laptops/rows.toml")).unwrap();
    let other_names: BTreeMap<String, Vec<String>> = toml::from_str(&text).unwrap();
    let found = found();
    let mut unseen = Vec::new();
    for row in &Catalogue::get().rows {
        let others = other_names.get(&row.id);
        let others = others.into_iter().flatten();
        for name in others.clone() {
            assert!(found.contains_key(name), "{}: there is no {name}", row.id);
        }
        let by_name = found.keys().filter(|name| name.starts_with(&row.id));
        let seen: BTreeSet<&String> = by_name
            .chain(others)
            .flat_map(|name| &found[name])
            .collect();
        let claimed = row.checks.iter().filter(|id| id.starts_with("laptop."));
        unseen.extend(
            claimed
                .filter(|id| !seen.contains(id))
                .map(|id| format!("{} by {id}", row.id)),
        );
    }
    assert!(unseen.is_empty(), "never seen: {unseen:#?}");
    for id in other_names.keys() {
        assert!(Catalogue::get().row(id).is_some(), "{id} is no row");
    }
}

//! The catalogue: whole, and as its page and the checks say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use dwenv::doctor::catalogue::{Catalogue, Coverage, Fix, Row, System};
use dwenv::doctor::explain::filled;
use dwenv::resources::ALL;

use crate::root;

#[test]
fn every_row_is_whole() {
    let catalogue = Catalogue::get();
    let mut ids = BTreeSet::new();
    for row in &catalogue.rows {
        let id = &row.id;
        assert!(ids.insert(id), "{id} stands there twice");
        assert_ne!(row.coverage(), Coverage::Nothing, "{id}");
        assert!(
            row.out_of_reach.is_none() || matches!(row.coverage(), Coverage::OutOfReach(_)),
            "{id} is found, and out of reach"
        );
        for text in [&row.cause, &row.cure] {
            assert!(text.ends_with('.'), "{id}: {text}");
            assert!(text.len() < 330, "{id}: too long: {text}");
        }
        assert!(!row.source.is_empty(), "{id}");
        for other in row.follows.iter().chain(&row.or) {
            assert!(catalogue.row(other).is_some(), "{id} names {other}");
        }
        for system in [System::Linux, System::Macos, System::Windows] {
            for command in row.commands_on(system) {
                let shown = filled(row, command, &BTreeMap::new());
                let named: BTreeSet<&str> = braces(&shown).collect();
                assert!(named.is_empty(), "{id}: nothing fills {named:?}");
            }
        }
    }
}

/// Single words in braces, as commands have them for what a pattern catches.
fn braces(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        let word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        word.then_some(name)
    })
}

#[test]
fn no_row_follows_itself() {
    fn causes<'a>(row: &'a Row, seen: &mut Vec<&'a str>) {
        assert!(
            !seen.contains(&row.id.as_str()),
            "a circle: {seen:?} {}",
            row.id
        );
        seen.push(&row.id);
        for id in &row.follows {
            causes(Catalogue::get().row(id).unwrap(), seen);
        }
        seen.pop();
    }
    for row in &Catalogue::get().rows {
        causes(row, &mut Vec::new());
    }
}

#[test]
fn what_finds_a_row_exists() {
    let ids: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|kind| kind.checks())
        .map(|check| check.id)
        .chain(dwenv::lint::ids())
        .collect();
    let named = Catalogue::get().rows.iter().flat_map(|row| &row.checks);
    let missing: Vec<&String> = named.filter(|id| !ids.contains(id.as_str())).collect();
    assert!(
        missing.is_empty(),
        "rows name what is not there: {missing:?}"
    );
}

#[test]
fn what_is_safe_unattended_loses_nothing() {
    let losing = [
        "destroy",
        "unregistervm",
        "docker rm",
        "prune",
        "lock",
        "down",
        "reboot",
    ];
    for row in &Catalogue::get().rows {
        for system in [System::Linux, System::Macos, System::Windows] {
            for command in row.commands_on(system).filter(|_| row.fix == Fix::Yes) {
                let loses = losing.iter().any(|word| command.contains(word));
                assert!(!loses, "{}: {command}", row.id);
            }
        }
    }
}

/// The table of `docs/failures.md`.
fn listed() -> String {
    let mut listed = String::from("| failure | where | found by |\n|---|---|---|\n");
    for row in &Catalogue::get().rows {
        let found = match row.coverage() {
            Coverage::Checked { also_explained } => {
                let checks: Vec<String> = row.checks.iter().map(|id| format!("`{id}`")).collect();
                let words = if also_explained { ", explained" } else { "" };
                format!("{}{words}", checks.join(", "))
            }
            Coverage::Explained => "explained".to_owned(),
            Coverage::OutOfReach(reason) => format!("out of reach: {reason}"),
            Coverage::Nothing => panic!("{}", row.id),
        };
        let place = format!("{:?}", row.place).to_lowercase();
        listed.push_str(&format!("| {} | {place} | {found} |\n", row.id));
    }
    listed
}

/// `UPDATE_FAILURES=1 cargo test --test explain` writes the table anew.
#[test]
fn the_page_lists_every_row() {
    let path = root().join("docs/failures.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("| failure |").expect("a table");
    let whole = format!("{head}{}", listed());
    if std::env::var_os("UPDATE_FAILURES").is_some() {
        fs::write(&path, whole).unwrap();
        return;
    }
    assert!(
        page == whole,
        "docs/failures.md is not as data/failures.toml: write it anew with UPDATE_FAILURES=1"
    );
}

//! What holds whatever happened to a box at once: mishaps of the cases, any number of them, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use dwenv::provision::plan::{self, Step};
use dwenv::resources;
#[cfg(unix)]
use dwenv::resources::{apt, change::Action};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::case::{self, Case, Mishap};
use super::properties;

const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/combined.proptest-regressions"
);

/// A box that was ready or bare, and what happened to it.
fn boxes() -> impl Strategy<Value = (&'static str, Vec<Mishap>)> {
    static READY: LazyLock<Vec<Mishap>> = LazyLock::new(|| case::mishaps("debian-13-ready"));
    static BARE: LazyLock<Vec<Mishap>> = LazyLock::new(|| case::mishaps("debian-13-bare"));
    let of = |base: &'static str, all: &'static [Mishap]| {
        assert!(all.len() > 3, "{base}: {}", all.len());
        let several = prop::sample::subsequence(all, 1..=all.len().min(8)).prop_shuffle();
        (Just(base), several)
    };
    prop_oneof![
        4 => of("debian-13-ready", &READY),
        1 => of("debian-13-bare", &BARE),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        // What once was a fault stays a test.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_mishaps_together_are_planned_as_doctor_tells_them((base, mishaps) in boxes()) {
        properties::agree(&case::after(base, &mishaps));
    }

    #[test]
    fn any_mishaps_together_are_mended_in_the_order_of_their_needs((base, mishaps) in boxes()) {
        comes_after_what_it_needs(&case::after(base, &mishaps));
    }
}

/// No step is made before one that makes a check pass which this one's checks need.
fn comes_after_what_it_needs(case: &Case) {
    let plans = plan::plan(case.context(), &case.facts());
    let needs: BTreeMap<&str, &[&str]> = resources::ALL
        .iter()
        .flat_map(|kind| kind.checks())
        .map(|check| (check.id, check.needs))
        .collect();
    let made = |index: usize, step: &Step| {
        let with = |id: &String| (id.clone(), index);
        step.checks.iter().map(with).collect::<Vec<_>>()
    };
    let steps = plans.steps.iter().enumerate();
    let made: BTreeMap<String, usize> = steps.flat_map(|(at, step)| made(at, step)).collect();
    for (id, at) in &made {
        for need in all_needs(&needs, id) {
            let before = made.get(need).is_none_or(|other| other <= at);
            assert!(before, "{}: {id} is mended before {need}", case.name);
        }
    }
}

fn all_needs<'a>(needs: &BTreeMap<&str, &'a [&'a str]>, id: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&'a str> = needs.get(id).map_or_else(Vec::new, |own| own.to_vec());
    while let Some(need) = left.pop() {
        if found.insert(need) {
            left.extend(needs[need]);
        }
    }
    found
}

/// Every script that any case has, as the box's own shell reads it.
#[test]
#[cfg(unix)]
fn every_script_is_understood_by_dash() {
    let mut scripts = BTreeSet::new();
    for case in case::all() {
        for step in plan::plan(case.context(), &case.facts()).steps {
            match step.change.action {
                Action::Install(install) => scripts.insert(apt::install_script(&install)),
                Action::Script(script) => scripts.insert(script.sh),
                Action::Pull(_) => false,
            };
        }
    }
    assert!(scripts.len() > 50, "{}", scripts.len());
    for script in scripts {
        let read = std::process::Command::new("dash")
            .args(["-n", "-c", &script])
            .output()
            .expect("dash");
        let wrong = String::from_utf8_lossy(&read.stderr);
        assert!(
            read.status.success() && wrong.is_empty(),
            "{wrong}\n{script}"
        );
    }
}

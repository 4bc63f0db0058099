//! Answers that did not come, or came otherwise than anybody expected.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use dwenv::doctor;
use dwenv::doctor::report::Status;
use dwenv::facts::{Facts, Record, Records};
use dwenv::provision::plan;
use dwenv::resources::Context;
use dwenv::target::Provider;
use dwenv::target::laptop::Os;
use dwenv::workshop::Workshop;

use super::case;
use crate::answers;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn snapshots() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("../snapshots");
    settings
}

fn statuses(context: Context, records: &Records) -> BTreeMap<String, Status> {
    doctor::judge(context, &Facts::new(records.clone()))
        .into_iter()
        .map(|finding| (finding.id, finding.status))
        .collect()
}

/// A ready box of Vagrant's, so that every check applies.
fn ready() -> Records {
    let mut records = case::recorded("debian-13-ready");
    for (probe, version) in [("vagrant", "2.4.9"), ("virtualbox", "7.2.4")] {
        let output = format!(r#"{{"state":"version","is":"{version}"}}"#);
        records.insert(probe, Record::done(output));
    }
    records.insert(
        "docker",
        Record::done(r#"{"version":"26.1.5","images":["python:3-slim"],"containers":[]}"#),
    );
    case::add_laptop(&mut records);
    records
}

fn workshop() -> Workshop {
    let mut workshop = Workshop::builtin().unwrap();
    workshop.docker.images = vec!["python:3-slim".to_owned()];
    workshop
}

/// For each probe and each way in which its answer may fail: which checks are then not passed.
#[test]
fn a_probe_that_gives_no_answer_makes_its_checks_unknown() {
    let workshop = workshop();
    let provider = Provider::Vagrant("virtualbox".to_owned());
    let context = Context {
        workshop: &workshop,
        provider: &provider,
        target: "vagrant",
        laptop: Os::Linux,
        before: false,
        deep: false,
    };
    let ready = ready();
    let whole = statuses(context, &ready);
    assert!(
        whole.values().all(|status| *status == Status::Pass),
        "{whole:?}"
    );
    let mut table = String::new();
    // Of the laptop's own, which a box that answers proves, tests/laptop.rs says the same.
    for probe in ready.records.keys().filter(|id| !id.starts_with("laptop.")) {
        let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (way, records) in answers::failing(&ready, probe) {
            let changed: Vec<String> = statuses(context, &records)
                .into_iter()
                .filter(|(_, status)| *status != Status::Pass)
                .map(|(id, status)| match status {
                    Status::Skip => String::new(),
                    status => format!(" {id} is {status:?};"),
                })
                .collect();
            told.entry(changed.concat()).or_default().push(way);
            // Provision must bear it as well.
            let _ = plan::plan(context, &Facts::new(records));
        }
        for (changed, ways) in told {
            writeln!(table, "{probe} {}:{changed}", ways.join(", ")).unwrap();
        }
    }
    snapshots().bind(|| insta::assert_snapshot!(table));
}

/// Frames are as long as they say, so a cut answer does not come from a box. If one comes all the same, it
/// must not be a panic, and what was wrong must not pass.
#[test]
fn an_answer_cut_anywhere_is_no_panic_and_passes_nothing_that_failed() {
    let workshop = workshop();
    let provider = Provider::Sandbox;
    let context = Context {
        workshop: &workshop,
        provider: &provider,
        target: "sandbox",
        laptop: Os::Linux,
        before: false,
        deep: false,
    };
    let mut found: BTreeSet<String> = BTreeSet::new();
    for base in ["debian-13-ready", "debian-13-bare"] {
        let whole = case::recorded(base);
        let before = statuses(context, &whole);
        for (probe, record) in &whole.records {
            for end in cuts(&record.output) {
                let mut records = whole.clone();
                let cut = answers::ended(record.status.clone(), &record.output[..end]);
                records.insert(probe, cut);
                for (id, status) in statuses(context, &records) {
                    // A check that had nothing to say was as good as passed.
                    let whole = before.get(&id).copied().unwrap_or(Status::Pass);
                    if (whole, status) == (Status::Pass, Status::Fail)
                        || whole != Status::Pass && status == Status::Pass
                    {
                        found.insert(format!("{base}: {probe} cut: {id} {whole:?} → {status:?}"));
                    }
                }
                // Showing the differences of all files takes long; the ends of lines will do.
                if record.output[end..].starts_with('\n') {
                    let _ = plan::plan(context, &Facts::new(records));
                }
            }
        }
    }
    let found: Vec<String> = found.into_iter().collect();
    snapshots().bind(|| insta::assert_snapshot!(found.join("\n")));
}

/// Every place of a short text; of a long one its ends, the ends of its lines and some between.
fn cuts(text: &str) -> Vec<usize> {
    const EVERY: usize = 24;
    (0..text.len())
        .filter(|at| text.is_char_boundary(*at))
        .filter(|at| {
            *at < EVERY || *at + EVERY > text.len() || text[*at..].starts_with('\n') || at % 97 == 0
        })
        .collect()
}

const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/records.proptest-regressions"
);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // What once was a fault stays a test.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    /// No check breaks off, and no plan does, whatever an answer says. (A check that breaks off is unknown, and
    /// says so.)
    #[test]
    fn an_answer_that_was_changed_anywhere_breaks_no_check(
        which in any::<prop::sample::Index>(),
        (at, length, with) in (any::<prop::sample::Index>(), 0..60usize, "\\PC{0,12}|[-0-9 |:.\\n]{0,12}"),
        bare in any::<bool>(),
    ) {
        let workshop = workshop();
        let provider = Provider::Sandbox;
        let context = Context {
            workshop: &workshop,
            provider: &provider,
            target: "sandbox",
            laptop: Os::Linux,
            before: false,
            deep: false,
        };
        let mut records = match bare {
            true => case::recorded("debian-13-bare"),
            false => ready(),
        };
        let probes: Vec<String> = records.records.keys().cloned().collect();
        let record = records.records.get_mut(which.get(&probes)).unwrap();
        let mut letters: Vec<char> = record.output.chars().collect();
        if !letters.is_empty() {
            let begin = at.index(letters.len());
            let end = (begin + length).min(letters.len());
            letters.splice(begin..end, with.chars());
            record.output = letters.into_iter().collect();
        }
        for finding in doctor::judge(context, &Facts::new(records.clone())) {
            prop_assert!(!finding.summary.contains("broke off"), "{}", finding.summary);
        }
        let _ = plan::plan(context, &Facts::new(records));
    }
}

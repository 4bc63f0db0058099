//! The laptop's checks as data: six laptops that are well, and each fault on the one that has it.

#[path = "support/answers.rs"]
mod answers;
#[path = "support/laptops.rs"]
mod laptops;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use dwenv::doctor;
use dwenv::doctor::report::{Finding, Report, Status};
use dwenv::doctor::share;
use dwenv::facts::laptop::laptop_of;
use dwenv::facts::{Facts, Record, RecordStatus, Records};
use dwenv::resources::{self, Context};
use dwenv::target::Provider;
use dwenv::target::laptop::Os;
use dwenv::workshop::Workshop;

/// Doctor's verdict on a laptop, days ahead or on the day, without a box.
fn judged(records: &Records, before: bool) -> Vec<Finding> {
    let workshop = Workshop::builtin().unwrap();
    let provider = Provider::Vagrant("virtualbox".to_owned());
    let context = Context {
        workshop: &workshop,
        provider: &provider,
        target: "vagrant",
        laptop: laptop_of(records),
        before,
        deep: records.deep,
    };
    let findings = doctor::judge(context, &Facts::new(records.clone()));
    let of_laptop = |finding: &Finding| {
        finding.id.starts_with("laptop.") && !finding.id.starts_with("laptop.reach.")
    };
    findings.into_iter().filter(of_laptop).collect()
}

fn wrong(findings: &[Finding]) -> Vec<&Finding> {
    let problem = |finding: &&Finding| finding.status != Status::Pass;
    findings.iter().filter(problem).collect()
}

#[test]
fn a_laptop_that_is_well_gives_no_alarm() {
    for name in laptops::HEALTHY {
        let records = laptops::healthy(name);
        for before in [true, false] {
            let findings = judged(&records, before);
            let wrong = wrong(&findings);
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            assert!(findings.len() > 15, "{name}: {}", findings.len());
        }
    }
}

#[test]
fn each_fault_is_named_by_its_check_and_by_no_other() {
    let mut table = String::new();
    for (name, fault) in laptops::faults() {
        let findings = judged(&fault.records(&name), fault.before);
        let problems = wrong(&findings);
        let roots: Vec<&&Finding> = problems
            .iter()
            .filter(|finding| finding.status != Status::Skip)
            .collect();
        let [root] = roots[..] else {
            panic!("{name}: {problems:#?}");
        };
        assert_eq!(root.id, fault.check, "{name}: {root:#?}");
        let status = format!("{:?}", root.status).to_lowercase();
        assert_eq!(status, fault.status, "{name}: {}", root.summary);
        assert!(
            root.summary.contains(&fault.says),
            "{name}: {}",
            root.summary
        );
        for skipped in problems.iter().filter(|it| it.status == Status::Skip) {
            assert_eq!(skipped.because.as_ref(), Some(&root.id), "{name}");
        }
        writeln!(table, "{name}: {status} {}: {}", root.id, root.summary).unwrap();
        let Some(remedy) = &root.remedy else {
            assert_eq!(root.status, Status::Unknown, "{name} has no remedy");
            continue;
        };
        let by = format!("{:?}", remedy.by).to_lowercase();
        writeln!(table, "    {} ({by})", remedy.text).unwrap();
        for command in &remedy.commands {
            writeln!(table, "    $ {command}").unwrap();
            let is_windows = laptop_of(&fault.records(&name)) == Os::Windows;
            assert!(
                !is_windows || !command.contains("sudo"),
                "{name}: {command}"
            );
        }
        let has = |text: &str| remedy.commands.iter().any(|it| it.contains(text));
        assert!(
            fault.command.is_empty() || has(&fault.command),
            "{name}: {remedy:?}"
        );
    }
    insta::assert_snapshot!(table);
}

/// The checks of the laptop that have tests here.
fn ids() -> BTreeSet<&'static str> {
    let checks = resources::ALL.iter().flat_map(|kind| kind.checks());
    checks
        .map(|check| check.id)
        .filter(|id| id.starts_with("laptop.") && !id.starts_with("laptop.reach."))
        .collect()
}

#[test]
fn every_check_of_the_laptop_has_a_fault() {
    let faults = laptops::faults();
    let named: BTreeSet<&str> = faults.values().map(|fault| fault.check.as_str()).collect();
    // These two have their cases in tests/data/cases/laptop.toml.
    let elsewhere = BTreeSet::from(["laptop.vagrant", "laptop.virtualbox"]);
    let missing: Vec<_> = ids()
        .into_iter()
        .filter(|id| !named.contains(id) && !elsewhere.contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_not_understood_is_unknown() {
    let mut table = String::new();
    for name in laptops::HEALTHY {
        let healthy = laptops::healthy(name);
        for probe in healthy.records.keys() {
            let mut told: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for (way, records) in answers::failing(&healthy, probe) {
                // Without this record nobody knows which laptop it is.
                if probe == "laptop.system" {
                    continue;
                }
                let findings = judged(&records, true);
                let problems = wrong(&findings);
                for finding in &problems {
                    assert!(
                        matches!(finding.status, Status::Unknown | Status::Skip),
                        "{name}: {probe} {way}: {finding:#?}"
                    );
                }
                let unknown: Vec<String> = problems
                    .iter()
                    .filter(|finding| finding.status == Status::Unknown)
                    .map(|finding| format!(" {}", finding.id))
                    .collect();
                told.entry(unknown.concat()).or_default().push(way);
            }
            for (unknown, ways) in told {
                writeln!(table, "{name} {probe} {}:{unknown}", ways.join(", ")).unwrap();
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// Programs run to their end, so a cut answer does not come from a laptop. One must do no harm all the same:
/// no panic, and nothing that was well is called broken.
#[test]
fn an_answer_cut_anywhere_fails_nothing_that_was_well() {
    let mut found: BTreeSet<String> = BTreeSet::new();
    for name in laptops::HEALTHY {
        let healthy = laptops::healthy(name);
        for (probe, record) in &healthy.records {
            let text = &record.output;
            let cuts = (0..text.len()).filter(|at| text.is_char_boundary(*at));
            for end in cuts.filter(|at| *at < 40 || at % 7 == 0 || *at + 20 > text.len()) {
                if probe == "laptop.system" {
                    continue;
                }
                let mut records = healthy.clone();
                records.insert(probe, answers::ended(record.status.clone(), &text[..end]));
                for finding in judged(&records, true) {
                    if matches!(finding.status, Status::Fail | Status::Warn) {
                        found.insert(format!(
                            "{name} {probe}: {} {:?}",
                            finding.id, finding.status
                        ));
                    }
                }
            }
        }
    }
    let found: Vec<String> = found.into_iter().collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn only_the_laptop_is_judged_before_the_day_and_only_for_vagrant() {
    let workshop = Workshop::builtin().unwrap();
    for (provider, expected) in [
        (Provider::Vagrant("virtualbox".to_owned()), true),
        (Provider::Vagrant("docker".to_owned()), true),
        (Provider::Sandbox, false),
        (Provider::Ssh, false),
    ] {
        let context = Context {
            workshop: &workshop,
            provider: &provider,
            target: "x",
            laptop: Os::Linux,
            before: true,
            deep: true,
        };
        let checks = resources::in_order(context);
        assert_eq!(!checks.is_empty(), expected, "{provider}");
        for check in checks {
            assert!(check.id.starts_with("laptop."), "{}", check.id);
            let virtualbox = ["laptop.kvm", "laptop.virtualisation", "laptop.port.8080"];
            let is_docker = provider == Provider::Vagrant("docker".to_owned());
            assert!(
                !is_docker || !virtualbox.contains(&check.id),
                "{}",
                check.id
            );
        }
    }
}

/// Everything that a laptop may say of somebody, in every answer and every reason.
#[test]
fn what_is_shared_of_a_laptop_names_nobody() {
    const CANARIES: &[&str] = &[
        "canaryuser",
        "canary-host.example.org",
        "10.66.77.88",
        "fd66:77::88",
        "08:00:27:ca:4a:12",
        "08-00-27-CA-4A-12",
        "canaryvalue",
    ];
    let canaries = concat!(
        r"C:\Users\canaryuser /home/canaryuser/x /Users/canaryuser canary-host.example.org 10.66.77.88 ",
        "fd66:77::88 08:00:27:ca:4a:12 08-00-27-CA-4A-12 HTTP_PROXY=http://canaryvalue@canary-host.example.org:3128"
    );
    let workshop = Workshop::builtin().unwrap();
    let provider = Provider::Vagrant("virtualbox".to_owned());
    let faults = laptops::faults();
    let of_fault = |(name, fault): (&String, &laptops::Fault)| {
        // What has the fault is what is told of.
        let probes = fault.set.keys().chain(fault.replace.keys());
        let probes: Vec<String> = probes.cloned().collect();
        (fault.records(name), fault.before, probes)
    };
    let of_well = |name: &&str| {
        let records = laptops::healthy(name);
        let probes: Vec<String> = records.records.keys().cloned().collect();
        (records, true, probes)
    };
    let mut told_somewhere = 0;
    let well = laptops::HEALTHY.iter().map(of_well);
    for (base, before, probes) in faults.iter().map(of_fault).chain(well) {
        for probe in &probes {
            let mut changed: Vec<Record> = Vec::new();
            let whole = &base.records[probe];
            // As one more line, and in the place of each text that the answer holds.
            changed.push(Record {
                output: format!("{}\n{canaries}", whole.output),
                ..whole.clone()
            });
            changed.push(Record::refused(canaries));
            changed.push(Record {
                status: RecordStatus::Done(1),
                output: canaries.to_owned(),
                duration_ms: 0,
            });
            changed.extend(with_each_text_replaced(&whole.output, canaries));
            for record in changed {
                let mut records = base.clone();
                records.insert(probe, record);
                let context = Context {
                    workshop: &workshop,
                    provider: &provider,
                    target: "vagrant",
                    laptop: laptop_of(&base),
                    before,
                    deep: base.deep,
                };
                let findings = doctor::judge(context, &Facts::new(records));
                let report = Report::new(context.target, findings);
                let open = serde_json::to_string(&report).unwrap();
                let shared = serde_json::to_string(&share::shareable(&report, context)).unwrap();
                for canary in CANARIES {
                    told_somewhere += usize::from(open.contains(canary));
                    assert!(!shared.contains(canary), "{probe}: {canary}\n{shared}");
                }
            }
        }
    }
    assert!(told_somewhere > 100, "{told_somewhere}");
}

/// An answer in JSON with each of its texts by turns replaced.
fn with_each_text_replaced(output: &str, by: &str) -> Vec<Record> {
    fn texts<'a>(value: &'a mut serde_json::Value, found: &mut Vec<&'a mut String>) {
        match value {
            serde_json::Value::String(text) => found.push(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| texts(item, found)),
            serde_json::Value::Object(entries) => {
                entries.values_mut().for_each(|entry| texts(entry, found));
            }
            _ => {}
        }
    }
    let Ok(mut value) = serde_json::from_str::<serde_json::Value>(output) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    texts(&mut value, &mut found);
    let count = found.len();
    (0..count)
        .map(|index| {
            let mut value: serde_json::Value = serde_json::from_str(output).unwrap();
            let mut found = Vec::new();
            texts(&mut value, &mut found);
            by.clone_into(found[index]);
            Record::done(value.to_string())
        })
        .collect()
}

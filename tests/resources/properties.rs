//! What holds for every check, and for every case.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use dwenv::doctor;
use dwenv::doctor::report::{Finding, Scope, Status};
use dwenv::facts::program;
use dwenv::provision::plan;
use dwenv::resources::{
    self, Check, Context, Resource, State, apt_sources, apt_state, capacity, docker, locale,
    network, ports, postgres, proxy, reach, server, sshd, system, venue,
};
use dwenv::workshop::{DockerSource, Workshop};

use super::case::{self, Case};
use crate::laptops;

fn checks() -> Vec<&'static Check> {
    resources::ALL
        .iter()
        .flat_map(|kind| kind.checks())
        .collect()
}

#[test]
fn ids_are_unique_and_read_scope_subject_aspect() {
    let mut ids = BTreeSet::new();
    for check in checks() {
        assert!(ids.insert(check.id), "{} stands twice", check.id);
        let parts: Vec<&str> = check.id.split('.').collect();
        assert!(matches!(parts.len(), 2 | 3), "{}", check.id);
        assert!(matches!(parts[0], "box" | "laptop"), "{}", check.id);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let word = |part: &&str| !part.is_empty() && part.chars().all(plain);
        assert!(parts.iter().all(word), "{}", check.id);
    }
}

#[test]
fn needs_name_checks_and_run_in_no_circle() {
    let needs: BTreeMap<&str, &[&str]> = checks()
        .into_iter()
        .map(|check| (check.id, check.needs))
        .collect();
    for (id, needed) in &needs {
        for need in *needed {
            assert!(needs.contains_key(need), "{id} needs {need}");
        }
    }
    let mut left = needs.clone();
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, needed)| !needed.iter().any(|need| left.contains_key(need)))
            .map(|(id, _)| *id)
            .collect();
        assert!(!free.is_empty(), "a circle among {:?}", left.keys());
        left.retain(|id, _| !free.contains(id));
    }
}

#[test]
fn the_probe_of_every_check_is_asked() {
    // What connecting and the program itself answer needs no question.
    let mut asked = BTreeSet::from([system::Connection::PROBE, program::LOGIN]);
    let mut workshop = Workshop::builtin().unwrap();
    workshop.docker.source = DockerSource::Docker;
    let probes = resources::probes(&workshop);
    asked.extend(probes.iter().map(|probe| probe.id.as_ref()));
    for check in checks() {
        assert!(asked.contains(check.probe), "{}: {}", check.id, check.probe);
    }
}

#[test]
fn every_check_finds_something_in_some_case() {
    let mut silent: BTreeSet<&str> = checks().iter().map(|check| check.id).collect();
    for case in case::all() {
        for finding in doctor::judge(case.context(), &case.facts()) {
            if !matches!(finding.status, Status::Pass | Status::Skip) {
                silent.remove(finding.id.as_str());
            }
        }
    }
    for fault in laptops::faults().values() {
        silent.remove(fault.check.as_str());
    }
    assert!(silent.is_empty(), "{silent:?}");
}

/// The names of the variants of `pub enum NAME {` in a source file.
fn variants(source: &'static str, name: &str) -> BTreeSet<String> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase))
        .map(variant)
        .collect()
}

fn variant(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// The drifts of one kind that a case has.
fn drifts<R: Resource>(kind: &R, case: &Case) -> Vec<R::Drift> {
    let facts = case.facts();
    kind.checks()
        .iter()
        .filter(|check| kind.applies(check, case.context()))
        .filter_map(|check| match kind.diff(check, case.context(), &facts) {
            State::Drifted(drift) => Some(drift),
            State::AsDeclared(_) | State::Unknown(_) | State::Nothing => None,
        })
        .collect()
}

fn names<D: Debug>(drifts: &[D]) -> impl Iterator<Item = String> {
    drifts.iter().map(|drift| variant(&format!("{drift:?}")))
}

#[test]
fn every_drift_has_a_case() {
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut add = |kind, names: Vec<String>| seen.entry(kind).or_default().extend(names);
    for case in case::all() {
        add("system", names(&drifts(&system::System, &case)).collect());
        add("docker", names(&drifts(&docker::Docker, &case)).collect());
        add("server", names(&drifts(&server::Server, &case)).collect());
        add(
            "laptop",
            names(&drifts(&reach::LaptopPrograms, &case)).collect(),
        );
        add(
            "capacity",
            names(&drifts(&capacity::Capacity, &case)).collect(),
        );
        add(
            "apt_state",
            names(&drifts(&apt_state::AptState, &case)).collect(),
        );
        add(
            "network",
            names(&drifts(&network::Network, &case)).collect(),
        );
        add("proxy", names(&drifts(&proxy::Proxy, &case)).collect());
        add("venue", names(&drifts(&venue::Venue, &case)).collect());
        add("sshd", names(&drifts(&sshd::Sshd, &case)).collect());
        let faults = drifts(&apt_sources::AptSources, &case);
        add(
            "apt_sources",
            faults
                .iter()
                .map(|drift| format!("{:?}", drift.fault()))
                .collect(),
        );
        let found = drifts(&postgres::Postgres, &case);
        add("postgres", names(&found).collect());
        for drift in found {
            if let postgres::Drift::Schema(drifts) = drift {
                add("schema", names(&drifts).collect());
            }
        }
        // These have one way to drift each.
        drifts(&locale::Locale, &case);
        drifts(&ports::Ports, &case);
        drifts(&reach::Reach, &case);
    }
    for (kind, source, name) in [
        (
            "system",
            include_str!("../../src/resources/system/mod.rs"),
            "Drift",
        ),
        (
            "docker",
            include_str!("../../src/resources/docker/mod.rs"),
            "Drift",
        ),
        (
            "server",
            include_str!("../../src/resources/server/mod.rs"),
            "Drift",
        ),
        (
            "capacity",
            include_str!("../../src/resources/capacity.rs"),
            "Drift",
        ),
        (
            "apt_state",
            include_str!("../../src/resources/apt_state.rs"),
            "Drift",
        ),
        (
            "network",
            include_str!("../../src/resources/network.rs"),
            "Drift",
        ),
        (
            "proxy",
            include_str!("../../src/resources/proxy.rs"),
            "Drift",
        ),
        (
            "venue",
            include_str!("../../src/resources/venue/mod.rs"),
            "Drift",
        ),
        ("sshd", include_str!("../../src/resources/sshd.rs"), "Drift"),
        (
            "apt_sources",
            include_str!("../../src/resources/apt_sources.rs"),
            "Fault",
        ),
        (
            "laptop",
            include_str!("../../src/resources/reach.rs"),
            "ProgramDrift",
        ),
        (
            "postgres",
            include_str!("../../src/resources/postgres/mod.rs"),
            "Drift",
        ),
        (
            "schema",
            include_str!("../../src/resources/postgres/schema.rs"),
            "SchemaDrift",
        ),
    ] {
        let declared = variants(source, name);
        assert!(!declared.is_empty());
        assert_eq!(seen[kind], declared, "{kind}");
    }
}

/// What doctor holds against the box itself; a way from the laptop is not the box's.
fn against_the_box(findings: &[Finding]) -> Vec<&Finding> {
    let of_the_box = |finding: &&Finding| finding.scope == Scope::Box;
    let problem = |finding: &&Finding| finding.status != Status::Pass;
    findings.iter().filter(of_the_box).filter(problem).collect()
}

fn is_authors(id: &str) -> bool {
    id.starts_with("box.custom.")
}

#[test]
fn doctor_and_plan_agree() {
    for case in case::all() {
        agree(&case);
    }
}

/// Whatever doctor holds against the box is planned or has its reason, and nothing else is planned.
pub fn agree(case: &Case) {
    let findings = doctor::judge(case.context(), &case.facts());
    let plans = plan::plan(case.context(), &case.facts());
    let changed: BTreeSet<&str> = plans
        .steps
        .iter()
        .flat_map(|step| step.checks.iter().map(String::as_str))
        .collect();
    let left: BTreeMap<&str, Status> = plans
        .unchanged
        .iter()
        .map(|left| (left.check.as_str(), left.status))
        .collect();
    let blocks = left.values().any(|status| *status != Status::Warn);
    // On the laptop's side a box may be skipped that provision did not get to see either.
    let laptop = findings
        .iter()
        .any(|finding| finding.scope == Scope::Laptop && finding.status != Status::Pass);
    for finding in against_the_box(&findings) {
        // What a change makes of the author's checks is seen afterwards only.
        if is_authors(&finding.id) && !changed.is_empty() {
            assert!(!left.contains_key(finding.id.as_str()), "{}", case.name);
            continue;
        }
        let planned =
            changed.contains(finding.id.as_str()) || left.contains_key(finding.id.as_str());
        match finding.status {
            Status::Skip => assert!(
                laptop || blocks || !changed.is_empty(),
                "{}: {} is skipped, and nothing is planned",
                case.name,
                finding.id
            ),
            // What waits for something that is left has its reason there.
            _ => assert!(
                planned || blocks,
                "{}: {} is {:?}, and nothing is planned",
                case.name,
                finding.id,
                finding.status
            ),
        }
    }
    for id in changed.iter().chain(left.keys()) {
        let finding = findings.iter().find(|finding| finding.id == *id).unwrap();
        assert_ne!(
            finding.status,
            Status::Pass,
            "{}: {id} is planned",
            case.name
        );
    }
}

#[test]
fn after_the_changes_nothing_is_left_to_change() {
    for case in case::all() {
        converges(&case);
    }
}

/// Planned on what the changes are to make of the box, nothing more is to be done. (A change may mend a part of
/// another: a file that is written has the unit start anew.)
fn converges(case: &Case) {
    let facts = case.facts();
    let context: Context = case.context();
    let first = plan::plan(context, &facts);
    let second = plan::plan(context, &facts);
    assert_eq!(second.steps, [], "{}: planned once more", case.name);
    // After the changes the author's checks are judged as well, here by what was seen before.
    let own: Vec<_> = second
        .unchanged
        .into_iter()
        .filter(|left| first.steps.is_empty() || !is_authors(&left.check))
        .collect();
    assert_eq!(own, first.unchanged, "{}", case.name);
    if first.unchanged.is_empty() {
        let findings = doctor::judge(context, &facts);
        let problems: Vec<_> = against_the_box(&findings)
            .into_iter()
            .filter(|finding| !is_authors(&finding.id))
            .filter(|finding| {
                finding
                    .because
                    .as_deref()
                    .is_none_or(|id| id.starts_with("box."))
            })
            .collect();
        assert!(problems.is_empty(), "{}: {problems:#?}", case.name);
    }
}

/// Provision asks nothing that serves a diagnosis alone. Where doctor says that it mends what only such an
/// answer shows, it has something to do all the same.
#[test]
fn what_only_a_diagnosis_sees_is_not_left_to_an_idle_provision() {
    let mut seen = 0;
    for case in case::all() {
        let context = case.context();
        let usual = Context {
            deep: false,
            ..context
        };
        let ids: BTreeSet<String> = doctor::judge(usual, &case.facts())
            .into_iter()
            .map(|finding| finding.id)
            .collect();
        for finding in doctor::judge(context, &case.facts()) {
            let Some(remedy) = finding.remedy.filter(|_| !ids.contains(&finding.id)) else {
                continue;
            };
            seen += 1;
            // What is typed before it, as for the laptop's clock, gives it something to do.
            let promised = |command: &String| command.starts_with("dwenv provision");
            let idle = || plan::plan(usual, &case.facts()).steps.is_empty();
            assert!(
                !(remedy.commands.first().is_some_and(promised) && idle()),
                "{}: {}",
                case.name,
                finding.id
            );
        }
    }
    assert!(seen > 10, "{seen}");
}

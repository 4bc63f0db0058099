//! What is a secret shows nowhere: the role's password, and the address of a proxy.

use dwenv::doctor;
use dwenv::provision::plan;
use dwenv::resources;
use dwenv::resources::change::Action;

use super::case::{self, Case};
use super::told::told;

/// A word of the secret in the cases whose name begins with `secret`.
const CANARY: &str = "canary";

/// How the files that hold a secret are written.
const HOLDERS: &[&str] = &[
    "put /etc/dwenv/postgres-password root 600 ",
    "put /etc/apt/apt.conf.d/99dwenv-network root 600 ",
    "put /etc/dwenv/docker-network.env root 600 ",
];

fn cases() -> Vec<Case> {
    let mut cases = case::all();
    cases.retain(|case| case.name.contains("/secret_"));
    assert!(cases.len() > 1);
    for case in &cases {
        let proxy = case.workshop.venue.proxy.as_ref();
        let secrets = [
            Some(case.workshop.postgres.password.reveal()),
            proxy.map(|proxy| proxy.address.reveal()),
        ];
        assert!(secrets.iter().flatten().any(|text| text.contains(CANARY)));
    }
    cases
}

#[test]
fn nothing_that_is_told_or_debugged_holds_a_secret() {
    for case in cases() {
        let plans = plan::plan(case.context(), &case.facts());
        let findings = doctor::judge(case.context(), &case.facts());
        let shown: Vec<_> = plans.steps.iter().map(plan::Step::shown).collect();
        for text in [
            told(&case),
            format!("{plans:?}"),
            format!("{findings:?}"),
            serde_json::to_string(&shown).unwrap(),
            format!("{:?}", case.workshop),
            format!("{:?}", resources::probes(&case.workshop)),
        ] {
            assert!(!text.contains(CANARY), "{}: {text}", case.name);
        }
    }
}

#[test]
fn a_secret_travels_on_stdin_and_only_to_the_files_that_hold_it() {
    for case in cases() {
        let plans = plan::plan(case.context(), &case.facts());
        for step in plans.steps {
            let Action::Script(script) = &step.change.action else {
                continue;
            };
            assert!(!script.sh.contains(CANARY), "{}: {}", case.name, script.sh);
            // Only its owner may read such a file.
            let writes = HOLDERS.iter().any(|put| script.sh.contains(put));
            let holds = script.stdin.reveal().contains(CANARY);
            assert_eq!(holds, writes, "{}: {}", case.name, step.change.title);
        }
    }
}

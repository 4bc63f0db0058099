//! A password that is a secret shows nowhere.

use dwenv::doctor;
use dwenv::provision::plan;
use dwenv::resources;
use dwenv::resources::change::Action;

use super::case::{self, Case};
use super::told::told;

/// A word of the password in the cases whose name begins with `secret`.
const CANARY: &str = "canary";

fn cases() -> Vec<Case> {
    let mut cases = case::all();
    cases.retain(|case| case.name.contains("/secret_"));
    assert!(cases.len() > 1);
    for case in &cases {
        assert!(case.workshop.postgres.password.reveal().contains(CANARY));
    }
    cases
}

#[test]
fn nothing_that_is_told_or_debugged_holds_a_secret_password() {
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
fn a_secret_password_travels_on_stdin_and_only_to_the_file_that_holds_it() {
    for case in cases() {
        let plans = plan::plan(case.context(), &case.facts());
        for step in plans.steps {
            let Action::Script(script) = &step.change.action else {
                continue;
            };
            assert!(!script.sh.contains(CANARY), "{}: {}", case.name, script.sh);
            let writes = script
                .sh
                .contains("put /etc/dwenv/postgres-password root 600 ");
            let holds = script.stdin.reveal().contains(CANARY);
            assert_eq!(holds, writes, "{}: {}", case.name, step.change.title);
        }
    }
}

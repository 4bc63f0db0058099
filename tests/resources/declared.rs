//! Each case against its snapshot.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::case;
use super::told::told;

const SNAPSHOTS: &str = "../snapshots/resources";

#[test]
fn every_case_is_judged_and_planned_as_its_snapshot_says() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut differ = Vec::new();
    for case in case::all() {
        let (group, name) = case.name.split_once('/').unwrap();
        settings.set_snapshot_path(Path::new(SNAPSHOTS).join(group));
        settings.set_description(&case.about);
        let compare = || settings.bind(|| insta::assert_snapshot!(name, told(&case)));
        // All of them are compared before the first one fails the test.
        if catch_unwind(AssertUnwindSafe(compare)).is_err() {
            differ.push(case.name.clone());
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}

#[test]
fn every_snapshot_has_its_case() {
    let cases: BTreeSet<String> = case::all().into_iter().map(|case| case.name).collect();
    let folder = case::data().join("../snapshots/resources");
    for group in fs::read_dir(folder).unwrap() {
        let group = group.unwrap();
        for snapshot in fs::read_dir(group.path()).unwrap() {
            let file = snapshot.unwrap().file_name().into_string().unwrap();
            let group = group.file_name().into_string().unwrap();
            let name = format!("{group}/{}", file.split('.').next().unwrap());
            assert!(cases.contains(&name), "{name} is left over: remove {file}");
        }
    }
}

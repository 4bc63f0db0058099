//! Every format of every outcome, against the files that show it: `CASE.EXIT.FORMAT`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dwenv::doctor::report::{By, Finding, Remedy, Report, Scope, Status};
use dwenv::output::style::Style;
use dwenv::output::{Format, told};
use serde_json::Value;

use super::offline::saved;
use super::schema;
use crate::place::Place;

const FORMATS: &[(Format, &str)] = &[
    (Format::Human, "human"),
    (Format::Json, "json"),
    (Format::Junit, "junit"),
    (Format::Markdown, "markdown"),
];

fn finding(id: &str, status: Status, summary: &str, by: Option<By>) -> Finding {
    Finding {
        id: id.to_owned(),
        title: "A thing is as it should be".to_owned(),
        scope: Scope::Box,
        status,
        summary: summary.to_owned(),
        because: (status == Status::Skip).then(|| "box.docker.daemon".to_owned()),
        remedy: by.map(|by| Remedy {
            text: "Do <this> & that | at once.".to_owned(),
            commands: vec!["dwenv ssh -- \"echo `a` *b*\"".to_owned()],
            by,
        }),
        ignored: None,
        duration: Duration::from_millis(20),
    }
}

fn cases() -> Vec<(&'static str, Vec<Report>)> {
    let pass = || finding("box.ssh", Status::Pass, "vagrant@127.0.0.1:2222", None);
    let warn = || finding("box.clock", Status::Warn, "90 s behind", Some(By::You));
    let fail = |by| {
        finding(
            "box.docker.daemon",
            Status::Fail,
            "a \"dead\" <unit>\u{1b}[31m",
            Some(by),
        )
    };
    let skip = || {
        finding(
            "box.docker.images",
            Status::Skip,
            "not judged, because of box.docker.daemon",
            None,
        )
    };
    let unknown = || finding("box.server.http", Status::Unknown, "no answer", None);
    let report = |checks| Report::new("vagrant", checks);
    vec![
        ("ready", vec![report(vec![pass()])]),
        ("warned", vec![report(vec![pass(), warn()])]),
        ("strict", vec![report(vec![pass(), warn()]).strictly()]),
        (
            "failed",
            vec![report(vec![pass(), fail(By::You), skip(), unknown()])],
        ),
        (
            "not_mine",
            vec![report(vec![
                fail(By::It),
                finding("box.os", Status::Fail, "old", Some(By::Organiser)),
            ])],
        ),
        ("unknown", vec![report(vec![pass(), unknown()])]),
        (
            "several",
            vec![
                Report::new("ready", vec![pass()]),
                Report::new("unknown", vec![unknown()]),
                Report::new("failed", vec![fail(By::It)]),
            ],
        ),
    ]
}

/// The exit code of all, as the shell sees it.
fn exit(reports: &[Report]) -> u8 {
    let codes = reports.iter().map(|report| report.exit_code() as u8);
    // A failure counts more than what could not be determined.
    codes
        .max_by_key(|code| [0, 2, 3, 1][usize::from(*code)])
        .unwrap()
}

#[test]
fn every_format_is_as_its_file_shows_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reports");
    let mut known: Vec<PathBuf> = Vec::new();
    for (case, reports) in cases() {
        for (format, name) in FORMATS {
            let mut bytes = Vec::new();
            told(&mut bytes, *format, &Style::PLAIN, &reports, false).unwrap();
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains('\u{1b}'), "{case} {name} steers a terminal");
            if *format == Format::Json {
                let document: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(schema::fault(&document), None, "{case}");
            }
            let file = folder.join(format!("{case}.{}.{name}", exit(&reports)));
            if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, &text).unwrap();
            }
            let shown = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert_eq!(text, shown.replace("\r\n", "\n"), "{}", file.display());
            known.push(file);
        }
    }
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(known.contains(&path), "{} shows nothing", path.display());
    }
}

#[test]
fn the_exit_code_does_not_depend_on_the_format() {
    let place = Place::new().with("facts.json", &saved("debian-13-bare"));
    for (_, format) in FORMATS {
        place
            .dwenv(&format!("doctor --from facts.json --format {format}"))
            .ended(1);
    }
    let usual = place.dwenv("doctor --from facts.json").ended(1);
    let all = "doctor --from facts.json --report json:a.json --report junit:a.xml \
               --report markdown:a.md --report human:a.txt";
    let ran = place.dwenv(all).ended(1);
    assert_eq!(ran.out, usual.out, "what is told does not change");
    assert_eq!(place.read("a.txt"), usual.out);
    let document: Value = serde_json::from_str(&place.read("a.json")).unwrap();
    assert_eq!(schema::fault(&document), None);
    assert!(place.read("a.xml").starts_with("<?xml"));
    assert!(place.read("a.md").starts_with("## sandbox\n"));
}

#[test]
fn a_report_that_cannot_be_written_is_said() {
    let place = Place::new().with("facts.json", &saved("debian-13-bare"));
    let ran = place
        .dwenv("doctor --from facts.json --report json:nowhere/a.json")
        .ended(2);
    assert!(
        ran.err.contains("nowhere/a.json cannot be written"),
        "{ran}"
    );
    for wrong in ["json", "json:", "pdf:a.pdf"] {
        place
            .dwenv(&format!("doctor --from facts.json --report {wrong}"))
            .ended(2);
    }
}

#[test]
fn other_commands_have_no_such_format() {
    for format in ["junit", "markdown"] {
        let ran = Place::new()
            .dwenv(&format!("targets --format {format}"))
            .ended(2);
        assert!(ran.err.contains("only `dwenv doctor`"), "{ran}");
    }
}

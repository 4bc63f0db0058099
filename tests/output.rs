//! What a person and a program see, at 80 columns.

#[path = "output/command_line.rs"]
mod command_line;
#[path = "output/commands.rs"]
mod commands;
#[path = "output/doctor.rs"]
mod doctor;
#[path = "output/documents.rs"]
mod documents;
#[path = "output/errors.rs"]
mod errors;
#[path = "output/fixed.rs"]
mod fixed;
#[path = "support/json_schema.rs"]
mod json_schema;
#[path = "output/progress.rs"]
mod progress;
#[path = "output/provision.rs"]
mod provision;
#[path = "output/several.rs"]
mod several;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use dwenv::doctor::report::Report;
use dwenv::error::Result;
use dwenv::events::{BoxResult, Event, Told};
use dwenv::output::style::Style;
use dwenv::output::{human, json};
use serde_json::Value;

const ASCII: Style = Style {
    unicode: false,
    ..Style::PLAIN
};

const COLOR: Style = Style {
    color: true,
    ..Style::PLAIN
};

fn told(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut bytes = Vec::new();
    render(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The one JSON document, which must have no second one behind it and nothing for a terminal.
fn document(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let told = told(render);
    let value: Value = serde_json::from_str(&told).expect("one document");
    assert_eq!(value["schema_version"], 1);
    let again: Value = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(value, again);
    assert!(!told.contains('\x1b'), "{told}");
    told
}

/// The document of a run in which each box ended so, the last of them first.
fn run_of<T: Clone>(
    command: &str,
    boxes: &[(String, Result<T>)],
    tells: impl Fn(T) -> BoxResult,
) -> String {
    let mut run = json::Run::default();
    let started = Event::RunStarted {
        command: command.to_owned(),
        targets: boxes.iter().map(|(target, _)| target.clone()).collect(),
    };
    run.hear(&started.into());
    for (target, ended) in boxes.iter().rev() {
        let result = match ended {
            Ok(done) => tells(done.clone()),
            Err(error) => error.clone().into(),
        };
        let event = Event::BoxFinished {
            exit_code: 0,
            summary: String::new(),
            took: Duration::ZERO,
            result: Arc::new(result),
        };
        let target = Some(target.as_str().into());
        run.hear(&Told { target, event });
    }
    document(|out| json::run(out, &run))
}

fn shown(report: &Report) -> String {
    told(|out| human::report(out, &Style::PLAIN, report, false))
}

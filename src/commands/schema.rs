//! Prints the schema of a document.

use crate::cli::Document;
use crate::error::{ExitCode, Result};
use crate::output::to_stdout;

const DOCTOR: &str = include_str!("../../data/doctor.schema.json");
const PROVISION: &str = include_str!("../../data/provision.schema.json");
const EVENTS: &str = include_str!("../../data/events.schema.json");

pub fn run(document: Document) -> Result<ExitCode> {
    let schema = match document {
        Document::Doctor => DOCTOR,
        Document::Provision => PROVISION,
        Document::Events => EVENTS,
    };
    to_stdout(|out| out.write_all(schema.as_bytes()))?;
    Ok(ExitCode::Ready)
}

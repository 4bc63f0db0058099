//! Looks at the workshop itself, for its author: what in its files is known to go wrong.

use super::Environment;
use crate::date::Date;
use crate::error::{Error, ExitCode, Result};
use crate::lint::{self, Severity, Sources};
use crate::output::Linted;

pub fn run(environment: &Environment) -> Result<ExitCode> {
    if environment.global.config.is_some() {
        return Err(Error::usage("lint looks at a folder, not at one file")
            .hint("name the folder of the workshop with -C"));
    }
    let sources = Sources::read(&environment.folder)?;
    let linted = Linted::new(sources.files.len(), lint::lint(&sources, Date::today()));
    environment.tell(|output| output.lint(&linted))?;
    let failed = linted
        .findings
        .iter()
        .any(|found| found.severity == Severity::Fail);
    Ok(if failed {
        ExitCode::Failed
    } else {
        ExitCode::Ready
    })
}

//! `ignore = [{ id, reason, until }]`: checks that are shown and not counted.

use super::{AuthorsCheck, Ignore, text};
use crate::date::Date;
use crate::error::Result;
use crate::workshop::section::{Problem, Value};

pub fn read(value: Option<&Value>, checks: &[AuthorsCheck]) -> Result<Vec<Ignore>> {
    let mut ignores: Vec<Ignore> = Vec::new();
    let Some(value) = value else {
        return Ok(ignores);
    };
    for entry in value.list()? {
        let section = entry.section()?;
        let named = section.get("id")?;
        let ignore = Ignore {
            id: named.parse(|id| super::read::known(id, checks))?,
            reason: section.get("reason")?.parse(text::line)?,
            until: section
                .find("until")
                .map(|until| until.parse(day))
                .transpose()?,
        };
        section.finish()?;
        if ignores.iter().any(|other| other.id == ignore.id) {
            return Err(named.error(Problem::new("it is there already")));
        }
        ignores.push(ignore);
    }
    Ok(ignores)
}

fn day(text: &str) -> Result<Date, Problem> {
    Date::parse(text)
        .ok_or_else(|| Problem::new("it is no day of the calendar").hint("such as \"2027-01-31\""))
}

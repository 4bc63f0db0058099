//! `[checks.NAME]`, read and checked.

use std::time::Duration;

use super::{Asks, AuthorsCheck, Hint, Place, Severity, SqlLogin, Wanted, text};
use crate::error::Result;
use crate::resources;
use crate::workshop::check;
use crate::workshop::model::Postgres;
use crate::workshop::section::{Problem, Section, Value, likeness};

/// How long one answer may take, in seconds; all answers together have 30.
const TIMEOUTS: std::ops::RangeInclusive<i64> = 1..=20;
const USUAL_TIMEOUT: u64 = 8;

const KINDS: &[&str] = &["command", "file", "port", "http", "sql"];

/// How alike an id must be to be offered in place of an unknown one.
const LIKE: f64 = 0.85;

/// The author's checks, in the order in which they are written.
pub fn read(value: Option<&Value>, postgres: &Postgres) -> Result<Vec<AuthorsCheck>> {
    let mut checks = Vec::new();
    let mut needs = Vec::new();
    let Some(value) = value else {
        return Ok(checks);
    };
    for (name, entry) in value.entries()? {
        let name = name.parse(text::name)?;
        let section = entry.section()?;
        let (check, needed) = one(&name, &entry, &section, postgres)?;
        section.finish()?;
        needs.push((checks.len(), needed));
        checks.push(check);
    }
    // Afterwards, because a check may need one that is written behind it.
    for (index, needed) in needs {
        let Some(list) = needed else { continue };
        for entry in list.list()? {
            let id = entry.parse(|id| known(id, &checks))?;
            checks[index].needs.push(id);
            if checks[index].needs.contains(&checks[index].id) {
                return Err(entry.error(Problem::new("a check cannot need itself")));
            }
            if leads_to(&checks, &checks[index].id, index) {
                return Err(entry.error(Problem::new("that check needs this one")));
            }
        }
    }
    Ok(checks)
}

/// Whether the needs of `checks[from]` lead to the check `id`.
fn leads_to(checks: &[AuthorsCheck], id: &str, from: usize) -> bool {
    let mut ahead: Vec<&str> = checks[from].needs.iter().map(String::as_str).collect();
    let mut seen: Vec<&str> = Vec::new();
    while let Some(need) = ahead.pop() {
        if need == id {
            return true;
        }
        if seen.contains(&need) {
            continue;
        }
        seen.push(need);
        let next = checks.iter().filter(|check| check.id == need);
        ahead.extend(next.flat_map(|check| check.needs.iter().map(String::as_str)));
    }
    false
}

/// The id, if a check has it.
pub fn known(id: &str, checks: &[AuthorsCheck]) -> Result<String, Problem> {
    let own = resources::ids();
    let ids = own
        .map(|id| -> &str { id })
        .chain(checks.iter().map(|check| check.id.as_str()));
    let mut near: Vec<(f64, &str)> = Vec::new();
    for other in ids {
        if other == id {
            return Ok(id.to_owned());
        }
        near.push((likeness(id, other), other));
    }
    near.retain(|(likeness, _)| *likeness > LIKE);
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    let names: Vec<String> = near
        .iter()
        .take(3)
        .map(|(_, id)| format!("`{id}`"))
        .collect();
    let hint = match names.is_empty() {
        true => "`dwenv doctor -v` shows every id".to_owned(),
        false => format!("did you mean {}?", names.join(" or ")),
    };
    Err(Problem::new("no check has that id").hint(hint))
}

type Needs<'a> = Option<Value<'a>>;

fn one<'a>(
    name: &str,
    entry: &Value,
    section: &Section<'a>,
    postgres: &Postgres,
) -> Result<(AuthorsCheck, Needs<'a>)> {
    let (place, root) = place(section)?;
    let scope = match place {
        Place::Laptop => "laptop",
        Place::Box { .. } => "box",
    };
    let severities = [("fail", Severity::Fail), ("warn", Severity::Warn)];
    let severity = section.find("severity");
    let timeout = section.find("timeout");
    let check = AuthorsCheck {
        id: format!("{scope}.custom.{name}"),
        title: section.get("title")?.parse(text::line)?,
        asks: asks(entry, section, (place, root.as_ref()), postgres)?,
        place,
        severity: match severity {
            Some(severity) => severity.parse(|text| check::word(text, &severities))?,
            None => Severity::Fail,
        },
        needs: Vec::new(),
        hint: section.find("hint").map_or(Ok(Hint::default()), hint)?,
        timeout: Duration::from_secs(match timeout {
            Some(seconds) => seconds.number(TIMEOUTS)?,
            None => USUAL_TIMEOUT,
        }),
    };
    Ok((check, section.find("needs")))
}

/// The place, and the value that makes it root's.
fn place<'a>(section: &Section<'a>) -> Result<(Place, Option<Value<'a>>)> {
    let places = [("box", false), ("laptop", true)];
    let laptop = match section.find("place") {
        Some(place) => place.parse(|text| check::word(text, &places))?,
        None => false,
    };
    let root = section.find("root");
    match (laptop, root) {
        (false, root) => {
            let is_root = root.as_ref().map_or(Ok(false), Value::boolean)?;
            Ok((Place::Box { root: is_root }, root))
        }
        (true, None) => Ok((Place::Laptop, None)),
        (true, Some(root)) => Err(root.error(Problem::new(
            "on the laptop everything is asked as whoever runs dwenv",
        ))),
    }
}

fn asks(
    entry: &Value,
    section: &Section,
    (place, root): (Place, Option<&Value>),
    postgres: &Postgres,
) -> Result<Asks> {
    // All five are looked for, so that an error about another key can name them.
    let given: Vec<(&str, Value)> = [
        ("command", section.find("command")),
        ("file", section.find("file")),
        ("port", section.find("port")),
        ("http", section.find("http")),
        ("sql", section.find("sql")),
    ]
    .into_iter()
    .filter_map(|(kind, value)| Some((kind, value?)))
    .collect();
    let [(kind, value)] = &given[..] else {
        let kinds = KINDS.join(", ");
        return Err(match given.get(1) {
            Some((_, second)) => second.error(
                Problem::new(format!("the check asks for `{}` already", given[0].0))
                    .hint(format!("one check has one of: {kinds}")),
            ),
            None => {
                section.finish()?;
                entry
                    .complaint("this check asks nothing")
                    .hint(format!("it needs one of: {kinds}"))
            }
        });
    };
    let laptop = place == Place::Laptop;
    let fragment = matches!(*kind, "command" | "file");
    if let (Place::Box { root: true }, false, Some(root)) = (place, fragment, root) {
        return Err(root.error(Problem::new(format!(
            "`{kind}` is not asked by a user of the box"
        ))));
    }
    if laptop && fragment && value.folder().is_of_url() {
        return Err(value.error(Problem::new(
            "a declaration from a URL looks at no files of this machine and runs nothing on it",
        )));
    }
    Ok(match *kind {
        "command" => Asks::Command {
            command: value.parse(text::whole)?,
            exit: number(section.find("exit"), 0..=255, 0)?,
            output: wanted(section, true)?,
        },
        "file" => Asks::File {
            path: value.parse(text::line)?,
            exists: yes(section.find("exists"))?,
            content: wanted(section, false)?,
        },
        "port" => Asks::Port {
            port: value.number(1..=65535)?,
            listening: yes(section.find("listening"))?,
        },
        "http" => Asks::Http {
            address: value.parse(|text| text::address(text, !laptop))?,
            status: number(section.find("status"), 100..=599, 200)?,
            body: wanted(section, false)?,
        },
        _ if laptop => {
            return Err(value.error(
                Problem::new("PostgreSQL is asked from inside the box")
                    .hint("leave out place = \"laptop\""),
            ));
        }
        _ => sql(value, section, postgres)?,
    })
}

fn sql(value: &Value, section: &Section, postgres: &Postgres) -> Result<Asks> {
    let (rows, first) = (section.find("rows"), section.find("value"));
    if rows.is_none() && first.is_none() {
        section.finish()?;
        return Err(value.complaint("nothing is expected of this query").hint(
            "rows = 1 for how many rows, or value = \"42\" for the first column of the first",
        ));
    }
    Ok(Asks::Sql {
        query: value.parse(text::whole)?,
        login: SqlLogin {
            port: postgres.port,
            role: postgres.role.clone(),
            database: postgres.database.clone(),
            password: postgres.password.clone(),
        },
        rows: rows.map(|rows| rows.number(0..=i64::MAX)).transpose()?,
        value: first
            .map(|first| first.text().map(str::to_owned))
            .transpose()?,
    })
}

fn wanted(section: &Section, with_version: bool) -> Result<Wanted> {
    let contains = section.find("contains");
    let regex = section.find("regex");
    let version = with_version.then(|| section.find("version")).flatten();
    Ok(Wanted {
        contains: contains.map(|text| text.parse(text::whole)).transpose()?,
        regex: regex.map(|text| text.parse(text::regex)).transpose()?,
        version: version.map(|text| text.parse(text::range)).transpose()?,
    })
}

fn number<T: TryFrom<i64>>(
    value: Option<Value>,
    range: std::ops::RangeInclusive<i64>,
    usual: T,
) -> Result<T> {
    value.map_or(Ok(usual), |value| value.number(range))
}

fn yes(value: Option<Value>) -> Result<bool> {
    value.map_or(Ok(true), |value| value.boolean())
}

/// One text for every system, or one for each.
fn hint(value: Value) -> Result<Hint> {
    if !value.is_table() {
        return Ok(Hint {
            all: Some(value.parse(text::line)?),
            ..Hint::default()
        });
    }
    let section = value.section()?;
    let of = |value: Option<Value>| value.map(|text| text.parse(text::line)).transpose();
    let hint = Hint {
        all: of(section.find("all"))?,
        linux: of(section.find("linux"))?,
        macos: of(section.find("macos"))?,
        windows: of(section.find("windows"))?,
    };
    section.finish()?;
    Ok(hint)
}

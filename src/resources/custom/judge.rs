//! How the answer to an author's check is judged.

use semver::Version;
use serde::de::DeserializeOwned;

use crate::doctor::report::{By, Remedy, Status};
use crate::facts::authors::{Page, Rows};
use crate::facts::{Observed, RecordStatus, Records, Unobserved};
use crate::resources::{Judgement, Plan, State};
use crate::target::laptop::Os;
use crate::workshop::AuthorsCheck;
use crate::workshop::authors::{Asks, Place, Severity, Wanted};

/// timeout(1)'s own exit statuses.
const TIMED_OUT: &[i32] = &[124, 137];
/// How much of a text a finding shows.
const SHOWN: usize = 160;

#[must_use]
pub fn judge(check: &AuthorsCheck, laptop: Os, records: &Records) -> State<Judgement> {
    match differs(check, records) {
        Err(Unobserved(reason)) => State::Unknown(reason),
        Ok(Answer::Right(seen)) => State::AsDeclared(seen),
        Ok(Answer::Wrong(seen)) => State::Drifted(Judgement {
            status: match check.severity {
                Severity::Fail => Status::Fail,
                Severity::Warn => Status::Warn,
            },
            summary: seen,
            remedy: check.hint.on(laptop).map(|hint| Remedy {
                text: hint.to_owned(),
                commands: Vec::new(),
                by: By::You,
            }),
        }),
    }
}

#[must_use]
pub fn plan(check: &AuthorsCheck, laptop: Os, records: &Records) -> State<Plan> {
    judge(check, laptop, records).map(|judgement| {
        let hint = judgement.remedy.map(|remedy| remedy.text);
        let hint = hint.unwrap_or_else(|| {
            "This is the workshop's own check: dwenv does not know how to mend it".to_owned()
        });
        Plan::leave(format!("{}. {hint}", judgement.summary))
    })
}

/// What was seen, in words.
enum Answer {
    Right(String),
    Wrong(String),
}

fn differs(check: &AuthorsCheck, records: &Records) -> Observed<Answer> {
    let id = check.id.as_str();
    let late = || Unobserved(format!("no answer within {} s", check.timeout.as_secs()));
    if records.get(id).map(|record| &record.status) == Some(&RecordStatus::TimedOut) {
        return Err(late());
    }
    match &check.asks {
        Asks::Command { exit, output, .. } => {
            let (status, said) = ended(records.text(id)?, check.place)?;
            let in_box = check.place != Place::Laptop;
            if in_box && TIMED_OUT.contains(&status) {
                return Err(late());
            }
            Ok(match status == *exit {
                true => holds(output, said, "It said"),
                false => Answer::Wrong(format!(
                    "The command ended with status {status}{}",
                    shown(said)
                )),
            })
        }
        Asks::File {
            path,
            exists,
            content,
        } => {
            let (there, text) = split(records.text(id)?);
            Ok(match (there == "yes", *exists) {
                (true, true) if content.is_nothing() => Answer::Right(format!("{path} is there")),
                (true, true) => holds(content, text, "It has"),
                (false, false) => Answer::Right(format!("There is no {path}")),
                (true, false) => Answer::Wrong(format!("{path} is there")),
                (false, true) => Answer::Wrong(format!("There is no {path}")),
            })
        }
        Asks::Port { port, listening } => {
            let open = records.text(id)?.trim() == "open";
            let seen = match open {
                true => format!("Something listens at port {port}"),
                false => format!("Nothing listens at port {port}"),
            };
            Ok(match open == *listening {
                true => Answer::Right(seen),
                false => Answer::Wrong(seen),
            })
        }
        Asks::Http {
            address,
            status,
            body,
        } => {
            let page: Page = match answered(records, id)? {
                Ok(page) => page,
                Err(refusal) => {
                    return Ok(Answer::Wrong(format!(
                        "{} gives no answer: {refusal}",
                        address.url
                    )));
                }
            };
            Ok(match page.status == *status {
                true => holds(body, &page.body, "It answers"),
                false => Answer::Wrong(format!("{} answers {}", address.url, page.status)),
            })
        }
        Asks::Sql { rows, value, .. } => {
            let found: Rows = match answered(records, id)? {
                Ok(found) => found,
                Err(refusal) => {
                    return Ok(Answer::Wrong(format!(
                        "PostgreSQL refuses the query: {refusal}"
                    )));
                }
            };
            Ok(table_holds(&found, *rows, value.as_deref()))
        }
    }
}

/// What a service answered, or why it refused to: that is an answer as well.
fn answered<T: DeserializeOwned>(records: &Records, id: &str) -> Observed<Result<T, String>> {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    match records
        .get(id)
        .map(|record| (&record.status, &record.output))
    {
        Some((RecordStatus::Refused(reason), _)) => Ok(Err(reason.clone())),
        Some((RecordStatus::Done(1), output)) => {
            let refusal: Result<Refusal, _> = serde_json::from_str(output);
            Ok(Err(
                refusal.map_or_else(|_| shown(output), |refusal| refusal.message)
            ))
        }
        _ => records.json(id).map(Ok),
    }
}

/// How a command ended, and what it said.
pub(super) fn ended(text: &str, place: Place) -> Observed<(i32, &str)> {
    let garbled = || Unobserved("how the command ended was not told".to_owned());
    let (status, said) = match place {
        Place::Laptop => split(text),
        // The box tells the status last, because it is known last.
        Place::Box { .. } => {
            let (said, status) = text.rsplit_once('\n').ok_or_else(garbled)?;
            (status, said)
        }
    };
    Ok((status.parse().map_err(|_| garbled())?, said))
}

/// The first line, and what follows it.
fn split(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn holds(wanted: &Wanted, text: &str, who: &str) -> Answer {
    if let Some(part) = &wanted.contains
        && !text.contains(part.as_str())
    {
        return Answer::Wrong(format!("`{part}` is not in the answer{}", shown(text)));
    }
    if let Some(regex) = &wanted.regex
        && !regex.is_match(text)
    {
        return Answer::Wrong(format!(
            "The answer does not match `{regex}`{}",
            shown(text)
        ));
    }
    if let Some(range) = &wanted.version {
        return match first_version(text) {
            None => Answer::Wrong(format!("There is no version in the answer{}", shown(text))),
            Some(version) if range.matches(&version) => {
                Answer::Right(format!("Version {version}, which is {range}"))
            }
            Some(version) => Answer::Wrong(format!("Version {version}, which is not {range}")),
        };
    }
    match shown(text).as_str() {
        "" => Answer::Right("As expected".to_owned()),
        shown => Answer::Right(format!("{who}{shown}")),
    }
}

fn table_holds(found: &Rows, rows: Option<u64>, value: Option<&str>) -> Answer {
    let count = |rows: u64| match rows {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    if let Some(rows) = rows
        && rows != found.rows
    {
        let (seen, wanted) = (count(found.rows), count(rows));
        return Answer::Wrong(format!("The query gives {seen}, not {wanted}"));
    }
    match (value, found.first.as_deref()) {
        (None, _) => Answer::Right(count(found.rows)),
        (Some(wanted), Some(first)) if wanted == first => Answer::Right(format!("`{first}`")),
        (Some(wanted), Some(first)) => {
            Answer::Wrong(format!("The query gives `{first}`, not `{wanted}`"))
        }
        (Some(wanted), None) => Answer::Wrong(format!("The query gives nothing, not `{wanted}`")),
    }
}

/// The first number with a dot in it, or else the first number, as a version of three parts.
fn first_version(text: &str) -> Option<Version> {
    let mut words = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    let numbers = |word: &str| -> Option<Vec<u64>> {
        let parts = word.trim_matches('.').split('.').take(3);
        parts.map(|part| part.parse().ok()).collect()
    };
    let dotted = words.clone().find_map(|word| {
        word.trim_matches('.')
            .contains('.')
            .then(|| numbers(word))
            .flatten()
    });
    let parts = dotted.or_else(|| words.find_map(numbers))?;
    let part = |index: usize| parts.get(index).copied().unwrap_or(0);
    Some(Version::new(part(0), part(1), part(2)))
}

/// `: “the first line that says something”`, or nothing.
fn shown(text: &str) -> String {
    let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return String::new();
    };
    let mut kept: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect();
    if kept.len() < line.len() {
        kept.push('…');
    }
    format!(": {kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_where_programs_print_them() {
        for (text, version) in [
            ("git version 2.39.5 (Apple Git-154)", "2.39.5"),
            ("Docker version 26.1.5+dfsg1, build a72d7cd", "26.1.5"),
            ("Python 3.13", "3.13.0"),
            ("openjdk 21", "21.0.0"),
            ("5 tools, v1.2.3.4-rc1", "1.2.3"),
            ("Ubuntu 24.04", "24.4.0"),
            ("ends. 7 here.", "7.0.0"),
        ] {
            assert_eq!(first_version(text).unwrap().to_string(), version, "{text}");
        }
        assert_eq!(first_version("no version ..."), None);
    }
}

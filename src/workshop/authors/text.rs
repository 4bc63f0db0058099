//! What single values of an author's check must look like.

use regex::Regex;
use semver::VersionReq;

use super::Address;
use crate::workshop::section::Problem;

type Checked<T> = Result<T, Problem>;

/// The NAME of `[checks.NAME]`: it becomes a part of an id.
pub fn name(text: &str) -> Checked<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 40 || !text.chars().all(letters) || text.starts_with('-') {
        return Err(Problem::new(
            "it must be 1 to 40 small letters a-z, digits and hyphens",
        ));
    }
    Ok(text.to_owned())
}

/// One line for a person.
pub fn line(text: &str) -> Checked<String> {
    if text.trim().is_empty() {
        return Err(Problem::new("it says nothing"));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::new("it must be one line"));
    }
    Ok(text.trim().to_owned())
}

/// A text that is asked as it stands: a command, a query, a path, what an answer has to hold.
pub fn whole(text: &str) -> Checked<String> {
    if text.trim().is_empty() {
        return Err(Problem::new("it says nothing"));
    }
    if text.contains('\0') {
        return Err(Problem::new("it holds a zero byte"));
    }
    Ok(text.to_owned())
}

pub fn regex(text: &str) -> Checked<Regex> {
    whole(text)?;
    Regex::new(text).map_err(|error| {
        let said = error.to_string();
        // The last line has the reason; those before it draw the expression, which is shown anyway.
        let reason = said.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        Problem::new(format!("it is no regular expression ({reason})"))
            .hint("between ' and ' a backslash stands for itself: '^v\\d+'")
    })
}

pub fn range(text: &str) -> Checked<VersionReq> {
    VersionReq::parse(text).map_err(|error| {
        Problem::new(format!("it is no range of versions ({error})"))
            .hint("such as \">=2.30\" or \">=20.10, <30\"")
    })
}

/// A web address; `inside` where it is asked from within the box.
pub fn address(text: &str, inside: bool) -> Checked<Address> {
    let wrong = |what: String| {
        Problem::new(format!("it is no web address ({what})"))
            .hint("such as http://127.0.0.1:8080/")
    };
    let url = reqwest::Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    match url.scheme() {
        "http" => {}
        "https" if !inside => {}
        "https" => {
            return Err(Problem::new("from inside the box only http is asked")
                .hint("place = \"laptop\", or a command such as \"curl -fsS https://…\""));
        }
        other => return Err(wrong(format!("it begins with {other}"))),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Problem::new("a login in an address would be shown"));
    }
    let host = url
        .host_str()
        .ok_or_else(|| wrong("it names no host".to_owned()))?;
    let query = url.query().map(|query| format!("?{query}"));
    Ok(Address {
        url: url.to_string(),
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
        path: format!("{}{}", url.path(), query.unwrap_or_default()),
    })
}

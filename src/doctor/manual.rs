//! What `docs/checks.md` says of a check: the same page for the website and for a terminal without a network.

const PAGE: &str = include_str!("../../docs/checks.md");

/// What the page says of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub id: &'a str,
    /// What the check proves.
    pub what: String,
    /// Such as "Why" and its text, in the order of the page.
    pub points: Vec<(String, String)>,
}

/// The section of this check.
#[must_use]
pub fn section(id: &str) -> Option<Section<'static>> {
    let (id, body) = sections().find(|(heading, _)| *heading == id)?;
    let (what, list) = match body.find("\n- ") {
        Some(at) => (&body[..at], &body[at..]),
        None => (body, ""),
    };
    let points = list.split("\n- ").skip(1).map(|item| {
        let item = plain(item);
        match item.split_once(": ") {
            Some((name, text)) => (name.to_owned(), text.to_owned()),
            None => (String::new(), item),
        }
    });
    Some(Section {
        id,
        what: plain(what),
        points: points.collect(),
    })
}

/// Every check that the page has.
pub fn ids() -> impl Iterator<Item = &'static str> {
    sections().map(|(id, _)| id)
}

/// Headings and what stands under them.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n## `").skip(1).filter_map(|rest| {
        let (id, body) = rest.split_once('`')?;
        let end = body.find("\n# ").unwrap_or(body.len());
        Some((id, &body[..end]))
    })
}

/// Markdown as a person reads it: lines joined, links by their names.
fn plain(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut plain = String::new();
    let mut rest = joined.as_str();
    while let Some((before, link)) = rest.split_once('[') {
        let Some((name, target)) = link.split_once("](") else {
            break;
        };
        let Some((_, after)) = target.split_once(')') else {
            break;
        };
        plain.push_str(before);
        plain.push_str(name);
        rest = after;
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_can_be_told() {
        for id in ids() {
            let section = section(id).unwrap();
            assert!(!section.what.is_empty(), "{id}");
            let names: Vec<&str> = section.points.iter().map(|(name, _)| &name[..]).collect();
            assert_eq!(names, ["Why", "Mended by", "Needs"], "{id}");
        }
    }

    #[test]
    fn links_are_told_by_their_names() {
        assert_eq!(plain("see [a\n b](c.md), d\n [e"), "see a b, d [e");
    }
}

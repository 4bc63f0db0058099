//! What `docs/checks.md` says of a check, and `docs/lint.md` of a rule: the same pages for the website and for a
//! terminal without a network.

const PAGE: &str = include_str!("../../docs/checks.md");
const RULES: &str = include_str!("../../docs/lint.md");

/// What the page says of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    pub id: &'a str,
    /// What the check proves.
    pub what: String,
    /// Such as "Why" and its text, in the order of the page.
    pub points: Vec<(String, String)>,
}

/// What there is to say of this check or this rule.
#[must_use]
pub fn section(id: &str) -> Option<Section<'static>> {
    let rule = |(id, finds): (&'static str, &str)| Section {
        id,
        what: format!("A rule of `dwenv lint`. It finds {finds}."),
        points: Vec::new(),
    };
    check(id).or_else(|| rules().find(|(rule, _)| *rule == id).map(rule))
}

fn check(id: &str) -> Option<Section<'static>> {
    // All of an author's own checks have one section.
    let heading = match id.split('.').nth(1) {
        Some("custom") => "box.custom.NAME",
        _ => id,
    };
    let (id, body) = sections().find(|(known, _)| *known == heading)?;
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

/// The rules of `dwenv lint`, and what each finds.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.lines().filter_map(|line| {
        let (id, finds) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((id, finds.strip_suffix(" |")?))
    })
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
    fn every_rule_can_be_told() {
        for id in crate::lint::ids() {
            assert!(section(id).is_some(), "{id}");
        }
        let section = section("lint.dead-host").unwrap();
        assert_eq!(
            section.what,
            "A rule of `dwenv lint`. It finds a host that is gone."
        );
    }

    #[test]
    fn links_are_told_by_their_names() {
        assert_eq!(plain("see [a\n b](c.md), d\n [e"), "see a b, d [e");
    }
}

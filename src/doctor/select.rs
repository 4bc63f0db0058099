//! Which checks are told: `--only`, `--skip`, `--list`.
//!
//! Every check is judged all the same, so that what keeps a selected one from passing is known. Told are the
//! selected ones, and each check outside the selection that is the cause of a skipped one in it.

use std::collections::HashSet;

use serde::Serialize;

use super::report::{Finding, Scope, Status};
use crate::error::{Error, Result};
use crate::resources::{self, Context};

/// How many near ids an unknown one is answered with.
const NEAR: usize = 3;

/// What `--only` and `--skip` said, each an id or the beginning of some.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    only: Vec<String>,
    skip: Vec<String>,
}

/// One check, as `--list` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedCheck {
    pub id: String,
    pub title: String,
    pub scope: Scope,
    pub needs: Vec<String>,
}

impl Selection {
    /// # Errors
    /// When a word is neither an id nor the beginning of one, among the checks that apply here and all others.
    pub fn new(only: &[String], skip: &[String], context: Context) -> Result<Self> {
        let here = resources::in_order(context);
        let known: Vec<&str> = here
            .iter()
            .map(|check| check.id as &str)
            .chain(resources::ids().map(|id| id as &str))
            .collect();
        for word in only.iter().chain(skip) {
            if !known.iter().any(|id| covers(word, id)) {
                return Err(unknown(word, &known));
            }
        }
        Ok(Self {
            only: only.to_vec(),
            skip: skip.to_vec(),
        })
    }

    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        let only = || self.only.iter().any(|word| covers(word, id));
        (self.only.is_empty() || only()) && !self.skips(id)
    }

    /// Whether `--skip` names it: nobody wants to know of it, nor why it fails.
    #[must_use]
    pub fn skips(&self, id: &str) -> bool {
        self.skip.iter().any(|word| covers(word, id))
    }

    /// What is told of all findings.
    ///
    /// # Errors
    /// When no check is left: nothing would have been proved.
    pub fn of(&self, findings: Vec<Finding>) -> Result<Vec<Finding>> {
        if !findings.iter().any(|finding| self.holds(&finding.id)) {
            return Err(nothing_left());
        }
        let roots: HashSet<String> = findings
            .iter()
            .filter(|finding| finding.status == Status::Skip && self.holds(&finding.id))
            .filter_map(|finding| finding.because.clone())
            .collect();
        Ok(findings
            .into_iter()
            .filter(|finding| self.holds(&finding.id) || roots.contains(&finding.id))
            .collect())
    }

    /// The checks that apply and are selected, each with those that apply of what it needs.
    ///
    /// # Errors
    /// When there are none.
    pub fn list(&self, context: Context) -> Result<Vec<ListedCheck>> {
        let here = resources::in_order(context);
        let applies = |need: &&&str| here.iter().any(|check| check.id == **need);
        let listed: Vec<ListedCheck> = here
            .iter()
            .filter(|check| self.holds(check.id))
            .map(|check| ListedCheck {
                id: check.id.to_owned(),
                title: check.title.to_owned(),
                scope: check.scope(),
                needs: each_once(check.needs.iter().filter(applies).copied()),
            })
            .collect();
        if listed.is_empty() {
            return Err(nothing_left());
        }
        Ok(listed)
    }
}

fn each_once<'a>(needs: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut known = HashSet::new();
    needs
        .filter(|need| known.insert(*need))
        .map(str::to_owned)
        .collect()
}

/// Whether `word` is this id, or the parts that it begins with.
fn covers(word: &str, id: &str) -> bool {
    id.strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn nothing_left() -> Error {
    Error::usage("no check is left to be made")
        .hint("`dwenv doctor --list` lists the checks that apply here")
}

fn unknown(word: &str, known: &[&str]) -> Error {
    let mut near: Vec<(u64, &str)> = known
        .iter()
        .map(|&id| {
            let last = id.rsplit('.').next().unwrap_or(id);
            let alike = strsim::jaro_winkler(word, id).max(strsim::jaro_winkler(word, last));
            // Whole numbers can be sorted.
            ((alike * 1000.0) as u64, id)
        })
        .filter(|(alike, _)| *alike >= 800)
        .collect();
    near.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    near.dedup();
    let near: Vec<String> = near
        .iter()
        .take(NEAR)
        .map(|(_, id)| format!("`{id}`"))
        .collect();
    let error = Error::usage(format!("there is no check `{word}`"));
    let error = match &near[..] {
        [] => error,
        near => error.hint(format!("Did you mean {}?", near.join(" or "))),
    };
    error.hint("`dwenv doctor --list` lists the checks that apply here")
}

//! Reading a declaration's values with what an error needs: where each stands, and what would have been right.
//!
//! A section looks in the author's table first, then in the one inside the program. The keys that were asked
//! for are the keys there are, so the list of known keys is written nowhere else.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::de::{DeTable, DeValue};

use super::document::Document;
use super::folder::Folder;
use crate::error::{Error, Result};

/// Why a value cannot be used, for its reader.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    pub hint: Option<String>,
}

impl Problem {
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A table of one document.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    pub document: &'a Document,
    pub table: &'a DeTable<'a>,
}

/// A table, with what holds where it says nothing.
pub struct Section<'a> {
    /// `box`, `postgres.tables`; empty at the top.
    path: String,
    layers: Vec<Layer<'a>>,
    /// The table itself, where it is one value.
    whole: Option<Value<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub fn top(layers: Vec<Layer<'a>>) -> Self {
        Self {
            path: String::new(),
            layers,
            whole: None,
            asked: RefCell::default(),
        }
    }

    /// The value of `key`, if any layer has one.
    pub fn find(&self, key: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().push(key);
        self.layers.iter().find_map(|layer| {
            let value = layer.table.get(key)?;
            Some(Value {
                document: layer.document,
                path: self.path_of(key),
                entry: false,
                span: value.span(),
                inner: value.get_ref(),
            })
        })
    }

    /// The value of `key`, which must be there: the declaration inside the program has every key.
    pub fn get(&self, key: &'static str) -> Result<Value<'a>> {
        self.find(key).ok_or_else(|| {
            if let Some(misspelt) = self.unknown(|word| likeness(word, key) > LIKE) {
                return misspelt;
            }
            let what = format!("`{key}` is missing in `{}`", self.path);
            match &self.whole {
                Some(whole) => whole.complaint(&what),
                None => Error::config(what),
            }
        })
    }

    /// The table under `key`, layer by layer.
    pub fn section(&self, key: &'static str) -> Result<Self> {
        self.asked.borrow_mut().push(key);
        let mut layers = Vec::new();
        for layer in &self.layers {
            if let Some(value) = layer.table.get(key) {
                let value = Value {
                    document: layer.document,
                    path: self.path_of(key),
                    entry: false,
                    span: value.span(),
                    inner: value.get_ref(),
                };
                layers.push(Layer {
                    document: layer.document,
                    table: value.table()?,
                });
            }
        }
        Ok(Self {
            path: self.path_of(key),
            layers,
            whole: None,
            asked: RefCell::default(),
        })
    }

    /// To be called when everything was read: a key that nobody asked for is a mistake.
    pub fn finish(&self) -> Result<()> {
        match self.unknown(|_| true) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The first key, of those that `matches`, that nobody asked for.
    fn unknown(&self, matches: impl Fn(&str) -> bool) -> Option<Error> {
        let asked = self.asked.borrow();
        self.layers.iter().find_map(|layer| {
            let key = layer
                .table
                .keys()
                .filter(|key| !asked.contains(&key.get_ref().as_ref()) && matches(key.get_ref()))
                .min_by_key(|key| key.span().start)?;
            let place = match self.path.as_str() {
                "" => "at the top of the file".to_owned(),
                path => format!("in [{path}]"),
            };
            let what = format!(
                "there is no key `{}` {place}",
                layer.document.quote(key.span())
            );
            let error = layer.document.error(key.span(), what);
            Some(error.hint(suggestion(key.get_ref(), &asked)))
        })
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

/// How alike two words must be to be taken for one another.
const LIKE: f64 = 0.8;

/// From 0 to 1.
pub fn likeness(one: &str, other: &str) -> f64 {
    strsim::jaro_winkler(one, other)
}

/// What the author may have meant by `word`.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| (likeness(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    match near {
        Some((_, candidate)) => format!("did you mean `{candidate}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// A value and where it stands.
#[derive(Clone)]
pub struct Value<'a> {
    document: &'a Document,
    path: String,
    /// Whether it is one entry of the list at `path`.
    entry: bool,
    span: Range<usize>,
    inner: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// An error at this value.
    pub fn error(&self, problem: Problem) -> Error {
        let what = format!(
            "{} cannot be {}`{}`: {}",
            self.document.quote(self.span.clone()),
            if self.entry { "in " } else { "" },
            self.path,
            problem.what
        );
        let error = self.document.error(self.span.clone(), what);
        match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// An error at this value, in other words than that it cannot be what it should be.
    pub fn complaint(&self, what: &str) -> Error {
        self.document.error(self.span.clone(), what)
    }

    fn expected(&self, what: &str) -> Error {
        let problem = Problem::new(format!(
            "it must be {what}, and this is {}",
            match self.inner {
                DeValue::String(_) => "text",
                DeValue::Integer(_) => "a whole number",
                DeValue::Float(_) => "a number with a fraction",
                DeValue::Boolean(_) => "true or false",
                DeValue::Datetime(_) => "a date or time",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
            }
        ));
        let could_be_text = !matches!(self.inner, DeValue::Array(_) | DeValue::Table(_));
        self.error(match what {
            "text" if could_be_text => {
                let text = self.document.quote(self.span.clone());
                problem.hint(format!("put it between quotes: `\"{text}\"`"))
            }
            _ => problem,
        })
    }

    pub fn folder(&self) -> &'a Folder {
        &self.document.folder
    }

    /// Whether an author wrote it, rather than dwenv's own makers.
    pub fn is_authors(&self) -> bool {
        !matches!(self.folder(), Folder::Builtin)
    }

    pub fn text(&self) -> Result<&'a str> {
        self.inner.as_str().ok_or_else(|| self.expected("text"))
    }

    /// The text, if `check` has nothing against it, as what `check` makes of it.
    pub fn parse<T>(&self, check: impl FnOnce(&str) -> Result<T, Problem>) -> Result<T> {
        check(self.text()?).map_err(|problem| self.error(problem))
    }

    pub fn boolean(&self) -> Result<bool> {
        self.inner
            .as_bool()
            .ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number within `range`.
    pub fn number<T: TryFrom<i64>>(&self, range: RangeInclusive<i64>) -> Result<T> {
        let digits = self
            .inner
            .as_integer()
            .ok_or_else(|| self.expected("a whole number"))?;
        i64::from_str_radix(digits.as_str(), digits.radix())
            .ok()
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                self.error(Problem::new(format!(
                    "it must be between {} and {}",
                    range.start(),
                    range.end()
                )))
            })
    }

    pub fn list(&self) -> Result<Vec<Self>> {
        let list = self
            .inner
            .as_array()
            .ok_or_else(|| self.expected("a list"))?;
        Ok(list
            .iter()
            .map(|value| Self {
                document: self.document,
                path: self.path.clone(),
                entry: true,
                span: value.span(),
                inner: value.get_ref(),
            })
            .collect())
    }

    fn table(&self) -> Result<&'a DeTable<'a>> {
        self.inner
            .as_table()
            .ok_or_else(|| self.expected("a table"))
    }

    pub fn is_table(&self) -> bool {
        self.inner.is_table()
    }

    /// The value as a section of its own: an inline table.
    pub fn section(&self) -> Result<Section<'a>> {
        Ok(Section {
            path: self.path.clone(),
            layers: vec![Layer {
                document: self.document,
                table: self.table()?,
            }],
            whole: Some(self.clone()),
            asked: RefCell::default(),
        })
    }

    /// The value as a table whose keys are names the author chose, in the order they were written.
    pub fn entries(&self) -> Result<Vec<(Name<'a>, Self)>> {
        let mut entries: Vec<_> = self.table()?.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Ok(entries
            .into_iter()
            .map(|(key, value)| {
                let name = Name {
                    document: self.document,
                    path: self.path.clone(),
                    span: key.span(),
                    text: key.get_ref(),
                };
                let value = Self {
                    document: self.document,
                    path: format!("{}.{}", self.path, name.text),
                    entry: false,
                    span: value.span(),
                    inner: value.get_ref(),
                };
                (name, value)
            })
            .collect())
    }
}

/// A key that the author chose, such as a table's name.
pub struct Name<'a> {
    document: &'a Document,
    path: String,
    span: Range<usize>,
    text: &'a str,
}

impl Name<'_> {
    pub fn parse<T>(&self, check: impl FnOnce(&str) -> Result<T, Problem>) -> Result<T> {
        check(self.text).map_err(|problem| {
            let what = format!(
                "{} cannot be a name in `{}`: {}",
                self.document.quote(self.span.clone()),
                self.path,
                problem.what
            );
            let error = self.document.error(self.span.clone(), what);
            match problem.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }
}

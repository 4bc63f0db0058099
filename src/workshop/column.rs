//! A column in an author's words (`timestamptz not null default now()`), turned into those of PostgreSQL's
//! catalogue, which is what the box is compared with.

use super::model::Column;
use super::section::{Problem, suggestion};

/// What an author may write, and what `format_type` prints.
const TYPES: &[(&str, &str)] = &[
    ("bigint", "bigint"),
    ("bool", "boolean"),
    ("boolean", "boolean"),
    ("bytea", "bytea"),
    ("char", "character"),
    ("character", "character"),
    ("character varying", "character varying"),
    ("cidr", "cidr"),
    ("date", "date"),
    ("decimal", "numeric"),
    ("double precision", "double precision"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("inet", "inet"),
    ("int", "integer"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("integer", "integer"),
    ("interval", "interval"),
    ("json", "json"),
    ("jsonb", "jsonb"),
    ("numeric", "numeric"),
    ("real", "real"),
    ("smallint", "smallint"),
    ("text", "text"),
    ("time", "time without time zone"),
    ("time without time zone", "time without time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("uuid", "uuid"),
    ("varchar", "character varying"),
];

/// Integers with a sequence of their own behind them.
const SERIALS: &[(&str, &str)] = &[
    ("bigserial", "bigint"),
    ("serial", "integer"),
    ("smallserial", "smallint"),
];

/// Reads one column of `table`.
pub fn parse(table: &str, name: &str, text: &str) -> Result<Column, Problem> {
    let (head, default) = split_default(text);
    if default.as_deref() == Some("") {
        return Err(
            Problem::new("`default` says no value").hint("such as default now() or default ''")
        );
    }
    let (head, primary_key) = without(&head, "primary key");
    let (head, not_null) = without(&head, "not null");
    let serial = SERIALS.iter().find(|(word, _)| *word == head);
    let (data_type, default) = match (serial, default) {
        (Some(_), Some(_)) => {
            return Err(Problem::new("a serial column has a default already"));
        }
        (Some((_, data_type)), None) => {
            // What PostgreSQL makes of `serial`.
            let sequence = format!("nextval('{table}_{name}_seq'::regclass)");
            ((*data_type).to_owned(), Some(sequence))
        }
        (None, default) => {
            let data_type = data_type(&head)?;
            let default = default.map(|text| catalogue_default(&text, &data_type));
            (data_type, default)
        }
    };
    Ok(Column {
        name: name.to_owned(),
        data_type,
        not_null: not_null || primary_key || serial.is_some(),
        default,
        primary_key,
    })
}

/// Everything behind the word `default` is an expression; what stands before it is told in small letters.
fn split_default(text: &str) -> (String, Option<String>) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| word.eq_ignore_ascii_case("default"));
    match at {
        None => (words.join(" ").to_ascii_lowercase(), None),
        Some(at) => {
            let head = words[..at].join(" ").to_ascii_lowercase();
            // Blanks within the expression may matter: it is cut out of the text as it is.
            let expression = words[at + 1..]
                .first()
                .map_or("", |first| &text[offset(text, first)..]);
            (head, Some(expression.trim_end().to_owned()))
        }
    }
}

/// Where `part`, a slice of `text`, begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// `text` without `words` in it, and whether they were there.
fn without(text: &str, words: &str) -> (String, bool) {
    match text.find(words) {
        Some(at) => {
            let rest = format!("{}{}", &text[..at], &text[at + words.len()..]);
            let tidy = rest.split_whitespace().collect::<Vec<_>>().join(" ");
            (tidy, true)
        }
        None => (text.to_owned(), false),
    }
}

/// The type as `format_type` prints it: with its length or precision, and `[]` for an array.
fn data_type(text: &str) -> Result<String, Problem> {
    let (base, array) = match text.strip_suffix("[]") {
        Some(base) => (base.trim_end(), "[]"),
        None => (text, ""),
    };
    let (base, modifier) = match base.split_once('(') {
        Some((name, rest)) => {
            let inner = rest.strip_suffix(')').filter(|inner| {
                inner
                    .split(',')
                    .all(|part| part.trim().parse::<u16>().is_ok())
            });
            let Some(inner) = inner else {
                return Err(Problem::new(format!("`{text}` is no type")));
            };
            (name.trim_end(), format!("({})", inner.replace(' ', "")))
        }
        None => (base, String::new()),
    };
    match TYPES.iter().find(|(word, _)| *word == base) {
        // `char` alone is `char(1)`.
        Some((_, "character")) if modifier.is_empty() => Ok(format!("character(1){array}")),
        Some((_, known)) => Ok(match known.split_once(' ') {
            // The precision of a time stands behind its first word.
            Some((first, rest)) if first.starts_with("time") => {
                format!("{first}{modifier} {rest}{array}")
            }
            _ => format!("{known}{modifier}{array}"),
        }),
        None => {
            let words: Vec<&str> = TYPES.iter().chain(SERIALS).map(|(word, _)| *word).collect();
            Err(Problem::new(format!("`{base}` is no type of a column"))
                .hint(suggestion(base, &words)))
        }
    }
}

/// The default as `pg_get_expr` prints it: a text literal gets its type behind it.
fn catalogue_default(text: &str, data_type: &str) -> String {
    let literal = text.len() >= 2
        && text.starts_with('\'')
        && text.ends_with('\'')
        && !text[1..text.len() - 1].replace("''", "").contains('\'');
    if !literal {
        return text.to_owned();
    }
    // The catalogue leaves the length away there: 'x'::character varying.
    let (before, rest) = data_type.split_once('(').unwrap_or((data_type, ""));
    let after = rest.split_once(')').map_or("", |(_, after)| after);
    let bare = if before == "character" {
        "bpchar"
    } else {
        before
    };
    format!("{text}::{bare}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse("call", "id", text) {
            Ok(column) => format!(
                "{}{}{}{}",
                column.data_type,
                if column.not_null { ", not null" } else { "" },
                if column.primary_key { ", key" } else { "" },
                column
                    .default
                    .map(|default| format!(", {default}"))
                    .unwrap_or_default(),
            ),
            Err(problem) => format!("{} ({})", problem.what, problem.hint.unwrap_or_default()),
        }
    }

    #[test]
    fn a_column_is_told_as_the_catalogue_tells_it() {
        let written = [
            "serial primary key",
            "bigserial",
            "TIMESTAMPTZ  NOT NULL  DEFAULT now()",
            "text not null default ''",
            "text default 'two  words'",
            "text default 'it''s'",
            "varchar(20) default 'x'",
            "char default 'x'",
            "int",
            "numeric(10, 2) default 0",
            "timestamp(3)",
            "text[]",
            "jsonb default '{}'",
        ];
        let told: Vec<_> = written.iter().map(|text| shown(text)).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        integer, not null, key, nextval('call_id_seq'::regclass)
        bigint, not null, nextval('call_id_seq'::regclass)
        timestamp with time zone, not null, now()
        text, not null, ''::text
        text, 'two  words'::text
        text, 'it''s'::text
        character varying(20), 'x'::character varying
        character(1), 'x'::bpchar
        integer
        numeric(10,2), 0
        timestamp(3) without time zone
        text[]
        jsonb, '{}'::jsonb
        ");
    }

    #[test]
    fn what_is_no_type_is_told_with_what_it_may_have_been() {
        insta::assert_snapshot!(shown("txt not null"), @"`txt` is no type of a column (did you mean `text`?)");
        insta::assert_snapshot!(shown("text not nul"), @"`text not nul` is no type of a column (did you mean `text`?)");
        insta::assert_snapshot!(shown("varchar(x)"), @"`varchar(x)` is no type ()");
        insta::assert_snapshot!(shown("serial default 1"), @"a serial column has a default already ()");
    }
}

//! Names in SQL, held to what SQL takes without quotes.

use super::section::Problem;

type Checked<T> = Result<T, Problem>;

/// PostgreSQL keeps this many bytes of a name.
const LONGEST: usize = 63;

/// Words that SQL itself needs: `pg_get_keywords()` in PostgreSQL 18, those reserved and those reserved
/// except as a function or type.
const RESERVED: &str = "\
    all analyse analyze and any array as asc asymmetric authorization binary both case cast \
    check collate collation column concurrently constraint create cross current_catalog \
    current_date current_role current_schema current_time current_timestamp current_user default \
    deferrable desc distinct do else end except false fetch for foreign freeze from full grant \
    group having ilike in initially inner intersect into is isnull join lateral leading left \
    like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some \
    symmetric system_user table tablesample then to trailing true union unique user using \
    variadic verbose when where window with";

/// A role, database, table or column, such as SQL takes it without quotes.
pub fn identifier(text: &str) -> Checked<String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !first || !text.chars().all(rest) {
        return Err(Problem::new("it would need quoting in SQL")
            .hint("take small letters a-z, digits and underscores, a letter first"));
    }
    if text.len() > LONGEST {
        return Err(Problem::new(format!("it is longer than {LONGEST} letters")));
    }
    if RESERVED.split(' ').any(|word| word == text) {
        return Err(Problem::new("it is a word of SQL and would need quoting")
            .hint(format!("such as workshop_{text}")));
    }
    Ok(text.to_owned())
}

pub fn role(text: &str) -> Checked<String> {
    if text == "postgres" || text.starts_with("pg_") {
        return Err(Problem::new(
            "PostgreSQL has a role of its own by that name",
        ));
    }
    identifier(text)
}

pub fn database(text: &str) -> Checked<String> {
    if matches!(text, "postgres" | "template0" | "template1") {
        return Err(Problem::new(
            "PostgreSQL has a database of its own by that name",
        ));
    }
    identifier(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_would_need_quoting_is_an_identifier() {
        for text in [
            "",
            "Call",
            "1st",
            "two words",
            "it's",
            "a-b",
            "naïve",
            "user",
            "a\"",
            "$(x)",
        ] {
            assert!(identifier(text).is_err(), "{text}");
        }
        assert!(identifier("call").is_ok() && identifier("_x1").is_ok());
        assert!(identifier(&"a".repeat(64)).is_err());
    }
}

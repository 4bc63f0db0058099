//! An author's SQL file as a part of one transaction, which dwenv begins and ends.

use std::ops::Range;

use super::section::Problem;

/// One statement, or one command of psql's own.
struct Statement {
    start: usize,
    end: usize,
    /// In capitals, without what stands in quotes and comments. A command of psql's is as written, with its backslash.
    words: Vec<String>,
}

impl Statement {
    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// Where the author's own `BEGIN` and `COMMIT` stand.
#[must_use]
pub fn brackets(text: &str) -> Vec<Range<usize>> {
    let all = statements(text).into_iter();
    let brackets = all.filter(|statement| is_plain_bracket(&statement.words()));
    brackets.map(|it| it.start..it.end).collect()
}

/// The text without the author's own `BEGIN` and `COMMIT`: dwenv's are around all of it.
///
/// # Errors
/// When a statement cannot be part of a transaction; the problem names its line.
pub fn within_transaction(path: &str, text: &str) -> Result<String, Problem> {
    let mut kept = String::new();
    let mut from = 0;
    for statement in statements(text) {
        let words = statement.words();
        if is_plain_bracket(&words) {
            kept.push_str(&text[from..statement.start]);
            from = statement.end;
        } else if let Some(why) = misfit(&words) {
            let line = text[..statement.start].matches('\n').count() + 1;
            let shown: Vec<&str> = words.iter().take(3).copied().collect();
            return Err(
                Problem::new(format!("line {line} of {path} has {}, {why}", shown.join(" "))).hint(
                    "dwenv makes all changes to the tables in one transaction: all of the file, or nothing",
                ),
            );
        }
    }
    kept.push_str(&text[from..]);
    Ok(kept)
}

/// The beginning or the end of a transaction, and nothing else.
fn is_plain_bracket(words: &[&str]) -> bool {
    matches!(
        words,
        ["BEGIN" | "COMMIT" | "END"]
            | ["BEGIN" | "COMMIT" | "END", "WORK" | "TRANSACTION"]
            | ["START", "TRANSACTION"]
    )
}

/// Why a statement cannot be part of a transaction that somebody else began.
fn misfit(words: &[&str]) -> Option<&'static str> {
    const ENDS: &str = "which ends or changes the transaction";
    const ALONE: &str = "which PostgreSQL does not run within a transaction";
    match words {
        ["ROLLBACK", rest @ ..] if rest.contains(&"TO") => None,
        [
            "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT",
            ..,
        ]
        | ["PREPARE", "TRANSACTION", ..] => Some(ENDS),
        ["\\c" | "\\connect" | "\\q" | "\\quit"] => Some("which leaves the transaction"),
        ["\\i" | "\\ir" | "\\include" | "\\include_relative"] => {
            Some("and what that file does to the transaction nobody has looked at")
        }
        ["\\;"] => Some("which hides what comes after it"),
        ["VACUUM", ..]
        | ["CREATE" | "DROP", "DATABASE" | "TABLESPACE", ..]
        | ["ALTER", "SYSTEM", ..]
        | ["DISCARD", "ALL", ..] => Some(ALONE),
        ["CREATE" | "DROP" | "REINDEX", rest @ ..]
            if rest.contains(&"CONCURRENTLY")
                && (rest.contains(&"INDEX") || words[0] == "REINDEX") =>
        {
            Some(ALONE)
        }
        _ => None,
    }
}

/// Every statement of the text, as psql tells them apart.
fn statements(text: &str) -> Vec<Statement> {
    let mut reader = Reader {
        text,
        at: 0,
        found: Vec::new(),
        current: None,
        parentheses: 0,
        bodies: 0,
    };
    while reader.at < text.len() {
        reader.step();
    }
    reader.end_statement();
    reader.found
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Statement>,
    current: Option<Statement>,
    parentheses: usize,
    /// How many bodies of functions, and `CASE`s in them, are open: a semicolon in them ends no statement.
    bodies: usize,
}

impl Reader<'_> {
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        let Some(letter) = rest.chars().next() else {
            return;
        };
        if rest.starts_with("--") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            self.at += comment(rest);
        } else if letter.is_whitespace() {
            self.at += letter.len_utf8();
        } else if letter == '\\' {
            self.command(rest);
        } else if letter == ';' && self.parentheses == 0 && self.bodies == 0 {
            self.at += 1;
            let copies = self.current.as_ref().is_some_and(reads_stdin);
            self.end_statement();
            if copies {
                self.skip_data();
            }
        } else if is_of_word(letter) {
            self.word(rest);
        } else {
            let length = quoted(rest).unwrap_or(letter.len_utf8());
            match letter {
                '(' => self.parentheses += 1,
                ')' => self.parentheses = self.parentheses.saturating_sub(1),
                _ => {}
            }
            self.open();
            self.at += length;
        }
    }

    fn open(&mut self) -> &mut Statement {
        let start = self.at;
        self.current.get_or_insert_with(|| Statement {
            start,
            end: start,
            words: Vec::new(),
        })
    }

    fn word(&mut self, rest: &str) {
        let length = rest
            .find(|c| !is_of_word(c) && c != '$')
            .unwrap_or(rest.len());
        let word = rest[..length].to_uppercase();
        let words = &self.open().words;
        // The body of a function in SQL itself: CREATE FUNCTION ... BEGIN ATOMIC ...; ...; END;
        let makes_function = words.first().is_some_and(|first| first == "CREATE")
            && words
                .iter()
                .any(|word| word == "FUNCTION" || word == "PROCEDURE");
        match word.as_str() {
            "BEGIN" if makes_function => self.bodies += 1,
            "CASE" if self.bodies > 0 => self.bodies += 1,
            "END" if self.bodies > 0 => self.bodies -= 1,
            _ => {}
        }
        // A text such as E'…' or U&'…': the letter belongs to the quotes.
        let after = &rest[length..];
        let escapes = word == "E" && after.starts_with('\'');
        self.open().words.push(word);
        self.at += length;
        if escapes {
            self.at += escaped(after);
        }
    }

    /// A command of psql's, to the end of its line or the next backslash there. One that sends off what was written
    /// before, or throws it away, ends that.
    fn command(&mut self, rest: &str) {
        let after = &rest[1..];
        if after.starts_with('\\') {
            // Only ends the command before it: what follows is SQL again.
            self.at += 2;
            return;
        }
        if after.starts_with(':') {
            // A colon that names no variable.
            self.open();
            self.at += 2;
            return;
        }
        let word_ends = |c: char| c.is_whitespace() || c == '\\';
        let word = match after.chars().next() {
            Some(';') => "\\;",
            _ => &rest[..after.find(word_ends).map_or(rest.len(), |end| end + 1)],
        };
        let line = rest.find('\n').unwrap_or(rest.len());
        let length = if TAKES_LINE.contains(&word) {
            line
        } else {
            word.len() + arguments(&rest[word.len()..line.max(word.len())])
        };
        if SENDS.contains(&word) {
            self.at += length;
            return self.end_statement();
        }
        self.found.push(Statement {
            start: self.at,
            end: self.at + length,
            words: vec![word.to_owned()],
        });
        self.at += length;
    }

    fn end_statement(&mut self) {
        self.parentheses = 0;
        self.bodies = 0;
        if let Some(mut statement) = self.current.take() {
            statement.end = self.at;
            self.found.push(statement);
        }
    }

    /// Past the lines that `COPY ... FROM stdin` reads, and the one that ends them.
    fn skip_data(&mut self) {
        for line in self.text[self.at..].split_inclusive('\n') {
            self.at += line.len();
            if line.trim_end() == "\\." {
                break;
            }
        }
    }
}

/// psql's commands after which what was written before them is no more.
const SENDS: [&str; 9] = [
    "\\g",
    "\\gx",
    "\\gset",
    "\\gexec",
    "\\gdesc",
    "\\crosstabview",
    "\\watch",
    "\\r",
    "\\reset",
];

/// Those to which a backslash in the rest of the line means nothing.
const TAKES_LINE: [&str; 5] = ["\\!", "\\copy", "\\h", "\\help", "\\."];

/// The length of a command's arguments: to the next command, which a backslash outside of quotes begins.
fn arguments(line: &str) -> usize {
    let mut quote = None;
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, '\\') => return at,
            (None, '\'' | '"' | '`') => quote = Some(letter),
            (Some('\''), '\\') => {
                letters.next();
            }
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
    }
    line.len()
}

fn reads_stdin(statement: &Statement) -> bool {
    let words = &statement.words;
    let from_stdin = words.windows(2).any(|two| two == ["FROM", "STDIN"]);
    words.first().is_some_and(|first| first == "COPY") && from_stdin
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The length of a comment between `/*` and `*/`, which may hold others.
fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of what begins here with a quote or between dollars; a doubled quote begins another one.
fn quoted(rest: &str) -> Option<usize> {
    let mark = match rest.chars().next()? {
        quote @ ('\'' | '"') => quote.to_string(),
        '$' => {
            let tag = rest[1..].find('$').map(|end| &rest[..end + 2])?;
            let inner = &tag[1..tag.len() - 1];
            let is_tag =
                inner.chars().all(is_of_word) && !inner.starts_with(|c: char| c.is_ascii_digit());
            is_tag.then(|| tag.to_owned())?
        }
        _ => return None,
    };
    let inside = &rest[mark.len()..];
    Some(
        inside
            .find(&mark)
            .map_or(rest.len(), |end| mark.len() + end + mark.len()),
    )
}

/// The length of a text in quotes in which a backslash escapes.
fn escaped(rest: &str) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        within_transaction("a.sql", text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"))
    }

    fn refused(text: &str) -> String {
        let problem = within_transaction("a.sql", text).expect_err(text);
        problem.what
    }

    #[test]
    fn the_authors_own_transactions_become_part_of_one() {
        assert_eq!(kept("BEGIN;\nSELECT 1;\nCOMMIT;\n"), "\nSELECT 1;\n\n");
        assert_eq!(
            kept("start transaction; a; end work; begin work; b; commit"),
            " a;   b; "
        );
        assert_eq!(
            kept("SAVEPOINT a; ROLLBACK TO SAVEPOINT a;"),
            "SAVEPOINT a; ROLLBACK TO SAVEPOINT a;"
        );
    }

    #[test]
    fn what_only_looks_like_one_stays() {
        for text in [
            "-- BEGIN;\n/* COMMIT; /* ROLLBACK; */ COMMIT; */ SELECT 1;",
            "SELECT 'it''s; COMMIT;', \"a;ROLLBACK;\", E'\\'; ROLLBACK;', U&'; ABORT;';",
            "DO $$ BEGIN PERFORM 1; END $$; SELECT $a$; COMMIT; $$ ROLLBACK; $a$;",
            "CREATE RULE r AS ON DELETE TO t DO ALSO (DELETE FROM u; ROLLBACK;);",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
            "COPY t (a) FROM stdin;\nROLLBACK;\nBEGIN;\n\\.\nSELECT 1;",
            "SELECT 'BEGIN' \\gexec\n\\set x 'COMMIT;'\nCREATE TABLE a$b$ (vacuum int);",
            "SELECT 1 \\getenv home HOME\n+ 1;",
            "\\echo 'it\\'s \\q' \"\\q\" `\\q` \\\\ SELECT 1\\:: int;\n\\! echo \\q\n\\C calls",
            "CREATE TABLE concurrently_made (id int); CREATE INDEX i ON t (id);",
        ] {
            assert_eq!(kept(text), text);
        }
    }

    #[test]
    fn what_cannot_be_part_of_a_transaction_is_named_with_its_line() {
        assert_eq!(
            refused("SELECT '\n';\n  rollback;\n"),
            "line 3 of a.sql has ROLLBACK, which ends or changes the transaction"
        );
        assert_eq!(
            refused("SELECT 1 \\g\nCREATE UNIQUE INDEX CONCURRENTLY i ON t (a);"),
            "line 2 of a.sql has CREATE UNIQUE INDEX, which PostgreSQL does not run within a transaction"
        );
        assert_eq!(
            refused("SELECT 1;\n\\i more.sql\n"),
            "line 2 of a.sql has \\i, and what that file does to the transaction nobody has looked at"
        );
        for text in [
            "\\ir more.sql",
            "\\include more.sql",
            "\\include_relative more.sql",
            "SELECT 1\\; COMMIT;",
            "\\timing on \\i more.sql",
            "\\echo a \\\\ ROLLBACK;",
            "SELECT 1\\:: int; ROLLBACK;",
            "SELECT 1 \\getenv home HOME\n; ROLLBACK;",
            "SELECT 1 \\gset\nROLLBACK;",
            "SELECT 1 \\gx\nROLLBACK;",
            "SELECT 1 \\r\nROLLBACK;",
            "BEGIN ISOLATION LEVEL SERIALIZABLE;",
            "COMMIT AND CHAIN;",
            "PREPARE TRANSACTION 'a';",
            "VACUUM call;",
            "CREATE DATABASE other;",
            "ALTER SYSTEM SET work_mem = '1MB';",
            "REINDEX TABLE CONCURRENTLY call;",
            "\\connect other\n",
            "SELECT 1;\n\\q",
        ] {
            refused(text);
        }
    }
}

//! From text to keywords and words, by the rules of `ssh_config(5)`.

use crate::error::{Error, Result};

/// One line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// In lower case: keywords are the same in any case.
    pub keyword: String,
    /// As it was written.
    pub written: String,
    pub words: Vec<String>,
    /// `FILE:LINE`, for messages.
    pub place: String,
}

/// All lines of a file that say something, in order.
pub(super) fn read(text: &str, origin: &str) -> Result<Vec<Line>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines()
        .enumerate()
        .filter_map(|(index, line)| read_line(line, format!("{origin}:{}", index + 1)).transpose())
        .collect()
}

fn read_line(line: &str, place: String) -> Result<Option<Line>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line
        .find(|c: char| c.is_whitespace() || c == '=')
        .unwrap_or(line.len());
    let (written, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    let words = words(rest).ok_or_else(|| {
        Error::config(format!("{place}: a quote is opened and never closed"))
            .because(format!("`{line}`"))
    })?;
    if words.is_empty() {
        return Err(Error::config(format!("{place}: `{written}` has no value")));
    }
    Ok(Some(Line {
        keyword: written.to_ascii_lowercase(),
        written: written.to_owned(),
        words,
        place,
    }))
}

/// Splits at spaces outside quotes; `None` when a quote stays open.
///
/// A backslash escapes quotes, spaces and itself, and is otherwise itself: `C:\Users\me` is a path. Two of
/// them at the start of a word stay two, because that is how a Windows network path begins.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return Some(words),
            Some(_) => {}
        }
        let mut word = String::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    let next = chars.peek().copied();
                    match next {
                        Some('"' | '\'') => word.extend(chars.next()),
                        Some(' ') if quote.is_none() => word.extend(chars.next()),
                        Some('\\') if !word.is_empty() => word.extend(chars.next()),
                        Some('\\') => {
                            word.push('\\');
                            word.extend(chars.next());
                        }
                        _ => word.push('\\'),
                    }
                }
                (c, Some(open)) if c == open => quote = None,
                ('"' | '\'', None) => quote = Some(c),
                (c, None) if c.is_whitespace() => break,
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_splits_into_a_keyword_and_words() {
        for (line, keyword, expected) in [
            ("Host a b", "host", vec!["a", "b"]),
            ("  HostName=example.org", "hostname", vec!["example.org"]),
            ("Port = 22 # ours", "port", vec!["22"]),
            ("PORT\t2222\r", "port", vec!["2222"]),
            (
                r#"IdentityFile "/a b/key""#,
                "identityfile",
                vec!["/a b/key"],
            ),
            (r"IdentityFile '/a b/key'", "identityfile", vec!["/a b/key"]),
            (r"IdentityFile /a\ b/key", "identityfile", vec!["/a b/key"]),
            (
                r"IdentityFile C:\Users\me\key",
                "identityfile",
                vec![r"C:\Users\me\key"],
            ),
            (
                r#"IdentityFile "\\server\share\key""#,
                "identityfile",
                vec![r"\\server\share\key"],
            ),
            (r#"User """#, "user", vec![""]),
            (r#"User "it\"s""#, "user", vec!["it\"s"]),
            ("User a#b", "user", vec!["a#b"]),
        ] {
            let read = read_line(line, "f:1".into()).unwrap().unwrap();
            assert_eq!(
                (read.keyword.as_str(), read.words),
                (keyword, expected.iter().map(ToString::to_string).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn an_open_quote_or_a_missing_value_is_an_error_with_its_place() {
        let open = read("\n\nUser \"me\n", "config").unwrap_err();
        assert_eq!(open.message, "config:3: a quote is opened and never closed");
        let empty = read("Port\n", "config").unwrap_err();
        assert_eq!(empty.message, "config:1: `Port` has no value");
    }
}

//! The patterns of `Host` lines: `*` stands for any text, `?` for one character, `!` in front forbids.

/// Whether a list of patterns speaks of `name`: one matches, and none with `!` does.
pub(super) fn list_matches<'a>(
    patterns: impl IntoIterator<Item = &'a str>,
    name: &str,
) -> Option<&'a str> {
    let mut found = None;
    for pattern in patterns {
        if let Some(forbidden) = pattern.strip_prefix('!') {
            if matches(forbidden, name) {
                return None;
            }
        } else if matches(pattern, name) {
            // The most telling one: a name is more than a bare `*`.
            found = Some(match found {
                Some(earlier) if !only_wildcards(earlier) => earlier,
                _ => pattern,
            });
        }
    }
    found
}

/// Whether a pattern speaks of every host there is.
pub(super) fn only_wildcards(pattern: &str) -> bool {
    pattern.chars().all(|c| c == '*' || c == '?')
}

/// Whether one pattern matches the whole of `text`.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and up to where of the text it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, reach)) => {
                    p = at + 1;
                    t = reach + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_the_whole_name() {
        for (pattern, name, expected) in [
            ("box", "box", true),
            ("box", "box1", false),
            ("box*", "box", true),
            ("*.lab", "a.b.lab", true),
            ("*.lab", "lab", false),
            ("box?", "box1", true),
            ("box?", "box12", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_forbidding_pattern_wins_wherever_it_stands() {
        assert_eq!(
            list_matches(["*.lab", "!bad.lab"], "good.lab"),
            Some("*.lab")
        );
        assert_eq!(list_matches(["!bad.lab", "*.lab"], "bad.lab"), None);
        assert_eq!(list_matches(["!bad.lab"], "good.lab"), None);
        assert_eq!(list_matches(["*", "box"], "box"), Some("box"));
    }
}

//! Several boxes in one word: `ssh://vagrant@192.168.33.[11-50]`, `sandbox:box[1-3,7]`.

use crate::error::{Error, Result};

/// More than this in one word is a slip of the hand.
const MOST: usize = 1000;

/// The targets that `text` stands for: itself, where it holds no range.
///
/// The brackets of an IPv6 address are left as they are. Where the first number of a
/// range begins with a zero, all are as long: `[08-11]` is 08, 09, 10, 11.
///
/// # Errors
/// When a range ends before it begins, brackets hold none, or there would be too many targets.
pub fn expand(text: &str) -> Result<Vec<String>> {
    let Some((before, list, after)) = first_range(text) else {
        return no_range(text);
    };
    let rest = expand(after)?;
    let mut expanded = Vec::new();
    for part in list.split(',') {
        for number in numbers(text, part)? {
            expanded.extend(rest.iter().map(|rest| format!("{before}{number}{rest}")));
            if expanded.len() > MOST {
                return Err(Error::usage(format!(
                    "the target `{text}` stands for more than {MOST} boxes"
                )));
            }
        }
    }
    Ok(expanded)
}

/// What holds no range is one target, unless somebody seems to have meant one.
fn no_range(text: &str) -> Result<Vec<String>> {
    let list = text.split_once('[').map(|(_, inside)| inside);
    let list = list.map(|inside| inside.split_once(']').map_or(inside, |(list, _)| list));
    match list {
        Some(list) if !list.contains(':') => Err(Error::usage(format!(
            "`[{list}` in the target `{text}` is no range"
        ))
        .hint("a range is written `[1-4]`, `[01-20]` or `[1-3,7]`")),
        // None, or the brackets of an IPv6 address.
        _ => Ok(vec![text.to_owned()]),
    }
}

/// What stands before, in and behind the first brackets that hold a range.
fn first_range(text: &str) -> Option<(&str, &str, &str)> {
    let is_range = |list: &str| {
        let is_number = |text: &str| {
            !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        list.split(',').all(|part| match part.split_once('-') {
            Some((first, last)) => is_number(first) && is_number(last),
            None => is_number(part),
        })
    };
    text.match_indices('[').find_map(|(start, _)| {
        let inside = &text[start + 1..];
        let (list, after) = inside.split_once(']')?;
        is_range(list).then_some((&text[..start], list, after))
    })
}

/// `11-13`, or one number.
fn numbers(text: &str, part: &str) -> Result<Vec<String>> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let width = if first.starts_with('0') {
        first.len()
    } else {
        0
    };
    let number = |digits: &str| digits.parse::<usize>().unwrap_or(usize::MAX);
    let (from, to) = (number(first), number(last));
    if from > to {
        return Err(Error::usage(format!(
            "the range [{part}] in the target `{text}` runs backwards"
        ))
        .hint(format!("write `[{last}-{first}]`")));
    }
    if to - from >= MOST {
        return Err(Error::usage(format!(
            "the target `{text}` stands for more than {MOST} boxes"
        )));
    }
    Ok((from..=to)
        .map(|number| format!("{number:0width$}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_each_of_its_numbers() {
        for (text, expanded) in [
            ("vagrant", vec!["vagrant"]),
            ("ssh://[::1]:22", vec!["ssh://[::1]:22"]),
            (
                "ssh://a@10.0.0.[9-11]:2222",
                vec![
                    "ssh://a@10.0.0.9:2222",
                    "ssh://a@10.0.0.10:2222",
                    "ssh://a@10.0.0.11:2222",
                ],
            ),
            (
                "sandbox:b[08-10]",
                vec!["sandbox:b08", "sandbox:b09", "sandbox:b10"],
            ),
            ("seat-[1,3-4]", vec!["seat-1", "seat-3", "seat-4"]),
            ("r[1-2]s[1-2]", vec!["r1s1", "r1s2", "r2s1", "r2s2"]),
            ("ssh://a@[fe80::1%eth0]", vec!["ssh://a@[fe80::1%eth0]"]),
        ] {
            assert_eq!(expand(text).unwrap(), expanded, "{text}");
        }
    }

    #[test]
    fn a_range_that_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("seat-[5-1]", "runs backwards"),
            ("seat-[1-2000]", "more than 1000"),
            ("r[1-900]s[1-2]", "more than 1000"),
            ("seat-[x]", "`[x` in the target `seat-[x]` is no range"),
            ("seat-[1-", "`[1-` in the target `seat-[1-` is no range"),
            ("a@10.0.0.[]:22", "is no range"),
        ] {
            let error = expand(text).unwrap_err();
            assert!(error.message.contains(why), "{error}");
        }
    }
}

//! Commands taken apart: the words of a shell's line, and what `docker run` is told.

use std::ops::Range;

/// A word of a command, without its quotes, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub range: Range<usize>,
}

/// The simple commands of a line, each as its words.
pub fn commands(line: &str) -> Vec<Vec<Word>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<Word> = None;
    let mut quote: Option<char> = None;
    for (index, letter) in line.char_indices() {
        let ends = quote.is_none() && (letter.is_whitespace() || ";|&()".contains(letter));
        if ends {
            if let (Some(word), Some(command)) = (word.take(), commands.last_mut()) {
                command.push(word);
            }
            if !letter.is_whitespace() {
                commands.push(Vec::new());
            }
            continue;
        }
        let word = word.get_or_insert(Word {
            text: String::new(),
            range: index..index,
        });
        word.range.end = index + letter.len_utf8();
        match quote {
            Some(open) if letter == open => quote = None,
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            _ => word.text.push(letter),
        }
    }
    if let (Some(word), Some(command)) = (word, commands.last_mut()) {
        command.push(word);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// What stands before a command without being it.
const BEFORE: &[&str] = &[
    "sudo", "$", "#", ">", "-E", "-H", "time", "exec", "then", "do", "RUN",
];

/// The command itself, without what stands before it.
pub fn bare(command: &[Word]) -> &[Word] {
    let own = command.iter().position(|word| {
        let is_assignment = word.text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        let is_prompt = word.text.ends_with('$') && word.text.contains('@');
        !BEFORE.contains(&word.text.as_str()) && !is_assignment && !is_prompt
    });
    &command[own.unwrap_or(command.len())..]
}

/// `docker run` and `docker create`, taken apart.
pub struct Run<'a> {
    pub image: &'a Word,
    /// Options with their values.
    pub options: Vec<(&'a str, &'a str, Range<usize>)>,
}

/// Short options of `docker run` without a value.
const ALONE: &str = "ditPq";
/// Long options without a value.
const ALONE_LONG: &[&str] = &[
    "--detach",
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--oom-kill-disable",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--rm",
    "--tty",
];

impl<'a> Run<'a> {
    pub fn of(command: &'a [Word]) -> Option<Self> {
        let command = bare(command);
        let words: Vec<&str> = command.iter().map(|word| word.text.as_str()).collect();
        let rest = match words[..] {
            ["docker", "container", "run" | "create", ..] => &command[3..],
            ["docker", "run" | "create", ..] => &command[2..],
            _ => return None,
        };
        let mut options = Vec::new();
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            if !word.text.starts_with('-') {
                return Some(Self {
                    image: word,
                    options,
                });
            }
            let text = word.text.as_str();
            let alone = ALONE_LONG.contains(&text)
                || !text.starts_with("--") && text[1..].chars().all(|c| ALONE.contains(c));
            if alone {
                options.push((text, "", word.range.clone()));
            } else if let (true, Some((name, value))) =
                (text.starts_with("--"), text.split_once('='))
            {
                options.push((name, value, word.range.clone()));
            } else if !text.starts_with("--") && text.len() > 2 && text.is_char_boundary(2) {
                // `-ePGDATA=/x`, or `-dp 80:80`: the value of the last letter follows.
                let last_takes_next = text[1..text.len() - 1].chars().all(|c| ALONE.contains(c));
                let value = if last_takes_next {
                    words.next().map_or("", |value| value.text.as_str())
                } else {
                    &text[2..]
                };
                options.push((text, value, word.range.clone()));
            } else if let Some(value) = words.next() {
                let range = word.range.start..value.range.end;
                options.push((text, value.text.as_str(), range));
            }
        }
        None
    }

    /// The values of an option, by its short and its long name.
    pub fn values(&self, short: &str, long: &str) -> impl Iterator<Item = &'a str> {
        let (short, long) = (short.to_owned(), long.to_owned());
        self.options
            .iter()
            .filter(move |(name, ..)| {
                *name == long || name.starts_with(&short) && !name.starts_with("--")
            })
            .map(|(_, value, _)| *value)
    }
}

/// An image's name and tag: `registry/team/name`, and `latest` where none is given.
pub fn image(reference: &str) -> (&str, &str) {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

/// Whether it is the official image of this name, whatever it is called by.
pub fn is_official(name: &str, official: &str) -> bool {
    let short = name.strip_prefix("docker.io/").unwrap_or(name);
    short.strip_prefix("library/").unwrap_or(short) == official
}

/// The major version in a tag, if it names one.
pub fn major(tag: &str) -> Option<u32> {
    let digits: String = tag.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_image(line: &str) -> Option<String> {
        let commands = commands(line);
        let run = commands.iter().find_map(|command| Run::of(command))?;
        Some(run.image.text.clone())
    }

    #[test]
    fn the_image_of_a_docker_run_is_found_among_its_options() {
        for (line, image) in [
            ("docker run postgres:9.5", Some("postgres:9.5")),
            (
                "sudo docker run -d -e PGDATA=/x -v \"$PWD\":/a b c",
                Some("b"),
            ),
            (
                "cd x && docker run --rm -it --name=web -p 80:80 nginx sh",
                Some("nginx"),
            ),
            ("$ docker run -dp 80:80 nginx", Some("nginx")),
            ("docker run -ePGDATA=/x postgres", Some("postgres")),
            ("docker runner postgres", None),
            ("echo docker run postgres", None),
        ] {
            assert_eq!(run_image(line).as_deref(), image, "{line}");
        }
    }

    #[test]
    fn an_image_has_a_name_and_a_tag() {
        assert_eq!(image("postgres"), ("postgres", "latest"));
        assert_eq!(image("reg:5000/a/b"), ("reg:5000/a/b", "latest"));
        assert_eq!(image("reg:5000/a/b:1@sha256:0"), ("reg:5000/a/b", "1"));
        assert!(is_official("docker.io/library/postgres", "postgres"));
        assert!(!is_official("bitnami/postgres", "postgres"));
        assert_eq!((major("17-alpine"), major("latest")), (Some(17), None));
    }
}

//! Files as the lines that mean something: without comments, a command whole though it goes over several
//! lines, and scripts within a Vagrantfile or a page told from what is around them.

use super::sources::{Language, Source};

/// What a line is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Ruby,
    /// A script that runs by itself; in a Vagrantfile that is as root.
    Shell,
    /// What somebody is to type.
    Typed,
    Dockerfile,
    Compose,
    Sql,
    Requirements,
    Rules,
    Config,
    Python,
}

/// A line, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub file: &'a Source,
    pub written: Written,
    pub text: String,
    /// Where in `text` each line of the file begins, with its number and the column of that beginning.
    starts: Vec<(usize, usize, usize)>,
}

/// A place in a file, counted as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Line<'_> {
    /// Where the byte `offset` of the text stands in the file.
    pub fn place(&self, offset: usize) -> Place {
        let start = self
            .starts
            .iter()
            .rev()
            .find(|(begin, ..)| *begin <= offset);
        let (begin, line, column) = start.copied().unwrap_or((0, 1, 1));
        let before = self.text.get(begin..offset).unwrap_or_default();
        Place {
            line,
            column: column + before.chars().count(),
        }
    }

    pub fn number(&self) -> usize {
        self.starts.first().map_or(1, |(_, line, _)| *line)
    }

    /// How far the line is indented.
    pub fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// Whether it is a command: run by itself or typed.
    pub fn is_command(&self) -> bool {
        matches!(
            self.written,
            Written::Shell | Written::Typed | Written::Dockerfile
        )
    }
}

/// [`Line::is_command`], as the rules pass it on.
pub fn is_command(line: &Line) -> bool {
    line.is_command()
}

/// All lines of a file that mean something.
pub fn lines(file: &Source) -> Vec<Line<'_>> {
    let mut parts: Vec<(Written, usize, &str)> = Vec::new();
    let numbered = file
        .text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    match file.language {
        Language::Vagrantfile => vagrantfile(numbered, &mut parts),
        Language::Markdown => markdown(numbered, &mut parts),
        language => {
            let written = match language {
                Language::Dockerfile => Written::Dockerfile,
                Language::Compose => Written::Compose,
                Language::Shell => Written::Shell,
                Language::Sql => Written::Sql,
                Language::Requirements => Written::Requirements,
                Language::Rules => Written::Rules,
                Language::Python => Written::Python,
                _ => Written::Config,
            };
            parts.extend(numbered.map(|(number, line)| (written, number, line)));
        }
    }
    joined(file, &parts)
}

/// Ruby, and the scripts that stand in it between `<<-WORD` and WORD.
fn vagrantfile<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    parts: &mut Vec<(Written, usize, &'a str)>,
) {
    let mut end: Option<&str> = None;
    for (number, line) in lines {
        if end == Some(line.trim()) {
            end = None;
        } else if end.is_some() {
            parts.push((Written::Shell, number, line));
        } else {
            parts.push((Written::Ruby, number, line));
            end = heredoc(line);
        }
    }
}

/// The word that ends the text which begins after this line.
fn heredoc(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("<<")?;
    let rest = rest.trim_start_matches(['-', '~', '"', '\'']);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let word = &rest[..end.unwrap_or(rest.len())];
    let is_word = word.starts_with(|c: char| c.is_ascii_uppercase());
    is_word.then_some(word)
}

/// What stands between fences or four blanks in: that is typed. Prose is for people.
fn markdown<'a>(
    lines: impl Iterator<Item = (usize, &'a str)>,
    parts: &mut Vec<(Written, usize, &'a str)>,
) {
    let mut fence: Option<Option<Written>> = None;
    let mut after_blank = true;
    for (number, line) in lines {
        let trimmed = line.trim_start();
        if let Some(info) = trimmed.strip_prefix("```").or(trimmed.strip_prefix("~~~")) {
            fence = match fence {
                Some(_) => None,
                None => Some(by_fence(info.trim())),
            };
        } else if let Some(written) = fence {
            parts.extend(written.map(|written| (written, number, line)));
        } else if after_blank && line.starts_with("    ") {
            parts.push((Written::Typed, number, line));
            continue;
        }
        after_blank = trimmed.is_empty();
    }
}

fn by_fence(info: &str) -> Option<Written> {
    let word = info.split(|c: char| !c.is_ascii_alphanumeric()).next();
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "sh" | "bash" | "shell" | "console" | "zsh" | "text" => Some(Written::Typed),
        "dockerfile" | "docker" => Some(Written::Dockerfile),
        "yaml" | "yml" => Some(Written::Compose),
        "sql" => Some(Written::Sql),
        "ruby" | "rb" => Some(Written::Ruby),
        _ => None,
    }
}

fn joined<'a>(file: &'a Source, parts: &[(Written, usize, &str)]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    let mut continued = false;
    for (written, number, text) in parts {
        let (text, goes_on) = meaning(*written, text);
        match lines.last_mut() {
            Some(last) if continued && last.written == *written => {
                last.text.push(' ');
                let trimmed = text.trim_start();
                let column = text[..text.len() - trimmed.len()].chars().count() + 1;
                last.starts.push((last.text.len(), *number, column));
                last.text.push_str(trimmed);
            }
            _ if text.trim().is_empty() => {}
            _ => lines.push(Line {
                file,
                written: *written,
                text: text.to_owned(),
                starts: vec![(0, *number, 1)],
            }),
        }
        continued = goes_on;
    }
    lines
}

/// A line without its comment, and whether the next one belongs to it.
fn meaning(written: Written, text: &str) -> (&str, bool) {
    let text = text.trim_end();
    let text = match written {
        Written::Sql => before_comment(text, "--"),
        _ => before_comment(text, "#"),
    };
    match written {
        Written::Shell | Written::Typed | Written::Dockerfile => match text.strip_suffix('\\') {
            Some(rest) => (rest.trim_end(), true),
            None => (text, false),
        },
        _ => (text, false),
    }
}

/// The text before a comment: a mark outside of quotes, at the beginning or behind a blank.
fn before_comment<'a>(text: &'a str, mark: &str) -> &'a str {
    let mut quote: Option<char> = None;
    let mut before = ' ';
    for (index, letter) in text.char_indices() {
        match quote {
            Some(open) if letter == open && before != '\\' => quote = None,
            Some(_) => {}
            None if before.is_whitespace() && text[index..].starts_with(mark) => {
                return text[..index].trim_end();
            }
            // An apostrophe within a word is none.
            None if letter == '"' || letter == '\'' && !before.is_alphanumeric() => {
                quote = Some(letter);
            }
            None => {}
        }
        before = letter;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(path: &str, text: &str) -> Vec<(Written, usize, String)> {
        let file = Source {
            path: path.to_owned(),
            language: Language::of(path).unwrap(),
            text: text.to_owned(),
        };
        lines(&file)
            .into_iter()
            .map(|line| (line.written, line.number(), line.text))
            .collect()
    }

    #[test]
    fn a_script_in_a_vagrantfile_is_told_from_ruby() {
        let text = "a = 1 # one\n$s = <<-SCRIPT\n  echo '#1' # two\n  SCRIPT\nb = \"#{a}\"\n";
        assert_eq!(
            seen("Vagrantfile", text),
            [
                (Written::Ruby, 1, "a = 1".to_owned()),
                (Written::Ruby, 2, "$s = <<-SCRIPT".to_owned()),
                (Written::Shell, 3, "  echo '#1'".to_owned()),
                (Written::Ruby, 5, "b = \"#{a}\"".to_owned()),
            ]
        );
    }

    #[test]
    fn a_command_over_several_lines_keeps_its_places() {
        let file = Source {
            path: "a.sh".to_owned(),
            language: Language::Shell,
            text: "docker run \\\n    -d \\\n  postgres\n".to_owned(),
        };
        let lines = lines(&file);
        assert_eq!(lines[0].text, "docker run -d postgres");
        let at = lines[0].place(lines[0].text.find("postgres").unwrap());
        assert_eq!((at.line, at.column), (3, 3));
    }

    #[test]
    fn of_a_page_only_what_is_typed_counts() {
        let text = "Use docker-compose.\n\n```bash\ndocker ps\n```\n\n```python\nx = 1\n```\n\n    id\n\n- a list\n    goes on\n";
        assert_eq!(
            seen("README/a.md", text),
            [
                (Written::Typed, 4, "docker ps".to_owned()),
                (Written::Typed, 11, "    id".to_owned()),
            ]
        );
    }
}

//! What the documents say is what the program does: checks, exit codes, commands, links.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dwenv::cli::{self, Cli};
use dwenv::resources::{ALL, Check};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn checks() -> BTreeMap<&'static str, &'static Check> {
    ALL.iter()
        .flat_map(|kind| kind.checks())
        .map(|check| (check.id, check))
        .collect()
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_check_has_one_heading_and_every_heading_a_check() {
    let checks = checks();
    let text = read("docs/checks.md");
    let mut told = BTreeMap::new();
    for section in text.split("\n## `").skip(1) {
        let (id, body) = section.split_once("`\n").expect("a heading is an id");
        // The author's own checks have one heading for all of them.
        if id == "box.custom.NAME" {
            continue;
        }
        assert!(told.insert(id, body).is_none(), "{id} has two headings");
        let check = checks.get(id).unwrap_or_else(|| panic!("{id} is no check"));
        let needs = body
            .lines()
            .find_map(|line| line.strip_prefix("- Needs: "))
            .unwrap_or_else(|| panic!("{id} does not say what it needs"));
        assert_eq!(code(needs), check.needs, "{id}");
        for word in ["\n- Why: ", "\n- Mended by: "] {
            assert!(body.contains(word), "{id} lacks{word}");
        }
    }
    let missing: Vec<_> = checks.keys().filter(|id| !told.contains_key(*id)).collect();
    assert!(missing.is_empty(), "docs/checks.md lacks {missing:?}");
    assert!(text.contains("\n## `box.custom.NAME`\n"));
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let mut command = cli::command();
    let doctor = command.find_subcommand_mut("doctor").unwrap();
    let help = doctor.render_long_help().to_string();
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let mut of_help: Vec<(char, String)> = Vec::new();
    for line in codes.lines() {
        let text = line.trim();
        match text.split_once("  ") {
            Some((code, meaning)) => {
                of_help.push((code.chars().next().unwrap(), meaning.to_owned()));
            }
            None => {
                let (_, meaning) = of_help.last_mut().unwrap();
                meaning.push(' ');
                meaning.push_str(text);
            }
        }
    }
    let readme = read("README.md");
    let of_readme: Vec<(char, String)> = readme
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            match cells[..] {
                ["", code, meaning, ""] if code.parse::<u8>().is_ok() => {
                    Some((code.chars().next()?, meaning.to_owned()))
                }
                _ => None,
            }
        })
        .collect();
    assert_eq!(of_readme, of_help);
}

#[test]
fn the_commands_that_the_documents_name_are_understood() {
    for (file, text) in documents() {
        for line in text.lines() {
            // Between backticks, and whole lines of an indented block.
            let block = line.strip_prefix("    ");
            let pieces = code(line).into_iter().chain(block);
            for command in pieces.filter(|piece| piece.starts_with("dwenv ")) {
                let words = command.split(" #").next().unwrap().split_whitespace();
                if let Err(error) = Cli::read(words) {
                    panic!("{file}: {command}: {error}");
                }
            }
        }
    }
}

/// The words of a list that begins and ends so.
fn words<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let (_, rest) = text.split_once(start).unwrap();
    let (list, _) = rest.split_once(end).unwrap();
    list.split_whitespace()
        .filter(|word| *word != "\\")
        .collect()
}

#[test]
fn the_readme_and_ci_install_the_same_programs() {
    let (readme, ci) = (read("README.md"), read(".ci/run"));
    assert_eq!(
        words(&readme, "--no-install-recommends ", "\n\n"),
        words(&ci, "packages=(", ")\n")
    );
}

#[test]
fn links_lead_to_files() {
    for (file, text) in documents() {
        let folder = root().join(&file);
        let folder = folder.parent().unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            let path = link.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{file}: {link}");
        }
        // Paths of the project that are only named.
        for name in code(&text) {
            let rooms = ["src/", "tests/", "provision/", "benches/", "docs/", "data/"];
            let names_a_path = rooms.iter().any(|room| name.starts_with(room));
            if names_a_path && !name.contains(['*', ' ', 'N']) {
                assert!(root().join(name).exists(), "{file}: {name}");
            }
        }
    }
}

/// README.md and everything in docs/, by its path.
fn documents() -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join("docs")).unwrap().flatten();
    let in_docs = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "md"));
    std::iter::once(root().join("README.md"))
        .chain(in_docs)
        .map(|path: PathBuf| {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

//! `dwenv explain`: the catalogue, what it recognises, and what is told of it.
//!
//! `tests/data/explain/` holds what programs said, a file each: the rows that it means, its source, a blank line,
//! and the words. Where nobody has seen the words, the source says so: assumed.

mod explain {
    pub mod catalogue;
    pub mod command;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dwenv::doctor::catalogue::{Catalogue, System};
use dwenv::doctor::explain::{filled, is_blank, read};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

struct Sample {
    name: String,
    expects: Vec<String>,
    text: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let mut samples: Vec<Sample> = fs::read_dir(root().join("tests/data/explain"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let all = fs::read_to_string(&path).unwrap();
            let (head, text) = all.split_once("\n\n").expect("a head and a text");
            let (expects, source) = head.split_once("\nsource: ").expect("a source");
            assert!(!source.trim().is_empty(), "{name}");
            let expects = expects.strip_prefix("expects: ").unwrap();
            Sample {
                name,
                expects: match expects {
                    "nothing" => Vec::new(),
                    ids => ids.split(", ").map(str::to_owned).collect(),
                },
                text: text.as_bytes().to_vec(),
            }
        })
        .collect();
    samples.sort_by(|one, other| one.name.cmp(&other.name));
    samples
}

fn recognised(text: &[u8]) -> Vec<String> {
    let reading = read(text);
    let ids = reading.recognised.iter().map(|one| one.row.id.clone());
    ids.collect()
}

#[test]
fn every_sample_is_recognised_as_its_rows_and_as_no_other() {
    let wrong: Vec<String> = samples()
        .iter()
        .filter_map(|sample| {
            let found = recognised(&sample.text);
            let Sample { name, expects, .. } = sample;
            (found != *expects).then(|| format!("{name}: {found:?}, not {expects:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_with_words_has_a_sample() {
    let samples = samples();
    let shown: BTreeSet<&str> = samples
        .iter()
        .flat_map(|sample| sample.expects.iter().map(String::as_str))
        .collect();
    let missing: Vec<&str> = Catalogue::get()
        .rows
        .iter()
        .filter(|row| !(row.says.is_empty() && row.matches.is_empty()))
        .map(|row| row.id.as_str())
        .filter(|id| !shown.contains(id))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn however_a_text_was_copied_it_is_recognised() {
    for sample in samples() {
        let text = String::from_utf8(sample.text.clone()).unwrap();
        let check = |how: &str, bytes: &[u8]| {
            let found = recognised(bytes);
            assert_eq!(found, sample.expects, "{} with {how}", sample.name);
        };
        check("Windows' line ends", text.replace('\n', "\r\n").as_bytes());
        let quoted: String = text.lines().map(|line| format!("> {line}\n")).collect();
        check("the marks of a mail", quoted.as_bytes());
        let colours: String = text
            .lines()
            .map(|line| format!("\x1b[31m{line}\x1b[0m\n"))
            .collect();
        check("colours", colours.as_bytes());
        let mut utf_16 = vec![0xff, 0xfe];
        utf_16.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        check("UTF-16", &utf_16);
        let curly = text.replace('\'', "\u{2019}");
        check("a chat's quotes", curly.as_bytes());
        let machine: String = text
            .lines()
            .map(|line| match line.starts_with(['=', ' ']) {
                true => format!("{line}\n"),
                false => format!("==> docker-workshop: {line}\n"),
            })
            .collect();
        check("Vagrant's prefix", machine.as_bytes());
        let mut rubbish = b"\0\xff\xfe\x80 PNG\r\n\x1a\n".to_vec();
        rubbish.extend(&sample.text);
        rubbish.extend(b"\n\x1b[\xc3\x28");
        check("rubbish around it", &rubbish);
    }
}

/// A terminal breaks lines anywhere; copied from there, the parts stand on lines of their own.
#[test]
fn lines_that_a_terminal_broke_are_recognised() {
    for sample in samples() {
        let text = String::from_utf8(sample.text.clone()).unwrap();
        for width in [80, 100, 120] {
            let wrapped: String = text
                .lines()
                .map(|line| {
                    let letters: Vec<char> = line.chars().collect();
                    let parts = letters.chunks(width).map(|part| part.iter().collect());
                    format!("{}\n", parts.collect::<Vec<String>>().join("\n"))
                })
                .collect();
            let found = recognised(wrapped.as_bytes());
            assert_eq!(found, sample.expects, "{} at {width}", sample.name);
        }
    }
}

#[test]
fn what_was_said_is_told_with_its_line_and_its_values() {
    let reading = read(b"$ apt-get install x\n\nE: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (apt)\n");
    let one = &reading.recognised[0];
    assert_eq!((one.row.id.as_str(), one.line), ("apt-lock", 3));
    assert!(one.said.starts_with("E: Could not get lock"));
    let commands: Vec<String> = one
        .row
        .commands_on(System::Linux)
        .map(|command| filled(one.row, command, &one.values))
        .collect();
    assert_eq!(commands[0], "dwenv ssh -- ps -o pid,etime,args -p 812");
    let nothing_caught = filled(one.row, "kill {pid}", &BTreeMap::new());
    assert_eq!(nothing_caught, "kill PID");
}

#[test]
fn a_pasted_text_puts_nothing_of_its_own_into_a_command() {
    let reading = read(b"Permissions 0644 for 'x; reboot' are too open.\n");
    let one = &reading.recognised[0];
    for command in one.row.commands_on(System::Linux) {
        let command = filled(one.row, command, &one.values);
        assert_eq!(command, "chmod 600 KEY");
    }
}

#[test]
fn megabytes_take_seconds() {
    let line = "==> docker-workshop: Warning: Connection reset. Retrying... docker: Error /dev/vbox 192.168.33.10\n";
    let mut text = line.repeat((4 << 20) / line.len()).into_bytes();
    text.extend(b"x".repeat(1 << 20));
    text.extend(b"\nE: dpkg was interrupted, you must manually run 'dpkg --configure -a'\n");
    let started = Instant::now();
    assert_eq!(recognised(&text), ["dpkg-interrupted"]);
    // Loose: an unoptimised build on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(60));
}

const REGRESSIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/data/explain.proptest-regressions"
);

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        // What once was a fault stays a test.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let reading = read(&bytes);
        for one in &reading.recognised {
            prop_assert!(one.line >= 1 && one.line <= reading.lines);
        }
    }

    #[test]
    fn a_sample_that_was_cut_or_changed_is_no_fault(
        (at, length, with) in (any::<prop::sample::Index>(), 0..200usize, prop::collection::vec(any::<u8>(), 0..20)),
        which in any::<prop::sample::Index>(),
    ) {
        let samples = samples();
        let mut text = which.get(&samples).text.clone();
        let begin = at.index(text.len());
        let end = (begin + length).min(text.len());
        text.splice(begin..end, with);
        let reading = read(&text);
        for one in &reading.recognised {
            prop_assert!(one.line >= 1 && one.line <= reading.lines);
            prop_assert!(!one.said.contains('\x1b'));
        }
    }
}

#[test]
fn a_blank_text_is_nothing() {
    assert!(is_blank(b" \r\n\x1b[0m\n"));
    assert!(!is_blank(b"x"));
}

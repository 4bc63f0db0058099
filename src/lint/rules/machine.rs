//! The machine: its box, its folders, and whether the Vagrantfile is the one of config.toml.

use crate::lint::lines::{Line, Place, Written};
use crate::lint::tables::{END_OF_LIFE, ONE_ARCHITECTURE};
use crate::lint::{Hit, Language, Looked, Rule, Severity, each, places};
use crate::workshop::{Workshop, is_untouched, vagrantfile};

pub const RULES: &[Rule] = &[
    Rule {
        id: "lint.end-of-life",
        find: old_boxes,
    },
    Rule {
        id: "lint.single-architecture",
        find: boxes_of_one_architecture,
    },
    Rule {
        id: "lint.disagreement",
        find: disagreements,
    },
    Rule {
        id: "lint.nfs",
        find: nfs,
    },
];

/// The names of Vagrant's boxes: in a Vagrantfile, and in config.toml.
fn boxes<'a>(looked: &'a Looked) -> Vec<(&'a Line<'a>, std::ops::Range<usize>)> {
    let of_vagrant = places(looked, r#"\.box\s*=\s*["']([^"']+)["']"#, is_ruby);
    let of_config = places(
        looked,
        r#"^\s*(?:amd64|arm64)\s*=\s*["']([^"']+)["']"#,
        |line| line.written == Written::Config,
    );
    let both = of_vagrant.into_iter().chain(of_config);
    both.map(|(index, range)| (&looked.lines[index], range))
        .collect()
}

fn is_ruby(line: &Line) -> bool {
    line.written == Written::Ruby
}

fn old_boxes(looked: &Looked) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, range) in boxes(looked) {
        let name = line.text[range.clone()].to_ascii_lowercase();
        let old = END_OF_LIFE.distributions.iter().find(|release| {
            let number = release.version.replace('.', "");
            let Some((owner, own)) = name.split_once('/') else {
                return false;
            };
            let named = own
                .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
                .collect::<Vec<_>>();
            let codename = own
                .strip_suffix("64")
                .or(own.strip_suffix("32"))
                .unwrap_or(own);
            let by_codename = !release.codename.is_empty() && codename == release.codename;
            let by_id = own.starts_with(&release.id)
                && (named.contains(&release.version.as_str()) || own[release.id.len()..] == number);
            by_codename || by_id || owner == release.id && own == release.version
        });
        if let Some(old) = old.filter(|old| old.ends < looked.today) {
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                format!(
                    "{} {} had its last security fix on {} ({}), and its packages leave the mirrors",
                    old.id, old.version, old.ends, old.source
                ),
                "take a box of a release that is cared for, such as bento/debian-13",
            ));
        }
    }
    hits
}

fn boxes_of_one_architecture(looked: &Looked) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, range) in boxes(looked) {
        // What config.toml names for Intel and AMD may well run there alone.
        if line.written == Written::Config && !line.text.trim_start().starts_with("arm64") {
            continue;
        }
        let name = &line.text[range.clone()];
        if ONE_ARCHITECTURE.boxes.iter().any(|known| known.is(name)) {
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                "the box runs on Intel and AMD processors alone: on a Mac with Apple's own processor, or Windows on ARM, VirtualBox refuses it",
                "take a box for both, such as bento/debian-13",
            ));
        }
    }
    hits
}

fn nfs(looked: &Looked) -> Vec<Hit> {
    each(
        looked,
        r#"(?:\bnfs:\s*true|:nfs\s*=>\s*true|\btype:\s*["']nfs["']|:type\s*=>\s*["']nfs["'])"#,
        is_ruby,
        Severity::Warn,
        "Windows has no NFS and shares the folder otherwise, Linux and macOS ask for the password of the laptop, and macOS keeps Documents and Desktop from it",
        "leave it out, or have the files copied: dwenv brings them over SSH",
    )
}

/// A value of the Vagrantfile, and what config.toml would have there.
struct Value {
    expression: &'static str,
    declared: fn(&Workshop) -> Vec<String>,
    key: &'static str,
}

const VALUES: &[Value] = &[
    Value {
        expression: r#"\.hostname\s*=\s*["']([^"']+)["']"#,
        declared: |workshop| vec![workshop.machine.hostname.clone()],
        key: "box.hostname",
    },
    Value {
        expression: r#"\.box\s*=\s*["']([^"']+)["']"#,
        declared: |workshop| {
            vec![
                workshop.machine.amd64.clone(),
                workshop.machine.arm64.clone(),
            ]
        },
        key: "box.amd64",
    },
    Value {
        expression: r#"private_network.*\bip(?::|\s*=>)\s*["']([^"']+)["']"#,
        declared: |workshop| vec![workshop.machine.ip.to_string()],
        key: "box.ip",
    },
    Value {
        expression: r"\.memory\s*=\s*(\d+)",
        declared: |workshop| vec![workshop.machine.memory_mb.to_string()],
        key: "box.memory_mb",
    },
    Value {
        expression: r"\.cpus\s*=\s*(\d+)",
        declared: |workshop| vec![workshop.machine.cpus.to_string()],
        key: "box.cpus",
    },
    Value {
        expression: r"forwarded_port.*\b(guest(?::|\s*=>)\s*\d+.*\bhost(?::|\s*=>)\s*\d+)",
        declared: |workshop| {
            let forwards = workshop.machine.forwards.iter();
            forwards
                .map(|forward| format!("{} {}", forward.guest, forward.host))
                .collect()
        },
        key: "box.forwards",
    },
];

const REMEDY: &str =
    "move the Vagrantfile away and run `dwenv init`, or put the same value into config.toml";

fn disagreements(looked: &Looked) -> Vec<Hit> {
    let Some(workshop) = &looked.sources.declared else {
        return Vec::new();
    };
    if let Some(outdated) = outdated(looked, workshop) {
        return vec![outdated];
    }
    let mut hits = Vec::new();
    for value in VALUES {
        let declared = (value.declared)(workshop);
        for (index, range) in places(looked, value.expression, is_ruby) {
            let line = &looked.lines[index];
            let text = &line.text[range.clone()];
            let own = match value.key {
                "box.forwards" => numbers(text),
                _ => text.to_owned(),
            };
            if !declared.contains(&own) {
                hits.push(Hit::at(
                    line,
                    range,
                    Severity::Fail,
                    format!(
                        "config.toml says {} for `{}`, and dwenv goes by that",
                        declared.join(" or "),
                        value.key
                    ),
                    REMEDY,
                ));
            }
        }
    }
    hits
}

/// The first two numbers of a forwarded port's line.
fn numbers(text: &str) -> String {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<&str> = numbers.filter(|part| !part.is_empty()).take(2).collect();
    numbers.join(" ")
}

/// A Vagrantfile that dwenv wrote from another config.toml.
fn outdated(looked: &Looked, workshop: &Workshop) -> Option<Hit> {
    let file = looked
        .sources
        .of(Language::Vagrantfile)
        .find(|file| is_untouched(&file.text))?;
    let present = file.text.replace("\r\n", "\n");
    let wanted = vagrantfile(workshop);
    // The first line has only the sum of the others.
    let mut pairs = present.lines().zip(wanted.lines()).enumerate().skip(1);
    let (index, (old, new)) = match pairs.find(|(_, (old, new))| old != new) {
        Some(found) => found,
        None if present.lines().count() == wanted.lines().count() => return None,
        None => (0, ("", "")),
    };
    Some(Hit {
        severity: Severity::Fail,
        file: file.path.clone(),
        place: Place {
            line: index + 1,
            column: 1,
        },
        text: old.trim().to_owned(),
        why: format!("from config.toml this line would be `{}`", new.trim()),
        remedy: "run `dwenv init`: it writes the Vagrantfile anew".to_owned(),
    })
}

//! Images: which are used, how old they are, and what they need to start.

use std::ops::Range;

use super::compose;
use crate::date::Date;
use crate::lint::commands::{Run, commands, image, is_official, major};
use crate::lint::lines::{Line, Written, is_command};
use crate::lint::tables::{END_OF_LIFE, ONE_ARCHITECTURE};
use crate::lint::{Hit, Looked, Rule, Severity, places};

pub const RULES: &[Rule] = &[
    Rule {
        id: "lint.end-of-life",
        find: old,
    },
    Rule {
        id: "lint.single-architecture",
        find: of_one_architecture,
    },
    Rule {
        id: "lint.schema1",
        find: of_the_first_schema,
    },
    Rule {
        id: "lint.image-password",
        find: without_password,
    },
    Rule {
        id: "lint.pgdata",
        find: moved_data,
    },
];

/// Every image that is named, with the line and the place where that is.
fn named<'a>(looked: &'a Looked) -> Vec<(&'a Line<'a>, Range<usize>)> {
    let mut found = Vec::new();
    let mut add = |expression: &str, written: Written| {
        for (index, range) in places(looked, expression, |line| line.written == written) {
            found.push((&looked.lines[index], range));
        }
    };
    add(
        r"(?i)^\s*FROM\s+(?:--\S+\s+)*([^\s$]+)",
        Written::Dockerfile,
    );
    add(r#"^\s*image:\s*["']?([^\s"'$]+)"#, Written::Compose);
    add(
        r#"["']([a-z0-9./_-]+:[A-Za-z0-9._-]+)["']"#,
        Written::Config,
    );
    for line in looked.lines.iter().filter(|line| line.is_command()) {
        for command in commands(&line.text) {
            if let Some(run) = Run::of(&command) {
                found.push((line, run.image.range.clone()));
            } else if let [docker, pull, .., last] = crate::lint::commands::bare(&command)
                && docker.text == "docker"
                && pull.text == "pull"
            {
                found.push((line, last.range.clone()));
            }
        }
    }
    found
}

/// Whether `tag` begins with the version `version`: `9.5.4` with `9.5`, and `13-alpine` with `13`.
fn is_of(tag: &str, version: &str) -> bool {
    tag.strip_prefix(version)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn old(looked: &Looked) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, range) in named(looked) {
        let (name, tag) = image(&line.text[range.clone()]);
        let own = END_OF_LIFE
            .images
            .iter()
            // Of 3 and 3.10, the one that says more.
            .filter(|known| is_official(name, &known.image) && is_of(tag, &known.tag))
            .max_by_key(|known| known.tag.len())
            .map(|known| (&known.tag, known.ends, &known.source));
        let of_release = END_OF_LIFE.distributions.iter().find(|release| {
            let by_name = is_official(name, &release.id) && is_of(tag, &release.version);
            let words = || tag.split(['-', '.']);
            by_name || !release.codename.is_empty() && words().any(|word| word == release.codename)
        });
        let of_release = of_release.map(|known| (&known.version, known.ends, &known.source));
        let ended = [own, of_release].into_iter().flatten();
        let Some((_, ends, source)) = ended.into_iter().find(|(_, ends, _)| *ends < looked.today)
        else {
            continue;
        };
        hits.push(Hit::at(
            line,
            range,
            Severity::Fail,
            format!("the image had its last security fix on {ends} ({source})"),
            cared_for(name, looked.today),
        ));
    }
    hits.extend(old_packages(looked));
    hits
}

/// What to take in place of an image that is too old.
fn cared_for(name: &str, today: Date) -> String {
    let release = END_OF_LIFE.distributions.iter();
    let alive = release.filter(|it| is_official(name, &it.id) && it.ends >= today);
    let example = if is_official(name, "postgres") {
        Some("postgres:17".to_owned())
    } else if is_official(name, "python") {
        Some("python:3-slim".to_owned())
    } else {
        let newest = alive.max_by_key(|it| it.ends);
        newest.map(|it| format!("{}:{}", it.id, it.version))
    };
    match example {
        Some(example) => format!("take a version that is cared for, such as {example}"),
        None => "take a version that is cared for".to_owned(),
    }
}

/// Packages with a version in their name, and repositories of old releases.
fn old_packages(looked: &Looked) -> Vec<Hit> {
    let fits = |line: &Line| line.is_command();
    let mut hits = Vec::new();
    for (index, range) in places(looked, r"\bpostgresql-(?:[a-z]+-)?(\d+(?:\.\d+)?)\b", fits) {
        let line = &looked.lines[index];
        let version = &line.text[range.clone()];
        let known = END_OF_LIFE
            .images
            .iter()
            .find(|known| known.image == "postgres" && is_of(version, &known.tag));
        if let Some(known) = known.filter(|known| known.ends < looked.today) {
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                format!(
                    "PostgreSQL {version} had its last security fix on {}",
                    known.ends
                ),
                "install the distribution's own: postgresql, without a number",
            ));
        }
    }
    let codenames = END_OF_LIFE.distributions.iter();
    for release in codenames.filter(|release| !release.codename.is_empty()) {
        if release.ends >= looked.today {
            continue;
        }
        let expression = format!(
            r"(?:^|[\s/-])({}(?:-[a-z]+)?)(?:[\s/\x22']|$)",
            release.codename
        );
        let is_source = |line: &Line| {
            let sources = ["deb ", "deb-src ", "sources.list", "/dists/"];
            fits(line) && sources.iter().any(|word| line.text.contains(word))
        };
        for (index, range) in places(looked, &expression, is_source) {
            hits.push(Hit::at(
                &looked.lines[index],
                range,
                Severity::Fail,
                format!(
                    "packages of {} {} left the mirrors after {}",
                    release.id, release.version, release.ends
                ),
                "use the repository of the release that the box has: $(. /etc/os-release && echo \"$VERSION_CODENAME\")",
            ));
        }
    }
    hits
}

fn of_one_architecture(looked: &Looked) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, range) in named(looked) {
        let (name, _) = image(&line.text[range.clone()]);
        if ONE_ARCHITECTURE.images.iter().any(|known| known.is(name)) {
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                "the image runs on Intel and AMD processors alone: an ARM box says \"exec format error\"",
                "take an image for several architectures, such as python:3-slim",
            ));
        }
    }
    let downloads = r"https?://\S*((?:Linux|linux)[-_](?:x86_64|amd64)|x86_64|amd64)";
    let chosen = ["uname -m", "print-architecture", "TARGETARCH"];
    for (index, range) in places(looked, downloads, is_command) {
        let line = &looked.lines[index];
        let by_machine = chosen.iter().any(|word| line.text.contains(word));
        // apt's `[arch=amd64]` is a choice among what the repository has.
        if !by_machine {
            hits.push(Hit::at(
                line,
                range,
                Severity::Warn,
                "what is downloaded runs on Intel and AMD processors alone",
                "put $(uname -m), or what the project calls it, in its place",
            ));
        }
    }
    hits
}

fn of_the_first_schema(looked: &Looked) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (line, range) in named(looked) {
        let (name, _) = image(&line.text[range.clone()]);
        let first = |known: &&crate::lint::tables::Named| known.schema1 && known.is(name);
        if ONE_ARCHITECTURE.images.iter().any(|known| first(&known)) {
            hits.push(Hit::at(
                line,
                range,
                Severity::Fail,
                "images of this maker have a manifest of the first schema, which containerd since 2.1 does not read",
                "take a newer image, such as python:3-slim",
            ));
        }
    }
    hits
}

/// What gives the image of PostgreSQL a password, or says that it needs none.
fn gives_password(setting: &str) -> bool {
    let given = ["POSTGRES_PASSWORD", "POSTGRES_HOST_AUTH_METHOD"];
    given
        .iter()
        .any(|name| setting.trim_start().starts_with(name))
}

fn without_password(looked: &Looked) -> Vec<Hit> {
    const WHY: &str = "the image of PostgreSQL ends at once when it gets no password: \"superuser password is not specified\"";
    let mut hits = Vec::new();
    for (line, run) in postgres_runs(looked) {
        let mut settings = run.settings.iter();
        if !settings.any(|setting| gives_password(setting)) && !run.has_file {
            let remedy = "add -e POSTGRES_PASSWORD=…";
            hits.push(Hit::at(line, run.image, Severity::Fail, WHY, remedy));
        }
    }
    for service in compose::services(looked.lines) {
        let Some((line, range)) = service.postgres() else {
            continue;
        };
        let has = |line: &&Line| {
            let text = line
                .text
                .trim_start()
                .trim_start_matches(['-', ' ', '"', '\'']);
            gives_password(text) || text.starts_with("env_file") || text.starts_with("<<")
        };
        if !service.lines.iter().any(has) {
            let remedy = "add POSTGRES_PASSWORD to its environment";
            hits.push(Hit::at(line, range, Severity::Fail, WHY, remedy));
        }
    }
    hits
}

/// A `docker run` of PostgreSQL's image.
struct PostgresRun {
    image: Range<usize>,
    tag: String,
    settings: Vec<String>,
    mounts: Vec<String>,
    /// Whether its environment comes from a file too.
    has_file: bool,
}

fn postgres_runs<'a>(looked: &'a Looked) -> Vec<(&'a Line<'a>, PostgresRun)> {
    let mut runs = Vec::new();
    for line in looked.lines.iter().filter(|line| line.is_command()) {
        for command in commands(&line.text) {
            let Some(run) = Run::of(&command) else {
                continue;
            };
            let (name, tag) = image(&run.image.text);
            if !is_official(name, "postgres") {
                continue;
            }
            let owned =
                |values: &mut dyn Iterator<Item = &str>| values.map(str::to_owned).collect();
            runs.push((
                line,
                PostgresRun {
                    image: run.image.range.clone(),
                    tag: tag.to_owned(),
                    settings: owned(&mut run.values("-e", "--env")),
                    mounts: owned(
                        &mut run
                            .values("-v", "--volume")
                            .chain(run.values("\0", "--mount")),
                    ),
                    has_file: run.values("\0", "--env-file").next().is_some(),
                },
            ));
        }
    }
    runs
}

const OLD_DATA: &str = "/var/lib/postgresql/data";

/// Whether the image keeps its data elsewhere: from 18 on, and whatever `latest` is.
fn keeps_elsewhere(tag: &str) -> bool {
    major(tag).map_or(tag == "latest" || tag == "alpine", |major| major >= 18)
}

fn moved_data(looked: &Looked) -> Vec<Hit> {
    const WHY: &str = "from 18 on the image keeps its data in /var/lib/postgresql/18/docker, and does not start with a mount at the old place";
    const REMEDY: &str = "mount /var/lib/postgresql, or set PGDATA";
    let is_old = |mount: &str| {
        mount
            .split([':', ',', '='])
            .any(|part| part.trim_end_matches('/') == OLD_DATA)
    };
    let mut hits = Vec::new();
    for (line, run) in postgres_runs(looked) {
        let mounted = run.mounts.iter().any(|mount| is_old(mount));
        let elsewhere = run
            .settings
            .iter()
            .any(|setting| setting.starts_with("PGDATA="));
        if mounted && keeps_elsewhere(&run.tag) && !elsewhere {
            hits.push(Hit::at(line, run.image, Severity::Fail, WHY, REMEDY));
        }
    }
    for service in compose::services(looked.lines) {
        let Some((line, range)) = service.postgres() else {
            continue;
        };
        let (_, tag) = image(&line.text[range]);
        let elsewhere = service
            .lines
            .iter()
            .any(|line| line.text.contains("PGDATA"));
        if !keeps_elsewhere(tag) || elsewhere {
            continue;
        }
        for line in &service.lines {
            if let Some(start) = line.text.find(OLD_DATA)
                && is_old(line.text.trim().trim_matches(['-', ' ', '"', '\'']))
            {
                let range = start..start + OLD_DATA.len();
                hits.push(Hit::at(line, range, Severity::Fail, WHY, REMEDY));
            }
        }
    }
    hits
}

//! Scripts: commands and packages that are gone, and what harms a box.

use std::collections::BTreeSet;

use crate::lint::lines::{Line, Place, Written, is_command};
use crate::lint::{Hit, Language, Looked, Rule, Severity, each, places};

pub const RULES: &[Rule] = &[
    Rule {
        id: "lint.docker-removed",
        find: removed,
    },
    Rule {
        id: "lint.bashrc",
        find: overwritten,
    },
    Rule {
        id: "lint.root-pip",
        find: root_pip,
    },
    Rule {
        id: "lint.locale",
        find: locales,
    },
    Rule {
        id: "lint.tty",
        find: tty,
    },
    Rule {
        id: "lint.crlf",
        find: line_ends,
    },
];

/// Something that is gone: how it is found, why it fails, what to write instead.
const REMOVED: &[(&str, &str, &str)] = &[
    (
        r"(\.NetworkSettings\.IPAddress)\b",
        "Docker 29 has no such field: the template ends with `map has no entry for key \"IPAddress\"`",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    ),
    (
        r"\bdocker\b.*\s(--link)[\s=]",
        "Docker 29 sets none of a link's variables, such as DB_PORT_5432_TCP_ADDR",
        "a network of their own (docker network create), and the container's name as the host",
    ),
    (
        r"\b(docker-engine|lxc-docker)\b",
        "the package is gone",
        "docker-ce from download.docker.com, or the distribution's docker.io",
    ),
    (
        r"\b(easy_install[\d.]*)\b",
        "setuptools has it no more",
        "apt-get install python3-venv, then python3 -m venv and its own pip",
    ),
    (
        r"\b(apt-key)\b",
        "Debian 13 and newer have no apt-key",
        "put the key into /etc/apt/keyrings, and name it with signed-by",
    ),
    (
        r"\b(linux-image-extra-\S*)",
        "the package has another name since Ubuntu 18.04, and nothing needs it",
        "leave it out",
    ),
    (
        r"(?i)(?:storage-driver\S*[\s=:]+\W*)(aufs)\b",
        "Docker has no aufs since 24",
        "leave the storage driver to Docker: overlay2 is its own choice",
    ),
];

fn removed(looked: &Looked) -> Vec<Hit> {
    let mut hits: Vec<Hit> = REMOVED
        .iter()
        .flat_map(|(gone, why, instead)| {
            each(looked, gone, is_command, Severity::Fail, why, instead)
        })
        .collect();
    hits.extend(each(
        looked,
        r"^\s+(links):",
        |line| line.written == Written::Compose,
        Severity::Fail,
        "Docker 29 sets none of a link's variables, such as DB_PORT_5432_TCP_ADDR",
        "leave it out: the name of a service is a host name for the others",
    ));
    hits
}

fn overwritten(looked: &Looked) -> Vec<Hit> {
    each(
        looked,
        r#"(?:[^>]>|^>|\btee)\s*["']?((?:~\w*|\$HOME|\$\{HOME\}|/home/\w+|/root)/\.(?:bashrc|profile|bash_profile))\b"#,
        |line| line.is_command() && !line.text.contains("tee -a"),
        Severity::Warn,
        "the file is overwritten: prompt, colours and completion are gone",
        "append with >>, and only where the line is not there yet",
    )
}

fn root_pip(looked: &Looked) -> Vec<Hit> {
    const WHY: &str = "since Debian 12 and Ubuntu 23.04 pip refuses to touch the system's Python: \"externally-managed-environment\"";
    const REMEDY: &str =
        "the distribution's package (python3-…), or python3 -m venv and its own pip";
    // Who installs within an environment of their own says so before.
    let environments: BTreeSet<&str> = looked
        .lines
        .iter()
        .filter(|line| line.text.contains("bin/activate") || line.text.contains("-m venv"))
        .map(|line| line.file.path.as_str())
        .collect();
    let pip = r"(?:^|[\s;&|(])((?:python[\d.]*\s+-m\s+)?pip[\d.]*\s+(?:install|uninstall))\b";
    let mut hits = Vec::new();
    for (index, range) in places(looked, pip, |line| {
        matches!(line.written, Written::Shell | Written::Typed)
    }) {
        let line = &looked.lines[index];
        let before = line.text[..range.start].trim_end();
        let as_root = ["sudo", "sudo -H", "sudo -E"].iter().any(|sudo| before.ends_with(sudo))
            // What is typed is typed as somebody, or within a container.
            || line.written == Written::Shell;
        let allowed = line.text.contains("--break-system-packages")
            || line.written == Written::Shell && environments.contains(line.file.path.as_str());
        if as_root && !allowed {
            hits.push(Hit::at(line, range, Severity::Fail, WHY, REMEDY));
        }
    }
    hits
}

fn locales(looked: &Looked) -> Vec<Hit> {
    let set = r#"\b(?:LC_ALL|LANG)=["']?([a-z]{2,3}_[A-Z]{2}(?:\.[A-Za-z0-9-]+)?)"#;
    let generated = [
        "locale-gen",
        "localedef",
        "/etc/locale.gen",
        "language-pack-",
    ];
    let made: Vec<&str> = looked
        .lines
        .iter()
        .filter(|line| generated.iter().any(|word| line.text.contains(word)))
        .map(|line| line.text.as_str())
        .collect();
    let mut hits = Vec::new();
    let fits = |line: &Line| matches!(line.written, Written::Shell | Written::Dockerfile);
    for (index, range) in places(looked, set, fits) {
        let line = &looked.lines[index];
        let name = line.text[range.clone()]
            .split('.')
            .next()
            .unwrap_or_default();
        let language = name.split('_').next().unwrap_or_default();
        let by_pack = format!("language-pack-{language}");
        if made
            .iter()
            .any(|text| text.contains(name) || text.contains(&by_pack))
        {
            continue;
        }
        hits.push(Hit::at(
            line,
            range,
            Severity::Warn,
            "the locale is set and never generated: PostgreSQL makes no cluster with it, perl and Python complain",
            "C.UTF-8, which every box has; or generate it first",
        ));
    }
    hits
}

fn tty(looked: &Looked) -> Vec<Hit> {
    each(
        looked,
        r"\bsed\b.*(mesg n)",
        |line| line.written == Written::Shell,
        Severity::Warn,
        "it edits root's own .profile to silence \"stdin: is not a tty\", and today's boxes have another line there",
        "leave it out: the words do no harm",
    )
}

fn line_ends(looked: &Looked) -> Vec<Hit> {
    let scripts = looked.sources.of(Language::Shell);
    let windows = scripts.filter(|file| file.text.contains("\r\n"));
    windows
        .map(|file| Hit {
            severity: Severity::Fail,
            file: file.path.clone(),
            place: Place { line: 1, column: 1 },
            text: file.text.lines().next().unwrap_or_default().trim().to_owned(),
            why: "its lines end as on Windows, and the box looks for an interpreter with that in its name".to_owned(),
            remedy: "save it with the line ends of Unix, and put `* text eol=lf` into .gitattributes".to_owned(),
        })
        .collect()
}

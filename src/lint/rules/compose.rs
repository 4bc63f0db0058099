//! Docker Compose: what its first version had and the second has not.

use std::ops::Range;

use crate::lint::commands::{image, is_official};
use crate::lint::lines::{Line, Written, is_command};
use crate::lint::{Hit, Looked, Rule, Severity, each};

pub const RULES: &[Rule] = &[Rule {
    id: "lint.compose-v1",
    find: first_version,
}];

/// A service of a compose file: the lines below its name.
pub struct Service<'a> {
    pub lines: Vec<&'a Line<'a>>,
}

impl<'a> Service<'a> {
    /// The image, where it is the official one of PostgreSQL.
    pub fn postgres(&self) -> Option<(&'a Line<'a>, Range<usize>)> {
        self.lines.iter().find_map(|line| {
            let value = line.text.trim_start().strip_prefix("image:")?;
            let reference = value.trim().trim_matches(['"', '\'']);
            if !is_official(image(reference).0, "postgres") {
                return None;
            }
            let start = line.text.find(reference)?;
            Some((*line, start..start + reference.len()))
        })
    }
}

/// The services of every compose file: what is indented below a key that has an `image:` or a `build:`.
pub fn services<'a>(lines: &'a [Line<'a>]) -> Vec<Service<'a>> {
    let mut services = Vec::new();
    let in_compose = |line: &&Line| line.written == Written::Compose;
    let lines: Vec<&Line> = lines.iter().filter(in_compose).collect();
    for (index, line) in lines.iter().enumerate() {
        if !line.text.trim_start().starts_with("image:") {
            continue;
        }
        // The service's keys stand beside `image:`, in both directions, as far as nothing stands further out.
        let same =
            |other: &&&Line| other.file.path == line.file.path && other.indent() >= line.indent();
        let before = lines[..index].iter().rev().take_while(same);
        let after = lines[index..].iter().take_while(same);
        let mut own: Vec<&Line> = before.chain(after).copied().collect();
        own.sort_by_key(|line| line.number());
        services.push(Service { lines: own });
    }
    services
}

fn first_version(looked: &Looked) -> Vec<Hit> {
    let mut hits = each(
        looked,
        r"(?:^|[\s;&|(`])(docker-compose)(?:\s|$)",
        is_command,
        Severity::Fail,
        "Compose 1 is no longer made and does not know today's Docker Engine; a box has Compose 2, which is `docker compose`",
        "write docker compose, and install docker-compose-plugin or the distribution's docker-compose-v2",
    );
    hits.extend(each(
        looked,
        r"(github\.com/docker/compose/releases/download/(?:v?1\.)\S*)",
        is_command,
        Severity::Fail,
        "this Compose speaks a version of Docker's API that Docker Engine 29 refuses (it wants 1.44), and is there for Intel and AMD alone",
        "install docker-compose-plugin from Docker's repository, or the distribution's package",
    ));
    hits.extend(each(
        looked,
        r"\b([a-z][a-z0-9]*_(?:db|web|app|server|postgres|redis|cache|proxy)_\d+)\b",
        |line| line.is_command() || line.written == Written::Compose,
        Severity::Fail,
        "Compose 2 puts hyphens into names of containers, so nothing answers to this one",
        "use the name of the service, such as db: it is a host name for the others",
    ));
    hits.extend(each(
        looked,
        r#"^(version:\s*["']?[\d.]+["']?)"#,
        |line| line.written == Written::Compose,
        Severity::Warn,
        "Compose 2 warns at every command that `version` is obsolete",
        "leave the line out",
    ));
    hits
}

//! Who may log in to the database, and with what.

use crate::lint::lines::{Line, Written, is_command};
use crate::lint::{Hit, Looked, Rule, Severity, each, places};

pub const RULES: &[Rule] = &[
    Rule {
        id: "lint.trust",
        find: open_doors,
    },
    Rule {
        id: "lint.driver",
        find: old_drivers,
    },
];

fn open_doors(looked: &Looked) -> Vec<Hit> {
    let rule = r"\b((?:host|hostssl|hostnossl)\s+\S+\s+\S+\s+\S+(?:\s+\d[\d.]+)?\s+trust)\b";
    let fits =
        |line: &Line| line.is_command() || matches!(line.written, Written::Rules | Written::Sql);
    let mut hits = Vec::new();
    for (index, range) in places(looked, rule, fits) {
        let line = &looked.lines[index];
        let text = &line.text[range.clone()];
        if ["127.0.0.1", "::1", "samehost", "localhost"]
            .iter()
            .any(|own| text.contains(own))
        {
            continue;
        }
        hits.push(Hit::at(
            line,
            range,
            Severity::Fail,
            "whoever reaches the box gets into the database without a password, from the whole network of the room",
            "write scram-sha-256 in place of trust, and the workshop's own networks in place of all",
        ));
    }
    hits.extend(each(
        looked,
        r"\b((?:host|hostssl|hostnossl)\s+\S+\s+\S+\s+(?:0\.0\.0\.0/0|::/0|all)\s+(?:md5|password|scram-sha-256))\b",
        fits,
        Severity::Warn,
        "anybody in the room's network may try passwords",
        "name the workshop's own networks, such as samenet and 172.16.0.0/12",
    ));
    hits.extend(each(
        looked,
        r#"\b(POSTGRES_HOST_AUTH_METHOD["']?\s*[=:]\s*["']?trust)\b"#,
        |line| line.is_command() || line.written == Written::Compose,
        Severity::Warn,
        "whoever reaches the container gets into its database without a password",
        "give POSTGRES_PASSWORD instead",
    ));
    hits.extend(each(
        looked,
        r"(?i)\b((?:create|alter)\s+(?:role|user)\b[^;]*?\s+superuser)\b",
        |line| line.is_command() || line.written == Written::Sql,
        Severity::Warn,
        "a superuser of PostgreSQL can read the box's files and run commands in it",
        "give the role a database of its own instead: CREATE DATABASE … OWNER …",
    ));
    hits.extend(each(
        looked,
        r"\b(createuser\b.*\s(?:-s|--superuser))\b",
        is_command,
        Severity::Warn,
        "a superuser of PostgreSQL can read the box's files and run commands in it",
        "createuser without -s, then createdb -O",
    ));
    hits
}

fn old_drivers(looked: &Looked) -> Vec<Hit> {
    let mut hits = each(
        looked,
        r"(?i)^\s*(py-postgresql)\s*(?:[=<>~!;\[@].*)?$",
        |line| line.written == Written::Requirements,
        Severity::Fail,
        "py-postgresql knows no SCRAM, which PostgreSQL asks for since 14, and fails on the version numbers of Debian's",
        "psycopg[binary]>=3.1",
    );
    hits.extend(each(
        looked,
        r"(?i)\bpip[\d.]*\s+install\b.*\s(py-postgresql)(?:[=<>~!\s].*)?$",
        is_command,
        Severity::Fail,
        "py-postgresql knows no SCRAM, which PostgreSQL asks for since 14, and fails on the version numbers of Debian's",
        "psycopg[binary]>=3.1",
    ));
    hits
}

//! The author's own checks (`[checks.NAME]`): what is asked for each, and how the answer is judged.
//!
//! They are no [`super::Kind`], because that is a list of dwenv's own: there is one of them for each entry
//! of config.toml. Nothing here changes a box; provision only says that it leaves them alone.

mod judge;

use std::time::Duration;

use crate::facts::authors::Page;
use crate::facts::{Here, Probe, Question};
use crate::quote;
use crate::workshop::AuthorsCheck;
use crate::workshop::authors::{Asks, Place};

pub use judge::{judge, plan};

/// What a probe takes beside the command itself: to be started, and to be stopped.
const AROUND: Duration = Duration::from_secs(2);

/// The checks that must pass before this one is judged: those that the author names, and what it is asked by.
#[must_use]
pub fn needs(check: &AuthorsCheck) -> Vec<&str> {
    let mut needs = match (check.place, &check.asks) {
        (Place::Laptop, _) => vec![],
        (Place::Box { .. }, Asks::Sql { .. }) => vec!["box.ssh", "box.postgres.role"],
        (Place::Box { root: true }, _) => vec!["box.ssh", "box.sudo"],
        (Place::Box { root: false }, _) => vec!["box.ssh"],
    };
    needs.extend(check.needs.iter().map(String::as_str));
    needs
}

/// The probe of a check has the id of the check.
#[must_use]
pub fn probe(check: &AuthorsCheck) -> Probe {
    let shell = |fragment: String| match check.place {
        Place::Box { root: true } => Question::Root(fragment),
        _ => Question::Login(fragment),
    };
    let laptop = check.place == Place::Laptop;
    let question = match &check.asks {
        Asks::Command { command, .. } if laptop => Question::Here(Here::Command(command.clone())),
        Asks::Command { command, .. } => shell(command_fragment(command, check.timeout)),
        Asks::File { path, content, .. } if laptop => Question::Here(Here::File {
            path: path.clone(),
            read: !content.is_nothing(),
        }),
        Asks::File { path, content, .. } => shell(file_fragment(path, !content.is_nothing())),
        Asks::Port { port, .. } if laptop => Question::Here(Here::Port(*port)),
        Asks::Port { port, .. } => shell(port_fragment(*port)),
        Asks::Http { address, .. } if laptop => Question::Here(Here::Http(address.url.clone())),
        Asks::Http { address, .. } => Question::HttpText(address.clone()),
        Asks::Sql { query, login, .. } => Question::Sql {
            login: login.clone(),
            query: query.clone(),
        },
    };
    Probe {
        deadline: check.timeout + AROUND,
        ..Probe::new(check.id.clone(), question)
    }
}

/// Runs the author's sh within its own deadline, in the login user's home, and prints how it ended, a line
/// end, and the beginning of what it said. The status goes around the pipe that keeps the rest away.
fn command_fragment(command: &str, deadline: Duration) -> String {
    let run = format!(
        "timeout -k 1 {} sh -c {} sh \"$1\" \"$2\"",
        deadline.as_secs(),
        quote::sh(command)
    );
    let kept = Page::KEPT;
    format!(
        "cd \"$1\" || exit 1; exec 4>&1
status=$({{ {{ {run} 2>&1 3>&- 4>&-; echo \"$?\" >&3; }} | head -c {kept} >&4; }} 3>&1)
printf '\\n%s' \"$status\""
    )
}

fn file_fragment(path: &str, read: bool) -> String {
    let relative = path.strip_prefix("~/").unwrap_or(path);
    let path = if relative.starts_with('/') {
        quote::sh(relative)
    } else {
        format!("./{}", quote::sh(relative))
    };
    let content = if read {
        format!("; [ ! -f {path} ] || head -c {} {path}", Page::KEPT)
    } else {
        String::new()
    };
    format!("cd \"$1\" && if [ -e {path} ]; then echo yes{content}; else echo no; fi")
}

/// Prints a line for each socket that listens; either family of addresses counts.
fn port_fragment(port: u16) -> String {
    format!(
        "heard=$(ss -Hltn 'sport = :{port}') && if [ -n \"$heard\" ]; then echo open; else echo closed; fi"
    )
}

#[cfg(all(test, unix))]
mod tests {
    use super::judge::ended;
    use super::*;

    fn run(fragment: &str, home: &std::path::Path) -> (i32, String) {
        let output = std::process::Command::new("sh")
            .args(["-c", fragment, "sh"])
            .arg(home)
            .arg("user")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    }

    #[test]
    fn a_command_of_the_box_tells_how_it_ended_and_what_it_said() {
        let home = tempfile::tempdir().unwrap();
        let told = |command: &str| {
            let (status, text) = run(
                &command_fragment(command, Duration::from_secs(1)),
                home.path(),
            );
            assert_eq!(status, 0, "{text}");
            let (status, said) = ended(&text, Place::Box { root: false }).unwrap();
            (status, said.trim_end().to_owned())
        };
        assert_eq!(told("echo 'it'\"'\"'s'; exit 3"), (3, "it's".to_owned()));
        assert_eq!(told("echo out; echo err >&2"), (0, "out\nerr".to_owned()));
        assert_eq!(told("echo $2").1, "user");
        assert_eq!(
            told("pwd").1,
            home.path().canonicalize().unwrap().display().to_string()
        );
        assert_eq!(told("true"), (0, String::new()));
        assert_eq!(told("no-such-program-here").0, 127);
        assert_eq!(told("if (").0, 2);
        assert_eq!(told("sleep 5").0, 124);
        let (_, many) = told("yes");
        assert_eq!(many.len(), Page::KEPT - 1);
    }

    #[test]
    fn a_file_of_the_box_is_named_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let name = "-it's $(odd) name";
        std::fs::write(home.path().join(name), "text\n").unwrap();
        let told = |path: &str, read| run(&file_fragment(path, read), home.path()).1;
        assert_eq!(told(name, true), "yes\ntext\n");
        assert_eq!(told(&format!("~/{name}"), false), "yes\n");
        assert_eq!(told("other", true), "no\n");
        assert_eq!(told("/", true), "yes\n");
    }
}

//! Why the server does not run, in Python's words and in its own. Asked only for a diagnosis.

use serde::Deserialize;

use super::super::{State, observed};
use super::Drift;
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records};
use crate::quote;
use crate::workshop::Workshop;

/// Whether the interpreter that the unit names finds the driver, as the unit's user in the server's folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Python {
    /// The module that is found under the driver's name.
    pub module: Option<String>,
    pub version: Option<String>,
    /// Why it cannot be used.
    #[serde(default)]
    pub said: Option<String>,
}

/// A file of the folder or of the home that bears the driver's name comes before the package's. The driver
/// says the version of its library only if it could load it.
const IMPORT: &str = r#"import importlib.util, json
said = dict(module=None, version=None)
try:
    found = importlib.util.find_spec("psycopg")
    said["module"] = found and found.origin
    import psycopg
    psycopg.pq.version()
    said["version"] = psycopg.__version__
except BaseException as error:
    said["said"] = type(error).__name__ + ": " + str(error)
print(json.dumps(said))
"#;

/// Where Debian's packages put modules.
const PACKAGED: &str = "/usr/lib/python3/";

impl Python {
    pub const PROBE: &str = "server_python";
}

/// The program of the unit's `ExecStart`.
fn interpreter(workshop: &Workshop) -> &str {
    let unit = &workshop.server.unit_file.content;
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let word = start.and_then(|line| line.split_whitespace().next());
    word.filter(|word| word.contains("python"))
        .unwrap_or("/usr/bin/python3")
}

impl Fact for Python {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let fragment = format!(
            "cd \"$1\"/{folder} && HOME=$1 setpriv --reuid=\"$2\" --regid=\"$(id -g \"$2\")\" --init-groups \
             {python} -B -c {program} 2>&1 || true",
            folder = quote::sh(&workshop.server.directory),
            python = quote::sh(interpreter(workshop)),
            program = quote::sh(IMPORT),
        );
        vec![Probe::deep(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?.trim();
        let last = text.lines().last().unwrap_or("no answer");
        // An interpreter that does not start at all says so in its own way.
        Ok(serde_json::from_str(last).unwrap_or_else(|_| Self {
            module: None,
            version: None,
            said: Some(last.to_owned()),
        }))
    }
}

pub fn diff_python(facts: &Facts) -> State<Drift> {
    let python = observed!(facts, Python);
    match (python.said, python.version) {
        (None, Some(version)) => State::AsDeclared(format!("psycopg {version}")),
        (said, _) => State::Drifted(Drift::PythonFails {
            module: python.module,
            said: said.unwrap_or_default(),
        }),
    }
}

/// What has to be out of the way: the file, or the folder of a module that is one. `None` where it is the
/// package's own.
pub fn in_the_way(module: &str) -> Option<&str> {
    let path = module.strip_suffix("/__init__.py").unwrap_or(module);
    (!path.starts_with(PACKAGED)).then_some(path)
}

/// The last line that the server itself wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords(pub Option<String>);

impl LastWords {
    const PROBE: &str = "server_journal";
}

impl Fact for LastWords {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        // What systemd says of the unit stands under its own name, not under the unit's.
        let fragment = format!(
            "journalctl -q --no-pager -b -o cat -n 1 _SYSTEMD_UNIT={}",
            quote::sh(&workshop.server.unit)
        );
        vec![Probe::deep(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        const LONGEST: usize = 400;
        let line = records.text(Self::PROBE)?.trim();
        let line: String = line.chars().take(LONGEST).collect();
        Ok(Self((!line.is_empty()).then_some(line)))
    }
}

/// The server's last words, where a diagnosis asked for them.
pub fn said(facts: &Facts) -> Option<String> {
    let words = facts.get::<LastWords>();
    words.as_ref().as_ref().ok()?.0.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_the_packages_own_is_in_the_way() {
        let package = "/usr/lib/python3/dist-packages/psycopg/__init__.py";
        assert_eq!(in_the_way(package), None);
        let folder = "/home/anna/.local/lib/python3.13/site-packages/psycopg/__init__.py";
        assert_eq!(
            in_the_way(folder),
            Some("/home/anna/.local/lib/python3.13/site-packages/psycopg")
        );
        assert_eq!(
            in_the_way("/home/anna/lab/psycopg.py"),
            Some("/home/anna/lab/psycopg.py")
        );
    }

    #[test]
    fn the_interpreter_is_the_units() {
        let mut workshop = Workshop::builtin().unwrap();
        assert_eq!(interpreter(&workshop), "/usr/bin/python3");
        workshop.server.unit_file.content =
            "ExecStart=/opt/lab/bin/python -B server.py\n".to_owned();
        assert_eq!(interpreter(&workshop), "/opt/lab/bin/python");
    }
}

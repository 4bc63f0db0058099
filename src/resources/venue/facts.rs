//! What a box has of a venue's network.

use std::collections::BTreeSet;

use super::super::files::{BoxFile, sha256};
use super::files::{self, APT, DAEMON, MIRRORS, ORIGINALS, SHELLS, SOURCES, UNIT};
use crate::facts::{Fact, Observed, Probe, Question, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

/// Whether Docker's daemon was started with what its files say now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Daemon {
    #[default]
    Off,
    Current,
    Stale,
}

/// dwenv's own files in the box, and what else the network of a place changes. What is in the files may be a
/// secret: they are compared in the box, and only the outcome is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// All that dwenv ever put there for a network.
    pub there: BTreeSet<String>,
    /// Those of them that are as declared.
    pub same: BTreeSet<String>,
    /// Files of certificates that programs do trust.
    pub trusted: BTreeSet<String>,
    /// The web addresses at which apt looks for the distribution's archives.
    pub archives: Vec<String>,
    /// Mirrors in Docker's settings that are there because of dwenv.
    pub mirrors: Vec<String>,
    pub daemon: Daemon,
}

impl Found {
    pub const PROBE: &str = "venue";

    /// Of these files, those that are not as declared.
    pub fn differing<'a>(&self, files: &'a [BoxFile]) -> Vec<&'a str> {
        let paths = files.iter().map(|file| file.path.as_str());
        paths.filter(|path| !self.same.contains(*path)).collect()
    }

    /// Says that these files will be as declared.
    pub fn expect(&mut self, files: &[BoxFile]) {
        for file in files {
            self.there.insert(file.path.clone());
            self.same.insert(file.path.clone());
        }
    }
}

/// All that may be left of a network, by shell alone: this is asked of every healthy box.
fn look_for_ours() -> String {
    format!(
        r#"for file in {APT} {SHELLS} {UNIT} {DAEMON} {MIRRORS} {ORIGINALS}/* /usr/local/share/ca-certificates/dwenv-*.crt /etc/ssl/certs/dwenv-*.pem; do
  if [ -e "$file" ] || [ -L "$file" ]; then echo "there $file"; fi
done
if [ -r {MIRRORS} ]; then while read -r url; do echo "mirror $url"; done <{MIRRORS}; fi
"#
    )
}

/// The distribution's archives as sources of apt name them, for grep -E and sed -E; Debian's images for clouds
/// name them by a list.
pub const ARCHIVE: &str = r"(https?://[^] ]*/(debian-security|debian|ubuntu-ports|ubuntu)/?|mirror\+file:/etc/apt/mirrors/(debian-security|debian)\.list)";

/// Compares what is declared. `$2` of the fragment is the login user, who may own a file.
fn compare(workshop: &Workshop) -> String {
    // Whose login it is stands in the box alone; the name is no part of any content.
    let own = files::of_proxy(workshop, "$2");
    let docker = files::of_docker(workshop);
    let certificates = files::of_certificates(&workshop.venue);
    let mut script = String::from(
        r#"same() { [ -e "$1" ] && [ "$(sha256sum <"$1")" = "$2  -" ] && [ "$(stat -c '%a %U' "$1")" = "$3 $4" ] && echo "same $1"; }
"#,
    );
    for file in own.iter().chain(&docker).chain(&certificates) {
        let owner = if file.owner == "$2" { "\"$2\"" } else { "root" };
        script.push_str(&format!(
            "same {} {} {} {owner}\n",
            quote::sh(&file.path),
            sha256(&file.content),
            file.mode,
        ));
    }
    for file in &certificates {
        let link = quote::sh(&files::link(&file.path));
        script.push_str(&format!(
            "if [ -e {link} ] && [ ! {path} -nt /etc/ssl/certs/ca-certificates.crt ]; then echo \"trusted\" {path}; fi\n",
            path = quote::sh(&file.path),
        ));
    }
    if workshop.venue.apt_mirror.is_some() {
        // Who logs in to an archive, and how, stays in the box.
        script.push_str(&format!(
            r"grep -shE '^(deb|URIs:)' {} | grep -oE '{ARCHIVE}([[:space:]]|$)' | sed -E 's#://[^/@]*@#://#; s/^/archive /' | sort -u
",
            SOURCES.join(" ")
        ));
    }
    if workshop.venue.concerns_docker() {
        script.push_str(&format!(
            r#"pid=; name=
if [ -r /run/docker.pid ]; then read -r pid </run/docker.pid; [ -n "$pid" ] || pid=$(cat /run/docker.pid); fi
[ -z "$pid" ] || [ ! -r "/proc/$pid/comm" ] || read -r name <"/proc/$pid/comm"
if [ "$name" = dockerd ]; then
  has=$(tr '\0' '\n' <"/proc/$pid/environ" | grep -cxFf {DAEMON} 2>/dev/null)
  if [ -s {DAEMON} ] && [ "$has" = "$(wc -l <{DAEMON})" ]; then echo "daemon current"; else echo "daemon stale"; fi
fi
"#
        ));
    }
    script
}

/// Whether anything at all is declared.
pub fn is_declared(workshop: &Workshop) -> bool {
    workshop.venue.concerns_docker() || workshop.venue.apt_mirror.is_some()
}

impl Fact for Found {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let ours = look_for_ours();
        let question = if is_declared(workshop) {
            // A proxy's password is in files for root alone.
            Question::Root(format!("{ours}{}echo end", compare(workshop)))
        } else {
            Question::Login(format!("{ours}echo end"))
        };
        vec![Probe::new(Self::PROBE, question)]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || {
            Unobserved(format!(
                "what the box has for its network is not understood: {text}"
            ))
        };
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut found = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim().to_owned();
            match (word, rest.as_str()) {
                ("there", _) => drop(found.there.insert(rest)),
                ("same", _) => drop(found.same.insert(rest)),
                ("trusted", _) => drop(found.trusted.insert(rest)),
                ("archive", _) => found.archives.push(rest),
                ("mirror", _) => found.mirrors.push(rest),
                ("daemon", "current") => found.daemon = Daemon::Current,
                ("daemon", "stale") => found.daemon = Daemon::Stale,
                ("end", "") => {}
                _ => return Err(garbled()),
            }
        }
        Ok(found)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_archives_password_stays_in_the_box() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sources.list").display().to_string();
        let line = "deb http://anna:canary@mirror.lab/debian trixie main\ndeb http://mirror.lab/debian trixie-updates main\n";
        std::fs::write(&file, line).unwrap();
        let mut workshop = Workshop::builtin().unwrap();
        workshop.venue.apt_mirror = Some("http://other.lab".to_owned());
        let script = compare(&workshop).replace(SOURCES[0], &file);
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            said.matches("archive http://mirror.lab/debian").count(),
            1,
            "{said}"
        );
        assert!(!said.contains("canary"), "{said}");
    }
}

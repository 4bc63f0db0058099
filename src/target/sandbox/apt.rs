//! Where Debian's packages come from: what the host's own apt uses, or what the person says.

use std::fs;
use std::path::{Path, PathBuf};

use super::spec::Suite;
use crate::error::{Error, Result};

/// Gives the mirror on a host whose apt knows none, or another than apt's.
pub const MIRROR_VARIABLE: &str = "DWENV_SANDBOX_MIRROR";

/// Where both the host and a Debian machine keep the keys that Debian signs with.
pub const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's releases, by the names that may stand in a host's apt configuration.
const RELEASES: &[&str] = &[
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "sid",
];

/// One package source of apt's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// What a part of Debian's archive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Release,
    Updates,
    Security,
}

/// The lines of a `sources.list` for this suite.
pub fn sources(suite: Suite) -> Result<Vec<String>> {
    if let Some(mirror) = std::env::var_os(MIRROR_VARIABLE) {
        return given(&mirror.to_string_lossy(), suite);
    }
    let lines = translate(&read_all(Path::new("/etc/apt")), suite);
    if lines.is_empty() {
        return Err(
            Error::usage("found no Debian package mirror for the sandbox")
                .because("this machine's own apt configuration names none")
                .hint(format!(
                    "Set the environment variable {MIRROR_VARIABLE} to the address of a Debian mirror."
                )),
        );
    }
    Ok(lines)
}

/// The host's apt settings that decide whether its mirror can be reached at all.
pub fn settings() -> Vec<PathBuf> {
    files_in(Path::new("/etc/apt/apt.conf.d"))
        .into_iter()
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("99") || name.contains("proxy")
        })
        .collect()
}

fn given(mirror: &str, suite: Suite) -> Result<Vec<String>> {
    if !is_fetched(mirror) || mirror.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(
            Error::usage(format!("`{mirror}` is no mirror's address")).because(format!(
                "{MIRROR_VARIABLE} must begin with http:// or https://"
            )),
        );
    }
    Ok([Part::Release, Part::Updates]
        .map(|part| line(mirror, part, suite))
        .to_vec())
}

fn translate(sources: &[Source], suite: Suite) -> Vec<String> {
    let parts = [Part::Release, Part::Updates, Part::Security];
    let lines: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let offers = |source: &&Source| source.offers(part);
            let best = sources.iter().filter(offers).max_by_key(|s| s.trust());
            best.map(|source| line(&source.uri, part, suite))
        })
        .collect();
    match lines.first() {
        Some(Some(_)) => lines.into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

fn line(uri: &str, part: Part, suite: Suite) -> String {
    let suffix = match part {
        Part::Release => "",
        Part::Updates => "-updates",
        Part::Security => "-security",
    };
    format!(
        "deb [signed-by={KEYRING}] {uri} {}{suffix} main",
        suite.name()
    )
}

impl Source {
    fn offers(&self, part: Part) -> bool {
        self.trust() > 0
            && is_fetched(&self.uri)
            && self.components.iter().any(|component| component == "main")
            && self.suites.iter().any(|suite| part_of(suite) == Some(part))
    }

    /// Others publish under Debian's release names too; their keys tell them apart. 0 is a stranger.
    fn trust(&self) -> u8 {
        match &self.signed_by {
            Some(keys) if keys.contains("debian-archive") => 2,
            Some(_) => 0,
            None => 1,
        }
    }
}

/// Which part of Debian's archive a suite is, if it is one.
fn part_of(suite: &str) -> Option<Part> {
    let suite = suite.trim_end_matches('/');
    let (release, part) = if let Some(release) = suite.strip_suffix("-updates") {
        (release, Part::Updates)
    } else if let Some(release) = suite.strip_suffix("-security") {
        (release, Part::Security)
    } else if let Some(release) = suite.strip_suffix("/updates") {
        (release, Part::Security)
    } else {
        (suite, Part::Release)
    };
    RELEASES.contains(&release).then_some(part)
}

/// A machine cannot see the host's files and discs.
fn is_fetched(uri: &str) -> bool {
    let uri = uri.strip_prefix("mirror+").unwrap_or(uri);
    uri.starts_with("http://") || uri.starts_with("https://")
}

fn read_all(folder: &Path) -> Vec<Source> {
    let mut files = vec![folder.join("sources.list")];
    files.extend(files_in(&folder.join("sources.list.d")));
    let mut sources = Vec::new();
    for file in files {
        // A file that cannot be read is no mirror; that none is left is told by the caller.
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|end| end.to_str()) {
            Some("sources") => sources.extend(parse_stanzas(&text)),
            Some("list") => sources.extend(text.lines().filter_map(parse_line)),
            _ => {}
        }
    }
    sources
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

/// `deb [option=value …] URI SUITE COMPONENT…`
fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    rest = rest.trim_start();
    let mut signed_by = None;
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (options, after) = bracketed.split_once(']')?;
        signed_by = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("signed-by="))
            .map(str::to_owned);
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

/// The deb822 format: stanzas of `Field: value`, a value going on in lines that begin with a space.
fn parse_stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(stanza(&std::mem::take(&mut fields)));
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn stanza(fields: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    };
    let words = |name: &str| -> Vec<String> {
        let value = field(name).unwrap_or_default();
        value.split_whitespace().map(str::to_owned).collect()
    };
    let off = field("enabled").is_some_and(|value| matches!(value, "no" | "false" | "0"));
    if off || !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
            signed_by: field("signed-by").map(str::to_owned),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
# ours
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
# the rest is not free
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    #[test]
    fn stanzas_become_lines_for_another_suite() {
        let mut sources = parse_stanzas(STANZAS);
        assert_eq!(sources.len(), 2);
        // A key written out in place could be anybody's.
        assert_eq!(translate(&sources, Suite::Trixie).len(), 2);
        sources[1].signed_by = None;
        let keys = format!("[signed-by={KEYRING}]");
        assert_eq!(
            translate(&sources, Suite::Trixie),
            [
                format!("deb {keys} http://mirror.example/debian trixie main"),
                format!("deb {keys} http://mirror.example/debian trixie-updates main"),
                format!("deb {keys} http://mirror.example/debian-security trixie-security main"),
            ]
        );
    }

    #[test]
    fn one_line_entries_are_read_with_and_without_options() {
        let source =
            parse_line("deb [arch=amd64 signed-by=/k.gpg] https://m.example/d stable main # x");
        let source = source.unwrap();
        assert_eq!(source.uri, "https://m.example/d");
        assert_eq!(source.suites, ["stable"]);
        assert_eq!(source.components, ["main"]);
        assert_eq!(source.signed_by.as_deref(), Some("/k.gpg"));
        assert!(parse_line("deb http://m.example/d sid main").is_some());
        for line in [
            "",
            "# deb http://m.example/d sid main",
            "deb-src http://m.example/d sid main",
            "deb",
            "deb [x",
        ] {
            assert_eq!(parse_line(line), None, "{line}");
        }
    }

    #[test]
    fn strangers_and_discs_are_no_debian_mirror() {
        for line in [
            "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.example/d bookworm main",
            "deb https://vendor.example/d bookworm stable",
            "deb https://vendor.example/d nodistro main",
            "deb http://ubuntu.example/ubuntu noble main",
            "deb cdrom:[Debian]/ bookworm main",
            "deb file:/srv/mirror bookworm main",
            "deb http://mirror.example/debian bookworm-backports main",
            "deb http://mirror.example/debian bookworm-updates main",
        ] {
            let sources: Vec<_> = parse_line(line).into_iter().collect();
            assert_eq!(translate(&sources, Suite::Trixie), [""; 0], "{line}");
        }
    }

    #[test]
    fn a_given_mirror_must_be_an_address() {
        assert_eq!(
            given("http://mirror.example/debian", Suite::Bookworm)
                .unwrap()
                .len(),
            2
        );
        for text in ["", "mirror.example", "http://a b", "file:/x", "http://a\nb"] {
            assert!(given(text, Suite::Bookworm).is_err(), "{text}");
        }
    }
}

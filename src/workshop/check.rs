//! What each kind of value must look like. Names that travel into sh, systemd or a Vagrantfile are held to
//! letters that none of them has to quote.

use semver::Version;

use super::section::{Problem, suggestion};
use crate::error::Error;
use crate::target::{self, Target, range};

type Checked<T> = Result<T, Problem>;

/// Top-level domains that browsers open only with https.
const HTTPS_ONLY: &[&str] = &["app", "dev", "foo", "new", "page"];

/// Units that the box needs under their own name.
const TAKEN_UNITS: &[&str] = &[
    "containerd.service",
    "dbus.service",
    "docker.service",
    "networking.service",
    "postgresql.service",
    "ssh.service",
    "sshd.service",
];

/// One label of a host name.
pub fn label(text: &str) -> Checked<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 63 || !text.chars().all(letters) {
        return Err(Problem::new(
            "it must be 1 to 63 small letters a-z, digits and hyphens",
        ));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(Problem::new("a hyphen can only stand between letters"));
    }
    Ok(text.to_owned())
}

pub fn hostname(text: &str) -> Checked<String> {
    let labels: Vec<&str> = text.split('.').collect();
    for part in &labels {
        label(part)?;
    }
    match labels.last() {
        Some(last) if labels.len() > 1 && HTTPS_ONLY.contains(last) => Err(Problem::new(format!(
            "browsers open names under .{last} only with https"
        ))
        .hint("take a name without a dot, or one that ends in .test")),
        Some(&"localhost") => Err(Problem::new("every machine calls itself that")),
        _ => Ok(text.to_owned()),
    }
}

/// The name of a Vagrant box, such as `bento/debian-13`.
pub fn vagrant_box(text: &str) -> Checked<String> {
    let part = |part: &str| plain(part) && !part.starts_with(['-', '.']);
    if text.split('/').count() <= 2 && text.split('/').all(part) {
        Ok(text.to_owned())
    } else {
        Err(Problem::new("it is no name of a Vagrant box").hint("such as bento/debian-13"))
    }
}

/// A version, of which the last parts may be left out.
pub fn version(text: &str) -> Checked<Version> {
    let dots = text.matches('.').count();
    let padded = match dots {
        0 => format!("{text}.0.0"),
        1 => format!("{text}.0"),
        _ => text.to_owned(),
    };
    Version::parse(&padded).map_err(|error| {
        Problem::new(format!("it is no version ({error})")).hint("such as 20.10 or 2.4.9")
    })
}

/// A password, wherever it comes from: what is wrong with it is said without repeating it.
pub fn password(text: &str) -> Checked<String> {
    if text.is_empty() {
        return Err(Problem::new("a password cannot be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::new(
            "a password is one line without control characters",
        ));
    }
    Ok(text.to_owned())
}

/// The name of an environment variable.
pub fn variable(text: &str) -> Checked<String> {
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(text.to_owned())
    } else {
        Err(Problem::new("it is no name of an environment variable"))
    }
}

/// An image reference, such as `python:3-slim` or `registry.example:5000/team/tool:1.2`.
pub fn image(text: &str) -> Checked<String> {
    let wrong =
        || Problem::new("it is no image reference").hint("such as python:3-slim or postgres:17");
    let name = text.split_once('@').map_or(text, |(name, _)| name);
    // A colon before the last slash belongs to the registry's port, one behind it to the tag.
    let (path, last) = match name.rsplit_once('/') {
        Some((path, last)) => (Some(path), last),
        None => (None, name),
    };
    let (last, tag) = match last.split_once(':') {
        Some((last, tag)) => (last, Some(tag)),
        None => (last, None),
    };
    let small = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-:".contains(c))
    };
    let digest = text.split_once('@').is_none_or(|(_, digest)| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64
                && hex
                    .chars()
                    .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
        })
    });
    let parts = path.into_iter().flat_map(|path| path.split('/'));
    let tagged = tag.is_none_or(|tag| plain(tag) && !tag.starts_with(['.', '-']));
    if parts.chain([last]).all(small) && tagged && digest {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// The URL of an apt repository, without a slash at its end.
pub fn repository(text: &str) -> Checked<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fits = |rest: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._~:/-[]".contains(c);
        !rest.is_empty() && rest.chars().all(plain)
    };
    match rest {
        Some(rest) if fits(rest) => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(Problem::new("it is no web address of an apt repository")
            .hint("such as https://mirror.example/linux")),
    }
}

/// The fingerprint of an OpenPGP key; spaces between its digits are passed over.
pub fn fingerprint(text: &str) -> Checked<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if digits.len() == 40 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        Ok(digits.to_ascii_uppercase())
    } else {
        Err(Problem::new("it is no fingerprint of a key").hint("40 hexadecimal digits"))
    }
}

/// One of a few words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Checked<T> {
    words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Problem::new(format!("it must be one of: {}", known.join(", ")))
                .hint(suggestion(text, &known))
        })
}

/// A folder in the box, relative to a home.
pub fn directory(text: &str) -> Checked<String> {
    relative(text)?;
    if text.split('/').any(|part| part.starts_with('.')) {
        return Err(Problem::new(
            "hidden folders of a home belong to other programs",
        ));
    }
    Ok(text.to_owned())
}

/// A path that stays in its folder and that no shell and no URL has to quote.
pub fn relative(text: &str) -> Checked<String> {
    if text.contains('\\') {
        return Err(Problem::new("folders are separated with / on every system")
            .hint(format!("write {}", text.replace('\\', "/"))));
    }
    if text.starts_with('/') || text.starts_with('~') || text.contains(':') {
        return Err(Problem::new("it must be a relative path"));
    }
    for part in text.split('/') {
        if part == ".." {
            return Err(Problem::new("it leads out of its folder"));
        }
        if part.is_empty() || part == "." || part.starts_with('-') || !plain(part) {
            return Err(Problem::new("it is no path without need of quoting").hint(
                "take letters a-z, digits, dots, hyphens and underscores, and / between them",
            ));
        }
    }
    Ok(text.to_owned())
}

/// The name of a systemd service.
pub fn unit(text: &str) -> Checked<String> {
    let Some(stem) = text.strip_suffix(".service") else {
        return Err(Problem::new("it is no service").hint("its name ends in .service"));
    };
    if stem.is_empty() || !plain(stem) || stem.starts_with(['-', '.']) {
        return Err(Problem::new("it is no name of a service").hint(
            "such as docker-workshop.service: letters, digits, hyphens, dots and underscores",
        ));
    }
    if TAKEN_UNITS.contains(&text) || stem.starts_with("systemd-") {
        return Err(Problem::new(
            "the box has a service of its own by that name",
        ));
    }
    Ok(text.to_owned())
}

/// The name of a `[target.NAME]`.
pub fn target_name(text: &str) -> Checked<String> {
    if matches!(text, "vagrant" | "sandbox" | "ssh" | target::choose::ROOM) {
        return Err(Problem::new("--target already knows that word"));
    }
    login(text)
}

/// What `--target` takes: a box, or several in a range.
pub fn room_target(text: &str) -> Checked<String> {
    let problem = |error: Error| {
        let problem = Problem::new(&error.message);
        match error.hints.first() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    };
    for target in range::expand(text).map_err(problem)? {
        target.parse::<Target>().map_err(problem)?;
    }
    if text == target::choose::ROOM {
        return Err(Problem::new("the room cannot hold itself"));
    }
    Ok(text.to_owned())
}

/// A host that SSH reaches.
pub fn host(text: &str) -> Checked<String> {
    match text.parse::<std::net::IpAddr>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => login(text),
    }
}

/// A host, a user, or another word that stands in a command line or an SSH URL.
pub fn login(text: &str) -> Checked<String> {
    if !text.is_empty() && plain(text) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err(Problem::new(
            "it must be letters, digits, hyphens, dots and underscores",
        ))
    }
}

/// Letters that neither SQL strings, sh, systemd, Ruby nor a URL give a meaning to.
fn plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_may_leave_out_their_last_parts() {
        assert_eq!(version("20.10"), Ok(Version::new(20, 10, 0)));
        assert_eq!(version("7"), Ok(Version::new(7, 0, 0)));
        assert_eq!(version("2.4.9"), Ok(Version::new(2, 4, 9)));
        assert!(version("").is_err() && version("7.x").is_err() && version("1.2.3.4").is_err());
    }

    #[test]
    fn paths_stay_in_their_folder() {
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "C:/x",
            "a\\b",
            "~/x",
            "-x",
            "a b",
        ] {
            assert!(relative(text).is_err(), "{text}");
        }
        assert!(relative("provision/create_db.sql").is_ok() && relative(".dockerignore").is_ok());
        assert!(directory(".ssh").is_err() && directory("work/shop").is_ok());
    }

    #[test]
    fn host_names_are_labels_outside_the_https_only_domains() {
        for text in [
            "docker-workshop.dev",
            "a.app",
            "Box",
            "a_b",
            "-a",
            "a..b",
            "",
            "localhost",
        ] {
            assert!(hostname(text).is_err(), "{text}");
        }
        assert!(hostname("docker-workshop").is_ok() && hostname("dev").is_ok());
        assert!(hostname("box.workshop.test").is_ok());
    }

    #[test]
    fn image_references_keep_ports_tags_and_digests_apart() {
        let digest = format!("tool@sha256:{}", "0a".repeat(32));
        for text in [
            "python:3-slim",
            "postgres",
            "reg.example:5000/a/b:V1",
            digest.as_str(),
        ] {
            assert!(image(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "Python",
            "a b",
            "-a",
            "a:",
            "a@sha256:12",
            "$(x)",
            "a//b",
            "/a",
        ] {
            assert!(image(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_of_the_box_itself_are_not_taken() {
        for text in [
            "ssh.service",
            "web",
            "web@1.service",
            ".service",
            "a b.service",
            "systemd-logind.service",
        ] {
            assert!(unit(text).is_err(), "{text}");
        }
        assert!(unit("docker-workshop.service").is_ok());
    }
}

//! The images that the workshop needs.

use super::super::{Context, State, observed};
use super::Drift;
use super::facts::DockerApi;
use crate::facts::Facts;

pub fn diff(context: Context, facts: &Facts) -> State<Drift> {
    let DockerApi(Some(api)) = observed!(facts, DockerApi) else {
        return State::Unknown("Docker's socket let nobody in".to_owned());
    };
    let declared = &context.workshop.docker.images;
    let absent = |image: &&String| !api.images.contains(&as_listed(image));
    let mut missing = declared.iter().filter(absent).cloned();
    match missing.next() {
        None => State::AsDeclared(declared.join(", ")),
        Some(first) => State::Drifted(Drift::ImagesMissing {
            first,
            others: missing.collect(),
        }),
    }
}

/// A reference as Docker's list of images has it: with the tag `latest` where it has none, by the digest
/// alone where it has one, and without the address of Docker's own registry.
#[must_use]
pub fn as_listed(image: &str) -> String {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let image = image.strip_prefix("library/").unwrap_or(image);
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    // A registry's port is no tag.
    let tag = named.rsplit('/').next().unwrap_or(named).split_once(':');
    match (digest, tag) {
        (None, Some(_)) => named.to_owned(),
        (None, None) => format!("{named}:latest"),
        (Some(digest), None) => format!("{named}@{digest}"),
        (Some(digest), Some((_, tag))) => {
            let name = &named[..named.len() - tag.len() - 1];
            format!("{name}@{digest}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::as_listed;

    #[test]
    fn references_as_docker_lists_them() {
        for (declared, listed) in [
            ("postgres", "postgres:latest"),
            ("docker.io/library/python:3-slim", "python:3-slim"),
            ("localhost:5000/lab", "localhost:5000/lab:latest"),
            ("localhost:5000/lab:1", "localhost:5000/lab:1"),
            ("python@sha256:ab", "python@sha256:ab"),
            ("docker.io/python:3-slim@sha256:ab", "python@sha256:ab"),
            (
                "localhost:5000/lab:1@sha256:ab",
                "localhost:5000/lab@sha256:ab",
            ),
        ] {
            assert_eq!(as_listed(declared), listed, "{declared}");
        }
    }
}

//! The declaration that the program carries inside, so that it works in an empty folder.

pub const CONFIG: &str = include_str!("../../config.toml");

/// The files that it names, by the path it gives them.
pub const FILES: &[(&str, &str)] = &[
    (
        "provision/Dockerfile",
        include_str!("../../provision/Dockerfile"),
    ),
    (
        "provision/compose.yaml",
        include_str!("../../provision/compose.yaml"),
    ),
    (
        "provision/create_db.sql",
        include_str!("../../provision/create_db.sql"),
    ),
    (
        "provision/create_schema_and_fixtures.sql",
        include_str!("../../provision/create_schema_and_fixtures.sql"),
    ),
    (
        "provision/docker-workshop.service",
        include_str!("../../provision/docker-workshop.service"),
    ),
    (
        "provision/requirements.txt",
        include_str!("../../provision/requirements.txt"),
    ),
    (
        "provision/server.py",
        include_str!("../../provision/server.py"),
    ),
];

pub fn file(path: &str) -> Option<&'static str> {
    FILES
        .iter()
        .find(|(known, _)| *known == path)
        .map(|(_, content)| *content)
}

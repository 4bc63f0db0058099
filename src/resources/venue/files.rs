//! The files that a venue's network needs in a box, as they are declared.
//!
//! Each is dwenv's alone, known by its name: nothing of anybody else's is written to but Docker's settings and
//! apt's sources, of which is noted what was changed.

use super::super::files::{BoxFile, sha256};
use crate::quote;
use crate::workshop::{Proxy, Venue, Workshop};

pub const APT: &str = "/etc/apt/apt.conf.d/99dwenv-network";
pub const SHELLS: &str = "/etc/profile.d/dwenv-network.sh";
/// Has Docker's daemon read [`DAEMON`].
pub const UNIT: &str = "/etc/systemd/system/docker.service.d/dwenv-network.conf";
/// A unit's own environment can be asked by everybody; this file is for root alone.
pub const DAEMON: &str = "/etc/dwenv/docker-network.env";
/// The mirrors in Docker's settings that are there because of dwenv.
pub const MIRRORS: &str = "/var/lib/dwenv/registry-mirrors";
/// Files of apt's sources as they were.
pub const ORIGINALS: &str = "/var/lib/dwenv/orig";

/// Where the distribution's archives are named.
pub const SOURCES: &[&str] = &[
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
];

const HEAD: &str = "Kept by `dwenv provision`, from [network] in config.toml.";

/// In which variable Docker's daemon has what it has to be started anew for, where no other variable has it.
const STAMP: &str = "DWENV_NETWORK";

/// The address of the proxy, and what is reached without it.
struct Way<'a> {
    proxy: &'a Proxy,
    address: &'a str,
    without: Vec<String>,
}

fn way(workshop: &Workshop) -> Option<Way<'_>> {
    let proxy = workshop.venue.proxy.as_ref()?;
    let own = [
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        workshop.machine.hostname.clone(),
        workshop.machine.ip.to_string(),
        // Docker's networks, by name and by address.
        "172.16.0.0/12".to_owned(),
    ];
    let declared = workshop.venue.no_proxy.iter().cloned();
    Some(Way {
        proxy,
        address: proxy.address.reveal(),
        without: own.into_iter().chain(declared).collect(),
    })
}

/// What apt and login shells are told. `user` logs in: a proxy's password is for them, and for root.
pub fn of_proxy(workshop: &Workshop, user: &str) -> Vec<BoxFile> {
    let Some(way) = way(workshop) else {
        return Vec::new();
    };
    let mode = if way.proxy.is_public { "644" } else { "600" };
    let file = |path: &str, owner: &str, content: String| BoxFile {
        path: path.to_owned(),
        owner: owner.to_owned(),
        mode,
        content,
    };
    let owner = if way.proxy.is_public { "root" } else { user };
    vec![
        file(APT, "root", for_apt(&way)),
        file(SHELLS, owner, for_shells(&way)),
    ]
}

fn for_apt(way: &Way) -> String {
    let mut text = format!("// {HEAD}\n");
    for method in ["http", "https"] {
        text.push_str(&format!("Acquire::{method}::Proxy \"{}\";\n", way.address));
    }
    // apt knows single hosts only.
    let is_host = |name: &&String| !name.contains(['/', '*', ':']) && !name.starts_with('.');
    for host in way.without.iter().filter(is_host) {
        for method in ["http", "https"] {
            text.push_str(&format!("Acquire::{method}::Proxy::{host} \"DIRECT\";\n"));
        }
    }
    text
}

fn for_shells(way: &Way) -> String {
    let mut text = format!("# {HEAD}\n");
    let (address, without) = (quote::sh(way.address), quote::sh(&way.without.join(",")));
    for (name, value) in [
        ("http_proxy", &address),
        ("https_proxy", &address),
        ("no_proxy", &without),
    ] {
        // Which of the two a program reads is its own choice.
        for name in [name.to_owned(), name.to_uppercase()] {
            text.push_str(&format!("export {name}={value}\n"));
        }
    }
    text
}

/// The authorities' certificates.
pub fn of_certificates(venue: &Venue) -> Vec<BoxFile> {
    let files = venue.certificates.iter();
    files
        .map(|file| BoxFile {
            path: format!("/usr/local/share/ca-certificates/dwenv-{}.crt", file.stem()),
            owner: "root".to_owned(),
            mode: "644",
            content: file.content.clone(),
        })
        .collect()
}

/// The link by which programs find the certificate of this file, once it is trusted.
pub fn link(certificate: &str) -> String {
    let name = certificate.rsplit('/').next().unwrap_or(certificate);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("/etc/ssl/certs/{stem}.pem")
}

/// What Docker's daemon is told beside its settings: its proxy, and by which certificates and mirrors it has
/// to have been started.
pub fn of_docker(workshop: &Workshop) -> Vec<BoxFile> {
    let venue = &workshop.venue;
    if !venue.concerns_docker() {
        return Vec::new();
    }
    let certificates = venue.certificates.iter().map(|file| file.content.as_str());
    let mirrors = venue.registry_mirrors.iter().map(String::as_str);
    let mut all: Vec<&str> = certificates.chain(mirrors).collect();
    let way = way(workshop);
    // A proxy's address has a line of its own, and may be a secret; that there is none has no line.
    all.push(if way.is_some() { "proxy" } else { "" });
    let mut text = format!("{STAMP}={}\n", &sha256(&all.join("\n"))[..16]);
    if let Some(way) = way {
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            text.push_str(&format!("{name}={}\n", way.address));
        }
        text.push_str(&format!("NO_PROXY={}\n", way.without.join(",")));
    }
    let root = |path: &str, mode: &'static str, content: String| BoxFile {
        path: path.to_owned(),
        owner: "root".to_owned(),
        mode,
        content,
    };
    vec![
        root(DAEMON, "600", text),
        root(
            UNIT,
            "644",
            format!("# {HEAD}\n[Service]\nEnvironmentFile=-{DAEMON}\n"),
        ),
    ]
}

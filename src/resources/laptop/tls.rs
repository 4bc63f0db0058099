//! TLS: certificates that Vagrant's downloads trust, and a proxy that opens what it should not.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::certificate;
use super::common::{Files, Variables};
use super::{Check, Context, Judgement, LaptopKind, State, When, Wrong};
use crate::doctor::report::By;
use crate::facts::laptop::{Entry, Vouched};
use crate::facts::probe::{Ask, LaptopQuestion};
use crate::facts::{Fact, Facts, Probe, Question};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.tls",
        title: "Downloads can trust the servers' certificates",
        needs: &[],
        probe: Variables::PROBE,
    }],
    on: Os::ALL,
    virtualbox: false,
    when: When::Always,
    probes,
    look,
};

const FILES: &str = "laptop.certificate_files";
const VOUCHED: &str = "laptop.certificates";
const HOSTS: &[&str] = &[
    "vagrantcloud.com",
    "registry-1.docker.io",
    "download.docker.com",
];
const NAMES: [&str; 2] = ["SSL_CERT_FILE", "CURL_CA_BUNDLE"];

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let mut probes = Variables::probes(workshop);
    let files = Ask::Files(vec!["{SSL_CERT_FILE}", "{CURL_CA_BUNDLE}"]);
    probes.push(Probe::laptop(FILES, Os::ALL, files));
    let ask = Ask::Vouched(HOSTS);
    let question = LaptopQuestion { on: Os::ALL, ask };
    probes.push(Probe::deep(VOUCHED, Question::Laptop(question)));
    probes
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authorities {
    checked: String,
    #[allow(dead_code, reason = "for whoever brings the list up to date")]
    source: String,
    organisations: Vec<String>,
}

static PUBLIC: LazyLock<Authorities> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../data/certificate-authorities.toml"))
        .expect("a test reads the list that is compiled in")
});

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    let variables = observed!(facts, Variables);
    let files: Files = match facts.records().json(FILES) {
        Ok(files) => files,
        Err(unobserved) => return State::from(&unobserved),
    };
    for name in NAMES {
        let Some(path) = variables.get(name) else {
            continue;
        };
        match files.get(&format!("{{{name}}}")) {
            Some(Entry::Absent) => {
                return Wrong::fail(format!(
                    "{name} names {path}, which is not there: Vagrant downloads nothing"
                ))
                .text("Unset it, in this terminal and where it is set, and open a new one")
                .command(match context.laptop {
                    Os::Windows => format!("reg delete HKCU\\Environment /v {name}"),
                    _ => format!("unset {name}"),
                })
                .drifted();
            }
            Some(_) => {}
            None => return State::Unknown(format!("{path} was not looked at")),
        }
    }
    if !context.before {
        return State::AsDeclared("no variable names a file that is not there".to_owned());
    }
    look_at_servers(facts)
}

fn look_at_servers(facts: &Facts) -> State<Judgement> {
    let vouched: Vec<Vouched> = match facts.records().json(VOUCHED) {
        Ok(vouched) => vouched,
        Err(unobserved) => return State::from(&unobserved),
    };
    let said_of_certificates = |failure: &str| {
        let failure = failure.to_lowercase();
        failure.contains("certificate") || failure.contains("self-signed")
    };
    for server in &vouched {
        let failure = server.failure.as_deref().unwrap_or_default();
        if said_of_certificates(failure) {
            return intercepted(format!(
                "The certificate of {} is not trusted here: {failure}",
                server.host
            ));
        }
        let Some(base64) = &server.certificate else {
            continue;
        };
        let der = BASE64_STANDARD.decode(base64).ok();
        let Some(issuer) = der.and_then(|der| certificate::issuer(&der)) else {
            return State::Unknown(format!(
                "the certificate of {} is not understood",
                server.host
            ));
        };
        if !PUBLIC.organisations.contains(&issuer) {
            return intercepted(format!(
                "The certificate of {} was signed by {issuer}, which is not among the authorities known on {}",
                server.host, PUBLIC.checked
            ));
        }
    }
    // That no server was reached is told by the clock's check.
    State::AsDeclared(
        if vouched.iter().any(|server| server.certificate.is_some()) {
            "as the authorities signed them"
        } else {
            "no variable names a file that is not there; no server was reached"
        }
        .to_owned(),
    )
}

fn intercepted(summary: String) -> State<Judgement> {
    Wrong::warn(summary)
        .text("A proxy seems to open what is encrypted, as companies do: Vagrant, Docker and pip refuse that. Ask your IT for the certificate of its authority as a file, and name that file in SSL_CERT_FILE and CURL_CA_BUNDLE; or use another network")
        .mended_by(By::It)
        .drifted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        assert!(PUBLIC.organisations.len() > 10);
    }
}

//! Proxies: that what is on the laptop itself, and the box, is not sought through them.

use super::common::{Variables, lines, not_understood, program};
use super::{Check, Context, Judgement, LaptopKind, MAC, State, WINDOWS, When, Wrong};
use crate::facts::{Fact, Facts, Observed, Probe};
use crate::resources::observed;
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.proxy",
        title: "A proxy is told to Vagrant, and not in the way to the box",
        needs: &[],
        probe: Variables::PROBE,
    }],
    on: Os::ALL,
    virtualbox: true,
    when: When::Always,
    probes,
    look,
};

const REGISTRY: &str = "laptop.internet_settings";
const SCUTIL: &str = "laptop.scutil";

fn probes(workshop: &Workshop) -> Vec<Probe> {
    let key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Internet Settings";
    let mut probes = Variables::probes(workshop);
    probes.push(program(REGISTRY, WINDOWS, "reg", &["query", key]));
    probes.push(program(SCUTIL, MAC, "scutil", &["--proxy"]));
    probes
}

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    let variables = observed!(facts, Variables);
    let proxy = ["https_proxy", "http_proxy"]
        .iter()
        .find_map(|name| variables.get(name));
    let ip = context.workshop.machine.ip.to_string();
    let Some(proxy) = proxy else {
        return match system_proxy(context.laptop, facts) {
            Err(unobserved) => State::from(&unobserved),
            Ok(None) => State::AsDeclared("there is none".to_owned()),
            Ok(Some(proxy)) => Wrong::warn(format!(
                "The system has a proxy for browsers ({proxy}) that Vagrant does not know of: the box may not be downloaded"
            ))
            .text(format!("Tell Vagrant of it, {}", for_good(context.laptop)))
            .command(set(context.laptop, "https_proxy", &format!("http://{proxy}")))
            .command(set(context.laptop, "no_proxy", &format!("localhost,127.0.0.1,{ip}")))
            .drifted(),
        };
    };
    let exceptions = variables.get("no_proxy").unwrap_or_default();
    let listed: Vec<&str> = exceptions
        .split([',', ' '])
        .filter(|it| !it.is_empty())
        .collect();
    let missing: Vec<&str> = ["localhost", "127.0.0.1", ip.as_str()]
        .into_iter()
        .filter(|host| !is_excepted(host, &listed))
        .collect();
    if missing.is_empty() {
        return State::AsDeclared(format!("{proxy}, and not for the box"));
    }
    let whole: Vec<&str> = listed.into_iter().chain(missing.iter().copied()).collect();
    Wrong::warn(format!(
        "The proxy {proxy} is also asked for {}, which it cannot reach",
        missing.join(", ")
    ))
    .text(format!("Except them, {}", for_good(context.laptop)))
    .command(set(context.laptop, "no_proxy", &whole.join(",")))
    .drifted()
}

fn is_excepted(host: &str, listed: &[&str]) -> bool {
    listed.iter().any(|it| {
        let network = it.split_once('/').and_then(|(address, bits)| {
            super::network::Net::new(address.parse().ok()?, bits.parse().ok()?)
        });
        let in_network = match (network, host.parse()) {
            (Some(network), Ok(ip)) => network.contains(ip),
            _ => false,
        };
        *it == "*" || *it == host || in_network
    })
}

/// A command that sets a variable for good.
fn set(laptop: Os, name: &str, value: &str) -> String {
    match laptop {
        Os::Windows => format!("setx {name} \"{value}\""),
        _ => format!("export {name}={}", crate::quote::sh(value)),
    }
}

/// The proxy that browsers take from the system.
fn system_proxy(laptop: Os, facts: &Facts) -> Observed<Option<String>> {
    let records = facts.records();
    Ok(match laptop {
        // `    ProxyEnable    REG_DWORD    0x1` and `    ProxyServer    REG_SZ    proxy:3128`
        Os::Windows => {
            let text = lines(records, REGISTRY)?;
            let value = |name: &str| {
                text.lines().find_map(|line| {
                    let mut words = line.split_whitespace();
                    (words.next()? == name).then(|| words.nth(1)).flatten()
                })
            };
            if !text.contains("HKEY_CURRENT_USER") {
                return Err(not_understood("reg's answer", text));
            }
            let server = value("ProxyServer").filter(|_| value("ProxyEnable") == Some("0x1"));
            server.map(str::to_owned)
        }
        // `  HTTPSEnable : 1`, `  HTTPSProxy : proxy`, `  HTTPSPort : 3128`
        Os::MacOs => {
            let text = lines(records, SCUTIL)?;
            let value = |name: &str| {
                text.lines().find_map(|line| {
                    let (key, value) = line.split_once(" : ")?;
                    (key.trim() == name).then_some(value.trim())
                })
            };
            if !text.contains("<dictionary>") {
                return Err(not_understood("scutil's answer", text));
            }
            let address = value("HTTPSProxy").zip(value("HTTPSPort"));
            address
                .filter(|_| value("HTTPSEnable") == Some("1"))
                .map(|(host, port)| format!("{host}:{port}"))
        }
        Os::Linux | Os::Other => None,
    })
}

/// Where a variable is set for good.
fn for_good(laptop: Os) -> &'static str {
    match laptop {
        Os::Windows => "then open a new terminal",
        _ => "in this terminal, and write the same into ~/.profile for the next ones",
    }
}

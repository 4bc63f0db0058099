//! The network between laptop and box: allowed, free, and not taken away by a VPN.

use super::common::{Files, virtualbox};
use super::network::{self, Net};
use super::{
    Check, Context, Judgement, KNOWN, LaptopKind, State, UNIX, When, Wrong, box_answers, proved,
};
use crate::facts::laptop::Entry;
use crate::facts::probe::Ask;
use crate::facts::{Facts, Probe};
use crate::target::hostonly;
use crate::target::laptop::Os;

const RANGE: &str = "laptop.hostonly-range";
const OVERLAP: &str = "laptop.hostonly-overlap";
const CONF: &str = "laptop.networks_conf";
/// A name that people write by mistake.
const WRONG_NAME: &str = "/etc/vbox/network.conf";

pub const RANGE_KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: RANGE,
        title: "VirtualBox allows the box's private address",
        needs: &["laptop.virtualbox"],
        probe: CONF,
    }],
    on: UNIX,
    virtualbox: true,
    when: When::Always,
    probes: |_| {
        let files = Ask::Files(vec![hostonly::NETWORKS_CONF, WRONG_NAME]);
        vec![Probe::laptop(CONF, UNIX, files)]
    },
    look: look_at_range,
};

pub const KIND: LaptopKind = LaptopKind {
    checks: &[
        Check {
            id: OVERLAP,
            title: "No other network of the laptop overlaps the box's",
            needs: &[],
            probe: network::ADDRESSES,
        },
        Check {
            id: "laptop.route",
            title: "The way to the box's address is not taken by a VPN",
            needs: &[OVERLAP],
            probe: network::ROUTES,
        },
    ],
    on: KNOWN,
    virtualbox: true,
    when: When::Always,
    probes: network::probes,
    look,
};

fn look_at_range(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    if box_answers(facts) {
        return proved();
    }
    let Some(version) = virtualbox(facts) else {
        return State::Unknown("VirtualBox's version is not known".to_owned());
    };
    let files: Files = match facts.records().json(CONF) {
        Ok(files) => files,
        Err(unobserved) => return State::from(&unobserved),
    };
    let conf = match files.get(hostonly::NETWORKS_CONF) {
        Some(Entry::Text(text)) => Some(text.as_str()),
        Some(Entry::Absent) => None,
        _ => return State::Unknown(format!("{} cannot be read", hostonly::NETWORKS_CONF)),
    };
    let ip = context.workshop.machine.ip;
    match hostonly::check(context.laptop, &version, conf, ip) {
        Ok(()) => State::AsDeclared(ip.to_string()),
        Err(error) => {
            let mut summary = error.to_string();
            if conf.is_none() && files.get(WRONG_NAME).is_some_and(Entry::is_there) {
                summary += &format!(
                    "; there is a {WRONG_NAME}, but VirtualBox reads networks.conf, with an s"
                );
            }
            let wrong = Wrong::fail(summary).text(
                "Allow the address; VirtualBox's own range stays allowed. Where you may not use sudo, ask your IT",
            );
            hint_commands(&error.hints)
                .into_iter()
                .fold(wrong, Wrong::command)
                .drifted()
        }
    }
}

/// What stands between backticks in a hint is to be typed.
fn hint_commands(hints: &[String]) -> Vec<String> {
    hints
        .iter()
        .filter_map(|hint| hint.split('`').nth(1))
        .map(str::to_owned)
        .collect()
}

fn look(check: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    let ip = context.workshop.machine.ip;
    let Some(net) = Net::new(ip, 24) else {
        return State::Unknown("the box's address is no network".to_owned());
    };
    if check.id == OVERLAP {
        if box_answers(facts) {
            return proved();
        }
        look_at_overlap(context.laptop, net, facts)
    } else {
        look_at_route(context, net, facts)
    }
}

fn look_at_overlap(laptop: Os, net: Net, facts: &Facts) -> State<Judgement> {
    let addresses = match network::addresses(laptop, facts) {
        Ok(addresses) => addresses,
        Err(unobserved) => return State::from(&unobserved),
    };
    let other = addresses
        .iter()
        .find(|via| !via.is_virtualboxs && via.net.overlaps(net));
    match other {
        None => State::AsDeclared("none does".to_owned()),
        Some(via) => Wrong::fail(format!(
            "{} has the address {}/{}, in the network that the box needs for itself ({}): VirtualBox refuses it",
            via.interface, via.net.address, via.net.bits, shown(net)
        ))
        .text("Leave that network before you start the box: another Wi-Fi, or the VPN off. If it is your network at home and at work, tell the organiser: the workshop can use another address")
        .drifted(),
    }
}

/// A route that is more than the one to everywhere, and not VirtualBox's own.
fn look_at_route(context: Context, net: Net, facts: &Facts) -> State<Judgement> {
    let routes = match network::routes(context.laptop, facts) {
        Ok(routes) => routes,
        Err(unobserved) => return State::from(&unobserved),
    };
    let ip = context.workshop.machine.ip;
    let nearest = routes
        .iter()
        // A VPN that takes everything does so with two halves; VirtualBox's own network goes before them.
        .filter(|via| via.net.bits > 1 && via.net.contains(ip))
        .max_by_key(|via| (via.net.bits, !via.is_virtualboxs));
    match nearest {
        Some(via) if !via.is_virtualboxs => {
            let wrong = Wrong::warn(format!(
                "What goes to the box's address {ip} leaves by {} ({}/{}), as a VPN has it",
                via.interface, via.net.address, via.net.bits
            ))
            .text("Switch the VPN off for the workshop; the forwarded ports on 127.0.0.1 work with it as well");
            let wrong = if context.laptop == Os::MacOs {
                let [a, b, c, _] = net.address.octets();
                wrong.command(format!(
                    "sudo route -nv add -net {a}.{b}.{c} -interface vboxnet0"
                ))
            } else {
                wrong
            };
            wrong.drifted()
        }
        Some(via) => State::AsDeclared(format!("by {}", via.interface)),
        None => State::AsDeclared("free".to_owned()),
    }
}

fn shown(net: Net) -> String {
    let [a, b, c, _] = net.address.octets();
    format!("{a}.{b}.{c}.0/{}", net.bits)
}

//! The networks that Docker makes, between the containers and everything else.

use std::net::Ipv4Addr;

use serde_json::json;

use super::super::{State, observed};
use super::facts::{Host, Route};
use super::{Drift, daemon};
use crate::facts::Facts;

/// One of Docker's networks has addresses that the box reaches by another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub ours: Route,
    pub other: Route,
}

impl Clash {
    /// The network that every daemon makes; the others somebody made, and can make again.
    pub fn is_default(&self) -> bool {
        self.ours.device == "docker0"
    }

    /// The id of a network that somebody made.
    pub fn network(&self) -> &str {
        self.ours.device.trim_start_matches("br-")
    }
}

impl Route {
    pub fn block(&self) -> String {
        format!("{}/{}", self.network, self.bits)
    }
}

pub fn diff_forwarding(facts: &Facts) -> State<Drift> {
    match observed!(facts, Host).forwarding {
        Some(true) => State::AsDeclared("packets are forwarded".to_owned()),
        Some(false) => State::Drifted(Drift::ForwardingOff),
        None => State::Unknown("the kernel does not say whether it forwards packets".to_owned()),
    }
}

/// Routes for half of the internet or all of it stand behind every other: Docker's go before them.
const WIDEST: u32 = 2;

pub fn diff_subnets(facts: &Facts) -> State<Drift> {
    let routes = observed!(facts, Host).routes;
    let (ours, others): (Vec<&Route>, Vec<&Route>) =
        routes.iter().partition(|route| route.is_dockers());
    for ours in &ours {
        let clashes =
            |other: &&&Route| other.bits >= WIDEST && other.overlaps(ours.network, ours.bits);
        if let Some(other) = others.iter().find(clashes) {
            return State::Drifted(Drift::SubnetClash(Clash {
                ours: (*ours).clone(),
                other: (*other).clone(),
            }));
        }
    }
    match &ours[..] {
        [] => State::AsDeclared("Docker has made no network yet".to_owned()),
        networks => {
            let blocks: Vec<String> = networks.iter().map(|route| route.block()).collect();
            State::AsDeclared(blocks.join(", "))
        }
    }
}

/// Addresses for `docker0`, and for the networks that are made later.
const POOLS: &[(Ipv4Addr, Ipv4Addr)] = &[
    (Ipv4Addr::new(172, 30, 0, 1), Ipv4Addr::new(172, 31, 0, 0)),
    (Ipv4Addr::new(10, 200, 0, 1), Ipv4Addr::new(10, 201, 0, 0)),
    (Ipv4Addr::new(10, 66, 0, 1), Ipv4Addr::new(10, 67, 0, 0)),
];

/// The daemon's file with addresses that nothing else in the box has; `None` where none are left, or the
/// file is not to be read.
pub fn moved(host: &Host) -> Option<String> {
    let mut settings = daemon::settings(host).ok()?;
    let others = || host.routes.iter().filter(|route| !route.is_dockers());
    let is_free = |network: Ipv4Addr| {
        !others().any(|route| route.bits >= WIDEST && route.overlaps(network, 16))
    };
    let (bridge, pool) = POOLS
        .iter()
        .find(|(bridge, pool)| is_free(*bridge) && is_free(*pool))?;
    settings.insert("bip".to_owned(), json!(format!("{bridge}/24")));
    settings.insert(
        "default-address-pools".to_owned(),
        json!([{ "base": format!("{pool}/16"), "size": 24 }]),
    );
    let mut text = serde_json::to_string_pretty(&settings).ok()?;
    text.push('\n');
    Some(text)
}

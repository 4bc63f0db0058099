//! The laptop's own addresses and routes, as each system tells them.

use std::net::Ipv4Addr;

use serde::Deserialize;

use super::common::{Files, content, lines, not_understood, powershell, program};
use crate::facts::probe::Ask;
use crate::facts::{Facts, Observed, Probe, Records};
use crate::target::laptop::Os;
use crate::workshop::Workshop;

pub const ADDRESSES: &str = "laptop.addresses";
pub const ROUTES: &str = "laptop.routes";
const WINDOWS: &str = "laptop.network";
const ROUTE_FILE: &str = "/proc/net/route";

pub fn probes(_: &Workshop) -> Vec<Probe> {
    let line = "[pscustomobject]@{ \
        Addresses = @(Get-NetIPAddress -AddressFamily IPv4 | Select-Object InterfaceIndex, IPAddress, PrefixLength); \
        Adapters = @(Get-NetAdapter -IncludeHidden | Select-Object ifIndex, Name, InterfaceDescription); \
        Routes = @(Get-NetRoute -AddressFamily IPv4 | Select-Object ifIndex, DestinationPrefix) \
        } | ConvertTo-Json -Depth 3 -Compress";
    vec![
        program(ADDRESSES, &[Os::Linux], "ip", &["-4", "-o", "addr", "show"]),
        Probe::laptop(ROUTES, &[Os::Linux], Ask::Files(vec![ROUTE_FILE])),
        program(ADDRESSES, &[Os::MacOs], "ifconfig", &["-a"]),
        program(ROUTES, &[Os::MacOs], "netstat", &["-rn", "-f", "inet"]),
        powershell(WINDOWS, line),
    ]
}

/// A network: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    pub address: Ipv4Addr,
    pub bits: u8,
}

impl Net {
    pub fn new(address: Ipv4Addr, bits: u8) -> Option<Self> {
        (bits <= 32).then_some(Self { address, bits })
    }

    pub fn contains(self, ip: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
        u32::from(self.address) & mask == u32::from(ip) & mask
    }

    pub fn overlaps(self, other: Self) -> bool {
        if self.bits <= other.bits {
            self.contains(other.address)
        } else {
            other.contains(self.address)
        }
    }

    /// `192.168.33.0/24`, and as netstat of macOS writes it: `192.168.33`, `10.8/16`, `default`.
    fn read(text: &str) -> Option<Self> {
        if text == "default" {
            return Self::new(Ipv4Addr::UNSPECIFIED, 0);
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let parts: Vec<u8> = address
            .split('.')
            .map(|part| part.parse::<u8>().ok())
            .collect::<Option<_>>()?;
        let mut octets = [0; 4];
        octets.get_mut(..parts.len())?.copy_from_slice(&parts);
        let implied = u8::try_from(parts.len() * 8).ok()?;
        Self::new(octets.into(), bits.unwrap_or(implied))
    }
}

/// An address that the laptop has, or a route that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    pub net: Net,
    pub interface: String,
    /// Whether VirtualBox made the interface.
    pub is_virtualboxs: bool,
}

pub fn addresses(laptop: Os, facts: &Facts) -> Observed<Vec<Via>> {
    let records = facts.records();
    let found = match laptop {
        Os::Windows => windows(records)?.addresses(),
        Os::MacOs => mac_addresses(lines(records, ADDRESSES)?),
        Os::Linux | Os::Other => linux_addresses(lines(records, ADDRESSES)?),
    };
    // A laptop has at least the address of itself.
    match found {
        Some(found) if !found.is_empty() => Ok(found),
        _ => Err(not_understood(
            "the list of addresses",
            text(records, laptop, ADDRESSES),
        )),
    }
}

pub fn routes(laptop: Os, facts: &Facts) -> Observed<Vec<Via>> {
    let records = facts.records();
    let found = match laptop {
        Os::Windows => windows(records)?.routes(),
        Os::MacOs => mac_routes(lines(records, ROUTES)?),
        Os::Linux | Os::Other => {
            let files: Files = records.json(ROUTES)?;
            linux_routes(content(&files, ROUTE_FILE)?)
        }
    };
    found.ok_or_else(|| not_understood("the list of routes", text(records, laptop, ROUTES)))
}

fn text<'a>(records: &'a Records, laptop: Os, probe: &str) -> &'a str {
    let probe = if laptop == Os::Windows {
        WINDOWS
    } else {
        probe
    };
    records.text(probe).unwrap_or_default()
}

fn is_virtualboxs(name: &str) -> bool {
    name.starts_with("vboxnet") || name.contains("VirtualBox Host-Only")
}

/// `3: wlan0    inet 192.168.1.20/24 brd 192.168.1.255 scope global dynamic wlan0\ …`
fn linux_addresses(text: &str) -> Option<Vec<Via>> {
    text.lines()
        .map(|line| {
            let mut words = line.split_whitespace().skip(1);
            let interface = words.next()?.to_owned();
            (words.next()? == "inet").then_some(())?;
            // A tunnel shows its far end behind its own address.
            Some(Via {
                net: Net::read(words.next()?)?,
                is_virtualboxs: is_virtualboxs(&interface),
                interface,
            })
        })
        .collect()
}

/// A table in hexadecimal, whose bytes stand in the order of the processor.
fn linux_routes(text: &str) -> Option<Vec<Via>> {
    let mut lines = text.lines();
    lines.next()?.starts_with("Iface").then_some(())?;
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
            let mask = number(7)?;
            Some(Via {
                net: Net::new(
                    number(1)?.to_le_bytes().into(),
                    u8::try_from(mask.count_ones()).ok()?,
                )?,
                interface: words[0].to_owned(),
                is_virtualboxs: is_virtualboxs(words[0]),
            })
        })
        .collect()
}

/// `vboxnet0: flags=8943<UP,…>` and below it `inet 192.168.33.1 netmask 0xffffff00 broadcast …`
fn mac_addresses(text: &str) -> Option<Vec<Via>> {
    let mut interface = None;
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(": flags=") {
            interface = Some(name.to_owned());
        }
        let Some(rest) = line.trim_start().strip_prefix("inet ") else {
            continue;
        };
        let (address, mask) = rest.split_once(" netmask 0x")?;
        let address = address.split(' ').next()?.parse().ok()?;
        let mask = u32::from_str_radix(mask.split(' ').next()?, 16).ok()?;
        let interface = interface.clone()?;
        let net = Net::new(address, u8::try_from(mask.count_ones()).ok()?)?;
        // From 7.0 on VirtualBox has macOS make the network, as a bridge.
        let is_bridge = interface
            .strip_prefix("bridge")
            .is_some_and(|number| number.len() == 3);
        found.push(Via {
            is_virtualboxs: is_virtualboxs(&interface)
                || is_bridge && address.octets()[3] == 1 && net.bits == 24,
            net,
            interface,
        });
    }
    Some(found)
}

/// `192.168.33         link#20            UC              vboxnet0      !`
fn mac_routes(text: &str) -> Option<Vec<Via>> {
    let (_, table) = text.split_once("Destination")?;
    table
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let interface = (*words.get(3)?).to_owned();
            Some(Via {
                net: Net::read(words.first()?.split('%').next()?)?,
                is_virtualboxs: is_virtualboxs(&interface) || interface.starts_with("bridge1"),
                interface,
            })
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Windows {
    addresses: Vec<WindowsAddress>,
    adapters: Vec<WindowsAdapter>,
    routes: Vec<WindowsRoute>,
}

#[derive(Deserialize)]
struct WindowsAddress {
    #[serde(rename = "InterfaceIndex")]
    index: u32,
    #[serde(rename = "IPAddress")]
    address: Ipv4Addr,
    #[serde(rename = "PrefixLength")]
    bits: u8,
}

#[derive(Deserialize)]
struct WindowsAdapter {
    #[serde(rename = "ifIndex")]
    index: u32,
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "InterfaceDescription")]
    description: String,
}

#[derive(Deserialize)]
struct WindowsRoute {
    #[serde(rename = "ifIndex")]
    index: u32,
    #[serde(rename = "DestinationPrefix")]
    prefix: String,
}

fn windows(records: &Records) -> Observed<Windows> {
    records.json(WINDOWS)
}

impl Windows {
    fn via(&self, index: u32, net: Net) -> Via {
        let adapter = self.adapters.iter().find(|adapter| adapter.index == index);
        Via {
            net,
            interface: adapter.map_or_else(
                || format!("interface {index}"),
                |adapter| format!("{} ({})", adapter.name, adapter.description),
            ),
            is_virtualboxs: adapter.is_some_and(|it| is_virtualboxs(&it.description)),
        }
    }

    fn addresses(&self) -> Option<Vec<Via>> {
        self.addresses
            .iter()
            .map(|it| Some(self.via(it.index, Net::new(it.address, it.bits)?)))
            .collect()
    }

    fn routes(&self) -> Option<Vec<Via>> {
        self.routes
            .iter()
            .map(|it| Some(self.via(it.index, Net::read(&it.prefix)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_as_netstat_shortens_them() {
        for (text, address, bits) in [
            ("192.168.33", [192, 168, 33, 0], 24),
            ("10", [10, 0, 0, 0], 8),
            ("10.8/16", [10, 8, 0, 0], 16),
            ("192.168.33.10", [192, 168, 33, 10], 32),
            ("default", [0, 0, 0, 0], 0),
        ] {
            let net = Net::read(text).unwrap();
            assert_eq!((net.address, net.bits), (address.into(), bits), "{text}");
        }
        for text in ["", "fe80::1", "1.2.3.4.5", "10.0.0.0/33"] {
            assert_eq!(Net::read(text), None, "{text}");
        }
    }

    #[test]
    fn linux_routes_are_read_from_the_kernels_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            vboxnet0\t0021A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let routes = linux_routes(table).unwrap();
        assert_eq!(routes[1].net, Net::read("192.168.33.0/24").unwrap());
        assert!(routes[1].is_virtualboxs);
        assert_eq!(routes[0].net.bits, 0);
        assert_eq!(linux_routes("rubbish"), None);
    }
}

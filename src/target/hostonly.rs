//! Whether VirtualBox will give the box its private address.
//!
//! VirtualBox allows host-only networks only in certain ranges, on some systems and from some version on.
//! `vagrant up` says so after minutes of download and import; this says so before.

use std::net::{IpAddr, Ipv4Addr};

use semver::Version;

use super::laptop::Os;
use crate::error::{Error, Result};

/// Where the allowed ranges are written. Where the file exists it replaces VirtualBox's own range.
pub const NETWORKS_CONF: &str = "/etc/vbox/networks.conf";

/// VirtualBox's own range.
const DEFAULT_RANGE: &str = "192.168.56.0/21";

/// Judges a private address. `networks_conf` is the content of [`NETWORKS_CONF`], where there is one.
pub fn check(
    os: Os,
    virtualbox: &Version,
    networks_conf: Option<&str>,
    ip: Ipv4Addr,
) -> Result<()> {
    let restricted = *virtualbox >= Version::new(6, 1, 28)
        && match os {
            Os::Linux => true,
            Os::MacOs => *virtualbox < Version::new(7, 0, 0),
            Os::Windows | Os::Other => false,
        };
    if !restricted {
        return Ok(());
    }
    let [a, b, c, _] = ip.octets();
    let wanted = format!("{a}.{b}.{c}.0/24");
    let Some(text) = networks_conf else {
        if contains(DEFAULT_RANGE, ip) == Some(true) {
            return Ok(());
        }
        return Err(refused(ip, DEFAULT_RANGE).hint(format!(
            "allow it, and keep VirtualBox's own range: `sudo mkdir -p /etc/vbox && echo '* {wanted} {DEFAULT_RANGE}' | sudo tee -a {NETWORKS_CONF}`"
        )));
    };
    let ranges = ranges(text);
    if let Some(bad) = ranges.iter().find(|range| contains(range, ip).is_none()) {
        return Err(rewrite(
            Error::failed(format!(
                "Vagrant cannot read {NETWORKS_CONF}: `{bad}` is no network"
            ))
            .because("a line is `*` and networks with spaces between them, without commas"),
            &wanted,
        ));
    }
    if ranges.is_empty() {
        return Err(rewrite(
            Error::failed(format!(
                "VirtualBox allows no private network at all: {NETWORKS_CONF} holds no line that begins with `*`"
            ))
            .because("where the file exists, it replaces VirtualBox's own range"),
            &wanted,
        ));
    }
    if ranges.iter().any(|range| contains(range, ip) == Some(true)) {
        return Ok(());
    }
    Err(refused(ip, &ranges.join(", ")).hint(format!(
        "allow it: `echo '* {wanted}' | sudo tee -a {NETWORKS_CONF}`"
    )))
}

fn refused(ip: Ipv4Addr, ranges: &str) -> Error {
    Error::failed(format!(
        "VirtualBox will refuse the box's private address {ip}"
    ))
    .because(format!("the allowed ranges are {ranges}"))
}

fn rewrite(error: Error, wanted: &str) -> Error {
    error.hint(format!(
        "write it anew, keeping a copy: `sudo cp {NETWORKS_CONF} {NETWORKS_CONF}.orig-$(date -u +%Y%m%dT%H%M%SZ); echo '* {wanted} {DEFAULT_RANGE}' | sudo tee {NETWORKS_CONF}`"
    ))
}

/// The networks of all lines that begin with `*`, as Vagrant reads them.
fn ranges(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix('*'))
        .flat_map(str::split_whitespace)
        .collect()
}

/// Whether a network, with or without a mask, holds the address; `None` when it is no network.
fn contains(network: &str, ip: Ipv4Addr) -> Option<bool> {
    let (base, mask) = match network.split_once('/') {
        Some((base, mask)) => (base, Some(mask)),
        None => (network, None),
    };
    let base: IpAddr = base.parse().ok()?;
    let longest = if base.is_ipv4() { 32 } else { 128 };
    let bits: u32 = match mask {
        None => longest,
        Some(mask) => match mask.parse() {
            Ok(bits) => bits,
            // Ruby also takes `/255.255.255.0`.
            Err(_) => u32::from(mask.parse::<Ipv4Addr>().ok()?).leading_ones(),
        },
    };
    if bits > longest {
        return None;
    }
    let IpAddr::V4(base) = base else {
        return Some(false);
    };
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Some(u32::from(base) & mask == u32::from(ip) & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: Ipv4Addr = Ipv4Addr::new(192, 168, 33, 10);

    fn judge(os: Os, version: &str, conf: Option<&str>, ip: Ipv4Addr) -> Result<()> {
        check(os, &version.parse().unwrap(), conf, ip)
    }

    #[test]
    fn only_some_systems_and_versions_restrict() {
        for (os, version, allowed) in [
            (Os::Linux, "6.1.26", true),
            (Os::Linux, "6.1.28", false),
            (Os::Linux, "7.2.18", false),
            (Os::MacOs, "6.1.26", true),
            (Os::MacOs, "6.1.50", false),
            (Os::MacOs, "7.0.0", true),
            (Os::Windows, "7.2.18", true),
        ] {
            let judged = judge(os, version, None, ISSUED);
            assert_eq!(judged.is_ok(), allowed, "{os:?} {version}");
        }
    }

    #[test]
    fn without_a_file_virtualboxs_own_range_holds() {
        let inside = Ipv4Addr::new(192, 168, 63, 9);
        assert!(judge(Os::Linux, "7.0.20", None, inside).is_ok());
        let error = judge(Os::Linux, "7.0.20", None, ISSUED).unwrap_err();
        assert_eq!(
            error.hints,
            [
                "allow it, and keep VirtualBox's own range: `sudo mkdir -p /etc/vbox && echo '* 192.168.33.0/24 192.168.56.0/21' | sudo tee -a /etc/vbox/networks.conf`"
            ]
        );
    }

    #[test]
    fn a_file_replaces_the_own_range() {
        let own = Ipv4Addr::new(192, 168, 56, 10);
        for (conf, ip, allowed) in [
            ("* 192.168.33.0/24\n", ISSUED, true),
            ("# ours\n  * 10.0.0.0/8 192.168.0.0/16\n", ISSUED, true),
            ("*192.168.33.0/24", ISSUED, true),
            ("* 0.0.0.0/0 ::/0\n", ISSUED, true),
            ("* 192.168.33.0/255.255.255.0\r\n", ISSUED, true),
            ("* 192.168.33.10\n", ISSUED, true),
            ("* 192.168.33.0/24\n", own, false),
            ("* 192.168.56.0/21\n* 10.0.0.0/8\n", ISSUED, false),
        ] {
            let judged = judge(Os::Linux, "7.0.20", Some(conf), ip);
            assert_eq!(judged.is_ok(), allowed, "{conf:?} {ip}");
        }
    }

    #[test]
    fn a_file_that_says_nothing_or_nonsense_is_named() {
        let empty = judge(Os::Linux, "7.0.20", Some("192.168.33.0/24\n"), ISSUED).unwrap_err();
        assert!(empty.message.contains("holds no line that begins with `*`"));
        let comma = judge(
            Os::Linux,
            "7.0.20",
            Some("* 192.168.33.0/24, 192.168.56.0/21\n"),
            ISSUED,
        )
        .unwrap_err();
        assert_eq!(
            comma.message,
            "Vagrant cannot read /etc/vbox/networks.conf: `192.168.33.0/24,` is no network"
        );
        for error in [empty, comma] {
            assert!(error.hints[0].contains("sudo tee /etc/vbox/networks.conf"));
            assert!(error.hints[0].contains("192.168.56.0/21"));
        }
    }
}

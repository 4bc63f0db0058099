//! Addresses that a declaration may name, and those that would not do what the author hopes.

use std::net::{IpAddr, Ipv4Addr};

use super::section::Problem;

type Checked<T> = Result<T, Problem>;

/// Networks inside the box that its private address must stay out of.
const TAKEN: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(10, 0, 2, 0), 24, "VirtualBox's NAT"),
    (Ipv4Addr::new(172, 17, 0, 0), 16, "Docker's first bridge"),
];

/// The box's address in the network between laptop and box, which is its /24.
pub fn private_address(text: &str) -> Checked<Ipv4Addr> {
    let example = "such as 192.168.33.10";
    let address: Ipv4Addr = text
        .parse()
        .map_err(|_| Problem::new("it is no IPv4 address").hint(example))?;
    if !address.is_private() {
        return Err(Problem::new("it lies outside the private networks").hint(
            "take one of 192.168.0.0/16, 172.16.0.0/12 or 10.0.0.0/8, such as 192.168.33.10",
        ));
    }
    let taken = TAKEN
        .iter()
        .find(|(network, prefix, _)| masked_v4(address, *prefix) == *network);
    if let Some((network, prefix, owner)) = taken {
        return Err(Problem::new(format!("{network}/{prefix} is {owner}")).hint(example));
    }
    let why = match address.octets()[3] {
        0 => "it names its network, not a machine",
        1 => "it is the laptop's own address in that network",
        255 => "it is its network's broadcast address",
        _ => return Ok(address),
    };
    Err(Problem::new(why).hint("its last number can be 2 to 254"))
}

/// An address of `pg_hba.conf`: a network, or a keyword that means the box's own.
pub fn allowed(text: &str) -> Checked<String> {
    if matches!(text, "samehost" | "samenet") {
        return Ok(text.to_owned());
    }
    if text == "all" {
        return Err(too_wide());
    }
    let wrong = || {
        Problem::new("it is no network")
            .hint("such as 172.16.0.0/12, 127.0.0.1/32, ::1/128, samehost or samenet")
    };
    let (address, prefix) = text
        .split_once('/')
        .ok_or_else(|| match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => {
                Problem::new("it has no prefix length").hint(format!("write {text}/32"))
            }
            Ok(IpAddr::V6(_)) => {
                Problem::new("it has no prefix length").hint(format!("write {text}/128"))
            }
            Err(_) => wrong(),
        })?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    // `parse` would take a plus sign.
    let digits = !prefix.is_empty() && prefix.chars().all(|c| c.is_ascii_digit());
    let prefix: u32 = prefix.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
    let (bits, widest, network) = match address {
        IpAddr::V4(v4) => (32, 8, IpAddr::V4(masked_v4(v4, prefix.min(32)))),
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            (128, 7, IpAddr::V6((u128::from(v6) & mask).into()))
        }
    };
    if prefix > bits {
        return Err(Problem::new(format!(
            "its prefix length can be at most {bits}"
        )));
    }
    if prefix < widest {
        return Err(too_wide());
    }
    if network != address {
        return Err(Problem::new("it names a machine, not a network")
            .hint(format!("write {network}/{prefix}, or {address}/{bits}")));
    }
    Ok(text.to_owned())
}

/// PostgreSQL's `listen_addresses`.
pub fn listen_addresses(text: &str) -> Checked<String> {
    let known = |part: &str| part == "*" || part == "localhost" || part.parse::<IpAddr>().is_ok();
    if text.split(',').all(|part| known(part.trim())) {
        Ok(text.to_owned())
    } else {
        Err(Problem::new("it is no list of addresses")
            .hint("such as *, or localhost,192.168.33.10"))
    }
}

fn too_wide() -> Problem {
    Problem::new("it would let in strangers on every network the box is in")
        .hint("name the networks of the workshop, such as samenet or 172.16.0.0/12")
}

fn masked_v4(address: Ipv4Addr, prefix: u32) -> Ipv4Addr {
    let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    (u32::from(address) & mask).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_gets_a_private_address_of_its_own() {
        for text in [
            "192.168.33.0",
            "192.168.33.1",
            "192.168.33.255",
            "192.168.33",
            "192.168.33.256",
            "8.8.8.8",
            "127.0.0.1",
            "10.0.2.15",
            "172.17.0.2",
            "::1",
            "",
            "192.168.33.10/24",
            "0.0.0.0",
        ] {
            assert!(private_address(text).is_err(), "{text}");
        }
        assert_eq!(
            private_address("192.168.33.10"),
            Ok(Ipv4Addr::new(192, 168, 33, 10))
        );
    }

    #[test]
    fn the_database_is_never_open_to_everybody() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "all",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "::/1",
        ] {
            assert_eq!(allowed(text), Err(too_wide()), "{text}");
        }
        for text in [
            "samenet",
            "127.0.0.1/32",
            "::1/128",
            "10.0.0.0/8",
            "fd00::/8",
            "172.16.0.0/12",
        ] {
            assert!(allowed(text).is_ok(), "{text}");
        }
        for text in [
            "10.0.2.15/24",
            "10.0.2.0",
            "10.0.2.0/33",
            "::1/129",
            "10.0.2.0/+24",
            "x",
            "a b/8",
            "",
        ] {
            assert!(allowed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listen_addresses_are_addresses() {
        assert!(listen_addresses("*").is_ok() && listen_addresses("localhost, ::1").is_ok());
        assert!(listen_addresses("").is_err() && listen_addresses("*'; --").is_err());
    }
}

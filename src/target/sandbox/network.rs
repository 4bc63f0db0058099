//! The network between host and sandboxes: one bridge a /24, and the rules that let it out.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::files;
use super::lock::{Lock, Mode};
use super::program::Program;
use super::spec::Network;
use crate::error::{Error, Result};

/// Each systemd machine takes dozens of these, counted for root as a whole.
const INOTIFY_INSTANCES: u32 = 8192;

/// A bridge on the host, with its rules. Written down before it is made, so that it is found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    pub name: String,
    pub network: Network,
}

/// What `ip -j addr` and `ip -j route` tell, as far as it matters here.
#[derive(Deserialize)]
struct Interface {
    ifname: String,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Ipv4Addr,
    prefixlen: u8,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
    dev: Option<String>,
}

/// Held while bridges are made and removed; one for the whole host, whichever store they belong to.
pub fn lock() -> Result<Lock> {
    let path = Path::new("/run/dwenv/network.lock");
    Lock::take(path, Mode::Exclusive, Duration::from_secs(60), || {})
}

impl Bridge {
    /// Makes what is missing of it.
    pub fn ensure(&self) -> Result<()> {
        let (interfaces, routes) = (interfaces()?, routes()?);
        if let Some(holder) = holder(self, &interfaces, &routes) {
            return Err(Error::failed(format!(
                "the network {} is already in use by the interface {holder}",
                self.network
            ))
            .because("a sandbox needs a network of its own")
            .hint("Set `ip` in `[box]` of config.toml to an address in another network.")
            .hint(format!("`ip address show {holder}` tells more about it.")));
        }
        raise("/proc/sys/net/ipv4/ip_forward", 1)?;
        raise("/proc/sys/fs/inotify/max_user_instances", INOTIFY_INSTANCES)?;
        let ip = |args: &[&str]| {
            Program::new("ip")
                .args(args)
                .run("make the sandboxes' bridge")
        };
        if !exists(&self.name) {
            ip(&["link", "add", "name", &self.name, "type", "bridge"])?;
        }
        let address = format!("{}/24", self.network.router());
        let mtu = outward_mtu(&routes).to_string();
        ip(&["address", "replace", &address, "dev", &self.name])?;
        ip(&["link", "set", "dev", &self.name, "mtu", &mtu, "up"])?;
        // The first question for a machine's address comes before the machine; asked again only after
        // the usual second, it would be half of the boot. Where this is refused, it just takes that.
        let again = format!("/proc/sys/net/ipv4/neigh/{}/retrans_time_ms", self.name);
        let _ = fs::write(again, "100");
        for (table, rule) in self.rules() {
            if !has_rule(&table, &rule)? {
                iptables(&table, "-I", &rule).run("let the sandboxes out")?;
            }
        }
        Ok(())
    }

    /// Removes it and its rules, as far as they are there.
    pub fn remove(&self) -> Result<()> {
        for (table, rule) in self.rules() {
            // A run that was cut may have left a rule twice.
            for _ in 0..8 {
                if !has_rule(&table, &rule)? {
                    break;
                }
                iptables(&table, "-D", &rule).run("remove a rule of the sandboxes")?;
            }
        }
        remove_link(&self.name)
    }

    /// The largest packet that passes it.
    pub fn mtu(&self) -> u32 {
        mtu_of(&self.name).unwrap_or(1500)
    }

    /// Table and rule. The comment names the bridge, for whoever reads the firewall.
    fn rules(&self) -> [(String, Vec<String>); 3] {
        let network = self.network.to_string();
        let rule = |table: &str, words: &[&str]| {
            let comment = format!("dwenv:{}", self.name);
            let mut rule: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            let target = if table == "nat" {
                "MASQUERADE"
            } else {
                "ACCEPT"
            };
            rule.extend(["-m", "comment", "--comment", &comment, "-j", target].map(str::to_owned));
            (table.to_owned(), rule)
        };
        let answers = "RELATED,ESTABLISHED";
        [
            rule("nat", &["POSTROUTING", "-s", &network, "!", "-d", &network]),
            rule("filter", &["FORWARD", "-i", &self.name]),
            rule(
                "filter",
                &[
                    "FORWARD",
                    "-o",
                    &self.name,
                    "-m",
                    "conntrack",
                    "--ctstate",
                    answers,
                ],
            ),
        ]
    }
}

/// Removes an interface of ours, if it is there.
pub fn remove_link(name: &str) -> Result<()> {
    if !exists(name) {
        return Ok(());
    }
    let removed = Program::new("ip")
        .args(["link", "delete", "dev", name])
        .run(&format!("remove the interface {name}"));
    // It may have gone by itself meanwhile, with the machine at its other end.
    if exists(name) {
        removed.map(drop)
    } else {
        Ok(())
    }
}

pub fn exists(interface: &str) -> bool {
    Path::new("/sys/class/net").join(interface).exists()
}

/// All bridges that were ever written down in a store and not removed since.
pub fn recorded(folder: &Path) -> Vec<Bridge> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| serde_json::from_slice(&fs::read(entry.path()).ok()?).ok())
        .collect()
}

pub fn record(folder: &Path, bridge: &Bridge) -> Result<()> {
    files::make_folder(folder)?;
    let text = serde_json::to_vec_pretty(bridge)
        .map_err(|cause| Error::failed("could not write down a bridge").because(cause))?;
    files::write_record(&folder.join(format!("{}.json", bridge.name)), text)
}

pub fn forget(folder: &Path, bridge: &Bridge) {
    // Were it to stay, the next run would remove the bridge once more: no harm.
    let _ = fs::remove_file(folder.join(format!("{}.json", bridge.name)));
}

/// Who else has addresses of this network, or an exact route into it. A wider route, such as the
/// default one, is no hindrance: ours is the more precise.
fn holder(bridge: &Bridge, interfaces: &[Interface], routes: &[Route]) -> Option<String> {
    let of_interface = interfaces.iter().find(|interface| {
        interface.ifname != bridge.name
            && (interface.addr_info.iter())
                .any(|address| bridge.network.overlaps(address.local, address.prefixlen))
    });
    if let Some(interface) = of_interface {
        return Some(interface.ifname.clone());
    }
    routes.iter().find_map(|route| {
        let dev = route.dev.as_ref().filter(|dev| **dev != bridge.name)?;
        let (address, prefix) = route.dst.split_once('/').unwrap_or((&route.dst, "32"));
        let prefix: u8 = prefix.parse().ok()?;
        let overlaps = bridge.network.overlaps(address.parse().ok()?, prefix);
        (prefix >= 24 && overlaps).then(|| dev.clone())
    })
}

fn interfaces() -> Result<Vec<Interface>> {
    ip_json(&["-j", "-4", "address", "show"])
}

fn routes() -> Result<Vec<Route>> {
    ip_json(&["-j", "-4", "route", "show"])
}

fn ip_json<T: for<'a> Deserialize<'a>>(args: &[&str]) -> Result<Vec<T>> {
    let purpose = "look at this machine's networks";
    let text = Program::new("ip").args(args).run(purpose)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    // Some versions write an empty object for what has nothing of the family asked for.
    let items: Vec<serde_json::Value> = serde_json::from_str(&text)
        .map_err(|cause| Error::failed(format!("could not {purpose}")).because(cause))?;
    Ok(items
        .into_iter()
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect())
}

/// A larger packet than the way out takes would be lost where somebody filters ICMP.
fn outward_mtu(routes: &[Route]) -> u32 {
    let outward = routes.iter().find(|route| route.dst == "default");
    let mtu = outward.and_then(|route| mtu_of(route.dev.as_deref()?));
    mtu.unwrap_or(1500).clamp(1280, 1500)
}

fn mtu_of(interface: &str) -> Option<u32> {
    let path = Path::new("/sys/class/net").join(interface).join("mtu");
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn iptables(table: &str, action: &str, rule: &[String]) -> Program {
    Program::new("iptables")
        .args(["-w", "-t", table, action])
        .args(rule)
}

fn has_rule(table: &str, rule: &[String]) -> Result<bool> {
    let purpose = "look at this machine's firewall";
    let outcome = iptables(table, "-C", rule).outcome(purpose, |_| {})?;
    match outcome.status.code() {
        Some(0) => Ok(true),
        // A rule that names an interface or chain that is not there is not there either.
        Some(1 | 2) => Ok(false),
        _ => Err(Error::failed(format!("could not {purpose}")).because(outcome.stderr.trim())),
    }
}

/// Raises a number of the kernel's that is too low.
fn raise(path: &str, least: u32) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::failed(format!("could not set {path} to {least}")).because(cause)
    };
    let now = fs::read_to_string(path).map_err(failed)?;
    if now.trim().parse::<u32>().is_ok_and(|now| now >= least) {
        return Ok(());
    }
    fs::write(path, least.to_string()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge() -> Bridge {
        Bridge {
            name: "dwbr-0123456789".into(),
            network: Network::of(Ipv4Addr::new(192, 168, 33, 10)),
        }
    }

    fn holds(interfaces: &str, routes: &str) -> Option<String> {
        let interfaces: Vec<Interface> = serde_json::from_str(interfaces).unwrap();
        let routes: Vec<Route> = serde_json::from_str(routes).unwrap();
        holder(&bridge(), &interfaces, &routes)
    }

    #[test]
    fn a_network_in_use_is_named_by_its_interface() {
        let vbox = r#"[{"ifname":"lo"},{"ifname":"vboxnet0","addr_info":[{"local":"192.168.33.1","prefixlen":24}]}]"#;
        assert_eq!(holds(vbox, "[]").as_deref(), Some("vboxnet0"));
        let wide = r#"[{"ifname":"wlan0","addr_info":[{"local":"192.168.1.7","prefixlen":16}]}]"#;
        assert_eq!(holds(wide, "[]").as_deref(), Some("wlan0"));
        let vpn = r#"[{"dst":"192.168.33.128/25","dev":"tun0"}]"#;
        assert_eq!(holds("[]", vpn).as_deref(), Some("tun0"));
        let host = r#"[{"dst":"192.168.33.10","dev":"tun1"}]"#;
        assert_eq!(holds("[]", host).as_deref(), Some("tun1"));
    }

    #[test]
    fn our_own_bridge_and_wider_routes_are_no_hindrance() {
        let own = r#"[{"ifname":"dwbr-0123456789","addr_info":[{"local":"192.168.33.1","prefixlen":24}]}]"#;
        let routes = r#"[{"dst":"default","dev":"eth0"},{"dst":"192.168.0.0/16","dev":"tun0"},
            {"dst":"192.168.33.0/24","dev":"dwbr-0123456789"},{"dst":"192.168.34.0/24","dev":"eth1"}]"#;
        assert_eq!(holds(own, routes), None);
    }

    #[test]
    fn a_record_is_read_back_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        record(folder.path(), &bridge()).unwrap();
        fs::write(folder.path().join("cut.json"), "{").unwrap();
        assert_eq!(recorded(folder.path()), [bridge()]);
        forget(folder.path(), &bridge());
        assert_eq!(recorded(folder.path()), []);
    }
}

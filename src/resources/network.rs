//! The box's way to the world: names, and how large a packet may be. Asked only for a diagnosis.

use super::{Check, Context, Judgement, Plan, Resource, State, apt_state, observed, venue};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::target::Provider;
use crate::workshop::Workshop;

pub struct Network;

const CHECKS: &[Check] = &[
    Check {
        id: "box.dns",
        title: "The box finds the addresses of names",
        needs: &["box.ssh"],
        probe: Names::PROBE,
    },
    Check {
        id: "box.mtu",
        title: "Docker's packets are not too large for the box's network",
        needs: &["box.ssh"],
        probe: Links::PROBE,
    },
];

/// Where the packages come from: the names that this box has to find.
const ASK_NAMES: &str = r#"while read -r word address _; do
  [ "$word" != nameserver ] || echo "server $address"
done </etc/resolv.conf
proxy=
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[ -z "$proxy" ] || echo proxy
for host in $(sed -nE 's#^[^\#]*https?://([^/ @]*@)?([^/: ]+).*#\2#p' /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null | sort -u | head -n 4); do
  { timeout 5 getent ahosts "$host" >/dev/null && echo "found $host" || echo "lost $host"; } &
done
wait
echo end"#;

/// Names that the box was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    servers: Vec<String>,
    /// apt's proxy looks names up in the box's place.
    has_proxy: bool,
    found: Vec<String>,
    lost: Vec<String>,
}

impl Names {
    const PROBE: &str = "names";

    #[must_use]
    pub fn are_all_lost(&self) -> bool {
        !self.has_proxy && self.found.is_empty() && !self.lost.is_empty()
    }
}

impl Fact for Names {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        vec![Probe::deep(
            Self::PROBE,
            venue::reading_proxy(workshop, ASK_NAMES.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("the answers to names are not understood: {text}"));
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut names = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("server", address)) => names.servers.push(address.to_owned()),
                Some(("found", name)) => names.found.push(name.to_owned()),
                Some(("lost", name)) => names.lost.push(name.to_owned()),
                None if line == "proxy" => names.has_proxy = true,
                None if line == "end" => {}
                _ => return Err(garbled()),
            }
        }
        names.found.sort_unstable();
        names.lost.sort_unstable();
        Ok(names)
    }
}

/// The largest packets of the box's links, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// The link that the default route takes.
    uplink: Option<(String, u32)>,
    /// Docker's bridges.
    bridges: Vec<(String, u32)>,
    /// What Docker was told; its containers have that, whatever an idle bridge has.
    told: Option<u32>,
}

impl Links {
    const PROBE: &str = "links";
}

impl Fact for Links {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // The default route is the line whose destination and mask are all zeros.
        let fragment = r#"while read -r link to _ _ _ _ _ mask _; do
  if [ "$to $mask" = "00000000 00000000" ]; then
    read -r mtu <"/sys/class/net/$link/mtu" && echo "uplink $link $mtu"
    break
  fi
done </proc/net/route
for link in /sys/class/net/docker0 /sys/class/net/br-*; do
  [ ! -r "$link/mtu" ] || { read -r mtu <"$link/mtu" && echo "bridge ${link##*/} $mtu"; }
done
grep -hoE '"mtu"[^,}]*[0-9]+|--mtu[= ][0-9]+' /etc/docker/daemon.json /etc/default/docker 2>/dev/null |
while read -r setting; do echo "docker setting ${setting##*[!0-9]}"; done
echo end"#;
        vec![Probe::deep(
            Self::PROBE,
            Question::Login(fragment.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("the box's links are not understood: {text}"));
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut links = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["end"] => {}
                [kind, name, mtu] => {
                    let link = (name.to_owned(), mtu.parse().map_err(|_| garbled())?);
                    match kind {
                        "uplink" => links.uplink = Some(link),
                        "bridge" => links.bridges.push(link),
                        "docker" => links.told = Some(link.1),
                        _ => return Err(garbled()),
                    }
                }
                _ => return Err(garbled()),
            }
        }
        Ok(links)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// No name was found. Whether something is to be fetched.
    NoNames { names: Names, needed: bool },
    /// Containers may send packets that are larger than the box's own link takes.
    BridgeTooWide {
        bridge: (String, u32),
        uplink: (String, u32),
    },
}

impl Resource for Network {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, check: &Check, context: Context) -> bool {
        // A sandbox's link is as wide as its host's, whatever Docker in it does.
        let is_sandbox = matches!(context.provider, Provider::Sandbox);
        context.deep && !(check.id == "box.mtu" && is_sandbox)
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [Names::probes(workshop), Links::probes(workshop)].concat()
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        match check.id {
            "box.dns" => diff_names(context, facts),
            _ => diff_links(facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        match drift {
            Drift::NoNames { names, needed } => Judgement {
                status: if *needed { Status::Fail } else { Status::Warn },
                summary: format!(
                    "The box finds no address for {}; {}",
                    names.lost.join(", "),
                    match &names.servers[..] {
                        [] => "/etc/resolv.conf names no server".to_owned(),
                        servers => format!("it asks {}", servers.join(", ")),
                    }
                ),
                remedy: Some(names_remedy(context)),
            },
            Drift::BridgeTooWide { bridge, uplink } => Judgement {
                status: Status::Warn,
                summary: format!(
                    "{} takes packets of {} bytes, and {} behind it only {}: downloads in containers may hang",
                    bridge.0, bridge.1, uplink.0, uplink.1
                ),
                remedy: Some(Remedy {
                    text: format!(
                        "In the box, set \"mtu\": {} in /etc/docker/daemon.json, then start Docker again; \
                         that ends running containers",
                        uplink.1
                    ),
                    commands: vec![context.in_box("sudo systemctl restart docker")],
                    by: By::You,
                }),
            },
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::NoNames { .. } => {
                Plan::leave("which server answers for names here, only this network's keeper knows")
            }
            Drift::BridgeTooWide { .. } => Plan::leave(
                "Docker's settings are somebody's, and its containers would end with its restart",
            ),
        }
    }

    fn predict(&self, _: Context, _: &Facts, _: &Drift) {}
}

fn diff_names(context: Context, facts: &Facts) -> State<Drift> {
    let names = observed!(facts, Names);
    if names.has_proxy {
        return State::AsDeclared("apt's proxy finds them in the box's place".to_owned());
    }
    // One name that is lost beside one that is found is that name's own fault: see box.apt.sources.
    if names.are_all_lost() {
        let needed = apt_state::lacks_packages(context, facts);
        return State::Drifted(Drift::NoNames { names, needed });
    }
    State::AsDeclared(match &names.found[..] {
        [] => "no name has to be found".to_owned(),
        found => format!("found {}", found.join(", ")),
    })
}

fn diff_links(facts: &Facts) -> State<Drift> {
    let links = observed!(facts, Links);
    let Some(uplink) = links.uplink else {
        return State::AsDeclared("the box has no way out".to_owned());
    };
    if let Some(told) = links.told.filter(|told| *told <= uplink.1) {
        return State::AsDeclared(format!(
            "{} takes {} bytes, and Docker was told {told}",
            uplink.0, uplink.1
        ));
    }
    match links.bridges.into_iter().find(|bridge| bridge.1 > uplink.1) {
        Some(bridge) => State::Drifted(Drift::BridgeTooWide { bridge, uplink }),
        None => State::AsDeclared(format!("{} takes {} bytes", uplink.0, uplink.1)),
    }
}

fn names_remedy(context: Context) -> Remedy {
    let (text, commands) = match context.provider {
        Provider::Vagrant(name) if name == "virtualbox" => (
            "A VPN or another Wi-Fi often is why: start the box again. If that is not enough, have VirtualBox \
             ask the laptop, by `--natdnshostresolver1 on` in the Vagrantfile",
            vec!["vagrant reload".to_owned()],
        ),
        _ => (
            "Look in the box which server it asks, and whether that is one of this network",
            vec![context.in_box("cat /etc/resolv.conf")],
        ),
    };
    Remedy {
        text: text.to_owned(),
        commands,
        by: By::You,
    }
}

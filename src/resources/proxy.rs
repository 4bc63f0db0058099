//! The box's settings for proxies. Asked only for a diagnosis.

use super::venue::{self, DAEMON};
use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Records, Unobserved};
use crate::workshop::Workshop;

pub struct Proxy;

const CHECKS: &[Check] = &[Check {
    id: "box.proxy",
    title: "A proxy stands in no way of the box's own services",
    needs: &["box.ssh"],
    probe: Proxies::PROBE,
}];

/// Where a person's proxy is set for all programs of the box, or for their own shell.
const FILES: &str = r#"/etc/environment /etc/profile /etc/profile.d/*.sh /etc/bash.bashrc "$1/.profile" "$1/.bash_profile" "$1/.bashrc""#;

/// Which proxies are set, and who has been told. Their addresses may hold passwords and are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The files that set a proxy for HTTP or HTTPS.
    set_in: Vec<String>,
    /// What is reached without it, as `no_proxy` has it.
    without: Option<String>,
    apt_knows: bool,
    docker_knows: bool,
    docker_is_there: bool,
}

impl Proxies {
    const PROBE: &str = "proxies";
}

impl Fact for Proxies {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let fragment = format!(
            r#"grep -HiE '^[[:space:]]*(export[[:space:]]+)?(https?|all|no)_proxy=.' {FILES} 2>/dev/null |
while IFS=: read -r file line; do
  case $line in
    *[nN][oO]_[pP][rR][oO][xX][yY]=*) echo "without ${{line#*=}}" ;;
    *) echo "set $file" ;;
  esac
done
http=; https=
eval "$(apt-config shell http Acquire::http::Proxy https Acquire::https::Proxy)"
[ -z "$http$https" ] || echo apt
if command -v dockerd >/dev/null; then
  echo dockerd
  {{ systemctl show -p Environment docker; cat /etc/docker/daemon.json {DAEMON}; }} 2>/dev/null | grep -qiE '_proxy=|"https?-proxy"' && echo docker
fi
echo end"#
        );
        vec![Probe::deep(
            Self::PROBE,
            venue::reading_proxy(workshop, fragment),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || {
            Unobserved(format!(
                "the settings of proxies are not understood: {text}"
            ))
        };
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut proxies = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("set", file) if !proxies.set_in.iter().any(|known| known == file) => {
                    proxies.set_in.push(file.to_owned());
                }
                ("set", _) | ("end", "") => {}
                ("without", list) => {
                    let list = list.trim().trim_matches(['"', '\'']);
                    proxies
                        .without
                        .get_or_insert_default()
                        .push_str(&format!("{list},"));
                }
                ("apt", "") => proxies.apt_knows = true,
                ("dockerd", "") => proxies.docker_is_there = true,
                ("docker", "") => proxies.docker_knows = true,
                _ => return Err(garbled()),
            }
        }
        Ok(proxies)
    }
}

impl Proxies {
    /// Which of the box's own names a program would ask the proxy for.
    fn own_names_by_proxy<'a>(&self, own: &[&'a str]) -> Vec<&'a str> {
        let without = self.without.as_deref().unwrap_or_default();
        let without: Vec<&str> = without.split([',', ' ']).map(str::trim).collect();
        let goes = |name: &&&str| {
            !without
                .iter()
                .any(|entry| *entry == **name || *entry == "*")
        };
        own.iter().filter(goes).copied().collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Programs ask the proxy for what the box itself answers.
    OwnNames { file: String, names: Vec<String> },
    /// Shells have a proxy, and these do not.
    Untold {
        file: String,
        who: Vec<&'static str>,
    },
}

impl Resource for Proxy {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, _: &Check, context: Context) -> bool {
        context.deep
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Proxies::probes(workshop)
    }

    fn diff(&self, _: &Check, _: Context, facts: &Facts) -> State<Drift> {
        let proxies = observed!(facts, Proxies);
        let Some(file) = proxies.set_in.first().cloned() else {
            return State::AsDeclared("no proxy is set for the box's users".to_owned());
        };
        let names = proxies.own_names_by_proxy(&["localhost", "127.0.0.1"]);
        if !names.is_empty() {
            let names = names.into_iter().map(str::to_owned).collect();
            return State::Drifted(Drift::OwnNames { file, names });
        }
        let mut who = Vec::new();
        if !proxies.apt_knows {
            who.push("apt");
        }
        if proxies.docker_is_there && !proxies.docker_knows {
            who.push("Docker's daemon");
        }
        if who.is_empty() {
            State::AsDeclared(format!("{file} sets one, and all have been told"))
        } else {
            State::Drifted(Drift::Untold { file, who })
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let (summary, text, commands) = match drift {
            Drift::OwnNames { file, names } => (
                format!(
                    "{file} sets a proxy, and no_proxy lacks {}: the box's own server is asked for at the proxy",
                    names.join(", ")
                ),
                "Name the box's own addresses in no_proxy, then log in again",
                vec![context.in_box(&format!(
                    "echo no_proxy=localhost,127.0.0.1,::1,{},172.16.0.0/12 | sudo tee -a /etc/environment",
                    context.workshop.machine.ip
                ))],
            ),
            Drift::Untold { file, who } => (
                format!(
                    "{file} sets a proxy, and nobody told {} of it: downloads may hang",
                    who.join(" and ")
                ),
                "Give them the same proxy: apt in a file of /etc/apt/apt.conf.d, Docker in /etc/docker/daemon.json \
                 under `proxies`",
                Vec::new(),
            ),
        };
        Judgement {
            status: Status::Warn,
            summary,
            remedy: Some(Remedy {
                text: text.to_owned(),
                commands,
                by: By::You,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::OwnNames { .. } => {
                Plan::leave("a login's settings are its owner's: the finding has the line to add")
            }
            Drift::Untold { .. } => {
                Plan::leave("whether they have to use the proxy, only this network's keeper knows")
            }
        }
    }

    fn predict(&self, _: Context, _: &Facts, _: &Drift) {}
}

//! What Docker is in the box: its API, its group, what it is told to do, and what it said when it failed.

use std::net::Ipv4Addr;

use crate::facts::docker::Api;
use crate::facts::{Fact, Observed, Probe, Question, RecordStatus, Records, Unobserved};
use crate::workshop::Workshop;

/// What the daemon is told to do, by whoever looks after the box.
pub const CONFIG: &str = "/etc/docker/daemon.json";

/// What Docker's API answered; `None` when its socket let nobody in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerApi(pub Option<Api>);

impl DockerApi {
    pub const PROBE: &str = "docker";
}

impl Fact for DockerApi {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let images = !workshop.docker.images.is_empty();
        vec![Probe::new(Self::PROBE, Question::Docker { images })]
    }

    fn observe(records: &Records) -> Observed<Self> {
        match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::Refused(_)) => Ok(Self(None)),
            _ => records.json(Self::PROBE).map(|api| Self(Some(api))),
        }
    }
}

/// Members of the group docker, by the account; `None` when there is no such group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerGroup(pub Option<Vec<String>>);

impl DockerGroup {
    pub const PROBE: &str = "docker_group";
    /// Who may use Docker's socket.
    pub const NAME: &str = "docker";
}

impl Fact for DockerGroup {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // getent ends with 2 when there is no such group.
        let fragment = format!("getent group {} || [ $? -eq 2 ]", Self::NAME);
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let members = text
            .rsplit_once(':')
            .ok_or_else(|| Unobserved(format!("getent's answer is not understood: {text}")))?
            .1;
        let names = members.split(',').filter(|name| !name.is_empty());
        Ok(Self(Some(names.map(str::to_owned).collect())))
    }
}

/// A route of the box: everything in `network` leaves by `device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub device: String,
    pub network: Ipv4Addr,
    pub bits: u32,
}

impl Route {
    #[must_use]
    pub fn overlaps(&self, network: Ipv4Addr, bits: u32) -> bool {
        let shared = self.bits.min(bits);
        let mask = u32::MAX.checked_shl(32 - shared).unwrap_or(0);
        self.network.to_bits() & mask == network.to_bits() & mask
    }

    /// `docker0`, and the bridges that Docker names after their networks.
    #[must_use]
    pub fn is_dockers(&self) -> bool {
        let of_a_network = |id: &str| id.len() == 12 && id.chars().all(|c| c.is_ascii_hexdigit());
        self.device == "docker0" || self.device.strip_prefix("br-").is_some_and(of_a_network)
    }
}

/// A line that sets the version of the API for every client that the login user starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub file: String,
    pub version: String,
}

/// What surrounds the daemon: its file, the kernel's routes, other installations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// The text of [`CONFIG`]; `None` when there is no such file.
    pub config: Option<String>,
    pub forwarding: Option<bool>,
    pub routes: Vec<Route>,
    pub pins: Vec<Pin>,
    /// Another Docker, installed by snap.
    pub snap: bool,
    /// Files that the daemon reads when it starts and that are newer than it, with when they were written, in
    /// microseconds since 1970.
    pub newer: Vec<(String, u64)>,
    /// What `dockerd --validate` holds against a file that the daemon which runs has not read, or that none has.
    pub refusal: Option<String>,
    /// Where the file puts Docker's data elsewhere: the file systems, by mount point.
    pub mounts: Vec<(String, String)>,
}

impl Host {
    pub const PROBE: &str = "docker_host";

    /// The file system that a path of the box lies on, by its kind.
    #[must_use]
    pub fn filesystem(&self, path: &str) -> Option<&str> {
        let holds = |mount: &str| {
            let inside = path.strip_prefix(mount.trim_end_matches('/'));
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let holding = self.mounts.iter().filter(|(mount, _)| holds(mount));
        holding
            .max_by_key(|(mount, _)| mount.len())
            .map(|(_, kind)| kind.as_str())
    }
}

/// Asks the program of the daemon what it holds against its file, called as systemd would call it now, and with whatever
/// else is given: what stands in the file too is refused. A variable counts where it is a word of its own, as in
/// `$DOCKER_OPTS`. (Docker 20.10 knows no `--validate`, and says so.)
pub const VALIDATE: &str = r#"validate() {
  asked() { command systemctl show -p "$1" --value docker.service; }
  called=$(asked ExecStart) own= flags=
  # Another program would not know that it is only asked.
  case $called in *'/dockerd ; argv[]='*) own=${called#*'argv[]='}; own="${own%%' ; '*} " ;; esac
  files=$(asked EnvironmentFiles | sed 's/ (ignore_errors=.*//')
  set -f
  for word in ${own#* }; do
    case $word in '$'[A-Z{]*)
      name=${word#'$'}; name=${name#'{'}; name=${name%'}'}
      word=$(sed -n "s/^$name=//p" /dev/null $files 2>/dev/null | tail -n 1 | tr -d "\"'") ;;
    esac
    flags="$flags $word"
  done
  dockerd $flags "$@" --validate 2>&1
}
"#;

/// Nearly all of it is read by the shell itself: this is asked of every healthy box. (dash reads byte by byte,
/// and the kernel gives such a value only once: the line's end never comes, which `read` takes for a failure.)
const LOOK_AROUND: &str = r#"read -r forwarding </proc/sys/net/ipv4/ip_forward
[ -z "$forwarding" ] || echo "forwarding $forwarding"
while read -r device network _ _ _ _ _ mask _; do echo "route $device $network $mask"; done </proc/net/route
[ ! -e /snap/bin/docker ] || echo snap
grep -sH '^[^#]*DOCKER_API_VERSION=' /etc/environment "$1/.profile" "$1/.bash_profile" "$1/.bashrc"
newer= unread=
if [ -e /run/docker.pid ]; then
  for file in /etc/docker/daemon.json /etc/default/docker /etc/systemd/system/docker.service /etc/systemd/system/docker.service.d/*.conf; do
    # What the network needs is compared by what it says.
    case $file in */dwenv-network.conf) continue ;; esac
    if [ "$file" -nt /run/docker.pid ]; then newer="$newer $file"; fi
  done
fi
[ -z "$newer" ] || { stat -c 'newer %.6Y %n' $newer; date +'now %s%6N'; }
config=/etc/docker/daemon.json elsewhere=
# What the daemon runs with, it has found good.
if [ -e $config ]; then
  case "$newer " in *" $config "*) unread=yes ;; *) [ -e /run/docker.pid ] || unread=yes ;; esac
  if [ -n "$unread" ]; then
    # Called as the daemon that runs was: what stands in the file too is refused. Where its unit is newer, that is not
    # how it will be called, and the file counts alone.
    pid= name= called=
    case $newer in *docker.service*|*/default/docker*) ;; *) pid=$(cat /run/docker.pid 2>/dev/null) ;; esac
    [ -z "$pid" ] || read -r name 2>/dev/null </proc/"$pid"/comm
    [ "$name" != dockerd ] || called=$(tr '\0' ' ' </proc/"$pid"/cmdline)
    dockerd ${called#* } --validate 2>&1 | sed -n '/unable to configure/{s/^/refusal /p;q}'
  fi
  echo config
  while IFS= read -r line || [ -n "$line" ]; do
    printf '|%s\n' "$line"
    case $line in *data-root*|*graph*) elsewhere=yes ;; esac
  done <$config || exit 1
fi
[ -z "$elsewhere" ] || while read -r _ mount kind _; do echo "mount $mount $kind"; done </proc/mounts
true"#;

impl Fact for Host {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::new(
            Self::PROBE,
            Question::Login(LOOK_AROUND.to_owned()),
        )]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut host = Self::default();
        let mut now = None;
        for line in records.text(Self::PROBE)?.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if let Some(text) = line.strip_prefix('|') {
                let config = host.config.get_or_insert_default();
                config.push_str(text);
                config.push('\n');
                continue;
            }
            match words[..] {
                ["forwarding", value] => host.forwarding = Some(value != "0"),
                ["route", "Iface", ..] => {}
                ["route", device, network, mask] => {
                    host.routes
                        .push(read_route(device, network, mask).ok_or_else(|| {
                            Unobserved(format!("a route of the box is not understood: {line}"))
                        })?);
                }
                ["newer", written_at, ref path @ ..] => {
                    let written_at = written_at.replace('.', "").parse().unwrap_or(0);
                    host.newer.push((path.join(" "), written_at));
                }
                ["now", moment] => now = moment.parse().ok(),
                ["snap"] => host.snap = true,
                ["refusal", ..] => host.refusal = line.strip_prefix("refusal ").map(message),
                ["config"] => host.config = Some(String::new()),
                ["mount", mount, kind] => host.mounts.push((mount.to_owned(), kind.to_owned())),
                _ if line.starts_with('/') => host.pins.extend(read_pin(line)),
                _ => {
                    return Err(Unobserved(format!(
                        "what surrounds Docker is not understood: {line}"
                    )));
                }
            }
        }
        // Written while the box's clock was ahead: no start would ever be later than that.
        host.newer
            .retain(|(_, written_at)| now.is_none_or(|now: u64| *written_at <= now));
        Ok(host)
    }
}

/// The kernel prints addresses as numbers of the machine, whose bytes stand the other way round.
fn read_route(device: &str, network: &str, mask: &str) -> Option<Route> {
    let number = |hex: &str| u32::from_str_radix(hex, 16).ok();
    Some(Route {
        device: device.to_owned(),
        network: Ipv4Addr::from(number(network)?.to_le_bytes()),
        bits: number(mask)?.count_ones(),
    })
}

/// `/home/anna/.profile:export DOCKER_API_VERSION="1.40"`
fn read_pin(line: &str) -> Option<Pin> {
    let (file, rest) = line.split_once(':')?;
    let (_, value) = rest.split_once("DOCKER_API_VERSION=")?;
    let value = value.trim_start_matches(['"', '\'']);
    let version = value
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()?;
    (!version.is_empty()).then(|| Pin {
        file: file.to_owned(),
        version: version.to_owned(),
    })
}

/// What the daemon itself said about why it does not run, or would not with its present file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonWords {
    /// The last error of its last start.
    pub journal: Option<String>,
    /// What `dockerd --validate` holds against the file.
    pub validate: Option<String>,
}

impl DaemonWords {
    pub const PROBE: &str = "docker_journal";
}

/// Prints the daemon's last error. Only its last start counts: what an earlier one said may be mended since. (`command`:
/// in a step it is not told, so that the start that failed stays the last that was.)
pub const LAST_ERROR: &str = r"start=$(command systemctl show -p InvocationID --value docker.service)
[ -z $start ] || journalctl -q --no-pager -o cat -n 400 _SYSTEMD_INVOCATION_ID=$start |
  grep -E 'level=fatal|[Ff]ailed to start daemon|unable to configure the Docker daemon|Error starting daemon' |
  tail -n 1";

/// What it holds against its file is asked too. Where systemd has yet to read how it will be called, the file counts
/// alone.
const OBJECTION: &str = r#"[ ! -e /etc/docker/daemon.json ] || {
  stale=$(systemctl show -p NeedDaemonReload --value docker.service)
  if [ "$stale" = yes ]; then dockerd --validate 2>&1; else validate; fi
} | grep 'unable to configure' | tail -n 1 | sed 's/^/validate /'
true"#;

impl Fact for DaemonWords {
    fn probes(_: &Workshop) -> Vec<Probe> {
        let fragment = format!("{VALIDATE}{LAST_ERROR} | sed 's/^/journal /'\n{OBJECTION}");
        vec![Probe::deep(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let mut said = Self::default();
        for line in records.text(Self::PROBE)?.lines() {
            if let Some(words) = line.strip_prefix("journal ") {
                said.journal = Some(message(words));
            } else if let Some(words) = line.strip_prefix("validate ") {
                said.validate = Some(message(words));
            }
        }
        Ok(said)
    }
}

/// The message of a line of Docker's log: `time="…" level=fatal msg="failed to \"start\""`.
fn message(line: &str) -> String {
    const LONGEST: usize = 400;
    let text = match line.split_once("msg=\"") {
        Some((_, rest)) => {
            let end = rest
                .char_indices()
                .find(|(at, c)| *c == '"' && !rest[..*at].ends_with('\\'));
            let end = end.map_or(rest.len(), |(at, _)| at);
            rest[..end].replace("\\\"", "\"").replace("\\n", " ")
        }
        None => line.to_owned(),
    };
    text.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_lines_message_is_what_stands_in_its_quotation_marks() {
        let line = r#"time="2026-11-23T21:00:00Z" level=fatal msg="no \"such\" thing" error=x"#;
        assert_eq!(message(line), r#"no "such" thing"#);
        assert_eq!(
            message("failed to start daemon: it"),
            "failed to start daemon: it"
        );
    }

    #[test]
    fn routes_as_the_kernel_prints_them() {
        let route = read_route("docker0", "000011AC", "0000FFFF").unwrap();
        assert_eq!(route.network, Ipv4Addr::new(172, 17, 0, 0));
        assert_eq!(route.bits, 16);
        assert!(route.is_dockers());
        assert!(route.overlaps(Ipv4Addr::new(172, 16, 0, 0), 12));
        assert!(!route.overlaps(Ipv4Addr::new(172, 18, 0, 0), 16));
        assert!(
            !read_route("br-lan", "000011AC", "0000FFFF")
                .unwrap()
                .is_dockers()
        );
    }

    #[test]
    fn a_pinned_version_is_read_whatever_is_around_it() {
        let pin = read_pin("/home/anna/.profile:export DOCKER_API_VERSION=\"1.40\" # old").unwrap();
        assert_eq!(
            (pin.file.as_str(), pin.version.as_str()),
            ("/home/anna/.profile", "1.40")
        );
        assert_eq!(read_pin("/etc/environment:DOCKER_API_VERSION=\"\""), None);
    }
}

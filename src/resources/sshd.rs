//! The keys that let people into the box, as sshd reads them.

use super::{Check, Context, Judgement, Plan, Resource, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

pub struct Sshd;

const CHECKS: &[Check] = &[Check {
    id: "box.sshd.keys",
    title: "sshd can use every user's authorized_keys",
    needs: &["box.sudo"],
    probe: Keys::PROBE,
}];

/// A file or folder on the way to somebody's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    path: String,
    mode: u32,
    owner: String,
    group: String,
    size: u64,
    /// Whose keys they are: the user of the home folder by the system's list, whoever owns that folder.
    user: String,
}

/// Every user's way to their keys: the home folder, `.ssh`, and `authorized_keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    places: Vec<Place>,
    /// Lines with more than one key: path and number.
    glued: Vec<(String, u32)>,
    /// sshd was told not to look at modes and owners.
    lenient: bool,
    /// A setting of sshd that keeps everybody from the box's sockets: its file, and the line.
    pub closed: Option<(String, String)>,
}

impl Keys {
    const PROBE: &str = "sshd_keys";
}

/// The home folders of the users who have keys, as paths of sh in `$1` and following; each is told with its user.
const HOMES: &str = r#"login=$2 home=$1 settings=; set --
look() { # USER HOME
  [ -f "$2/.ssh/authorized_keys" ] || return
  case "$all" in *":$2:"*) return ;; esac
  all="$all$2:"; echo "home $1 $2"
}
all=:
look "$login" "$home"
while IFS=: read -r name _ _ _ _ home _; do look "$name" "$home"; done </etc/passwd
while [ "$all" != : ]; do all=${all#:}; set -- "$@" "${all%%:*}"; all=:${all#*:}; done
"#;

/// Settings of sshd by which nobody is let through to a socket of the box.
pub const CLOSES: &str =
    "(AllowStreamLocalForwarding[[:space:]]+(no|remote)|DisableForwarding[[:space:]]+yes)";

/// How a key begins, after its options.
const KEY: &str = "(ssh-(rsa|dss|ed25519)|ecdsa-sha2-[a-z0-9]+|sk-[a-z0-9@.-]+) AAAA";

impl Fact for Keys {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // The line itself is not answered: whose keys they are is nobody's business.
        let fragment = format!(
            r#"{HOMES}[ $# -gt 0 ] || {{ echo end; exit 0; }}
for home; do set -- "$@" "$home/.ssh" "$home/.ssh/authorized_keys"; done
stat -c 'stat %a %U %G %s %n' "$@" || exit 1
for path; do case $path in */authorized_keys) ;; *) shift; continue ;; esac; shift; set -- "$@" "$path"; done
grep -HnoiE '^[[:space:]]*(StrictModes[[:space:]]+no|{CLOSES})|^([^#].*)?{KEY}.*{KEY}' "$@" /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf 2>/dev/null |
while IFS=: read -r path line rest; do
  case $path in
    */authorized_keys) echo "glued $line $path"; continue ;;
  esac
  case $rest in
    # Who it is meant for, sshd itself knows.
    *[Ff]orwarding*)
      [ -n "$settings" ] || settings=$(sshd -T -C "user=$login,host=localhost,addr=127.0.0.1" 2>/dev/null)
      case $settings in
        *'allowstreamlocalforwarding no'*|*'allowstreamlocalforwarding remote'*|*'disableforwarding yes'*) echo "closed $path $rest" ;;
      esac ;;
    *) echo lenient ;;
  esac
done
echo end"#
        );
        vec![Probe::new(Self::PROBE, Question::Root(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("the way to the keys is not understood: {text}"));
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut found = Self::default();
        let mut users: Vec<(&str, &str)> = Vec::new();
        for line in text.lines() {
            match line.splitn(6, ' ').collect::<Vec<_>>()[..] {
                ["home", user, ..] => {
                    users.push((user, line.splitn(3, ' ').nth(2).ok_or_else(garbled)?));
                }
                ["stat", mode, owner, group, size, path] => found.places.push(Place {
                    path: path.to_owned(),
                    mode: u32::from_str_radix(mode, 8).map_err(|_| garbled())?,
                    owner: owner.to_owned(),
                    group: group.to_owned(),
                    size: size.parse().map_err(|_| garbled())?,
                    user: user_of(path, &users).ok_or_else(garbled)?,
                }),
                ["glued", number, ref path @ ..] => found
                    .glued
                    .push((path.join(" "), number.parse().map_err(|_| garbled())?)),
                ["lenient"] => found.lenient = true,
                // The first one counts.
                ["closed", path, ref line @ ..] => {
                    found
                        .closed
                        .get_or_insert((path.to_owned(), line.join(" ").trim().to_owned()));
                }
                ["end"] => {}
                _ => return Err(garbled()),
            }
        }
        Ok(found)
    }
}

/// Whose way to their keys leads over this path.
fn user_of(path: &str, users: &[(&str, &str)]) -> Option<String> {
    let home = path.strip_suffix("/authorized_keys").unwrap_or(path);
    let home = home.strip_suffix("/.ssh").unwrap_or(home);
    let (user, _) = users.iter().find(|(_, known)| *known == home)?;
    Some((*user).to_owned())
}

impl Keys {
    /// What sshd refuses to trust: whoever may write there could let themselves in.
    fn untrusted(&self) -> Vec<&Place> {
        let untrusted = |place: &&Place| {
            // Debian's sshd trusts a group that is named like its one member.
            let group_writes = place.mode & 0o020 != 0 && place.group != place.user;
            let foreign = place.owner != "root" && place.owner != place.user;
            !self.lenient && (place.mode & 0o002 != 0 || group_writes || foreign)
        };
        self.places.iter().filter(untrusted).collect()
    }

    fn empty(&self) -> Option<&Place> {
        let is_empty = |place: &&Place| place.size == 0 && place.path.ends_with("/authorized_keys");
        self.places.iter().find(is_empty)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Two keys in one line: sshd knows neither or only the first.
    Glued(Vec<(String, u32)>),
    /// Others may write there, so sshd does not look into it. Paths, the first with its mode and owner.
    Untrusted {
        /// Each with its user.
        paths: Vec<(String, String)>,
        seen: String,
    },
    /// A file without a byte lets nobody in.
    Empty(String),
}

impl Resource for Sshd {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Keys::probes(workshop)
    }

    fn diff(&self, _: &Check, _: Context, facts: &Facts) -> State<Drift> {
        let keys = observed!(facts, Keys);
        let untrusted = keys.untrusted();
        if let Some(first) = untrusted.first() {
            return State::Drifted(Drift::Untrusted {
                seen: format!(
                    "{} has mode {:o} and belongs to {}:{}",
                    first.path, first.mode, first.owner, first.group
                ),
                paths: untrusted
                    .iter()
                    .map(|place| (place.path.clone(), place.user.clone()))
                    .collect(),
            });
        }
        if !keys.glued.is_empty() {
            return State::Drifted(Drift::Glued(keys.glued));
        }
        match keys.empty() {
            Some(place) => State::Drifted(Drift::Empty(place.path.clone())),
            None => State::AsDeclared(match keys.places.len() / 3 {
                0 => "nobody has such a file".to_owned(),
                1 => "one user has keys".to_owned(),
                count => format!("{count} users have keys"),
            }),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        let (summary, text, commands) = match drift {
            Drift::Glued(lines) => (
                format!("More than one key stands in line {}", told(lines)),
                "Give each key a line of its own",
                vec![format!("dwenv provision --target {}", context.target)],
            ),
            Drift::Untrusted { seen, .. } => (
                format!("{seen}, so sshd does not look at the keys there"),
                "Let only its owner write there",
                vec![format!("dwenv provision --target {}", context.target)],
            ),
            Drift::Empty(path) => (
                format!("{path} is empty: it lets nobody in"),
                "Put the public key there that shall let its owner in, one key a line",
                Vec::new(),
            ),
        };
        Judgement {
            // This login worked, so there is a way into the box.
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
            Drift::Glued(lines) => {
                let mut paths: Vec<&str> = lines.iter().map(|(path, _)| path.as_str()).collect();
                paths.dedup();
                Plan::script("Give each key a line of its own", split_script(&paths)).unattended()
            }
            Drift::Untrusted { paths, .. } => {
                let names: Vec<&str> = paths.iter().map(|(path, _)| path.as_str()).collect();
                Plan::script(
                    format!("Let only its owner write to {}", names.join(", ")),
                    trust_script(paths),
                )
                .unattended()
            }
            Drift::Empty(path) => {
                Plan::leave(format!("whose key belongs into {path} is not known"))
            }
        }
    }

    fn predict(&self, _: Context, facts: &Facts, drift: &Drift) {
        facts.predict::<Keys>(|keys| match drift {
            Drift::Glued(_) => keys.glued.clear(),
            Drift::Untrusted { .. } => {
                for place in &mut keys.places {
                    place.mode &= !0o022;
                    place.owner.clone_from(&place.user);
                }
            }
            Drift::Empty(_) => {}
        });
    }
}

/// A key begins a new line wherever it stands behind another. Where it may have options of its own, which
/// may be what keeps its owner within bounds, a person has to tell them from the comment before.
fn split_script(paths: &[&str]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| quote::sh(path)).collect();
    format!(
        r#"{KEEP}for path in {paths}; do
  cp -a "$path" "$path.dwenv-new"
  awk '
    /^#/ {{ print; next }}
    {{
      done = ""; rest = $0; keys = 0
      while (match(rest, /{KEY}/)) {{
        before = substr(rest, 1, RSTART - 1); key = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        count = split(before, words, " ")
        if (keys++ && before ~ / $/ && words[count] ~ /[",=]|^(restrict|pty|user-rc|cert-authority|verify-required|no-.*|.*-forwarding)$/) {{
          print "line " NR " of " FILENAME " has options in its middle: split it by hand" >"/dev/stderr"
          exit 1
        }}
        if (keys > 1) {{ sub(/ +$/, "", before); before = before "\n" }}
        done = done before key
      }}
      print done rest
    }}' "$path" >"$path.dwenv-new" || {{ rm "$path.dwenv-new"; exit 1; }}
  keep "$path"
  sync "$path.dwenv-new"; mv -T "$path.dwenv-new" "$path"
done
"#,
        paths = paths.join(" "),
        KEEP = super::files::KEEP,
    )
}

/// Takes the right to write from everybody but the user whose keys they are.
fn trust_script(paths: &[(String, String)]) -> String {
    let mut script = String::new();
    for (path, user) in paths {
        let (path, user) = (quote::sh(path), quote::sh(user));
        script.push_str(&format!("chown {user}: {path}\nchmod go-w {path}\n"));
    }
    script
}

/// The first few lines with more than one key.
fn told(lines: &[(String, u32)]) -> String {
    let told: Vec<String> = lines
        .iter()
        .take(3)
        .map(|(path, number)| format!("{number} of {path}"))
        .collect();
    told.join(", ")
}

//! The state that apt and dpkg are in: work that was cut short, and who holds their locks.

use super::packages::Packages;
use super::{ALL, Check, Context, Judgement, Plan, Resource, State, apt, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

pub struct AptState;

const CHECKS: &[Check] = &[
    Check {
        id: "box.apt.dpkg",
        title: "No installation of packages was cut short",
        needs: &["box.ssh"],
        probe: Dpkg::PROBE,
    },
    Check {
        id: "box.apt.lock",
        title: "Nothing keeps apt from installing",
        needs: &["box.ssh"],
        probe: Dpkg::PROBE,
    },
];

/// An apt that has been at work for so long waits for an answer that nobody gives it.
const STUCK_AFTER: u64 = 15 * 60;

/// Prints `lock PATH PID SECONDS NAME` for every lock of apt and dpkg that a process holds.
///
/// They are locks of fcntl(2), which flock(1) does not see. The kernel lists them by inode, so nothing has
/// to be opened, and root's rights are not needed.
const LOCKS: &str = r#"locks() {
  files=$(stat -c '%i %n' /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock 2>/dev/null) || true # Not each of them is everywhere.
  read -r now _ </proc/uptime
  while read -r _ kind _ mode pid file _; do
    [ "$kind $mode" = "POSIX WRITE" ] || continue
    while read -r inode path; do
      [ "${file##*:}" = "$inode" ] || continue
      { read -r name <"/proc/$pid/comm" && read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
      set -- ${stat##*) }
      # In a container the one clock may be the container's, and the other the host's.
      seconds=$((${now%.*} - ${20} / 100)); [ "$seconds" -ge 0 ] || seconds=0
      echo "lock $path $pid $seconds $name"
    done <<EOF
$files
EOF
  done </proc/locks
}
"#;

/// Prints name and status of every package that dpkg did not bring to an end, for awk: other fields may stand
/// between the two, such as `Essential`.
const UNFINISHED: &str = r"/^Package: / { name = $0 }
/^Status: .* (half-installed|unpacked|half-configured|triggers-awaited|triggers-pending)$/ { print name; print }";

/// A lock of apt's or dpkg's, and the process that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub path: String,
    pub pid: u32,
    /// How long the process has been running.
    pub seconds: u64,
    pub name: String,
}

/// What dpkg has not finished, and who is at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dpkg {
    /// dpkg's journal holds changes that were not taken over.
    pub interrupted: bool,
    /// An installation was cut short whose files may not all be on the disk: see [`apt::UNSYNCED`].
    pub unsynced: bool,
    /// Packages that are neither installed nor removed, and how far they came.
    pub unfinished: Vec<(String, String)>,
    pub holders: Vec<Holder>,
}

impl Dpkg {
    pub const PROBE: &str = "dpkg";

    /// Whoever works with packages now. (apt-get takes several locks: it is one holder.)
    fn holder(&self) -> Option<&Holder> {
        self.holders.iter().max_by_key(|holder| holder.seconds)
    }

    /// Whether packages are changed now; fetching the lists of packages changes none.
    fn is_at_work(&self) -> bool {
        let dpkgs = |holder: &Holder| holder.path.starts_with("/var/lib/dpkg/");
        self.holders.iter().any(dpkgs)
    }
}

impl Fact for Dpkg {
    fn probes(_: &Workshop) -> Vec<Probe> {
        // Locks are read on both sides of the state: who took or dropped one in between is seen once.
        let fragment = format!(
            r#"{LOCKS}locks
[ -d /var/lib/dpkg/updates ] || exit 1
[ ! -e {unsynced} ] || echo unsynced
for file in /var/lib/dpkg/updates/[0-9]*; do [ ! -e "$file" ] || {{ echo journal; break; }}; done
awk '{UNFINISHED}' /var/lib/dpkg/status || exit 1
locks
echo end"#,
            unsynced = quote::sh(apt::UNSYNCED),
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("dpkg's state is not understood: {text}"));
        if text.lines().last() != Some("end") {
            return Err(garbled());
        }
        let mut found = Self::default();
        let mut package = "";
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["journal"] => found.interrupted = true,
                ["unsynced"] => found.unsynced = true,
                ["Package:", name] => package = name,
                ["Status:", .., state] if !package.is_empty() => {
                    found
                        .unfinished
                        .push((package.to_owned(), state.to_owned()));
                }
                ["lock", path, pid, seconds, ..] => {
                    let holder = Holder {
                        path: path.to_owned(),
                        pid: pid.parse().map_err(|_| garbled())?,
                        seconds: seconds.parse().map_err(|_| garbled())?,
                        name: words[4..].join(" "),
                    };
                    let known =
                        |other: &Holder| (&other.path, other.pid) == (&holder.path, holder.pid);
                    if !found.holders.iter().any(known) {
                        found.holders.push(holder);
                    }
                }
                // What stood between two packages in facts that were saved long ago.
                ["--"] | ["end"] => {}
                _ => return Err(garbled()),
            }
        }
        Ok(found)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// Packages in states that dpkg has to lead to an end.
    Interrupted(Vec<(String, String)>),
    /// Packages whose files may not all be on the disk.
    Unsynced,
    /// Something has to be installed, and somebody else is at it.
    Busy(Holder),
    /// At work for so long that it waits for an answer.
    Stuck(Holder),
}

impl Resource for AptState {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        Dpkg::probes(workshop)
    }

    fn diff(&self, check: &Check, context: Context, facts: &Facts) -> State<Drift> {
        let dpkg = observed!(facts, Dpkg);
        match check.id {
            "box.apt.dpkg" => diff_dpkg(dpkg),
            _ => diff_lock(&dpkg, context, facts),
        }
    }

    fn judge(&self, context: Context, _: &Facts, drift: &Drift) -> Judgement {
        match drift {
            Drift::Interrupted(unfinished) => Judgement {
                status: Status::Fail,
                summary: if unfinished.is_empty() {
                    "dpkg was interrupted in the middle of its work".to_owned()
                } else {
                    format!("dpkg was interrupted: {}", told(unfinished))
                },
                remedy: Some(Remedy {
                    text: "Have it finish its work".to_owned(),
                    commands: vec![
                        context.in_box("sudo DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a"),
                        context.in_box("sudo DEBIAN_FRONTEND=noninteractive apt-get -f -y install"),
                    ],
                    by: By::You,
                }),
            },
            Drift::Unsynced => Judgement {
                status: Status::Fail,
                summary: "an installation was cut short: some of its files may not be whole".to_owned(),
                remedy: Some(Remedy {
                    text: "Have it finished".to_owned(),
                    commands: vec![format!("dwenv provision --target {}", context.target)],
                    by: By::You,
                }),
            },
            Drift::Busy(holder) => Judgement {
                status: Status::Warn,
                summary: format!("{}, and there are packages to be installed", at_work(holder)),
                remedy: Some(Remedy {
                    text: "Wait for it: after a start, the box often brings itself up to date. Never delete a lock file"
                        .to_owned(),
                    commands: vec![format!("dwenv provision --target {}", context.target)],
                    by: By::You,
                }),
            },
            Drift::Stuck(holder) => Judgement {
                status: Status::Warn,
                summary: format!("{}: perhaps it waits for an answer", at_work(holder)),
                remedy: Some(Remedy {
                    text: "Look in which terminal it was started, and answer it there; a restart of the box ends it too"
                        .to_owned(),
                    commands: vec![context.in_box(&format!("ps -o pid,tty,user,lstart,args -p {}", holder.pid))],
                    by: By::You,
                }),
            },
        }
    }

    fn plan(&self, _: Context, _: &Facts, drift: &Drift) -> Plan {
        match drift {
            Drift::Interrupted(_) => Plan::script("Finish the work of dpkg", apt::finish_script()),
            Drift::Unsynced => Plan::script(
                "Finish the installation that was cut short",
                apt::finish_script(),
            ),
            Drift::Busy(_) => Plan::script(
                "Wait until apt is free",
                format!(
                    "{LOCKS}tries=300\n\
                     until holders=$(locks); [ -z \"$holders\" ]; do\n  \
                     tries=$((tries - 1)); [ $tries -gt 0 ] || exit 0 # Whoever installs waits on.\n  \
                     echo \"$holders\" | {{\n    read -r _ path pid _ name\n    \
                     echo \"waiting for $name (process $pid) to end, which holds $path\"\n  }}\n  \
                     sleep 1\ndone"
                ),
            )
            .unattended(),
            Drift::Stuck(holder) => Plan::leave(format!(
                "{} (pid {}) is somebody's, and dwenv ends no process that it did not start",
                holder.name, holder.pid
            )),
        }
    }

    fn predict(&self, _: Context, facts: &Facts, drift: &Drift) {
        facts.predict::<Dpkg>(|dpkg| match drift {
            Drift::Interrupted(_) | Drift::Unsynced => {
                dpkg.interrupted = false;
                dpkg.unsynced = false;
                dpkg.unfinished.clear();
            }
            Drift::Busy(_) => dpkg.holders.clear(),
            Drift::Stuck(_) => {}
        });
    }
}

fn diff_dpkg(dpkg: Dpkg) -> State<Drift> {
    if dpkg.is_at_work() {
        // What it has in hand is unfinished, and no fault.
        return State::AsDeclared(dpkg.holder().map_or_else(String::new, at_work));
    }
    if dpkg.unsynced {
        State::Drifted(Drift::Unsynced)
    } else if dpkg.interrupted || !dpkg.unfinished.is_empty() {
        State::Drifted(Drift::Interrupted(dpkg.unfinished))
    } else {
        State::AsDeclared("nothing is unfinished".to_owned())
    }
}

fn diff_lock(dpkg: &Dpkg, context: Context, facts: &Facts) -> State<Drift> {
    match dpkg.holder() {
        None => State::AsDeclared("no lock is held".to_owned()),
        Some(holder) if holder.seconds >= STUCK_AFTER => {
            State::Drifted(Drift::Stuck(holder.clone()))
        }
        Some(holder) if lacks_packages(context, facts) => {
            State::Drifted(Drift::Busy(holder.clone()))
        }
        Some(holder) => {
            State::AsDeclared(format!("{}; nothing has to be installed", at_work(holder)))
        }
    }
}

/// Whether a check that looks at packages does not hold: then apt will be needed.
pub fn lacks_packages(context: Context, facts: &Facts) -> bool {
    let checks = ALL
        .iter()
        .flat_map(|kind| kind.checks().iter().map(move |check| (kind, check)));
    let mut of_packages = checks
        .filter(|(_, check)| check.probe == Packages::PROBE)
        .filter(|(kind, check)| kind.applies(check, context));
    of_packages.any(|(kind, check)| matches!(kind.judge(check, context, facts), State::Drifted(_)))
}

fn at_work(holder: &Holder) -> String {
    format!(
        "{} (pid {}) holds {}, at work for {}",
        holder.name,
        holder.pid,
        holder.path,
        super::system::span(holder.seconds)
    )
}

/// The first few packages and their states.
fn told(unfinished: &[(String, String)]) -> String {
    const SHOWN: usize = 4;
    let mut told: Vec<String> = unfinished
        .iter()
        .take(SHOWN)
        .map(|(package, state)| format!("{package} is {state}"))
        .collect();
    if unfinished.len() > SHOWN {
        told.push(format!("{} more", unfinished.len() - SHOWN));
    }
    told.join(", ")
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::facts::Record;

    /// What is read of a part of the probe that said this.
    fn observed(output: &std::process::Output) -> Dpkg {
        let said = String::from_utf8_lossy(&output.stdout);
        let mut records = Records::default();
        records.insert(Dpkg::PROBE, Record::done(format!("{said}end")));
        Dpkg::observe(&records).expect("what is understood")
    }

    /// A cleaned image has not every lock's file; the wait for the others goes on.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_lock_whose_file_is_not_there_ends_no_script() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        std::fs::write(&lock, "").unwrap();
        let place = lock.display().to_string();
        let locks = LOCKS.replace("/var/lib/dpkg/lock-frontend", &place);
        let locks = locks.replace("/var/cache/apt/archives/lock", &format!("{place}.none"));
        let script = format!("{locks}found=$(locks)\necho \"went on\"");
        let output = Command::new("sh").args(["-euc", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "went on\n");
    }

    /// In a container the time since the start may be the container's, and that of a process its computer's.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_holder_that_is_older_than_its_box_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(place("uptime"), "0.10 0.05\n").unwrap();
        let hold = "import fcntl, subprocess, sys\nfile = open(sys.argv[1], 'w')\n\
                    fcntl.lockf(file, fcntl.LOCK_EX)\nsubprocess.run(['sh', '-euc', sys.argv[2]], check=True)";
        let locks = LOCKS.replace("/var/lib/dpkg/lock-frontend", &place("lock"));
        let script = format!("{}locks", locks.replace("/proc/uptime", &place("uptime")));
        let output = Command::new("python3")
            .args(["-c", hold, &place("lock"), &script])
            .output()
            .unwrap();
        let found = observed(&output);
        assert_eq!(found.holders.len(), 1, "{output:?}");
        assert_eq!(found.holders[0].seconds, 0);
    }

    #[test]
    fn a_package_is_found_unfinished_whatever_else_is_said_of_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let status = "Package: dash\nEssential: yes\nStatus: install ok unpacked\nPriority: required\n\n\
                      Package: bash\nEssential: yes\nStatus: install ok installed\n\n\
                      Package: vim\nStatus: install ok half-configured\n\
                      Description: Package: none\n Status: install ok unpacked\n";
        std::fs::write(file.path(), status).unwrap();
        let output = Command::new("awk")
            .arg(UNFINISHED)
            .arg(file.path())
            .output()
            .unwrap();
        let found = observed(&output);
        let state = |name: &str, state: &str| (name.to_owned(), state.to_owned());
        assert_eq!(
            found.unfinished,
            [state("dash", "unpacked"), state("vim", "half-configured")]
        );
    }
}

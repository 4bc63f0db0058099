//! The archives that apt installs from, as apt itself finds them. Asked only for a diagnosis.

use std::time::Duration;

use super::clock::Clock;
use super::network::Names;
use super::{Check, Context, Judgement, Plan, Resource, State, apt_state, laptop, observed, venue};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::{Fact, Facts, Observed, Probe, RecordStatus, Records, Unobserved};
use crate::workshop::Workshop;

pub struct AptSources;

const CHECKS: &[Check] = &[Check {
    id: "box.apt.sources",
    title: "apt's archives answer, and are signed and in date",
    needs: &["box.ssh"],
    probe: Archives::PROBE,
}];

/// Several archives answer at the same time; one that does not is given up after 6 s.
const DEADLINE: Duration = Duration::from_secs(15);

/// `apt-get update` in a folder of its own, with nothing but the signed heads of the archives fetched:
/// neither what apt knows nor its locks are touched, and no hook of an update runs.
const ASK: &str = r#"for base in /run /dev/shm /tmp; do
  new=$(mktemp -d "$base/dwenv.XXXXXX" 2>/dev/null) && break
done
[ -n "$new" ] || { echo "no folder can be made" >&2; exit 1; }
trap 'rm -rf "$new"' EXIT; trap 'exit 1' HUP INT TERM
chmod 755 "$new"; mkdir "$new/lists" "$new/cache"
{
  printf '#clear APT::Update::%s;\n' Pre-Invoke Post-Invoke Post-Invoke-Success
  for target in $(apt-get -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= indextargets --format '$(CREATED_BY)' 2>/dev/null | sort -u); do
    printf 'Acquire::IndexTargets::%s::'"$target"'::DefaultEnabled "false";\n' deb deb-src
  done
} >"$new/settings"
said=$(apt-get -q -c "$new/settings" -o Dir::State::lists="$new/lists" -o Dir::Cache="$new/cache" \
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=0 -o Acquire::http::Timeout=6 \
  -o Acquire::https::Timeout=6 -o Acquire::Check-Date=true -o APT::Update::Error-Mode=any update 2>&1)
status=$?
while read -r line; do
  case $line in [EW]:*) echo "$line" ;; esac
done <<EOF
$said
EOF
exit $status"#;

/// What apt complains of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archives(Vec<Complaint>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    fault: Fault,
    /// apt's own words, without the letter in front.
    words: String,
}

/// What may be wrong with an archive, the one with most to say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A file of sources that apt cannot read, so it reads none.
    Unreadable,
    /// Dated in the future: the box's clock is behind.
    NotYetValid,
    Expired,
    /// The key that signed it is missing or no longer good.
    Unsigned,
    /// The server's certificate is not trusted.
    Certificate,
    /// The server answers, and has no such archive.
    Gone,
    /// No answer from the server.
    Unreached,
}

impl Archives {
    const PROBE: &str = "apt_sources";
}

impl Fact for Archives {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        vec![Probe {
            deadline: DEADLINE,
            ..Probe::deep(Self::PROBE, venue::reading_proxy(workshop, ASK.to_owned()))
        }]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let failed = match records.get(Self::PROBE).map(|record| &record.status) {
            Some(RecordStatus::TimedOut) => {
                return Ok(Self(vec![Complaint {
                    fault: Fault::Unreached,
                    words: format!("nothing, within {} s", DEADLINE.as_secs()),
                }]));
            }
            // apt ends with 100 when it has something to complain of.
            Some(RecordStatus::Done(100)) => true,
            _ => {
                records.text(Self::PROBE)?;
                false
            }
        };
        let said = records.get(Self::PROBE).map_or("", |record| &record.output);
        let mut complaints: Vec<Complaint> = said.lines().filter_map(complaint).collect();
        complaints.sort_by_key(|complaint| complaint.fault);
        if failed && complaints.is_empty() {
            return Err(Unobserved(format!(
                "apt's words are not understood: {said}"
            )));
        }
        // A warning alone stops no update.
        Ok(Self(if failed { complaints } else { Vec::new() }))
    }
}

/// What a line of apt's means; lines that only follow from others mean nothing.
fn complaint(line: &str) -> Option<Complaint> {
    let words = line
        .strip_prefix("E: ")
        .or_else(|| line.strip_prefix("W: "))?;
    let has = |part: &str| words.contains(part);
    let fault = if has("Conflicting values set for option")
        || has("list of sources could not be read")
        || has("Malformed")
        || has("is not known on line")
    {
        Fault::Unreadable
    } else if has("is not valid yet") {
        Fault::NotYetValid
    } else if has("is expired") {
        Fault::Expired
    } else if has("NO_PUBKEY")
        || has("Missing key")
        || has("EXPKEYSIG")
        || has("is not signed")
        || has("The following signatures")
        || has("does not exist or is not readable")
        || has("verification with")
    {
        Fault::Unsigned
    } else if has("ertificate verification failed") || has("certificate is NOT trusted") {
        Fault::Certificate
    } else if has("does not have a Release file") || has("404") || has("403") {
        Fault::Gone
    } else if has("Could not resolve")
        || has("failure resolving")
        || has("ould not connect")
        || has("nable to connect")
        || has("annot initiate the connection")
        || has("onnection timed out")
        || has("onnection failed")
        || has("Failed to fetch")
    {
        Fault::Unreached
    } else {
        return None;
    };
    Some(Complaint {
        fault,
        words: words.trim().to_owned(),
    })
}

/// What apt complains of most, and whether something has to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    complaint: Complaint,
    needed: bool,
}

impl Drift {
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.complaint.fault
    }
}

/// Why a complaint says nothing of the archive itself. The checks of these reasons have failed.
fn follows_from(fault: Fault, needed: bool, facts: &Facts) -> Option<&'static str> {
    let clock_is_wrong = || matches!(facts.get::<Clock>().as_ref(), Ok(clock) if clock.is_wrong());
    let finds_no_name =
        || matches!(facts.get::<Names>().as_ref(), Ok(names) if names.are_all_lost());
    match fault {
        Fault::NotYetValid | Fault::Expired if clock_is_wrong() => Some("the clock is wrong"),
        Fault::Unreached if needed && finds_no_name() => Some("no name is found"),
        _ => None,
    }
}

/// Whether the box's clock is so near to the laptop's that nothing is to be set in the box.
fn clocks_agree(facts: &Facts) -> bool {
    matches!(facts.get::<Clock>().as_ref(), Ok(clock) if clock.agrees())
}

impl Resource for AptSources {
    type Drift = Drift;

    fn checks(&self) -> &'static [Check] {
        CHECKS
    }

    fn applies(&self, _: &Check, context: Context) -> bool {
        context.deep
    }

    fn probes(&self, workshop: &Workshop) -> Vec<Probe> {
        [
            Archives::probes(workshop),
            Names::probes(workshop),
            Clock::probes(workshop),
        ]
        .concat()
    }

    fn diff(&self, _: &Check, context: Context, facts: &Facts) -> State<Drift> {
        let Archives(complaints) = observed!(facts, Archives);
        match complaints.into_iter().next() {
            None => State::AsDeclared("all of them answer".to_owned()),
            Some(complaint) => {
                let needed = apt_state::lacks_packages(context, facts);
                match follows_from(complaint.fault, needed, facts) {
                    Some(reason) => State::Unknown(format!("{reason}: {}", complaint.words)),
                    None => State::Drifted(Drift { complaint, needed }),
                }
            }
        }
    }

    fn judge(&self, context: Context, facts: &Facts, drift: &Drift) -> Judgement {
        let look =
            || context.in_box("grep -rE ^[^#] /etc/apt/sources.list /etc/apt/sources.list.d");
        let provision = || format!("dwenv provision --target {}", context.target);
        let (text, commands, by) = match drift.complaint.fault {
            Fault::Unreadable => (
                "Two files may name the same archive, such as one that older instructions for Docker wrote: \
                 keep one of them",
                vec![look()],
                By::You,
            ),
            // The box's clock can only be set from the laptop's.
            Fault::NotYetValid if clocks_agree(facts) => (
                "The laptop's clock agrees with the box's, so it may be behind as well: set it first, then the box's",
                vec![laptop::clock::set(context.laptop).to_owned(), provision()],
                By::You,
            ),
            Fault::NotYetValid => (
                "Set the box's clock: a laptop that slept leaves it behind",
                vec![provision()],
                By::You,
            ),
            Fault::Expired => (
                "The archive is no longer kept, or the box's clock is ahead: use a box with a newer release",
                vec![look()],
                By::Organiser,
            ),
            Fault::Unsigned => (
                "Fetch the archive's key anew from who keeps it, into /etc/apt/keyrings; or remove the archive",
                vec![look()],
                By::Organiser,
            ),
            Fault::Certificate => (
                "Somebody between the box and the archive reads along, often a company's proxy: its \
                 certificate has to be added to the box",
                Vec::new(),
                By::It,
            ),
            Fault::Gone => (
                "Correct the name of the release in the file that names this archive, or remove that file",
                vec![look()],
                By::You,
            ),
            Fault::Unreached => (
                "Look whether the laptop itself reaches the internet; a VPN or a proxy may stand between",
                vec![look()],
                By::You,
            ),
        };
        Judgement {
            // What is installed works without any archive.
            status: if drift.needed {
                Status::Fail
            } else {
                Status::Warn
            },
            summary: format!("apt says: {}", drift.complaint.words),
            remedy: Some(Remedy {
                text: text.to_owned(),
                commands,
                by,
            }),
        }
    }

    fn plan(&self, _: Context, _: &Facts, _: &Drift) -> Plan {
        Plan::leave("which archives a box has is its keeper's choice")
    }

    fn predict(&self, _: Context, _: &Facts, _: &Drift) {}
}

//! The box's clock beside the laptop's, and which of the two is believed.

use super::laptop;
use super::system::{Drift, span};
use super::{Context, Judgement, Plan, State, observed};
use crate::doctor::report::{By, Remedy, Status};
use crate::facts::program::{ELEVATED, LAPTOPS_TIME, Rights};
use crate::facts::{Fact, Facts, Observed, Probe, Question, Records, Unobserved};
use crate::workshop::Workshop;

/// Clocks this far apart, in seconds, break apt's and TLS's dates now and then, or always.
const OFF: u64 = 60;
const WRONG: u64 = 300;
/// Nearer than this, by what the program was told, nobody will ask who sets the box's.
const NEAR: u64 = OFF / 2;

/// What systemd writes anew each time a time server has told it the time.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// A time server that was heard so many seconds ago is right. One that was heard before the box slept may
/// not have been asked since, and nothing in the box knows that it slept.
const HEARD_JUST_NOW: u64 = 120;

/// How the box's clock was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// How far it is ahead of the laptop's, in seconds.
    ahead: i64,
    /// The laptop's, in seconds since 1970, when the box's was read.
    laptops: u64,
    /// For how many seconds the box had been running then; unknown in facts that were saved long ago.
    uptime: Option<u64>,
    ntp: Ntp,
}

/// Whether time servers set the box's clock, as far as that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ntp {
    No,
    Yes {
        /// When one was heard last, where that is known.
        seconds_ago: Option<u64>,
    },
}

impl Clock {
    pub const PROBE: &str = "clock";

    /// Whether it is so near to the laptop's that nothing is to be set in the box.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.ahead.unsigned_abs() <= OFF
    }

    /// Whether it is so wrong that dates break on it.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.ahead.unsigned_abs() > WRONG && !self.is_kept()
    }

    /// Whether time servers vouch for it. A box that slept is behind; one that is ahead never slept.
    fn is_kept(&self) -> bool {
        match self.ntp {
            Ntp::No => false,
            Ntp::Yes { seconds_ago } => {
                self.ahead > 0 || seconds_ago.is_none_or(|ago| ago <= HEARD_JUST_NOW)
            }
        }
    }

    /// The box's time, in seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.laptops.saturating_add_signed(self.ahead)
    }

    /// Says that it will be right.
    pub fn settle(&mut self) {
        self.ahead = 0;
    }
}

impl Fact for Clock {
    fn probes(_: &Workshop) -> Vec<Probe> {
        vec![Probe::new(Self::PROBE, Question::Login(fragment()))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let garbled = || Unobserved(format!("what the clock says is not understood: {text}"));
        let words: Vec<&str> = text.split_whitespace().collect();
        let (now, uptime, ntp) = match words[..] {
            [now] => (now, None, Ntp::No),
            [now, uptime, "yes"] => (now, Some(uptime), Ntp::Yes { seconds_ago: None }),
            [now, uptime, "yes", ago] => {
                // A clock that was set back meanwhile makes it a time to come.
                let ago: i64 = ago.parse().map_err(|_| garbled())?;
                let seconds_ago = Some(u64::try_from(ago).unwrap_or(0));
                (now, Some(uptime), Ntp::Yes { seconds_ago })
            }
            [now, uptime, _] => (now, Some(uptime), Ntp::No),
            _ => return Err(garbled()),
        };
        let theirs: i64 = now.parse().map_err(|_| garbled())?;
        let ours = i64::try_from(records.taken_at).unwrap_or(0);
        let uptime = uptime.map(str::parse).transpose();
        Ok(Self {
            ahead: theirs.saturating_sub(ours),
            laptops: records.taken_at,
            uptime: uptime.map_err(|_| garbled())?,
            ntp,
        })
    }
}

/// The seconds since 1970, for how long the box runs, and who sets its clock.
fn fragment() -> String {
    // Who sets the clock matters only where it is off, and to ask that starts a service, which takes longer
    // than all the rest. What the program was told is too old once somebody has typed a password. The time comes
    // last: the laptop reads its own when the answer comes.
    format!(
        r#"now=$(date +%s); apart=$((now - {LAPTOPS_TIME})); ntp= heard=
if [ "${ELEVATED}" = {by_password} ] || [ "${{apart#-}}" -gt {NEAR} ]; then
  ntp=$(timeout 3 timedatectl show -p NTPSynchronized --value 2>/dev/null) || ntp=
  [ "$ntp" != yes ] || [ ! -e {SYNCHRONISED} ] || heard=$(stat -c %Y {SYNCHRONISED})
fi
read -r up _ </proc/uptime
now=$(date +%s)
echo "$now ${{up%.*}} ${{ntp:-unknown}} ${{heard:+$((now - heard))}}""#,
        by_password = Rights::BY_PASSWORD,
    )
}

pub fn diff(facts: &Facts) -> State<Drift> {
    let clock = observed!(facts, Clock);
    if clock.agrees() {
        State::AsDeclared(format!("{} s apart", clock.ahead.unsigned_abs()))
    } else if clock.is_kept() {
        State::Drifted(Drift::LaptopOff(clock))
    } else {
        State::Drifted(Drift::ClockOff(clock))
    }
}

/// How far apart they are, as of the clock that is named.
fn apart(whose: &str, ahead: bool, others: &str, clock: &Clock) -> String {
    format!(
        "{whose} clock is {} {} {others}",
        span(clock.ahead.unsigned_abs()),
        if ahead { "ahead of" } else { "behind" }
    )
}

pub fn judge_box(context: Context, clock: &Clock) -> Judgement {
    Judgement {
        status: if clock.ahead.unsigned_abs() > WRONG {
            Status::Fail
        } else {
            Status::Warn
        },
        summary: apart("The box's", clock.ahead > 0, "the laptop's", clock),
        remedy: Some(Remedy {
            text: "Set the box's clock from the laptop's".to_owned(),
            commands: vec![format!("dwenv provision --target {}", context.target)],
            by: By::You,
        }),
    }
}

pub fn judge_laptop(context: Context, clock: &Clock) -> Judgement {
    Judgement {
        // The box itself is right.
        status: Status::Warn,
        summary: format!(
            "{}, and a time server sets the box's",
            apart("The laptop's", clock.ahead < 0, "the box's", clock)
        ),
        remedy: Some(Remedy {
            text: "Probably the laptop's is wrong: set it by the network".to_owned(),
            commands: vec![laptop::clock::set(context.laptop).to_owned()],
            by: By::You,
        }),
    }
}

/// Sets the clock to what the laptop's is by now: it went on while somebody read the plan, and the box knows
/// for how long it has been running.
pub fn plan(clock: &Clock) -> Plan {
    let Some(uptime) = clock.uptime else {
        return Plan::leave("when the box's clock was read is not known");
    };
    // Somebody who slept only has to be told anew.
    let ask_again = match clock.ntp {
        Ntp::No => String::new(),
        Ntp::Yes { .. } => format!(
            r#"rm -f {SYNCHRONISED}
systemctl try-restart systemd-timesyncd.service 2>/dev/null || true
tries=15
until [ -e {SYNCHRONISED} ] || [ "$tries" -le 0 ]; do tries=$((tries - 1)); sleep 1; done
[ ! -e {SYNCHRONISED} ] || exit 0
"#
        ),
    };
    Plan::script(
        match clock.ntp {
            Ntp::No => "Set the clock from the laptop's, and keep it by NTP",
            Ntp::Yes { .. } => {
                "Set the clock by NTP; where that does not answer, from the laptop's"
            }
        },
        format!(
            r#"timedatectl set-ntp true 2>/dev/null || true
{ask_again}read -r up _ </proc/uptime
passed=$((${{up%.*}} - {uptime}))
[ "$passed" -ge 0 ] || {{ echo "the box was started again since its clock was read" >&2; exit 1; }}
date -u -s "@$(({laptops} + passed))""#,
            laptops = clock.laptops
        ),
    )
    .unattended()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What the fragment says where a program `timedatectl` says yes, and the laptop's clock said this.
    fn said(laptops_time: u64) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("timedatectl");
        std::fs::write(&program, "#!/bin/sh\necho yes\n").expect("a program");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        let script = format!(
            "PATH={}:$PATH\n{LAPTOPS_TIME}={laptops_time}\n{}",
            folder.path().display(),
            fragment()
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output();
        String::from_utf8(output.expect("sh").stdout).expect("text")
    }

    #[test]
    fn who_sets_the_clock_is_asked_where_it_is_off() {
        let now = crate::date::seconds_since_1970();
        assert_eq!(said(now).split(' ').nth(2), Some("unknown"));
        for off in [now - 100, now + 100] {
            assert_eq!(said(off).split(' ').nth(2), Some("yes"));
        }
    }
}

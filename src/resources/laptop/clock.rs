//! The laptop's clock against a server's: TLS refuses every certificate where it is wrong.

use super::common::not_understood;
use super::{Check, Context, Judgement, LaptopKind, State, When, Wrong};
use crate::facts::laptop::WebDate;
use crate::facts::probe::{Ask, LaptopQuestion};
use crate::facts::{Facts, Probe, Question};
use crate::target::laptop::Os;

pub const KIND: LaptopKind = LaptopKind {
    checks: &[Check {
        id: "laptop.clock",
        title: "The laptop's clock is right",
        needs: &[],
        probe: PROBE,
    }],
    on: Os::ALL,
    virtualbox: false,
    when: When::Before,
    probes: |_| {
        let ask = Ask::WebDate("http://vagrantcloud.com/");
        let question = LaptopQuestion { on: Os::ALL, ask };
        vec![Probe::deep(PROBE, Question::Laptop(question))]
    },
    look,
};

const PROBE: &str = "laptop.date";
/// Certificates are refused from some minutes on, by some programs.
const WRONG: u64 = 300;

fn look(_: &Check, context: Context, facts: &Facts) -> State<Judgement> {
    let seen: WebDate = match facts.records().json(PROBE) {
        Ok(seen) => seen,
        Err(unobserved) => return State::from(&unobserved),
    };
    let Some(date) = seen.date else {
        return Wrong::warn("No server on the internet answered, so the clock was compared with none, and nothing can be downloaded now")
            .text("Join a network and look again. A hotel's or venue's wants you to log in first, in a browser")
            .drifted();
    };
    let Some(theirs) = seconds(&date) else {
        return State::from(&not_understood("the server's date", &date));
    };
    let apart = theirs.abs_diff(seen.local);
    if apart <= WRONG {
        return State::AsDeclared(format!("{apart} s from a server's"));
    }
    let direction = if seen.local > theirs {
        "ahead"
    } else {
        "behind"
    };
    Wrong::warn(format!(
        "The laptop's clock is {} min {direction}: downloads refuse every certificate",
        apart / 60
    ))
    .text("Have the laptop set its clock from the network")
    .command(set(context.laptop))
    .drifted()
}

/// The command that sets a laptop's clock from the network.
#[must_use]
pub fn set(laptop: Os) -> &'static str {
    match laptop {
        Os::Windows => "w32tm /resync",
        Os::MacOs => "sudo sntp -sS time.apple.com",
        Os::Linux | Os::Other => "sudo timedatectl set-ntp true",
    }
}

/// `Tue, 15 Nov 1994 08:12:31 GMT`, in seconds since 1970.
fn seconds(date: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<&str> = date.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let clock: Vec<u64> = time
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = clock[..] else {
        return None;
    };
    if !(1970..10_000).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the odd day comes last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("yesterday", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}

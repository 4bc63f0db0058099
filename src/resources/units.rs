//! systemd's units, as far as the workshop's services are concerned.

use std::collections::BTreeMap;

use crate::facts::{Fact, Observed, Probe, Question, Records, Unobserved};
use crate::quote;
use crate::workshop::Workshop;

/// How many seconds a server may take until it listens: on a box that boots it has to wait for its turn.
pub const BEGINNING: u64 = 15;
/// How many seconds may lie between two answers to questions that were asked at once.
const BESIDE: u64 = 2;

/// The state of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// `loaded`, `not-found`, `masked`, …
    pub load: String,
    /// `active`, `inactive`, `failed`, `activating`, …
    pub active: String,
    /// `enabled`, `disabled`, `masked`, …; empty where there is no unit file.
    pub file: String,
    pub main_pid: u32,
    /// When it became active, in microseconds since 1970; 0 if never.
    pub active_since: u64,
    /// When its state changed last, in the same; a unit that was told to read its settings again did so then.
    pub changed_at: u64,
    /// Whether its file is newer than what systemd has read.
    pub needs_reload: bool,
    pub result: String,
    /// Files that somebody put beside the unit's own, to have it otherwise.
    pub drop_ins: Vec<String>,
    /// Whether systemd is about to start or stop it: the box is booting, or somebody has just asked.
    pub has_job: bool,
}

impl Unit {
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.active == "active"
    }

    /// Whether it ended itself; one that somebody stopped has ended well.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        !self.is_running() && !matches!(self.result.as_str(), "" | "success")
    }

    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.file.starts_with("enabled") || self.file == "static" || self.file == "generated"
    }

    /// A unit that runs and will run after the next start of the box.
    #[must_use]
    pub fn expected() -> Self {
        Self {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            file: "enabled".to_owned(),
            active_since: u64::MAX,
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Units(pub BTreeMap<String, Unit>);

impl Units {
    pub const PROBE: &str = "units";

    #[must_use]
    pub fn get(&self, name: &str) -> Unit {
        self.0.get(name).cloned().unwrap_or_default()
    }

    /// Whether what was seen is not how it will be: sshd answers before a box that boots is ready. A cluster of
    /// PostgreSQL whose server answers has started, whatever its unit still waits for.
    #[must_use]
    pub fn are_settling(&self, postgres_answers: bool) -> bool {
        let has_started = |name: &str, unit: &Unit| {
            let is_last = name.starts_with("postgresql@") && unit.active == "activating"
                // It starts after all clusters, also where it is there already.
                || name == "postgresql.service" && unit.is_running();
            postgres_answers && is_last
        };
        let mut units = self.0.iter();
        units.any(|(name, unit)| unit.has_job && !has_started(name, unit))
    }

    /// For how many seconds more this service may not listen yet, because it began lately; `now` is the box's time,
    /// in seconds since 1970.
    #[must_use]
    pub fn left_to_begin(&self, name: &str, now: u64) -> Option<u64> {
        let unit = self.get(name);
        let began = unit.active_since / 1_000_000;
        // The clock is asked beside systemd, and may be read first. One that was set back tells nothing.
        let is_known = unit.is_running() && began <= now + BESIDE;
        let left = BEGINNING.checked_sub(now.saturating_sub(began));
        left.filter(|left| is_known && *left > 0)
    }

    /// A script that ends when systemd has done what it was about to do, and the server, if it then runs,
    /// listens; after 25 s in any case.
    #[must_use]
    pub fn await_settled(workshop: &Workshop) -> String {
        // One line: csh has none within quotes.
        let script = format!(
            "PATH=$PATH:/usr/sbin:/sbin; \
             until [ -z \"$(systemctl show --value -p Job {units} | tr -d '\\n')\" ] && \
             if systemctl -q is-active {server}; then [ -n \"$(ss -Hltn 'sport = :{port}')\" ]; fi; \
             do sleep 0.1; done",
            units = names(workshop),
            server = quote::sh(&workshop.server.unit),
            port = workshop.server.port,
        );
        format!("exec timeout 25 sh -c {}", quote::sh(&script))
    }
}

/// The units that matter, as words of sh.
fn names(workshop: &Workshop) -> String {
    let server = quote::sh(&workshop.server.unit);
    // PostgreSQL's clusters are units of their own, which start before it and end after it.
    format!("docker.service docker.socket postgresql.service 'postgresql@*.service' {server}")
}

impl Fact for Units {
    fn probes(workshop: &Workshop) -> Vec<Probe> {
        let fragment = format!(
            "systemctl show --timestamp=us+utc -p Id,LoadState,ActiveState,UnitFileState,MainPID,\
             ActiveEnterTimestamp,StateChangeTimestamp,NeedDaemonReload,Result,Job,DropInPaths {}",
            names(workshop)
        );
        vec![Probe::new(Self::PROBE, Question::Login(fragment))]
    }

    fn observe(records: &Records) -> Observed<Self> {
        let text = records.text(Self::PROBE)?;
        let units: BTreeMap<String, Unit> = text.split("\n\n").filter_map(read_unit).collect();
        if units.is_empty() {
            return Err(Unobserved(format!(
                "systemctl's answer is not understood: {text}"
            )));
        }
        Ok(Self(units))
    }
}

fn read_unit(block: &str) -> Option<(String, Unit)> {
    let mut name = None;
    let mut unit = Unit::default();
    for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
        let value = value.trim();
        match key {
            "Id" => name = Some(value.to_owned()),
            "LoadState" => unit.load = value.to_owned(),
            "ActiveState" => unit.active = value.to_owned(),
            "UnitFileState" => unit.file = value.to_owned(),
            "MainPID" => unit.main_pid = value.parse().unwrap_or(0),
            "ActiveEnterTimestamp" => {
                unit.active_since = microseconds(value).unwrap_or(0);
            }
            "StateChangeTimestamp" => {
                unit.changed_at = microseconds(value).unwrap_or(0);
            }
            "NeedDaemonReload" => unit.needs_reload = value == "yes",
            "Result" => unit.result = value.to_owned(),
            "DropInPaths" => {
                // Those of a whole kind of units are the system's own.
                let of_it = |path: &&str| !path.contains("/service.d/");
                let paths = value.split_whitespace().filter(of_it);
                unit.drop_ins = paths.map(str::to_owned).collect();
            }
            "Job" => unit.has_job = !value.is_empty(),
            _ => {}
        }
    }
    Some((name?, unit))
}

/// `Mon 2026-11-23 18:53:58.123456 UTC` in microseconds since 1970.
fn microseconds(timestamp: &str) -> Option<u64> {
    let mut words = timestamp.split(' ').skip(1);
    let (date, time) = (words.next()?, words.next()?);
    let mut date = date.split('-').map(str::parse::<u64>);
    let mut next = || date.next()?.ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let seconds = time
        .split(':')
        .try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))?;
    // Days since 1970 in the calendar that begins its years in March, when leap days come last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1;
    let fraction: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let since = days.checked_sub(719_468)?;
    Some((since * 86_400 + seconds) * 1_000_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Record;

    fn units(text: &str) -> Units {
        let mut records = Records::default();
        records.insert(Units::PROBE, Record::done(text));
        Units::observe(&records).expect("units")
    }

    #[test]
    fn a_unit_with_a_job_is_not_yet_what_it_will_be() {
        let booting = "Id=docker.service\nActiveState=inactive\nJob=562\n\nId=postgresql.service\nActiveState=active\nJob=";
        assert!(units(booting).are_settling(false));
        let settled = "Id=docker.service\nActiveState=failed\nJob=\n\nId=postgresql.service\nActiveState=active";
        assert!(!units(settled).are_settling(false));
        assert_eq!(units(settled).get("docker.service").active, "failed");
        let starting = "Id=postgresql.service\nActiveState=active\nJob=562\n\n\
            Id=postgresql@17-main.service\nActiveState=activating\nJob=563";
        assert!(units(starting).are_settling(false));
        assert!(!units(starting).are_settling(true), "it answers");
        let stopping = "Id=postgresql@17-main.service\nActiveState=deactivating\nJob=564";
        assert!(units(stopping).are_settling(true));
    }

    #[test]
    fn a_server_that_began_a_moment_ago_may_not_listen_yet() {
        let running = "Id=web.service\nActiveState=active\n\
            ActiveEnterTimestamp=Mon 2026-11-23 18:53:58.900000 UTC";
        let began = 1_795_460_038;
        for (now, left) in [
            (began - BESIDE - 1, None),
            (began - BESIDE, Some(BEGINNING)),
            (began, Some(BEGINNING)),
            (began + BEGINNING - 1, Some(1)),
            (began + BEGINNING, None),
        ] {
            assert_eq!(units(running).left_to_begin("web.service", now), left);
        }
        let ended = running.replace("=active", "=failed");
        assert_eq!(units(&ended).left_to_begin("web.service", began), None);
    }

    #[test]
    fn systemds_timestamps() {
        assert_eq!(microseconds("Thu 1970-01-01 00:00:00 UTC"), Some(0));
        assert_eq!(
            microseconds("Mon 2026-11-23 18:53:58.123456 UTC"),
            Some(1_795_460_038_123_456)
        );
        assert_eq!(
            microseconds("Tue 2028-02-29 23:59:59 UTC"),
            Some(1_835_481_599_000_000)
        );
        assert_eq!(microseconds(""), None);
        assert_eq!(microseconds("n/a"), None);
    }
}

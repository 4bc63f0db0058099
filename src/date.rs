//! A day of the calendar, for what ages.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY: u64 = 24 * 60 * 60;

/// A day, in UTC. It is written `2027-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// `None` where the text is no day of the calendar in this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else {
            return None;
        };
        let digits = |text: &str, count| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
            return None;
        }
        let date = Self {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            day: day.parse().ok()?,
        };
        let is_day = (1..=12).contains(&date.month)
            && (1..=days_in(date.year, date.month)).contains(&date.day);
        is_day.then_some(date)
    }

    /// The day of a moment, given in seconds since 1970 (UTC).
    #[must_use]
    pub fn of(seconds_since_1970: u64) -> Self {
        let mut days = seconds_since_1970 / DAY;
        let mut year = 1970;
        while days >= days_of(year) && year < u16::MAX {
            days -= days_of(year);
            year += 1;
        }
        let mut month = 1;
        while month < 12 && days >= u64::from(days_in(year, month)) {
            days -= u64::from(days_in(year, month));
            month += 1;
        }
        Self {
            year,
            month,
            // Less than a month is left, and a day begins with 1.
            day: u8::try_from(days + 1).unwrap_or(1),
        }
    }

    /// The laptop's own day.
    #[must_use]
    pub fn today() -> Self {
        Self::of(seconds_since_1970())
    }
}

/// This computer's clock, in UTC.
#[must_use]
pub fn seconds_since_1970() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A moment, given as the time since 1970 (UTC), such as `2027-01-31T09:05:00.250Z` (RFC 3339).
#[must_use]
pub fn moment(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let of_day = seconds % DAY;
    format!(
        "{}T{:02}:{:02}:{:02}.{:03}Z",
        Date::of(seconds),
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        since_1970.subsec_millis()
    )
}

/// The same to the minute and for people: `2027-01-31 09:05 UTC`.
#[must_use]
pub fn minute(seconds_since_1970: u64) -> String {
    let of_day = seconds_since_1970 % DAY;
    let (hour, minute) = (of_day / 3600, of_day / 60 % 60);
    format!("{} {hour:02}:{minute:02} UTC", Date::of(seconds_since_1970))
}

fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text} is no day such as 2027-01-31"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_texts_give_the_same_days() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (68_169_600, "1972-02-29"),
            (951_868_799, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (1_798_761_600, "2027-01-01"),
        ] {
            assert_eq!(Date::of(seconds), Date::parse(text).unwrap(), "{text}");
            assert_eq!(Date::of(seconds).to_string(), text);
        }
        assert!(Date::parse("2026-12-31") < Date::parse("2027-01-01"));
    }

    #[test]
    fn a_moment_has_its_time_of_day() {
        let at = Duration::from_millis(1_798_761_599_007);
        assert_eq!(moment(at), "2026-12-31T23:59:59.007Z");
    }

    #[test]
    fn what_is_no_day_is_refused() {
        for text in [
            "",
            "2027",
            "2027-1-31",
            "2027-02-29",
            "2100-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-04-31",
            "31-01-2027",
            "2027-01-01-01",
            "+027-01-01",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }
}

//! Time as the log knows it, and the clock it comes from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time `ms` milliseconds after 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Milliseconds from `earlier` to this time; 0 when `earlier` is later.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, e.g. `2026-11-20T09:30:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms_of_day) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (hours, minutes) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
        let (seconds, ms) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
    }
}

/// A text that is no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like `2026-11-20T09:30:00.000Z`: in UTC, with milliseconds")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads a time as [`Timestamp`] prints it, and in no other spelling.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        parse(text).ok_or(InvalidTimestamp)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, ms) = time.split_once('.')?;
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    let days = days_from_civil(year, month, day)?;
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let seconds = minutes.checked_mul(60)?.checked_add(seconds)?;
    let ms = seconds.checked_mul(1_000)?.checked_add(ms.parse().ok()?)?;
    let timestamp = Timestamp::from_ms(ms);
    // Leaves one spelling per time, and refuses what is no date, such as the 30th of February.
    (timestamp.to_string() == text).then_some(timestamp)
}

/// Days from 1970-01-01 to a later day, by the algorithm of Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms" (2013).
fn days_from_civil(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_469)?;
    is_date.then_some(days)
}

/// Year, month and day of the day `days` after 1970-01-01, by the algorithm of Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms" (2013), for days at or after the epoch.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Where the time comes from. Injected, so that tests control it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now. May go back, as clocks of machines do; what relies on order uses revisions and
    /// positions.
    fn now(&self) -> Timestamp;

    /// Nanoseconds since some start, for differences alone: never goes back. Unless a clock knows
    /// better, the time of [`Clock::now`].
    fn elapsed_ns(&self) -> u64 {
        self.now().ms().saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339() {
        // Guards the text of times in the API: leap day, end of year, the epoch.
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (1_795_167_000_000, "2026-11-20T09:30:00.000Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(Timestamp::from_ms(ms).to_string(), text);
        }
    }

    #[test]
    fn every_time_is_read_as_it_was_printed() {
        // Guards the times of events: epoch, leap days, ends of years, the far future.
        let day = 86_400_000;
        let days = (0..200_000).step_by(97).map(|days| days * day + 12_345);
        let edges = [0, 1, 951_782_400_123, 1_767_225_599_999, 4_107_542_400_000, u64::MAX];
        for ms in days.chain(edges) {
            let time = Timestamp::from_ms(ms);
            assert_eq!(time.to_string().parse(), Ok(time));
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        // Guards against a time that is taken for another one.
        for bad in [
            "",
            "now",
            "2026-11-20",
            "2026-11-20T09:30:00Z",
            "2026-11-20T09:30:00.000",
            "2026-11-20T09:30:00.000+01:00",
            "2026-02-29T00:00:00.000Z",
            "2026-13-01T00:00:00.000Z",
            "2026-00-01T00:00:00.000Z",
            "2026-11-20T24:00:00.000Z",
            "2026-11-20T09:60:00.000Z",
            "2026-11-20T09:30:00.0000Z",
            "1969-12-31T23:59:59.999Z",
            "99999999999999999999-01-01T00:00:00.000Z",
            "18446744073709551615-01-01T00:00:00.000Z",
        ] {
            assert_eq!(bad.parse::<Timestamp>(), Err(InvalidTimestamp), "{bad}");
        }
    }
}

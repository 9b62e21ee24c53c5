//! When a command is due: at a time, after a while, or again and again by a cron expression.
//!
//! An expression is read in a time zone. A time that a clock there skips, since it is put forward, is
//! due when it is put forward; one that it shows twice is due once. Only expressions for every hour,
//! or more often, go on through both.

use std::str::FromStr as _;
use std::sync::Arc;

use annals_core::time::Timestamp;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use super::error::ScheduleError;

/// Longest delay of a command, in milliseconds: about a hundred years.
const AFTER_MS_MAX: u64 = 36_500 * DAY_MS;

const DAY_MS: u64 = 24 * 3_600_000;

/// Longest cron expression, in bytes.
const EXPRESSION_BYTES_MAX: usize = 256;

/// Units of a delay in milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// When a command is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timing {
    /// Once, at a time.
    At(Timestamp),
    /// Once, so many milliseconds after the schedule was made.
    AfterMs(u64),
    /// Again and again.
    Cron {
        /// Five fields, or six with seconds first.
        expression: Arc<str>,
        /// The IANA name of the time zone in which it is read.
        time_zone: Arc<str>,
    },
}

impl Timing {
    /// Once, at a time in RFC 3339.
    ///
    /// # Errors
    /// [`ScheduleError::Invalid`].
    pub fn at(text: &str) -> Result<Self, ScheduleError> {
        let time = jiff::Timestamp::from_str(text).ok();
        let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        ms.map(|ms| Self::At(Timestamp::from_ms(ms))).ok_or_else(|| {
            let form = "give a time with its offset from UTC, such as `2026-11-20T09:30:00Z` or \
                        `2026-11-20T10:30:00+01:00`";
            invalid("at", format!("is no time after 1970: {form}"))
        })
    }

    /// Once, after a delay such as `90s` or `1h30m`.
    ///
    /// # Errors
    /// [`ScheduleError::Invalid`].
    pub fn after(text: &str) -> Result<Self, ScheduleError> {
        let ms = delay_ms(text).filter(|ms| *ms <= AFTER_MS_MAX);
        ms.map(Self::AfterMs).ok_or_else(|| {
            let form = "give one such as `90s`, `1h30m` or `7d`, in `d`, `h`, `m`, `s` and `ms`, at \
                        most `36500d`";
            invalid("after", format!("is no delay: {form}"))
        })
    }

    /// Again and again, by an expression that is read in the time zone of that IANA name.
    ///
    /// # Errors
    /// [`ScheduleError::Invalid`].
    pub fn cron(expression: &str, time_zone: &str) -> Result<Self, ScheduleError> {
        let expression = expression.trim();
        if expression.len() > EXPRESSION_BYTES_MAX {
            let fault = format!("has {} bytes: give at most 256", expression.len());
            return Err(invalid("cron", fault));
        }
        let zone = zone(time_zone).ok_or_else(|| {
            let form = "give its IANA name, such as `Europe/Berlin` or `UTC`";
            invalid("time_zone", format!("is not known: {form}"))
        })?;
        parser().parse(expression).map_err(|error| {
            let form = "give five fields (minute, hour, day of month, month, day of week) such as \
                        `30 9 * * MON-FRI`, or six with the second first";
            invalid("cron", format!("is no cron expression ({error}): {form}"))
        })?;
        // As the database spells it, so that two spellings are one schedule.
        let time_zone = Arc::from(zone.iana_name().unwrap_or(time_zone));
        Ok(Self::Cron { expression: Arc::from(expression), time_zone })
    }

    /// A delay as it is written, such as `1h30m`.
    #[must_use]
    pub fn delay_text(ms: u64) -> String {
        let (mut text, mut rest) = (String::new(), ms);
        for (unit, unit_ms) in UNITS {
            if rest >= unit_ms {
                text.push_str(&format!("{}{unit}", rest / unit_ms));
                rest %= unit_ms;
            }
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }

    /// Whether it is due more than once.
    #[must_use]
    pub const fn is_recurring(&self) -> bool {
        matches!(self, Self::Cron { .. })
    }

    /// When it is due first, for a schedule that is made at `now`.
    pub(super) fn first(&self, now: Timestamp) -> Result<Timestamp, ScheduleError> {
        match self {
            Self::At(time) => Ok(*time),
            Self::AfterMs(ms) => Ok(Timestamp::from_ms(now.ms().saturating_add(*ms))),
            Self::Cron { .. } => self.next(now).ok_or_else(|| {
                invalid("cron", "never comes: give a day that a month has".to_owned())
            }),
        }
    }

    /// When it is due next after `time` (exclusive); `None`: never again.
    pub(super) fn next(&self, time: Timestamp) -> Option<Timestamp> {
        let Self::Cron { expression, time_zone } = self else { return None };
        let cron = parser().parse(expression).ok()?;
        let time = jiff::Timestamp::from_millisecond(i64::try_from(time.ms()).ok()?).ok()?;
        let next = cron.find_next_occurrence(&time.to_zoned(zone(time_zone)?), false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok().map(Timestamp::from_ms)
    }
}

fn invalid(field: &'static str, fault: String) -> ScheduleError {
    ScheduleError::Invalid { field, fault }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build()
}

/// The time zone of an IANA name, from the database that is in the binary.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The milliseconds of a text such as `1h30m`: larger units first, each once.
fn delay_ms(text: &str) -> Option<u64> {
    let (mut rest, mut units, mut sum) = (text, UNITS.as_slice(), 0_u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits_end = rest.find(|char: char| !char.is_ascii_digit())?;
        let (number, unit_and_rest) = rest.split_at(digits_end);
        let unit_end = unit_and_rest.find(|char: char| char.is_ascii_digit());
        let (unit, after) = unit_and_rest.split_at(unit_end.unwrap_or(unit_and_rest.len()));
        let index = units.iter().position(|(name, _)| *name == unit)?;
        let (_, unit_ms) = units.get(index)?;
        units = units.get(index.saturating_add(1)..)?;
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = after;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;

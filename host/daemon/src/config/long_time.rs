//! Times that may be longer than a day: how long something is kept, or may rest.

use std::time::Duration;

use super::value::{BadValue, Setting, duration_text, quoted, with_unit};

/// A time of up to ten years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongTime(Duration);

const DAY_MS: u64 = 24 * 3_600_000;

/// Longest time that can be asked for (inclusive).
const LONG_TIME_MS_MAX: u64 = 3_650 * DAY_MS;

/// Units of time in milliseconds, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl LongTime {
    /// So long.
    pub(super) const fn of(time: Duration) -> Self {
        Self(time)
    }

    /// How long.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Setting for LongTime {
    const FORM: &'static str = "a time such as `90s`, `12h` or `7d`, at most `3650d`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let ms = with_unit(text, &UNITS).filter(|ms| *ms <= LONG_TIME_MS_MAX);
        ms.map(|ms| Self(Duration::from_millis(ms))).ok_or_else(|| BadValue::of::<Self>(text))
    }

    fn to_toml(&self) -> String {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        match ms.is_multiple_of(DAY_MS) && ms > 0 {
            true => quoted(&format!("{}d", ms / DAY_MS)),
            false => quoted(&duration_text(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_up_to_ten_years_are_written_with_their_unit() {
        // Guards what is kept for longer than a day, and the longest time.
        for (text, written) in
            [("7d", "7d"), ("48h", "2d"), ("36h", "36h"), ("0ms", "0ms"), ("3650d", "3650d")]
        {
            assert_eq!(LongTime::parse(text).unwrap().to_toml(), format!("\"{written}\""));
        }
        for bad in ["3651d", "1w", "7", "-1d", "", "18446744073709551615d"] {
            assert_eq!(LongTime::parse(bad).unwrap_err().form, LongTime::FORM, "{bad}");
        }
    }
}

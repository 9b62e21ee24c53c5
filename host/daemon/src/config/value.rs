//! What a setting can be, how it is written, and what to say when it is not: durations, sizes,
//! counts, addresses, folders and choices.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use annals_store_local::SEGMENT_BYTES_MIN;

/// A type a setting can have. Files, variables and flags all come in as text.
pub trait Setting: Sized {
    /// How a value is written, to go on after "write".
    const FORM: &'static str;

    /// Reads a value.
    ///
    /// # Errors
    /// [`BadValue`] with [`Self::FORM`].
    fn parse(text: &str) -> Result<Self, BadValue>;

    /// The value as it is written in TOML.
    fn to_toml(&self) -> String;
}

/// A text that is not a value of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not allowed: write {form}")]
pub struct BadValue {
    /// The text as it came, cut to a printable length.
    pub text: String,
    /// What is allowed.
    pub form: &'static str,
}

/// Longest text of a value that an error repeats, in characters.
const TEXT_CHARS_MAX: usize = 80;

impl BadValue {
    /// A text that is not a value of `S`.
    pub(super) fn of<S: Setting>(text: &str) -> Self {
        Self { text: text.chars().take(TEXT_CHARS_MAX).collect(), form: S::FORM }
    }
}

fn bad<S: Setting>(text: &str) -> BadValue {
    BadValue::of::<S>(text)
}

/// A number of bytes, written `512`, `16KiB`, `64MiB` or `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteCount(u64);

impl ByteCount {
    /// So many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The same. Saturates at what this machine can address.
    #[must_use]
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units of bytes, largest first.
const BYTE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = BYTE_UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        let (unit, bytes) = exact.unwrap_or(&("", 1));
        if self.0 == 0 { f.write_str("0") } else { write!(f, "{}{unit}", self.0 / bytes) }
    }
}

impl Setting for ByteCount {
    const FORM: &'static str = "a size such as `512`, `16KiB`, `64MiB` or `1GiB`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        with_unit(text, &BYTE_UNITS).map(Self).ok_or_else(|| bad::<Self>(text))
    }

    fn to_toml(&self) -> String {
        if self.0 < 1 << 10 { self.to_string() } else { quoted(&self.to_string()) }
    }
}

/// How long a segment of the log gets: from `SEGMENT_BYTES_MIN` to `SEGMENT_BYTES_MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentBytes(u64);

/// Largest segment, in bytes (inclusive): places in one have 32 bits, with room for what a commit
/// adds.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

impl SegmentBytes {
    /// So many bytes, or as many as are allowed.
    pub(super) fn of(bytes: u64) -> Self {
        Self(bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX))
    }

    /// How many bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Setting for SegmentBytes {
    const FORM: &'static str = "a size from `4KiB` to `1GiB`, such as `64MiB`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let bytes = with_unit(text, &BYTE_UNITS);
        let bytes = bytes.filter(|it| (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(it));
        bytes.map(Self).ok_or_else(|| bad::<Self>(text))
    }

    fn to_toml(&self) -> String {
        ByteCount(self.0).to_toml()
    }
}

/// Units of time in milliseconds, largest first.
const TIME_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longest duration of a setting: nothing in here waits longer than a day.
const DURATION_MS_MAX: u64 = 24 * 3_600_000;

/// A duration as it is written, e.g. `5s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let exact = TIME_UNITS.iter().find(|(_, unit_ms)| ms.is_multiple_of(*unit_ms));
    let (unit, unit_ms) = exact.filter(|_| ms > 0).unwrap_or(&("ms", 1));
    format!("{}{unit}", ms / unit_ms)
}

impl Setting for Duration {
    const FORM: &'static str = "a duration such as `500ms`, `5s`, `2m` or `1h`, at most `24h`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let ms = with_unit(text, &TIME_UNITS).filter(|ms| *ms <= DURATION_MS_MAX);
        ms.map(Self::from_millis).ok_or_else(|| bad::<Self>(text))
    }

    fn to_toml(&self) -> String {
        quoted(&duration_text(*self))
    }
}

/// A whole number directly followed by one of the units.
pub(super) fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(digits_end)?;
    let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

macro_rules! number {
    ($type:ty, $form:literal) => {
        impl Setting for $type {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Result<Self, BadValue> {
                text.parse().map_err(|_| bad::<Self>(text))
            }

            fn to_toml(&self) -> String {
                self.to_string()
            }
        }
    };
}

number!(NonZeroUsize, "a whole number from 1 on");
number!(NonZeroU64, "a whole number from 1 on");
number!(NonZeroU32, "a whole number from 1 on");
number!(NonZeroU16, "a whole number from 1 to 65535");
number!(u64, "a whole number from 0 on");
number!(u32, "a whole number from 0 on");
number!(bool, "`true` or `false`");

impl Setting for SocketAddr {
    const FORM: &'static str = "an address and a port such as `127.0.0.1:7070` or `[::1]:7070`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        text.parse().map_err(|_| bad::<Self>(text))
    }

    fn to_toml(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Setting for PathBuf {
    const FORM: &'static str = "the path of a folder";

    fn parse(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() { Err(bad::<Self>(text)) } else { Ok(Self::from(text)) }
    }

    fn to_toml(&self) -> String {
        quoted(&self.display().to_string())
    }
}

/// A text in quotes, escaped as TOML wants it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Makes a value that may be left out a setting: an empty text is none.
macro_rules! optional {
    ($type:ty, $form:literal) => {
        impl $crate::config::Setting for Option<$type> {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Result<Self, $crate::config::BadValue> {
                if text.is_empty() {
                    return Ok(None);
                }
                let parsed: Result<$type, _> = $crate::config::Setting::parse(text);
                let said = |error| $crate::config::BadValue { form: $form, ..error };
                parsed.map(Some).map_err(said)
            }

            fn to_toml(&self) -> String {
                let none = || $crate::config::value::quoted("");
                self.as_ref().map_or_else(none, $crate::config::Setting::to_toml)
            }
        }
    };
}

pub(super) use optional;

optional!(PathBuf, "a path, or `\"\"` for none");

/// Makes an enum of unit variants a setting, written as the given texts.
macro_rules! choice {
    (
        $(#[$doc:meta])* $name:ident, $form:literal {
            $( $(#[$variant_doc:meta])* $variant:ident = $text:literal, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $( $(#[$variant_doc])* $variant, )*
        }

        impl std::str::FromStr for $name {
            type Err = $crate::config::BadValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::config::Setting::parse(text)
            }
        }

        impl $crate::config::Setting for $name {
            const FORM: &'static str = $form;

            fn parse(text: &str) -> Result<Self, $crate::config::BadValue> {
                match text {
                    $( $text => Ok(Self::$variant), )*
                    _ => Err($crate::config::value::refused::<Self>(text)),
                }
            }

            fn to_toml(&self) -> String {
                $crate::config::value::quoted(match self {
                    $( Self::$variant => $text, )*
                })
            }
        }
    };
}

pub(super) use choice;

/// The error of a choice that is none.
pub(super) fn refused<S: Setting>(text: &str) -> BadValue {
    bad::<S>(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn round_trips<S: Setting + PartialEq + fmt::Debug>(text: &str, expected: S) {
        assert_eq!(S::parse(text).as_ref(), Ok(&expected), "{text}");
        assert_eq!(expected.to_toml().trim_matches('"'), text);
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        // Guards the form of every size in `annals.toml`.
        round_trips("0", ByteCount::new(0));
        round_trips("1000", ByteCount::new(1_000));
        round_trips("16KiB", ByteCount::new(16 << 10));
        round_trips("64MiB", ByteCount::new(64 << 20));
        round_trips("3GiB", ByteCount::new(3 << 30));
        for bad in ["", "MiB", "64 MiB", "64MB", "64mib", "-1", "1.5GiB", "99999999999GiB"] {
            let error = ByteCount::parse(bad).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "`{bad}` is not allowed: write a size such as `512`, `16KiB`, `64MiB` or `1GiB`"
                )
            );
        }
    }

    #[test]
    fn segments_are_neither_too_short_nor_too_long() {
        // Guards the bounds of the log: a size it would take as another one is an error.
        round_trips("4KiB", SegmentBytes(SEGMENT_BYTES_MIN));
        round_trips("64MiB", SegmentBytes(64 << 20));
        round_trips("1GiB", SegmentBytes(1 << 30));
        for bad in ["0", "4095", "1073741825", "2GiB", "64MB"] {
            let form = "a size from `4KiB` to `1GiB`, such as `64MiB`";
            assert_eq!(SegmentBytes::parse(bad), Err(BadValue { text: bad.to_owned(), form }));
        }
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        // Guards against a bare number, whose unit nobody knows, and against waits without end.
        round_trips("0ms", Duration::ZERO);
        round_trips("500ms", Duration::from_millis(500));
        round_trips("90s", Duration::from_secs(90));
        round_trips("2m", Duration::from_mins(2));
        round_trips("24h", Duration::from_hours(24));
        for bad in ["", "5", "5 s", "1d", "1.5s", "-1s", "25h", "18446744073709551615h"] {
            let error = BadValue {
                text: bad.to_owned(),
                form: "a duration such as `500ms`, `5s`, `2m` or `1h`, at most `24h`",
            };
            assert_eq!(Duration::parse(bad), Err(error));
        }
    }
}

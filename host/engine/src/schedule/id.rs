//! Names of schedules.

use std::fmt;
use std::sync::Arc;

/// Longest id of a schedule, in bytes: a name of ours with two UUIDs in it.
const SCHEDULE_ID_BYTES_MAX: usize = 128;

/// The id of a schedule, given by who makes it or made by the host: the same id is the same schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScheduleId(Arc<str>);

/// A text that is not the id of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the id of a schedule: use 1 to 128 ASCII letters, digits, `-`, `_`, `.` and `:`"
)]
pub struct InvalidScheduleId {
    text: String,
}

impl ScheduleId {
    /// Parses an id.
    ///
    /// # Errors
    /// [`InvalidScheduleId`] when `text` is empty, too long, or has another character than ASCII
    /// letters, digits, `-`, `_`, `.` and `:`; or is `.` or `..`, which no path can have.
    pub fn new(text: &str) -> Result<Self, InvalidScheduleId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let is_valid = (1..=SCHEDULE_ID_BYTES_MAX).contains(&text.len())
            && text.bytes().all(fits)
            && !matches!(text, "." | "..");
        if is_valid {
            return Ok(Self(Arc::from(text)));
        }
        Err(InvalidScheduleId { text: text.chars().take(SCHEDULE_ID_BYTES_MAX).collect() })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_schedules_stand_in_a_path_as_they_are() {
        // Guards paths and keys: nothing that would be escaped, or that a path cannot end with.
        for good in ["a", "invoice-42.reminder:1", "A_b", &"x".repeat(SCHEDULE_ID_BYTES_MAX)] {
            assert_eq!(ScheduleId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", "\n", &"x".repeat(SCHEDULE_ID_BYTES_MAX + 1)]
        {
            assert!(ScheduleId::new(bad).is_err(), "{bad}");
        }
    }
}

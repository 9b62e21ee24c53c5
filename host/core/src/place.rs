//! Places: a revision is a place in a stream, a position a place in a partition of the feed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Place of an event in its stream; 0 is the first, so a stream of `n` events ends at `n - 1`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Revision(u64);

impl Revision {
    /// The place of the first event of every stream.
    pub const FIRST: Self = Self(0);

    /// The revision with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of this revision.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The revision after this one. Saturates at the largest number, which no stream reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The revision `events_count` after this one. Saturates.
    #[must_use]
    pub const fn plus(self, events_count: u64) -> Self {
        Self(self.0.saturating_add(events_count))
    }

    /// How many events a stream has that ends at this revision.
    #[must_use]
    pub const fn events_count(self) -> u64 {
        self.0.saturating_add(1)
    }

    /// The last revision of a stream of `events_count` events; `None` for an empty one.
    #[must_use]
    pub const fn last_of(events_count: u64) -> Option<Self> {
        match events_count.checked_sub(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Place of an event in the total order of its [`Partition`]. Compare and store it, never compute
/// with it: only drivers know what lies between two positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// The position with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of this position, to store or to print.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One totally ordered part of the feed. The embedded store has one, [`Partition::ZERO`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct Partition(pub u32);

impl Partition {
    /// The first partition, which every store has.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a writer believes about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExpectedRevision {
    /// Nothing.
    #[default]
    Any,
    /// The stream has no event.
    NoStream,
    /// The stream has at least one event.
    StreamExists,
    /// The last event of the stream is at this revision.
    Exactly(Revision),
}

impl ExpectedRevision {
    /// Expects the stream to end where it ends now.
    #[must_use]
    pub fn at(actual: ActualRevision) -> Self {
        actual.0.map_or(Self::NoStream, Self::Exactly)
    }

    /// Whether `actual` is as expected.
    #[must_use]
    pub fn is_met_by(self, actual: ActualRevision) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual.0.is_none(),
            Self::StreamExists => actual.0.is_some(),
            Self::Exactly(revision) => actual.0 == Some(revision),
        }
    }
}

impl fmt::Display for ExpectedRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("no-stream"),
            Self::StreamExists => f.write_str("stream-exists"),
            Self::Exactly(revision) => write!(f, "{revision}"),
        }
    }
}

/// A text that is not an expected revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an expected revision: use `any`, `no-stream`, `stream-exists` or a number")]
pub struct InvalidExpectedRevision(pub String);

impl std::str::FromStr for ExpectedRevision {
    type Err = InvalidExpectedRevision;
    fn from_str(text: &str) -> Result<Self, InvalidExpectedRevision> {
        match text {
            "any" => Ok(Self::Any),
            "no-stream" => Ok(Self::NoStream),
            "stream-exists" => Ok(Self::StreamExists),
            number => number
                .parse()
                .map(|number| Self::Exactly(Revision(number)))
                .map_err(|_| InvalidExpectedRevision(text.chars().take(64).collect())),
        }
    }
}

/// Where a stream really ends: at a revision, or it has no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActualRevision(pub Option<Revision>);

impl ActualRevision {
    /// A stream without events.
    pub const NO_EVENT: Self = Self(None);

    /// The revision the next event of the stream gets.
    #[must_use]
    pub fn next(self) -> Revision {
        self.0.map_or(Revision::FIRST, Revision::next)
    }

    /// How many events the stream has.
    #[must_use]
    pub fn events_count(self) -> u64 {
        self.0.map_or(0, Revision::events_count)
    }
}

impl From<Revision> for ActualRevision {
    fn from(revision: Revision) -> Self {
        Self(Some(revision))
    }
}

impl From<Option<Revision>> for ActualRevision {
    fn from(revision: Option<Revision>) -> Self {
        Self(revision)
    }
}

impl fmt::Display for ActualRevision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(revision) => write!(f, "revision {revision}"),
            None => f.write_str("no event"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_meet_what_they_name() {
        // Guards the matrix of expected against actual revisions (R8).
        let none = ActualRevision::NO_EVENT;
        let three = ActualRevision::from(Revision::new(3));
        let cases = [
            (ExpectedRevision::Any, true, true),
            (ExpectedRevision::NoStream, true, false),
            (ExpectedRevision::StreamExists, false, true),
            (ExpectedRevision::Exactly(Revision::new(3)), false, true),
            (ExpectedRevision::Exactly(Revision::new(2)), false, false),
        ];
        for (expected, met_by_none, met_by_three) in cases {
            assert_eq!(expected.is_met_by(none), met_by_none, "{expected}");
            assert_eq!(expected.is_met_by(three), met_by_three, "{expected}");
            assert_eq!(expected.to_string().parse(), Ok(expected));
        }
        assert!("-1".parse::<ExpectedRevision>().is_err());
    }

    #[test]
    fn a_revision_and_a_count_differ_by_one() {
        // Guards the classic off-by-one: four events end at revision three.
        assert_eq!(Revision::last_of(4), Some(Revision::new(3)));
        assert_eq!(Revision::new(3).events_count(), 4);
        assert_eq!(Revision::last_of(0), None);
        assert_eq!(ActualRevision::NO_EVENT.next(), Revision::FIRST);
    }
}

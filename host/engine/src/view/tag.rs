//! Names of what was read of a view.

use std::fmt;
use std::str::FromStr;

use annals_core::id::{Digest, InvalidDigest, StoreId};
use annals_core::place::Position;

/// Names what was read of a view, the same on every host.
///
/// It is made of the store, the projection's component and the checkpoints, which decide what is in a
/// view, and of the question. An answer may be newer than its tag, by events that came into the view
/// while it was read, but never older: as long as the view has this tag, what was read is what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ViewTag(Digest);

/// Where the rows of a view come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    /// Whose events they are made of.
    pub(super) store_id: StoreId,
    /// What makes them: a version of a projection has its own view.
    pub(super) projection: Digest,
    /// Which of its views, each built anew.
    pub(super) build: u32,
    /// How many events it has handled: also changes where the checkpoints do not, when parked events are
    /// replayed.
    pub(super) events_count: u64,
}

impl ViewTag {
    pub(super) fn new(source: Source, checkpoints: &[Option<Position>], question: &[u8]) -> Self {
        let mut facts = Vec::with_capacity(256 + question.len());
        facts.extend(source.store_id.uuid().as_bytes());
        facts.extend(source.projection.as_bytes());
        facts.extend(source.build.to_le_bytes());
        facts.extend(source.events_count.to_le_bytes());
        // Each part has a fixed size but the last, so different facts are different bytes.
        facts.extend(u64::try_from(checkpoints.len()).unwrap_or(u64::MAX).to_le_bytes());
        for checkpoint in checkpoints {
            facts.push(u8::from(checkpoint.is_some()));
            facts.extend(checkpoint.map_or(0, Position::get).to_le_bytes());
        }
        facts.extend(question);
        Self(Digest::of(&facts))
    }
}

impl fmt::Display for ViewTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ViewTag {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_fact_is_in_the_tag() {
        // Guards caches: another store, version, checkpoint or question is another tag, and the same
        // facts are the same one on every host.
        let store = |id| StoreId::new(Uuid::from_u128(id));
        let source =
            Source { store_id: store(1), projection: Digest::of(b"1"), build: 0, events_count: 0 };
        let at = |position| Some(Position::new(position));
        let tags = [
            ViewTag::new(source, &[], b""),
            ViewTag::new(source, &[None], b""),
            ViewTag::new(source, &[at(0)], b""),
            ViewTag::new(source, &[at(1)], b""),
            ViewTag::new(source, &[at(1), None], b""),
            ViewTag::new(source, &[None, at(1)], b""),
            ViewTag::new(source, &[at(1)], b"{}"),
            ViewTag::new(Source { store_id: store(2), ..source }, &[at(1)], b""),
            ViewTag::new(Source { projection: Digest::of(b"2"), ..source }, &[at(1)], b""),
            ViewTag::new(Source { build: 1, ..source }, &[at(1)], b""),
            ViewTag::new(Source { events_count: 1, ..source }, &[at(1)], b""),
        ];
        assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len());
        assert_eq!(ViewTag::new(source, &[at(1)], b""), tags[3]);
        assert_eq!(tags[3].to_string().parse(), Ok(tags[3]));
    }
}

//! Keys of items.
//!
//! ```text
//! pk                                  sk                           item
//! s#<ns>#<category>/<id>              <revision>-<item>            part of a commit, in its stream
//! f#<ns>#<partition>                  <position>-<commit>          group of commits, in the feed
//! k#<ns>#<bytes of scope>#<scope>#<key>  0                         claim
//! t#<ns>                              <partition>                  counts of event types, derived
//! m                                   store                        the store itself
//! ```
//! Numbers have 16 digits, so that they sort as text. The first number of a sort key is the place of
//! the item's first event, or where it would be; the second makes items without events different from
//! what follows them: how many items of the stream, or commits of the partition, came before.

use annals_core::place::Partition;
use annals_core::stream::StreamId;

/// Largest number in a sort key: 16 digits.
pub(super) const NUMBER_MAX: u64 = 9_999_999_999_999_999;

/// Where an item is in its stream or feed. The place of the next item follows from the item alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// Revision or position of its first event, or what it would be.
    pub(super) first: u64,
    /// How many items (of a stream) or commits (of a feed) came before.
    pub(super) before: u64,
}

impl Place {
    /// Before every item.
    pub(super) const START: Self = Self { first: 0, before: 0 };

    /// The last place with this first number, whether there is an item or not.
    pub(super) const fn last_at(first: u64) -> Self {
        let first = if first < NUMBER_MAX { first } else { NUMBER_MAX };
        Self { first, before: NUMBER_MAX }
    }

    /// The first place with this first number.
    pub(super) const fn first_at(first: u64) -> Self {
        let first = if first < NUMBER_MAX { first } else { NUMBER_MAX };
        Self { first, before: 0 }
    }

    /// As a sort key.
    pub(super) fn sort_key(self) -> String {
        format!("{:016}-{:016}", self.first, self.before)
    }

    /// A sort key read back; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (first, before) = text.split_once('-')?;
        let number = |text: &str| (text.len() == 16).then(|| text.parse().ok()).flatten();
        Some(Self { first: number(first)?, before: number(before)? })
    }
}

/// Partition key of a stream.
pub(super) fn stream(namespace: &str, stream: &StreamId) -> String {
    format!("s#{namespace}#{stream}")
}

/// Partition key of a feed.
pub(super) fn feed(namespace: &str, partition: Partition) -> String {
    format!("f#{namespace}#{partition}")
}

/// Partition key of a claim.
pub(super) fn claim(namespace: &str, scope: &str, key: &str) -> String {
    format!("k#{namespace}#{}#{scope}#{key}", scope.len())
}

/// Partition key of the counts.
pub(super) fn counts(namespace: &str) -> String {
    format!("t#{namespace}")
}

/// Sort key of items that are alone under their partition key.
pub(super) const ALONE: &str = "0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_sort_like_places() {
        // Guards every order there is: text is compared, numbers are meant.
        let place = |first, before| Place { first, before };
        let places = [
            Place::START,
            place(0, 1),
            place(2, 1),
            Place::last_at(2),
            Place::first_at(10),
            place(10, 9),
            place(10, 10),
            Place::last_at(u64::MAX),
        ];
        let keys: Vec<_> = places.iter().map(|place| place.sort_key()).collect();
        assert!(keys.is_sorted());
        let read: Vec<_> = keys.iter().filter_map(|key| Place::parse(key)).collect();
        assert_eq!(read, places);
        assert_eq!(Place::parse("0000000000000001"), None);
        assert_eq!(Place::parse("1-2"), None);
    }

    #[test]
    fn claims_of_other_scopes_have_other_keys() {
        // Guards names against each other: scope and key may contain the separator.
        assert_ne!(claim("ns", "a#b", "c"), claim("ns", "a", "b#c"));
    }
}

//! The rows that a call knows of: what it wrote, and what it read ahead.
//!
//! A table of hashes, since every event looks for rows here, and comparing keys byte by byte in
//! order costs a plugin more than all else it does. Rows are in the order in which they were first
//! named, so that the same call gives the same writes everywhere; the order of their keys is only
//! made for those who scan.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use super::sum;
use crate::KeyRange;
use crate::bindings::annals::plugin::view::RowKey;
use crate::bindings::exports::annals::plugin::projection::Write;

/// Every row that is known, once.
#[derive(Debug, Default)]
pub(super) struct Rows {
    known: Vec<Known>,
    // Invariant: a power of two or none, at most half of it used. Per place: which of `known` it
    // is, from 1 on; 0 where it is free. A row is in the first place that is free from that of its
    // hash on.
    places: Vec<u32>,
    ordered: RefCell<Ordered>,
}

/// What is known of a row.
#[derive(Debug)]
pub(super) struct Known {
    hash: u32,
    table: u32,
    key: Vec<u8>,
    /// The row as the host has it, where it was read ahead.
    pub(super) stored: Stored,
    /// What the call did to it, whatever the number of writes.
    pub(super) written: Option<Written>,
}

/// A row as the host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    Unknown,
    Absent,
    Value(Vec<u8>),
}

/// What a call did to a row.
#[derive(Debug, Clone)]
pub(super) enum Written {
    Put(Vec<u8>),
    Deleted,
    /// Added to a row that was not read.
    Added(i64),
}

/// The rows in the order of their tables and keys, as far as somebody has looked.
#[derive(Debug, Default)]
struct Ordered {
    by_key: BTreeMap<(u32, Vec<u8>), usize>,
    /// How many of the rows are in it.
    count: usize,
}

/// The fewest places there are.
const PLACES_MIN: usize = 64;

/// Spreads bits upwards: an odd number without a pattern.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rows {
    /// What is known of a row.
    pub(super) fn find(&self, table: u32, key: &[u8]) -> Option<&Known> {
        self.index_of(hash(table, key), table, key).and_then(|index| self.known.get(index))
    }

    /// What is known of a row, to be changed; of one that was not named before, nothing.
    pub(super) fn entry(&mut self, table: u32, key: &[u8]) -> &mut Known {
        let hash = hash(table, key);
        let index = match self.index_of(hash, table, key) {
            Some(index) => index,
            None => self.add(hash, table, key),
        };
        match self.known.get_mut(index) {
            Some(known) => known,
            None => crate::trap_because("the rows of a call are out of order"),
        }
    }

    /// How many rows there are.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    /// The rows named after the first `count`, for what is stored to be filled in.
    pub(super) fn named_after(&mut self, count: usize) -> &mut [Known] {
        self.known.get_mut(count..).unwrap_or_default()
    }

    /// What was written in a range of keys of a table, in their order.
    pub(super) fn written_in(&self, table: u32, range: &KeyRange) -> Vec<(Vec<u8>, Written)> {
        let mut ordered = self.ordered.borrow_mut();
        let first_new = ordered.count;
        for (index, known) in self.known.iter().enumerate().skip(first_new) {
            ordered.by_key.insert((known.table, known.key.clone()), index);
        }
        ordered.count = self.known.len();
        ordered
            .by_key
            .range((table, range.start.clone())..)
            .take_while(|((other, key), _)| *other == table && range.contains(key))
            .filter_map(|((_, key), index)| {
                Some((key.clone(), self.known.get(*index)?.written.clone()?))
            })
            .collect()
    }

    /// The writes for the host, one per row; none where nothing was and nothing is.
    pub(super) fn into_writes(self) -> Vec<Write> {
        let write = |known: Known| {
            let row = RowKey { table: known.table, key: known.key };
            match known.written? {
                Written::Put(value) => Some(Write::Put((row, value))),
                Written::Deleted if known.stored == Stored::Absent => None,
                Written::Deleted => Some(Write::Delete(row)),
                Written::Added(amount) => Some(Write::Add((row, amount))),
            }
        };
        self.known.into_iter().filter_map(write).collect()
    }

    fn index_of(&self, hash: u32, table: u32, key: &[u8]) -> Option<usize> {
        let mask = self.places.len().checked_sub(1)?;
        let mut place = usize::try_from(hash).unwrap_or_default() & mask;
        loop {
            let index = usize::try_from(self.places.get(place)?.checked_sub(1)?).ok()?;
            let known = self.known.get(index)?;
            if known.hash == hash && known.table == table && known.key == key {
                return Some(index);
            }
            place = (place + 1) & mask;
        }
    }

    fn add(&mut self, hash: u32, table: u32, key: &[u8]) -> usize {
        let index = self.known.len();
        self.known.push(Known {
            hash,
            table,
            key: key.to_vec(),
            stored: Stored::Unknown,
            written: None,
        });
        if self.known.len() * 2 > self.places.len() {
            self.places = vec![0; (self.places.len() * 2).max(PLACES_MIN)];
            for index in 0..self.known.len() {
                self.take_place(index);
            }
        } else {
            self.take_place(index);
        }
        index
    }

    /// Puts a row into the first free place from that of its hash on.
    fn take_place(&mut self, index: usize) {
        let hash = self.known.get(index).map_or(0, |known| known.hash);
        let mask = self.places.len().saturating_sub(1);
        let mut place = usize::try_from(hash).unwrap_or_default() & mask;
        while self.places.get(place).is_some_and(|taken| *taken != 0) {
            place = (place + 1) & mask;
        }
        if let Some(free) = self.places.get_mut(place) {
            // A call has fewer rows than memory has bytes.
            *free = u32::try_from(index + 1).unwrap_or(u32::MAX);
        }
    }
}

impl Known {
    /// The name of the row, for the host.
    pub(super) fn row_key(&self) -> RowKey {
        RowKey { table: self.table, key: self.key.clone() }
    }

    /// The row as the call sees it; `None` when the host has to be asked.
    pub(super) fn value(&self) -> Option<Option<Cow<'_, [u8]>>> {
        let stored = match &self.stored {
            Stored::Unknown => None,
            Stored::Absent => Some(None),
            Stored::Value(value) => Some(Some(value.as_slice())),
        };
        match &self.written {
            Some(Written::Put(value)) => Some(Some(Cow::Borrowed(value))),
            Some(Written::Deleted) => Some(None),
            Some(added @ Written::Added(_)) => stored.map(|stored| added.over(stored)),
            None => stored.map(|stored| stored.map(Cow::Borrowed)),
        }
    }
}

impl Written {
    /// The row as the call sees it, over the row as the host has it.
    pub(super) fn over(&self, stored: Option<&[u8]>) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Put(value) => Some(Cow::Borrowed(value)),
            Self::Deleted => None,
            Self::Added(amount) => Some(Cow::Owned(sum(stored.unwrap_or(b"0"), *amount))),
        }
    }
}

/// Eight bytes at a time. Who chooses keys so that they meet in one place makes a call slow, which
/// its budget ends; the next batch is smaller.
fn hash(table: u32, key: &[u8]) -> u32 {
    let mix = |hash: u64, next: u64| (hash.rotate_left(5) ^ next).wrapping_mul(SPREAD);
    let (chunks, rest) = key.as_chunks::<8>();
    let hash =
        chunks.iter().fold(u64::from(table), |hash, chunk| mix(hash, u64::from_le_bytes(*chunk)));
    // The length tells a key from itself with zero bytes behind.
    let last = rest.iter().fold(u64::try_from(key.len()).unwrap_or_default(), |last, byte| {
        (last << 8) | u64::from(*byte)
    });
    let hash = mix(hash, last);
    u32::try_from((hash ^ (hash >> 29)) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_again_and_no_other() {
        // Guards the table of hashes while it grows: keys of all lengths, with and without zeros.
        let mut rows = Rows::default();
        let key = |number: u32| match number % 3 {
            0 => number.to_string().into_bytes(),
            1 => vec![0; usize::try_from(number).unwrap()],
            _ => format!("accounts/with-a-long-name-{number}").into_bytes(),
        };
        for number in 0..1_000 {
            rows.entry(number % 2, &key(number)).written = Some(Written::Added(number.into()));
        }
        assert_eq!(rows.count(), 1_000);
        for number in 0..1_000 {
            let found = rows.find(number % 2, &key(number)).unwrap();
            assert!(matches!(found.written, Some(Written::Added(n)) if n == i64::from(number)));
            assert!(rows.find(number % 2 + 2, &key(number)).is_none());
        }
        assert!(rows.find(0, b"none").is_none());
    }

    #[test]
    fn hashes_of_keys_that_count_up_are_spread() {
        // Guards the usual keys: most of a thousand fall into places of their own, of 2 048.
        let mut taken = std::collections::BTreeSet::new();
        for number in 0..1_000 {
            taken.insert(hash(0, format!("filled-{number}").as_bytes()) % 2_048);
        }
        assert!(taken.len() > 700, "{}", taken.len());
    }
}

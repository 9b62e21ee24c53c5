//! Names of tables and ranges of keys.

use std::fmt;
use std::marker::PhantomData;

/// A table of a projection's view, whose rows are `V` in JSON.
///
/// ```
/// use annals_sdk::Table;
///
/// /// A row per account.
/// const ACCOUNTS: Table<AccountRow> = Table::new("accounts");
/// /// Numbers to count with [`Writes::add`](annals_sdk::Writes::add).
/// const TOTALS: Table<i64> = Table::new("totals");
///
/// #[annals_sdk::data]
/// struct AccountRow {
///     owner: String,
/// }
/// # assert_eq!((ACCOUNTS.name(), TOTALS.name()), ("accounts", "totals"));
/// ```
pub struct Table<V> {
    name: &'static str,
    row: PhantomData<fn() -> V>,
}

impl<V> Table<V> {
    /// The table with a kebab-case name, which must be in
    /// [`Projection::TABLES`](crate::Projection::TABLES).
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, row: PhantomData }
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

// Written out, since a derive would ask the same of `V`.
impl<V> Clone for Table<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Table<V> {}

impl<V> fmt::Debug for Table<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Table").field(&self.name).finish()
    }
}

/// Keys from a start (inclusive) to an end (exclusive), in byte order.
///
/// ```
/// use annals_sdk::KeyRange;
///
/// let range = KeyRange::prefix("a1/");
/// assert!(range.contains(b"a1/2"));
/// assert!(!range.contains(b"a10"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: Vec<u8>,
    /// Exclusive; `None` is no bound.
    pub(crate) end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { start: Vec::new(), end: None }
    }

    /// Keys from `start` (inclusive).
    #[must_use]
    pub fn starting_at(start: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), end: None }
    }

    /// Keys from `start` (inclusive) to `end` (exclusive).
    #[must_use]
    pub fn between(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), end: Some(end.into()) }
    }

    /// Keys that start with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        let start = prefix.into();
        // The first key after all with the prefix: count its last byte up. Where that is 0xff,
        // the byte before it; a prefix of 0xff alone has no key after it.
        let mut end = start.clone();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Self { start, end: Some(end) };
            }
        }
        Self { start, end: None }
    }

    /// Whether a key is in the range.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let is_before_end = self.end.as_ref().is_none_or(|end| key < end.as_slice());
        self.start.as_slice() <= key && is_before_end
    }

    /// Whether no key can be in the range.
    pub(crate) fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::KeyRange;

    #[test]
    fn prefix_ends_before_the_next_key_that_does_not_start_with_it() {
        // Guards the carry over bytes of 0xff.
        let cases: [(&[u8], Option<&[u8]>); 4] =
            [(b"a", Some(b"b")), (b"a\xff", Some(b"b")), (b"\xff\xff", None), (b"", None)];
        for (prefix, end) in cases {
            let expected = KeyRange { start: prefix.to_vec(), end: end.map(<[u8]>::to_vec) };
            assert_eq!(KeyRange::prefix(prefix), expected);
        }
    }
}

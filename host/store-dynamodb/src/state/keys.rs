//! Keys of the items of state.

use std::collections::HashMap;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::port::state_store::{RowKey, StateSpace};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use uuid::Uuid;

use crate::tables::{PARTITION_KEY, SORT_KEY};

/// An item, or the key of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// First byte of the sort key of a row.
const ROW_MARK: u8 = b'k';

/// Attribute of a row: its value.
pub(super) const VALUE: &str = "v";

/// Attribute of a row: the commit that wrote it.
pub(super) const COMMIT: &str = "c";

/// Partition key of the spaces of a namespace.
pub(super) fn spaces(namespace: &str) -> String {
    format!("spaces#{namespace}")
}

/// Partition key of the spaces of a namespace whose rows are still to be deleted.
pub(super) fn removed(namespace: &str) -> String {
    format!("removed#{namespace}")
}

/// Partition key of the tables of a space.
pub(super) fn tables(namespace: &str, generation: Uuid) -> String {
    format!("tables#{namespace}#{}", generation.simple())
}

/// Partition key of the rows of a table.
pub(super) fn rows(namespace: &str, generation: Uuid, table: &str) -> String {
    format!("r#{namespace}#{}#{table}", generation.simple())
}

/// The key of an item.
pub(super) fn item(partition: &str, sort: impl Into<Vec<u8>>) -> Item {
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(partition.to_owned())),
        (SORT_KEY.to_owned(), AttributeValue::B(Blob::new(sort))),
    ])
}

/// The sort key of an item.
pub(super) fn sort_of(item: &Item) -> Option<&[u8]> {
    Some(item.get(SORT_KEY)?.as_b().ok()?.as_ref())
}

/// The keys of one space.
#[derive(Debug, Clone)]
pub(super) struct SpaceKeys {
    namespace: String,
    pub(super) generation: Uuid,
}

impl SpaceKeys {
    pub(super) fn new(namespace: &str, generation: Uuid) -> Self {
        Self { namespace: namespace.to_owned(), generation }
    }

    /// Partition key of the tables.
    pub(super) fn tables(&self) -> String {
        tables(&self.namespace, self.generation)
    }

    /// Partition key of the rows of a table.
    pub(super) fn rows(&self, table: &str) -> String {
        rows(&self.namespace, self.generation, table)
    }

    /// Key of a row.
    pub(super) fn row(&self, row: &RowKey) -> Item {
        item(&self.rows(&row.table), row_sort(&row.key))
    }
}

/// The sort key of a row.
pub(super) fn row_sort(key: &[u8]) -> Vec<u8> {
    let mut sort = Vec::with_capacity(key.len() + 1);
    sort.push(ROW_MARK);
    sort.extend_from_slice(key);
    sort
}

/// The key of a row that was read.
pub(super) fn row_key(item: &Item) -> Option<Bytes> {
    let key = sort_of(item)?.strip_prefix(&[ROW_MARK])?;
    Some(Bytes::copy_from_slice(key))
}

/// The value of a row that was read.
pub(super) fn row_value(item: &Item) -> Option<Bytes> {
    item.get(VALUE)?.as_b().ok().map(|value| Bytes::copy_from_slice(value.as_ref()))
}

/// A space as text.
pub(super) fn space_text(space: &StateSpace) -> String {
    match space {
        StateSpace::Host => "host".to_owned(),
        StateSpace::View { projection, digest, build: 0 } => format!("view/{projection}/{digest}"),
        StateSpace::View { projection, digest, build } => {
            format!("view/{projection}/{digest}/{build}")
        }
        StateSpace::Process { name } => format!("process/{name}"),
    }
}

/// A space from its text.
pub(super) fn parse_space(text: &[u8]) -> Option<StateSpace> {
    let text = std::str::from_utf8(text).ok()?;
    if text == "host" {
        return Some(StateSpace::Host);
    }
    if let Some(name) = text.strip_prefix("process/") {
        return Some(StateSpace::Process { name: PluginName::new(name).ok()? });
    }
    let (projection, made) = text.strip_prefix("view/")?.split_once('/')?;
    let (digest, build) = match made.split_once('/') {
        Some((digest, build)) => (digest, build.parse().ok()?),
        None => (made, 0),
    };
    let space = StateSpace::View {
        projection: PluginName::new(projection).ok()?,
        digest: digest.parse::<Digest>().ok()?,
        build,
    };
    // A number has other spellings, which are nobody's.
    (space_text(&space) == text).then_some(space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_read_back_from_its_text() {
        // Guards the list of spaces: what is registered is found again, and nothing else is taken
        // for a space.
        let name = |name| PluginName::new(name).unwrap();
        let spaces = [
            StateSpace::Host,
            StateSpace::Process { name: name("host") },
            StateSpace::View { projection: name("view"), digest: Digest::of(b"1"), build: 0 },
            StateSpace::View { projection: name("view"), digest: Digest::of(b"1"), build: 12 },
        ];
        for space in spaces {
            assert_eq!(parse_space(space_text(&space).as_bytes()), Some(space));
        }
        for text in ["", "hosts", "view/a", "view/a/b", "process/", "other/a", "view//"] {
            assert_eq!(parse_space(text.as_bytes()), None, "{text}");
        }
        for build in ["", "0", "01", "-1", "a", "1/1"] {
            let text = format!("view/a/{}/{build}", Digest::of(b"1"));
            assert_eq!(parse_space(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_key_of_a_row_is_never_empty() {
        // Guards the empty key, which DynamoDB has not.
        for key in [&b""[..], b"k", b"\0", b"\xff"] {
            let found = row_key(&item("r", row_sort(key)));
            assert_eq!(found, Some(Bytes::copy_from_slice(key)));
        }
    }
}

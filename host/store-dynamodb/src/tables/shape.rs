//! What the two tables must look like.

use aws_sdk_dynamodb::types::ScalarAttributeType;

/// Name of the partition key of both tables.
pub const PARTITION_KEY: &str = "pk";

/// Name of the sort key of both tables.
pub const SORT_KEY: &str = "sk";

/// The attribute that says when an item is to be removed, in seconds since 1970.
pub const TTL_ATTRIBUTE: &str = "ttl";

/// One of the two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableShape {
    /// What follows the prefix in its name.
    pub suffix: &'static str,
    /// Type of the partition key.
    pub partition_key_type: ScalarAttributeType,
    /// Type of the sort key.
    pub sort_key_type: ScalarAttributeType,
}

/// The table of events: text that sorts by revision or position.
pub const EVENTS: TableShape = TableShape {
    suffix: "-events",
    partition_key_type: ScalarAttributeType::S,
    sort_key_type: ScalarAttributeType::S,
};

/// The table of state: keys of rows are bytes.
pub const STATE: TableShape = TableShape {
    suffix: "-state",
    partition_key_type: ScalarAttributeType::S,
    sort_key_type: ScalarAttributeType::B,
};

/// Both, the one that says that there is a store last: it is deleted last.
pub(super) const BOTH: [TableShape; 2] = [STATE, EVENTS];

impl TableShape {
    /// The table's name.
    #[must_use]
    pub fn name(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.suffix)
    }

    /// Its keys, as people write them.
    pub(super) fn keys(&self) -> String {
        keys_text(&[
            (PARTITION_KEY, self.partition_key_type.as_str()),
            (SORT_KEY, self.sort_key_type.as_str()),
        ])
    }
}

/// Names and types of keys, as people write them.
pub(super) fn keys_text(keys: &[(&str, &str)]) -> String {
    let keys: Vec<_> = keys.iter().map(|(name, of)| format!("`{name}` ({of})")).collect();
    keys.join(" and ")
}

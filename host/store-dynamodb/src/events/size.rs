//! How large DynamoDB counts an item: names and values, with what it says of each type.
//!
//! From "DynamoDB item sizes and formats" of its developer guide. A number counts one byte per two
//! digits and one more; counted here as one per digit, so the sum is an upper bound.

use aws_sdk_dynamodb::types::AttributeValue;

use super::fields::Item;

/// Bytes of an item.
pub(super) fn of_item(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + of_value(value)).sum()
}

/// Bytes of a value.
pub(super) fn of_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::N(digits) => digits.len() + 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + of_value(value)).sum::<usize>(),
        AttributeValue::M(map) => {
            3 + map.iter().map(|(name, value)| 1 + name.len() + of_value(value)).sum::<usize>()
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fields::{binary, number, text};
    use super::*;

    #[test]
    fn counts_names_values_and_what_holds_them_together() {
        // Guards the 400 KB of an item and the 4 MB of a transaction.
        let inner = Item::from([("a".to_owned(), number(17)), ("bc".to_owned(), text("xyz"))]);
        let list = AttributeValue::L(vec![binary(&[0; 10]), AttributeValue::M(inner)]);
        let item = Item::from([("pk".to_owned(), text("1234")), ("l".to_owned(), list)]);
        let map = 3 + (1 + 1 + 3) + (1 + 2 + 3);
        assert_eq!(of_item(&item), (2 + 4) + (1 + 3 + (1 + 10) + (1 + map)));
    }
}

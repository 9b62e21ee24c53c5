//! Canonical JSON and the fingerprint of a schema.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// `value` as JSON with the keys of every object in byte order and no white space, so that equal
/// values give equal bytes.
pub(crate) fn to_canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    sort(&mut value);
    serde_json::to_vec(&value)
}

/// Sorts the keys of every object. They are sorted already, unless some other crate of the plugin
/// turns on serde_json's `preserve_order`, which is on for all once it is on for one.
pub(crate) fn sort(value: &mut Value) {
    value.sort_all_objects();
}

/// Names the shape of a state: its version and a fingerprint of its JSON Schema.
pub(crate) fn state_schema<T: JsonSchema>(state_version: u32) -> String {
    let schema = crate::__private::schema_of::<T>();
    format!("{state_version}-{:032x}", fnv1a_128(schema.as_bytes()))
}

/// FNV-1a with 128 bits: a few lines, stable for ever, and nobody attacks a plugin's own schema.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use schemars::JsonSchema;
    use serde::Serialize;

    use super::{fnv1a_128, state_schema, to_canonical_json};

    #[test]
    fn equal_states_give_equal_bytes_whatever_the_order_of_their_maps() {
        // Guards snapshots: hash maps iterate in another order every time.
        #[derive(Serialize)]
        struct State {
            zebra: u8,
            seen: HashMap<String, u8>,
        }
        let seen = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        let names = ["d", "a", "c", "b"];
        let reversed = ["b", "c", "a", "d"];
        let expected = br#"{"seen":{"a":1,"b":1,"c":1,"d":1},"zebra":2}"#.to_vec();
        for names in [names, reversed] {
            let state = State { zebra: 2, seen: seen(&names) };
            assert_eq!(to_canonical_json(&state).unwrap(), expected);
        }
    }

    #[test]
    fn fingerprint_is_fnv1a_with_128_bits() {
        // Guards against reading the snapshots of another shape: the hash must never change.
        assert_eq!(fnv1a_128(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a_128(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn state_schema_differs_by_version_and_by_shape() {
        // Guards S2: a snapshot of another build is recognised.
        #[derive(JsonSchema)]
        #[schemars(rename = "State")]
        #[expect(dead_code, reason = "only its schema matters")]
        struct Before {
            balance_cents: i64,
        }
        #[derive(JsonSchema)]
        #[schemars(rename = "State")]
        #[expect(dead_code, reason = "only its schema matters")]
        struct After {
            balance_cents: i64,
            owner: String,
        }
        assert_eq!(state_schema::<Before>(1), state_schema::<Before>(1));
        assert_ne!(state_schema::<Before>(1), state_schema::<Before>(2));
        assert_ne!(state_schema::<Before>(1), state_schema::<After>(1));
    }
}

//! Events as columns: entry `i` of every list is event `i`.

use crate::trap_because;

/// Entry of a column. The host keeps all columns equally long; a shorter one is its mistake, and
/// a call that goes on would take one event for another.
pub(crate) fn entry<T: Copy>(column: &[T], index: usize) -> T {
    match column.get(index) {
        Some(entry) => *entry,
        None => trap_because("the host's event columns differ in length"),
    }
}

/// The data of event `index`: from the end of the one before it to its own.
pub(crate) fn payload<'a>(data: &'a [u8], ends: &[u32], index: usize) -> &'a [u8] {
    let end_of = |index| usize::try_from(entry(ends, index)).unwrap_or(usize::MAX);
    let start = index.checked_sub(1).map_or(0, end_of);
    match data.get(start..end_of(index)) {
        Some(payload) => payload,
        None => trap_because("the host's event data ends out of order"),
    }
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn payloads_lie_back_to_back() {
        // Guards the first event, an empty one and the last one.
        let ends = [2, 2, 5];
        let payloads: Vec<&[u8]> =
            (0..ends.len()).map(|index| payload(b"abcde", &ends, index)).collect();
        assert_eq!(payloads, [b"ab".as_slice(), b"", b"cde"]);
    }

    #[test]
    #[should_panic(expected = "the host's event data ends out of order")]
    fn payload_past_the_end_of_the_data_traps() {
        // Guards against a slice of nothing taken for an event.
        payload(b"abcde", &[2, 6], 1);
    }
}

//! Real segments and index files with random changes and right checksums: a bounded run of what
//! `fuzz/` does for as long as one likes.

use super::seed::{Repeat, Seed, seeds};
use crate::log::fuzzing::{decode_segment, read_index, sample_index, sample_segment};

/// Changes some bytes: mostly to values that numbers and lengths do not expect.
fn mutate(bytes: &mut Vec<u8>, seed: &mut Seed) {
    for _ in 0..=seed.below(3) {
        let at = seed.index(bytes.len());
        match seed.below(8) {
            0..=2 => bytes[at] ^= 1 << seed.below(8),
            3 => bytes[at] = 0xff,
            4 => bytes[at] = 0,
            5 => {
                let end = (at + 1 + seed.index(8)).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
            6 => {
                let from = seed.index(bytes.len());
                let count = seed.index(40).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + count, at);
            }
            _ if seed.percent(10) => bytes.truncate(at),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

#[test]
fn a_mutated_segment_with_right_checksums_is_an_error_or_a_log() {
    // Guards against bytes that a checksum does not protect from: those that somebody made.
    let sample = sample_segment();
    assert!(sample.len() > 2_000, "{} bytes", sample.len());
    decode_segment(&sample);
    for number in seeds(0, 150) {
        let _repeat = Repeat(number);
        let mut bytes = sample.clone();
        mutate(&mut bytes, &mut Seed::new(number));
        decode_segment(&bytes);
    }
}

#[test]
fn a_mutated_index_with_right_checksums_is_an_error_or_an_index() {
    // Guards as above: no count, length or place of an index is trusted.
    let sample = sample_index();
    assert!(sample.len() >= 4_096, "{} bytes", sample.len());
    read_index(&sample);
    let used = sample[..4_092].iter().rposition(|&byte| byte != 0).unwrap() + 8;
    for number in seeds(0, 150) {
        let _repeat = Repeat(number);
        let mut bytes = sample[..used].to_vec();
        mutate(&mut bytes, &mut Seed::new(number));
        bytes.resize(sample.len(), 0);
        read_index(&bytes);
    }
}

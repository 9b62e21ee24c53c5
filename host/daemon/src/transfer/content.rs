//! What commits hold, whatever their order and their places in a partition.
//!
//! Two stores with other partitions hold the same when they hold the same commits, each with the
//! streams, revisions, times, ids and data that it had. That is compared without keeping anything per
//! stream: the SHA-256 of each commit's lines, without partition, position and number, is a number,
//! and the sum of all of them modulo 2^256 does not depend on the order. Revisions are in the lines, so
//! the order within each stream is in the sum; that of commits without events is not.
//!
//! It tells every accident: a commit that is missing, doubled or changed leaves another sum, but with
//! a probability of 2^-256. Whoever may choose the commits could make up two sets of the same sum,
//! which is possible for sums of hashes; an export is not protected against forgers anyway.

use annals_core::commit::RecordedCommit;
use annals_core::id::Digest;
use annals_core::place::Partition;
use annals_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::error::Inexact;
use super::line::COMMIT;
use super::lines::lines_of;

/// How much there is in a number of commits, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Contents {
    pub(super) commits_count: u64,
    pub(super) events_count: u64,
    pub(super) claims_count: u64,
    /// Bytes of what was added.
    pub(super) bytes_count: u64,
    sum: Sum,
}

/// A number modulo 2^256, its least significant part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Sum([u64; 4]);

impl Contents {
    /// Adds a commit that was recorded at a time.
    pub(super) fn add(
        &mut self,
        source: &str,
        recorded: &RecordedCommit,
        recorded_at: Timestamp,
    ) -> Result<(), Inexact> {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let text = text_of(source, recorded, Some(recorded_at))?;
        self.sum.add(Sha256::digest(&text).into());
        self.bytes_count += count(text.len());
        self.commits_count += 1;
        self.events_count += count(recorded.commit.events_count());
        self.claims_count += count(recorded.commit.claims.len());
        Ok(())
    }

    /// The sum, as a digest.
    pub(super) fn digest(&self) -> Digest {
        let mut bytes = [0; 32];
        for (to, part) in
            bytes.iter_mut().rev().zip(self.sum.0.iter().flat_map(|it| it.to_le_bytes()))
        {
            *to = part;
        }
        Digest::from_bytes(bytes)
    }
}

impl Sum {
    fn add(&mut self, hash: [u8; 32]) {
        let (parts, _) = hash.as_chunks::<8>();
        let mut carry = false;
        // The first bytes of a digest are the most significant.
        for (sum, part) in self.0.iter_mut().zip(parts.iter().rev()) {
            let (added, is_over) = sum.overflowing_add(u64::from_be_bytes(*part));
            let (carried, is_over_again) = added.overflowing_add(u64::from(carry));
            *sum = carried;
            carry = is_over || is_over_again;
        }
    }
}

/// What tells a commit from every other one of the same store, wherever and whenever it is recorded.
pub(super) fn fingerprint(source: &str, recorded: &RecordedCommit) -> Result<Digest, Inexact> {
    text_of(source, recorded, None).map(|text| Digest::of(&text))
}

/// The lines of a commit without its place, and with another time.
fn text_of(
    source: &str,
    recorded: &RecordedCommit,
    recorded_at: Option<Timestamp>,
) -> Result<Vec<u8>, Inexact> {
    let mut text = Vec::new();
    for mut line in lines_of(source, Partition::ZERO, recorded)? {
        (line.partition, line.commit, line.position) = (None, None, None);
        line.time = recorded_at.map(|time| time.to_string());
        if line.kind == COMMIT {
            line.id.clear();
        }
        line.write(&mut text);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(last: u8, first: u8) -> [u8; 32] {
        let mut hash = [0; 32];
        (hash[31], hash[0]) = (last, first);
        hash
    }

    #[test]
    fn sums_carry_and_begin_again_at_2_to_the_256() {
        // Guards the sum against carries that are lost, which would let other commits have the same.
        let mut contents = Contents::default();
        for _ in 0..256 {
            contents.sum.add(hash_of(0xff, 0));
        }
        let mut expected = [0; 32];
        expected[30] = 0xff;
        assert_eq!(contents.digest(), Digest::from_bytes(expected));
        let mut contents = Contents::default();
        contents.sum.add([0xff; 32]);
        contents.sum.add(hash_of(1, 0));
        assert_eq!(contents.sum, Sum::default());
        contents.sum.add(hash_of(0, 0x80));
        contents.sum.add(hash_of(7, 0x80));
        assert_eq!(contents.digest(), Digest::from_bytes(hash_of(7, 0)));
    }
}

//! Who holds which name after the commits that were exported.
//!
//! A store may hold more names than fit in memory. Those named longest ago are forgotten; what is
//! kept of a name are hashes, since a wrong answer costs nothing but a better order.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use annals_core::commit::{Claim, Commit};
use annals_core::time::Timestamp;

/// Most names that are remembered, at about 50 bytes each.
const NAMES_REMEMBERED_MAX: usize = 1 << 20;

/// The holders of names.
#[derive(Debug)]
pub(super) struct Holders {
    hasher: RandomState,
    /// Names of now and of before. When there is no room, those of before are forgotten.
    names: HashMap<u64, Held>,
    names_before: HashMap<u64, Held>,
    names_max: usize,
    /// Whether a name was ever forgotten.
    is_complete: bool,
}

/// By whom a name is held.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// `None`: by nobody.
    stream: Option<u64>,
    expires_at: Option<Timestamp>,
}

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Another stream holds it.
    HeldByAnother,
    /// Nobody holds it, or the stream itself.
    Free,
    /// It was forgotten.
    Nothing,
}

impl Default for Holders {
    fn default() -> Self {
        Self::remembering(NAMES_REMEMBERED_MAX)
    }
}

impl Holders {
    fn remembering(names_max: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            names: HashMap::new(),
            names_before: HashMap::new(),
            names_max,
            is_complete: true,
        }
    }

    /// What is known of a name when a stream claims it.
    pub(super) fn known(&self, claim: &Claim, now: Timestamp) -> Known {
        match self.get(self.name(&claim.scope, &claim.key)) {
            Some(Held { stream: Some(stream), expires_at }) => {
                let is_expired = expires_at.is_some_and(|expiry| expiry <= now);
                let is_its_own = stream == self.hasher.hash_one(&claim.stream);
                if is_expired || is_its_own { Known::Free } else { Known::HeldByAnother }
            }
            Some(Held { stream: None, .. }) => Known::Free,
            None if self.is_complete => Known::Free,
            None => Known::Nothing,
        }
    }

    /// Releases and claims what a commit does.
    pub(super) fn record(&mut self, commit: &Commit) {
        for release in &commit.releases {
            let name = self.name(&release.scope, &release.key);
            let stream = self.hasher.hash_one(&release.stream);
            if self.get(name).is_some_and(|held| held.stream == Some(stream)) {
                self.put(name, Held { stream: None, expires_at: None });
            }
        }
        for claim in &commit.claims {
            let stream = Some(self.hasher.hash_one(&claim.stream));
            let held = Held { stream, expires_at: claim.expires_at };
            self.put(self.name(&claim.scope, &claim.key), held);
        }
    }

    fn name(&self, scope: &str, key: &str) -> u64 {
        self.hasher.hash_one((scope, key))
    }

    fn get(&self, name: u64) -> Option<Held> {
        self.names.get(&name).or_else(|| self.names_before.get(&name)).copied()
    }

    fn put(&mut self, name: u64, held: Held) {
        if self.names.len() >= self.names_max / 2 {
            self.is_complete &= self.names_before.is_empty();
            self.names_before = std::mem::take(&mut self.names);
        }
        self.names.insert(name, held);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use annals_core::commit::Release;
    use annals_core::place::ExpectedRevision;

    use super::*;

    fn claim(key: u64, stream: &str, expires_at: Option<u64>) -> Claim {
        let expires_at = expires_at.map(Timestamp::from_ms);
        let (scope, key) = (Arc::from("s"), Arc::from(key.to_string()));
        Claim { scope, key, stream: stream.parse().unwrap(), expires_at }
    }

    fn commit(claims: Vec<Claim>, releases: Vec<Release>) -> Commit {
        let stream = "note/n1".parse().unwrap();
        let commit = Commit::plain(stream, ExpectedRevision::Any, Vec::new(), Timestamp::default());
        Commit { claims, releases, ..commit }
    }

    #[test]
    fn names_are_held_released_and_expire() {
        // Guards the order of an export: who waits, waits for a name that another holds.
        let mut holders = Holders::default();
        let known = |holders: &Holders, key, stream, now| {
            holders.known(&claim(key, stream, None), Timestamp::from_ms(now))
        };
        let release = |stream: &str| {
            let Claim { scope, key, stream, .. } = claim(1, stream, None);
            Release { scope, key, stream }
        };
        assert_eq!(known(&holders, 1, "note/a", 0), Known::Free);
        holders.record(&commit(vec![claim(1, "note/a", Some(9))], Vec::new()));
        assert_eq!(known(&holders, 1, "note/a", 0), Known::Free);
        assert_eq!(known(&holders, 1, "note/b", 8), Known::HeldByAnother);
        assert_eq!(known(&holders, 1, "note/b", 9), Known::Free);
        holders.record(&commit(Vec::new(), vec![release("note/b")]));
        assert_eq!(known(&holders, 1, "note/b", 8), Known::HeldByAnother);
        holders.record(&commit(Vec::new(), vec![release("note/a")]));
        assert_eq!(known(&holders, 1, "note/b", 8), Known::Free);
    }

    #[test]
    fn names_over_the_limit_are_forgotten_and_not_taken_for_free() {
        // Guards memory, and that what is forgotten is said to be.
        let mut holders = Holders::remembering(8);
        for key in 0..8 {
            holders.record(&commit(vec![claim(key, "note/a", None)], Vec::new()));
        }
        let known = |holders: &Holders, key| {
            holders.known(&claim(key, "note/b", None), Timestamp::default())
        };
        assert_eq!([0, 7, 8].map(|key| known(&holders, key)), {
            [Known::HeldByAnother, Known::HeldByAnother, Known::Free]
        });
        holders.record(&commit(vec![claim(8, "note/a", None)], Vec::new()));
        assert_eq!([0, 7, 8, 9].map(|key| known(&holders, key)), {
            [Known::Nothing, Known::HeldByAnother, Known::HeldByAnother, Known::Nothing]
        });
        assert!(holders.names.len() + holders.names_before.len() <= 8);
    }
}

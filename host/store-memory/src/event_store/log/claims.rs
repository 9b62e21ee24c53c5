//! Who holds which name.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::commit::{ClaimHolder, Commit};
use annals_core::port::event_store::AppendError;
use annals_core::time::Timestamp;

/// The claims of all partitions.
#[derive(Debug, Default)]
pub(super) struct Claims {
    // By scope and key. Expired ones stay until they are taken or released.
    holders: HashMap<(Arc<str>, Arc<str>), ClaimHolder>,
}

impl Claims {
    /// Who holds a claim at a time.
    pub(super) fn holder(&self, scope: &str, key: &str, now: Timestamp) -> Option<&ClaimHolder> {
        let holder = self.holders.get(&(Arc::from(scope), Arc::from(key)))?;
        let is_held = holder.expires_at.is_none_or(|expiry| expiry > now);
        is_held.then_some(holder)
    }

    /// Refuses a commit that claims what another stream holds and does not release.
    pub(super) fn check(&self, commit: &Commit, recorded_at: Timestamp) -> Result<(), AppendError> {
        for claim in &commit.claims {
            let Some(holder) = self.holder(&claim.scope, &claim.key, recorded_at) else {
                continue;
            };
            let is_released = commit.releases.iter().any(|release| {
                release.scope == claim.scope
                    && release.key == claim.key
                    && release.stream == holder.stream
            });
            if holder.stream != claim.stream && !is_released {
                return Err(AppendError::ClaimHeld {
                    scope: Arc::clone(&claim.scope),
                    key: Arc::clone(&claim.key),
                    holder: holder.stream.clone(),
                });
            }
        }
        Ok(())
    }

    /// Releases and takes what a checked commit says.
    pub(super) fn record(&mut self, commit: &Commit) {
        for release in &commit.releases {
            let name = (Arc::clone(&release.scope), Arc::clone(&release.key));
            let is_held =
                self.holders.get(&name).is_some_and(|holder| holder.stream == release.stream);
            if is_held {
                self.holders.remove(&name);
            }
        }
        for claim in &commit.claims {
            let name = (Arc::clone(&claim.scope), Arc::clone(&claim.key));
            let holder = ClaimHolder { stream: claim.stream.clone(), expires_at: claim.expires_at };
            self.holders.insert(name, holder);
        }
    }
}

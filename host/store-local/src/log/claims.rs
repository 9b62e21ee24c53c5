//! Who holds which name, as far as the commits of one segment say; what earlier segments say is
//! added when a name is first looked at.

use std::sync::Arc;

use annals_core::commit::{Claim, ClaimHolder, Release};
use annals_core::port::event_store::AppendError;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use hashbrown::{Equivalent, HashMap};

#[derive(Debug, Default)]
pub(crate) struct Claims {
    names: HashMap<Name, Said>,
}

/// What is said of a name.
#[derive(Debug)]
struct Said {
    /// `None`: released.
    holder: Option<ClaimHolder>,
    /// Whether a commit of this segment says it, or an earlier one.
    is_own: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Name {
    pub(crate) scope: Arc<str>,
    pub(crate) key: Arc<str>,
}

#[derive(Hash)]
struct NameRef<'a> {
    scope: &'a str,
    key: &'a str,
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *self.scope == *name.scope && *self.key == *name.key
    }
}

impl Claims {
    /// The last thing said of a name: its holder, maybe expired, or that it was released. `None`:
    /// nothing is said of it here.
    pub(crate) fn get(&self, scope: &str, key: &str) -> Option<Option<&ClaimHolder>> {
        self.names.get(&NameRef { scope, key }).map(|said| said.holder.as_ref())
    }

    /// Adds what earlier segments say of a name of which nothing is said here.
    pub(crate) fn add_earlier(&mut self, scope: &str, key: &str, holder: Option<ClaimHolder>) {
        if self.get(scope, key).is_none() {
            let name = Name { scope: scope.into(), key: key.into() };
            self.names.insert(name, Said { holder, is_own: false });
        }
    }

    /// All names that commits of this segment took or released, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, Option<&ClaimHolder>)> {
        let own = self.names.iter().filter(|(_, said)| said.is_own);
        own.map(|(name, said)| (name, said.holder.as_ref()))
    }

    fn holder(&self, scope: &str, key: &str, now: Timestamp) -> Option<&ClaimHolder> {
        self.get(scope, key).flatten().filter(|holder| !is_expired(holder, now))
    }

    /// Whether `claims`, no two of one name, can be taken at `now`, after `releases`.
    pub(crate) fn check(
        &self,
        claims: &[Claim],
        releases: &[Release],
        now: Timestamp,
    ) -> Result<(), AppendError> {
        for claim in claims {
            let Some(holder) = self.holder(&claim.scope, &claim.key, now) else { continue };
            let is_released = releases.iter().any(|release| {
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

    pub(crate) fn release(&mut self, scope: &str, key: &str, stream: &str) {
        if let Some(said) = self.names.get_mut(&NameRef { scope, key })
            && said.holder.as_ref().is_some_and(|holder| holder.stream.as_str() == stream)
        {
            *said = Said { holder: None, is_own: true };
        }
    }

    pub(crate) fn take(
        &mut self,
        scope: &str,
        key: &str,
        stream: StreamId,
        expires_at: Option<Timestamp>,
    ) {
        let said = Said { holder: Some(ClaimHolder { stream, expires_at }), is_own: true };
        if let Some(held) = self.names.get_mut(&NameRef { scope, key }) {
            *held = said;
            return;
        }
        let name = Name { scope: scope.into(), key: key.into() };
        self.names.insert(name, said);
    }
}

pub(crate) fn is_expired(holder: &ClaimHolder, now: Timestamp) -> bool {
    holder.expires_at.is_some_and(|expires_at| expires_at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(stream: &str, expires_at: Option<u64>) -> Claim {
        Claim {
            scope: "e-mail".into(),
            key: "ada".into(),
            stream: StreamId::parse(stream).unwrap(),
            expires_at: expires_at.map(Timestamp::from_ms),
        }
    }

    #[test]
    fn a_claim_is_free_when_released_or_expired() {
        // Guards uniqueness: one holder at a time, also within one commit.
        let mut claims = Claims::default();
        let a = claim("account/a", Some(10));
        claims.take("e-mail", "ada", a.stream.clone(), a.expires_at);
        let b = claim("account/b", None);
        let at = Timestamp::from_ms;
        let check = |claims: &Claims, wanted: &[Claim], releases: &[Release], now| {
            claims.check(wanted, releases, at(now)).is_ok()
        };
        assert!(!check(&claims, std::slice::from_ref(&b), &[], 9));
        assert!(check(&claims, std::slice::from_ref(&b), &[], 10));
        assert!(check(&claims, std::slice::from_ref(&a), &[], 9));
        let release =
            Release { scope: "e-mail".into(), key: "ada".into(), stream: a.stream.clone() };
        assert!(check(&claims, std::slice::from_ref(&b), std::slice::from_ref(&release), 9));
        claims.release("e-mail", "ada", "account/b");
        assert!(claims.holder("e-mail", "ada", at(9)).is_some());
        claims.release("e-mail", "ada", "account/a");
        assert!(claims.holder("e-mail", "ada", at(9)).is_none());
    }
}

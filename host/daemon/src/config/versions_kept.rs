//! How many versions of a plugin are kept.

use std::num::NonZeroUsize;

use super::value::{BadValue, Setting};

/// Most versions of a plugin that are kept: from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionsKept(NonZeroUsize);

/// Most that can be asked for (inclusive): they are listed with every plugin.
const VERSIONS_KEPT_MAX: usize = 100;

impl VersionsKept {
    /// So many.
    pub(super) const fn of(count: NonZeroUsize) -> Self {
        Self(count)
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> NonZeroUsize {
        self.0
    }
}

impl Setting for VersionsKept {
    const FORM: &'static str = "a whole number from 1 to 100";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let count = NonZeroUsize::parse(text).ok().filter(|it| it.get() <= VERSIONS_KEPT_MAX);
        count.map(Self).ok_or_else(|| BadValue::of::<Self>(text))
    }

    fn to_toml(&self) -> String {
        self.0.to_toml()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_least_one_and_at_most_a_hundred_versions_are_kept() {
        // Guards both bounds: the active version is always one of those that are kept.
        for good in ["1", "5", "100"] {
            assert_eq!(VersionsKept::parse(good).unwrap().to_toml(), good);
        }
        for bad in ["0", "101", "-1", "", "five"] {
            let error = VersionsKept::parse(bad).unwrap_err();
            assert_eq!(error.form, VersionsKept::FORM, "{bad}");
        }
    }
}

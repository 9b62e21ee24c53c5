//! The environment: the one place that reads it.

use std::collections::BTreeMap;

/// First part of the names of our variables.
const VARIABLE_PREFIX: &str = "ANNALS_";

/// The environment variables that count, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// The wish for output without colour, see <https://no-color.org>.
pub(super) const NO_COLOR: &str = "NO_COLOR";

impl Environment {
    /// The variables of this process whose names begin with `ANNALS_`, and `NO_COLOR`.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(VARIABLE_PREFIX) || name == NO_COLOR)
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect()
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Whether output is wished without colour.
    #[must_use]
    pub fn is_without_colour(&self) -> bool {
        self.get(NO_COLOR).is_some_and(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

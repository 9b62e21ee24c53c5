//! The form of an area of the configuration: a struct whose fields, documentation, defaults, keys
//! and variables are written once, in an `area!`.

use super::value::{BadValue, Setting};

/// A part of the configuration: one table of `annals.toml`.
pub trait Area {
    /// Name of the table.
    fn name(&self) -> &'static str;

    /// What the area is about, by lines.
    fn doc(&self) -> &'static [&'static str];

    /// Its keys with their present values, in the order of the struct.
    fn entries(&self) -> Vec<Entry>;

    /// Sets a key from text; `None` when there is no such key.
    fn set(&mut self, key: &str, text: &str) -> Option<Result<(), BadValue>>;
}

/// A key of an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name within the area, e.g. `listen`.
    pub key: &'static str,
    /// What it is, by lines.
    pub doc: &'static [&'static str],
    /// How a value is written, e.g. ``a duration such as `5s` ``.
    pub form: &'static str,
    /// The present value, as it is written in TOML.
    pub toml: String,
}

impl Entry {
    /// The entry of one field.
    pub(super) fn of<S: Setting>(
        key: &'static str,
        doc: &'static [&'static str],
        value: &S,
    ) -> Self {
        Self { key, doc, form: S::FORM, toml: value.to_toml() }
    }
}

/// The environment variable of a key: `ANNALS_SERVER_LISTEN` for `server.listen`.
#[must_use]
pub fn variable(area: &str, key: &str) -> String {
    format!("ANNALS_{area}_{key}").to_uppercase()
}

/// Makes a documented struct an [`Area`].
macro_rules! area {
    (
        $(#[doc = $area_doc:literal])*
        $name:ident in $table:literal {
            $( $(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr; )*
        }
    ) => {
        $(#[doc = $area_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::Area for $name {
            fn name(&self) -> &'static str {
                $table
            }

            fn doc(&self) -> &'static [&'static str] {
                &[$( $area_doc, )*]
            }

            fn entries(&self) -> Vec<$crate::config::Entry> {
                vec![$(
                    $crate::config::Entry::of(stringify!($field), &[$( $doc, )*], &self.$field),
                )*]
            }

            fn set(
                &mut self,
                key: &str,
                text: &str,
            ) -> Option<Result<(), $crate::config::value::BadValue>> {
                match key {
                    $( stringify!($field) => Some(
                        $crate::config::value::Setting::parse(text)
                            .map(|value| self.$field = value),
                    ), )*
                    _ => None,
                }
            }
        }
    };
}

pub(super) use area;

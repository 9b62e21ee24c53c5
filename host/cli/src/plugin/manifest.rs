//! The file that says what is in a plugin's folder: its language, its name, and where its aggregate
//! is.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// A crate; every kind of plugin
    Rust,
    /// An npm package; aggregates
    Js,
    /// A Python package; aggregates
    Python,
}

impl Language {
    /// All of them, in the order in which a folder is looked through.
    const ALL: [Self; 3] = [Self::Rust, Self::Js, Self::Python];

    /// The file that a plugin of this language has.
    pub(super) const fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::Js => "package.json",
            Self::Python => "pyproject.toml",
        }
    }
}

/// What a manifest says, as far as building needs it.
#[derive(Debug)]
pub(super) enum Manifest {
    /// `Cargo.toml`; cargo reads the rest.
    Rust { name: String },
    /// `package.json`.
    Js(NpmPackage),
    /// `pyproject.toml`.
    Python(PythonProject),
}

/// The part of a `package.json` that goes into a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct NpmPackage {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) description: String,
    /// The module whose default export is the aggregate.
    pub(super) main: String,
}

/// The part of a `pyproject.toml` that goes into a component.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PythonProject {
    pub(super) project: PythonPackage,
    pub(super) tool: PythonTools,
}

/// `[project]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PythonPackage {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) description: String,
}

/// `[tool]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PythonTools {
    pub(super) annals: PythonPlugin,
}

/// `[tool.annals]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct PythonPlugin {
    /// Module and class of the aggregate, as `module:Class`.
    pub(super) plugin: String,
    /// Folder that holds the package `annals_sdk`.
    pub(super) sdk: PathBuf,
}

#[derive(Deserialize)]
struct Crate {
    package: CratePackage,
}

#[derive(Deserialize)]
struct CratePackage {
    name: String,
}

impl Manifest {
    /// Reads the manifest in a folder. Where there are several, the first of `Cargo.toml`,
    /// `package.json` and `pyproject.toml` counts.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        for language in Language::ALL {
            let path = folder.join(language.manifest());
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if is_absent(error.kind()) => continue,
                Err(error) => return Err(Failure::file("read", &path, &error)),
            };
            return match language {
                Language::Rust => {
                    from_toml(&path, &text).map(|Crate { package }| Self::Rust { name: package.name })
                }
                Language::Js => serde_json::from_str(&text).map(Self::Js).map_err(|error| {
                    Failure::yours(format!("`{}` does not do: {error}", path.display())).with_hint(
                        "a plugin in JavaScript needs `name`, `version` and `main`, the module whose \
                         default export is the aggregate",
                    )
                }),
                Language::Python => from_toml(&path, &text).map(Self::Python).map_err(|failure| {
                    failure.with_hint(
                        "a plugin in Python needs `name` and `version` in `[project]`, and in \
                         `[tool.annals]` `plugin`, as `module:Class`, and `sdk`, the folder of the SDK",
                    )
                }),
            };
        }
        let manifests = Language::ALL.map(|language| format!("`{}`", language.manifest()));
        let [first, second, third] = manifests;
        let folder = folder.display();
        let message = format!("no plugin in `{folder}`: there is no {first}, {second} or {third}");
        Err(Failure::yours(message)
            .with_hint("run in the plugin's folder, or make one with `annals plugin new`"))
    }

    /// The component that building leaves in the plugin's folder.
    pub(super) fn component(&self, folder: &Path) -> PathBuf {
        let name = match self {
            Self::Rust { name } => name,
            // `@scope/name` is a folder and a file to the file system.
            Self::Js(package) => package.name.rsplit('/').next().unwrap_or(&package.name),
            Self::Python(project) => &project.project.name,
        };
        folder.join(format!("{name}.wasm"))
    }
}

fn is_absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn from_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error| {
        Failure::yours(format!("`{}` does not do: {}", path.display(), error.message()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<PathBuf, Failure> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Manifest::read(folder.path()).map(|manifest| manifest.component(Path::new("shop")))
    }

    #[test]
    fn the_component_is_named_after_the_package() {
        // Guards what `plugin install` looks for after `plugin build`, in each language.
        let npm = r#"{"name": "@acme/cart", "version": "1.0.0", "main": "a.js"}"#;
        let python =
            "[project]\nname = 'cart'\nversion = '1'\n[tool.annals]\nplugin = 'a:B'\nsdk = 's'";
        let cases = [
            [("Cargo.toml", "[package]\nname = 'cart'"), ("package.json", "{")],
            [("package.json", npm), ("pyproject.toml", "")],
            [("pyproject.toml", python), ("README.md", "")],
        ];
        for files in cases {
            assert_eq!(read(&files).unwrap(), Path::new("shop/cart.wasm"));
        }
    }

    #[test]
    fn a_manifest_that_lacks_something_says_what() {
        // Guards the next step of a folder that is no plugin, or not yet.
        let cases = [
            (vec![], "no plugin in `", "annals plugin new"),
            (vec![("package.json", "{}")], "missing field `name`", "`main`"),
            (vec![("pyproject.toml", "[project]\nname = 'a'")], "missing field", "[tool.annals]"),
        ];
        for (files, message, hint) in cases {
            let failure = read(&files).unwrap_err();
            assert!(failure.message.contains(message), "{failure:?}");
            assert!(failure.hint.as_deref().unwrap_or_default().contains(hint), "{failure:?}");
        }
    }
}

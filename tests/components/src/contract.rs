//! The contract in `wit/`, parsed.

use std::path::{Path, PathBuf};

use wit_parser::{PackageId, Resolve, SourceMap};

/// The root of the workspace.
///
/// Not `..` from here: that would leave a workspace that has this folder by a link.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.ancestors().nth(2).unwrap_or(manifest_dir).to_owned()
}

/// Parses the folder `wit`.
pub(crate) fn resolve(wit: &Path) -> anyhow::Result<(Resolve, PackageId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    Ok((resolve, package))
}

/// Parses the folder `wit` as if the package had another version.
pub(crate) fn resolve_as(wit: &Path, version: &str) -> anyhow::Result<(Resolve, PackageId)> {
    let mut sources = SourceMap::default();
    for entry in std::fs::read_dir(wit)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            let text = std::fs::read_to_string(&path)?;
            sources.push(
                &path,
                text.replace("annals:plugin@0.1.0", &format!("annals:plugin@{version}")),
            );
        }
    }
    let group = sources.parse().map_err(|(_, error)| error)?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group)?;
    Ok((resolve, package))
}

//! Which file a space is in, and which space a file is of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use annals_core::error::DriverError;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::port::state_store::{StateError, StateSpace};

const VIEWS: &str = "views";
const PROCESSES: &str = "processes";

pub(super) fn path(folder: &Path, space: &StateSpace) -> PathBuf {
    match space {
        StateSpace::Host => folder.join("host.sqlite"),
        StateSpace::View { projection, digest, build } => {
            let name = view_name(projection, *digest, *build);
            folder.join(VIEWS).join(format!("{name}.sqlite"))
        }
        StateSpace::Process { name } => folder.join(PROCESSES).join(format!("{name}.sqlite")),
    }
}

/// The spaces that have a file, in order. Files of other names are passed over.
pub(super) fn list(folder: &Path) -> Result<Vec<StateSpace>, StateError> {
    let mut spaces = Vec::new();
    if names(folder)?.iter().any(|name| name == "host") {
        spaces.push(StateSpace::Host);
    }
    for name in names(&folder.join(VIEWS))? {
        spaces.extend(parse_view(&name));
    }
    for name in names(&folder.join(PROCESSES))? {
        if let Ok(name) = PluginName::new(&name) {
            spaces.push(StateSpace::Process { name });
        }
    }
    spaces.sort();
    Ok(spaces)
}

/// The name of a view's file, without its ending: `<projection>@<digest>`, and `-<build>` after the
/// first build.
fn view_name(projection: &PluginName, digest: Digest, build: u32) -> String {
    match build {
        0 => format!("{projection}@{digest}"),
        build => format!("{projection}@{digest}-{build}"),
    }
}

fn parse_view(name: &str) -> Option<StateSpace> {
    let (projection, made) = name.split_once('@')?;
    let (digest, build) = match made.split_once('-') {
        Some((digest, build)) => (digest, build.parse().ok()?),
        None => (made, 0),
    };
    let projection = PluginName::new(projection).ok()?;
    let digest = digest.parse().ok()?;
    // A number has other spellings, which are nobody's.
    let is_ours = view_name(&projection, digest, build) == name;
    is_ours.then_some(StateSpace::View { projection, digest, build })
}

/// The names of the SQLite files in a folder, without their ending.
fn names(folder: &Path) -> Result<Vec<String>, StateError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unavailable("list", folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| unavailable("list", folder, error))?.file_name();
        names
            .extend(name.to_str().and_then(|name| name.strip_suffix(".sqlite")).map(str::to_owned));
    }
    Ok(names)
}

/// Removes a file and what SQLite keeps beside it; the file itself first, so that a crash in between
/// leaves no file without its log.
pub(super) fn remove(path: &Path) -> Result<(), StateError> {
    for suffix in ["", "-wal", "-shm"] {
        let path = crate::files::with_suffix(path, suffix);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unavailable("remove", &path, error)),
        }
    }
    match path.parent() {
        Some(parent) if parent.is_dir() => sync_folder(parent),
        _ => Ok(()),
    }
}

pub(super) fn create_folder(path: &Path) -> Result<(), StateError> {
    crate::files::create_folder(path).map_err(|error| unavailable("create", path, error))
}

pub(super) fn sync_folder(path: &Path) -> Result<(), StateError> {
    crate::files::sync_folder(path).map_err(|error| unavailable("sync", path, error))
}

pub(super) fn unavailable(action: &str, path: &Path, error: io::Error) -> StateError {
    let message = format!("failed to {action} `{}`", path.display());
    StateError::Unavailable(DriverError::with_source(&message, error))
}

//! The key of the compile cache, and files that only their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

const FILE_NAME: &str = "key";

/// A key that never prints.
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Makes `folder` and what is above it; others may not look into it.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A new file that others may not read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// The key of `folder`. `fresh` becomes the key when there is none that is whole and has been
/// private: what the old one vouched for is worthless then, and compiled again.
pub(super) fn load_or_make(folder: &Path, fresh: &[u8; 32]) -> io::Result<Key> {
    let path = folder.join(FILE_NAME);
    if let Some(key) = load(&path)? {
        return Ok(key);
    }
    let temporary = folder.join(format!("{}-key.temporary", std::process::id()));
    // A leftover of a crash may have other permissions; a new file has ours.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    private_file(&temporary)?.write_all(fresh)?;
    fs::rename(&temporary, &path)?;
    Ok(Key(*fresh))
}

fn load(path: &Path) -> io::Result<Option<Key>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let others_may = fs::metadata(path)?.permissions().mode() & 0o077 != 0;
    if others_may {
        tracing::warn!(path = %path.display(), "key of the compile cache was not private, it is replaced");
        return Ok(None);
    }
    Ok(bytes.try_into().ok().map(Key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_key_until_it_is_damaged_or_exposed() {
        // Guards the cache's trust: a key that others could read vouches for nothing.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let open = |fresh: u8| *load_or_make(folder.path(), &[fresh; 32]).unwrap().bytes();
        assert_eq!(open(1), [1; 32]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(open(2), [1; 32]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(open(3), [3; 32]);
        fs::write(&path, b"short").unwrap();
        assert_eq!(open(4), [4; 32]);
    }
}

//! Reads the folders of `web.folders`, whose pages are served beside the API.
//!
//! All of them are read when the daemon starts, within limits: what is served afterwards is in memory,
//! so no request can name a file that is not among them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use annals_api::apps::{App, Apps};
use bytes::Bytes;

use crate::config::Web;

/// Folders within folders.
const DEPTH_MAX: usize = 16;

/// Why a folder of pages cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// A folder or a file cannot be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// It leads elsewhere, or is no file at all.
    #[error("`{}` is a symbolic link or a special file, and only files are served", path.display())]
    NotAFile {
        /// Which one.
        path: PathBuf,
    },
    /// No address could spell it.
    #[error("the name of `{}` is not UTF-8", path.display())]
    NotUtf8 {
        /// Which one.
        path: PathBuf,
    },
    /// A folder without a page to start with.
    #[error("there is no `index.html` in `{}`", path.display())]
    NoIndex {
        /// The folder.
        path: PathBuf,
    },
    /// Over a limit.
    #[error("`{}` is over `web.{limit}`, which is {max}", path.display())]
    OverLimit {
        /// The folder, or the file that is too large.
        path: PathBuf,
        /// The key of the configuration.
        limit: &'static str,
        /// How much is allowed (inclusive).
        max: u64,
    },
    /// Folders within folders, without end.
    #[error("`{}` is more than {DEPTH_MAX} folders deep", path.display())]
    TooDeep {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads all folders.
///
/// # Errors
/// Each variant of [`WebError`].
pub(crate) fn read(web: &Web) -> Result<Apps, WebError> {
    let mut reading = Reading { web, bytes_count: 0, files_count: 0 };
    let read = |(name, folder): (&_, &PathBuf)| {
        let mut files = Vec::new();
        reading.folder(folder, "", &mut files)?;
        if files.iter().any(|(path, _)| path == "index.html") {
            return Ok((Clone::clone(name), App::new(files)));
        }
        Err(WebError::NoIndex { path: folder.clone() })
    };
    web.folders.iter().map(read).collect()
}

/// What was read so far, of all folders.
struct Reading<'a> {
    web: &'a Web,
    bytes_count: u64,
    files_count: usize,
}

type Files = Vec<(String, Bytes)>;

impl Reading<'_> {
    /// Adds the files of a folder, and of those in it, to `files`. `prefix` is where it is in the app.
    fn folder(&mut self, folder: &Path, prefix: &str, files: &mut Files) -> Result<(), WebError> {
        if prefix.matches('/').count() > DEPTH_MAX {
            return Err(WebError::TooDeep { path: folder.to_owned() });
        }
        let unreadable = |source| WebError::Read { path: folder.to_owned(), source };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                return Err(WebError::NotUtf8 { path });
            };
            // Of editors, of version control, of the system: nothing that a page is made of.
            if name.starts_with('.') {
                continue;
            }
            // Of the link itself, not of where it leads.
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                self.folder(&path, &format!("{prefix}{name}/"), files)?;
            } else if kind.is_file() {
                files.push((format!("{prefix}{name}"), self.file(&path)?));
            } else {
                return Err(WebError::NotAFile { path });
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<Bytes, WebError> {
        let over = |limit, max| WebError::OverLimit { path: path.to_owned(), limit, max };
        let files_max = self.web.files_max.get();
        self.files_count = self.files_count.saturating_add(1);
        if self.files_count > files_max {
            return Err(over("files_max", u64::try_from(files_max).unwrap_or(u64::MAX)));
        }
        let file_bytes_max = self.web.file_bytes_max.bytes();
        let bytes_max = self.web.bytes_max.bytes();
        let left = bytes_max.saturating_sub(self.bytes_count);
        let mut content = Vec::new();
        let read = File::open(path).and_then(|file| {
            file.take(file_bytes_max.min(left).saturating_add(1)).read_to_end(&mut content)
        });
        let size = read.map_err(|source| WebError::Read { path: path.to_owned(), source })?;
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if size > file_bytes_max {
            return Err(over("file_bytes_max", file_bytes_max));
        }
        if size > left {
            return Err(over("bytes_max", bytes_max));
        }
        self.bytes_count = self.bytes_count.saturating_add(size);
        Ok(Bytes::from(content))
    }
}

#[cfg(test)]
mod tests;

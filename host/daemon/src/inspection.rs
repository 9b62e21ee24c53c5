//! Looking, without starting anything: at a data folder, and at an address.

use std::net::SocketAddr;

use annals_store_local::LocalStore;

use crate::config::Store;
use crate::error::StartError;
use crate::server::listen;
use crate::{RandomIds, options};

/// What a data folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFolder {
    /// There is nothing yet.
    Missing,
    /// A daemon could start on it.
    Readable {
        /// How many commits its log has.
        commits_count: u64,
    },
}

/// Opens a data folder as a daemon does, and closes it. One that is not there is not made.
///
/// # Errors
/// [`StartError::Store`].
pub fn look_into(settings: &Store) -> Result<DataFolder, StartError> {
    if !settings.data.join("log").exists() {
        return Ok(DataFolder::Missing);
    }
    let store = LocalStore::open_with(&settings.data, &RandomIds, options::log(settings))?;
    Ok(DataFolder::Readable { commits_count: store.recovery.commits_count })
}

/// Whether a daemon could listen on an address.
///
/// # Errors
/// [`StartError::Listen`].
pub async fn is_free(address: SocketAddr) -> Result<(), StartError> {
    listen(address).await.map(drop)
}

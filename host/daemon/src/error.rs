//! Why the daemon does not start, and what to do about it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use annals_core::port::state_store::StateError;
use annals_runtime::RuntimeError;
use annals_store_dynamodb::TableError;
use annals_store_local::maintenance::InterruptedTask;
use annals_store_local::{LogError, OpenError};

use crate::web::WebError;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Everybody could reach it, and nobody would be asked who they are.
    #[error("`{address}` can be reached by other machines, and there is no authentication yet")]
    PublicAddress {
        /// The address.
        address: SocketAddr,
    },
    /// The address is taken or not of this machine.
    #[error("failed to listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The data folder cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The sandbox does not work on this machine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] annals_engine::StartError),
    /// DynamoDB cannot be asked.
    #[error(transparent)]
    Dynamodb(#[from] annals_store_dynamodb::ConnectError),
    /// The tables cannot be used.
    #[error(transparent)]
    Tables(#[from] TableError),
    /// The state in the tables cannot be opened.
    #[error("the state in the tables cannot be opened")]
    State(#[source] StateError),
    /// Redis cannot be asked.
    #[error(transparent)]
    Redis(#[from] annals_bus_redis::ConnectError),
    /// The file of `redis.ca_file` cannot be read.
    #[error("failed to read the certificates `{}`", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// What is to be watched for components is no folder.
    #[error("`{}` cannot be watched for components: it is no folder", path.display())]
    NoFolder {
        /// What `plugins.watch` names.
        path: PathBuf,
    },
    /// It holds a part of an export, and nobody would notice.
    #[error("the store holds a part of the export of {source_store}: its import has not ended")]
    HalfImported {
        /// The store that was exported, as the export names it.
        source_store: String,
    },
    /// The pages of an app cannot be served.
    #[error("an app of `web.folders` cannot be served")]
    Web(#[from] WebError),
    /// Opening the stores ended early.
    #[error("opening the stores ended early")]
    Interrupted {
        /// How.
        #[source]
        source: tokio::task::JoinError,
    },
}

impl StartError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PublicAddress { .. } => Some(
                "listen on `127.0.0.1` behind a proxy that authenticates, or pass `--insecure` if \
                 everybody who reaches the port may do everything",
            ),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => Some(
                "another program listens there: stop it, or choose a port with `--listen`, such as \
                 `--listen 127.0.0.1:0` for a free one",
            ),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("ports below 1024 are for privileged programs: choose one above")
            }
            Self::Store(error) => open_hint(error),
            Self::Tables(TableError::Unavailable(_)) | Self::State(_) => Some(
                "check the address, the region and the credentials: docs/guide/dynamodb.md says \
                 where they come from",
            ),
            Self::HalfImported { .. } => Some(
                "run the same `annals store import` again until it says that the store was read \
                 again; or, if the rest of the export is lost, accept what is there with \
                 `annals store import FILE --accept-partial`",
            ),
            Self::NoFolder { .. } => Some("name the folder that the components are built into"),
            Self::Redis(_) | Self::Certificates { .. } => {
                Some("correct the area `[redis]` of the configuration")
            }
            Self::Web(WebError::OverLimit { .. }) => Some(
                "serve a folder that has only what the page needs, or raise the limit in the area \
                 `[web]` of the configuration",
            ),
            Self::Web(_) => {
                Some("name a folder with the files of a page, by `web.folders` or `--web NAME=DIR`")
            }
            _ => None,
        }
    }

    /// Whether another process has the data folder open.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        matches!(self, Self::Store(OpenError::Locked { .. }))
    }

    /// Whether whoever starts the daemon can put it right without an operator looking at the data.
    #[must_use]
    pub fn is_the_users(&self) -> bool {
        match self {
            Self::PublicAddress { .. }
            | Self::Listen { .. }
            | Self::Dynamodb(_)
            | Self::HalfImported { .. }
            | Self::Redis(_)
            | Self::NoFolder { .. }
            | Self::Certificates { .. }
            | Self::Web(_) => true,
            Self::Tables(error) => error.is_the_users(),
            Self::Store(error) => open_is_the_users(error),
            Self::Runtime(_) | Self::Engine(_) | Self::State(_) | Self::Interrupted { .. } => false,
        }
    }
}

/// What to do about a data folder that cannot be opened.
pub(crate) fn open_hint(error: &OpenError) -> Option<&'static str> {
    match error {
        OpenError::Locked { .. } => {
            Some("stop the other one, or choose another folder with `--data`")
        }
        OpenError::IsABackup { .. } => {
            Some("restore it with `annals store restore BACKUP --data NEW`, then use `NEW`")
        }
        OpenError::Unfinished { task: InterruptedTask::Backup, .. } => {
            Some("remove this folder, and make the backup again with `annals store backup`")
        }
        OpenError::Unfinished { task: InterruptedTask::Restore, .. } => {
            Some("remove this folder, and restore the backup again with `annals store restore`")
        }
        OpenError::Unfinished { task: InterruptedTask::Repair, .. } => {
            Some("repair it again: `annals store verify` says with which command")
        }
        OpenError::Log(LogError::Damaged { .. }) => Some(
            "nothing was changed: `annals store verify` names all damage and what to do about it",
        ),
        OpenError::Log(LogError::Missing { .. }) => {
            Some("restore a backup into a new folder, or choose another folder with `--data`")
        }
        OpenError::Folder { .. } | OpenError::Lock { .. } => {
            Some("choose a folder that can be written with `--data`")
        }
        _ => None,
    }
}

/// Whether a data folder that cannot be opened can be put right, or another one chosen, without
/// anybody looking at the data.
pub(crate) fn open_is_the_users(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::Locked { .. }
            | OpenError::Folder { .. }
            | OpenError::Lock { .. }
            | OpenError::IsABackup { .. }
            | OpenError::Unfinished { .. }
    )
}

//! Up to where the log was synced when it was closed in order: `SYNCED`. Without it, damage to the very
//! last commits would look like the unfinished end that a crash leaves.

use std::io;

use annals_core::id::StoreId;
use bytes::BufMut as _;
use uuid::Uuid;

use super::checksum::crc32c;
use super::cursor::Cursor;
use super::fault::FrameFault;
use super::folder::{LogFolder, OpenedBy};
use super::sealer::UNFINISHED_SUFFIX;

/// The name of the file.
pub(crate) const SYNCED_NAME: &str = "SYNCED";

const MAGIC: [u8; 8] = *b"ANNALEND";
const CONTENT_BYTES: usize = 36;

/// Writes that the first `commits` commits are synced.
pub(crate) fn write(folder: &dyn LogFolder, store: StoreId, commits: u64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(CONTENT_BYTES);
    bytes.put_slice(&MAGIC);
    bytes.put_slice(store.uuid().as_bytes());
    bytes.put_u64_le(commits);
    let crc = crc32c(&bytes);
    bytes.put_u32_le(crc);
    let unfinished = format!("{SYNCED_NAME}{UNFINISHED_SUFFIX}");
    let file = folder.create(&unfinished, OpenedBy::Index)?;
    file.write_all_at(&bytes, 0)?;
    file.sync_data()?;
    folder.rename(&unfinished, SYNCED_NAME)?;
    folder.sync()
}

/// How many commits are known to be synced; 0 when nothing tells, or what tells is damaged.
pub(crate) fn read(folder: &dyn LogFolder, store: StoreId) -> io::Result<u64> {
    if !folder.list()?.iter().any(|name| name == SYNCED_NAME) {
        return Ok(0);
    }
    let mut bytes = [0; CONTENT_BYTES];
    match folder.open(SYNCED_NAME, OpenedBy::Index)?.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(decode(&bytes, store).unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

fn decode(bytes: &[u8; CONTENT_BYTES], store: StoreId) -> Result<u64, FrameFault> {
    let mut cursor = Cursor::new(bytes);
    let magic: [u8; 8] = cursor.array()?;
    let found = StoreId::new(Uuid::from_bytes(cursor.array()?));
    let commits = cursor.u64()?;
    let crc = cursor.u32()?;
    let content = bytes.get(..CONTENT_BYTES - 4).unwrap_or_default();
    let is_whole = magic == MAGIC && found == store && crc == crc32c(content);
    Ok(if is_whole { commits } else { 0 })
}

//! How fast the disk alone is: write 4 KiB, `fdatasync`, again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;

/// How much is written before each sync, in bytes.
const BLOCK_BYTES: usize = 4 << 10;

/// Measures for `time` how often per second a block is durable.
pub(super) fn syncs_per_second(folder: &Path, time: Duration) -> Result<u64, Failure> {
    let path = folder.join("syncs");
    let failed = |error: std::io::Error| Failure::file("write", &path, &error);
    let mut file = File::create(&path).map_err(failed)?;
    let block = [7; BLOCK_BYTES];
    let start = Instant::now();
    let mut syncs_count: u64 = 0;
    while start.elapsed() < time {
        file.write_all(&block).and_then(|()| file.sync_data()).map_err(failed)?;
        syncs_count += 1;
    }
    let ms = start.elapsed().as_millis().max(1);
    drop(file);
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(u64::try_from(u128::from(syncs_count) * 1_000 / ms).unwrap_or(u64::MAX))
}

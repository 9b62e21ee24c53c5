//! What a test's thread logs.
//!
//! One subscriber for all threads, which hands each line to its thread: with one per test, those that
//! come and go at the same time can make `tracing` believe that nobody listens.

use std::cell::RefCell;
use std::io::{Result, Write};
use std::sync::Once;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the warnings of all threads from now on.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(|| Lines)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_max_level(tracing::Level::WARN)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The warnings of this thread since the last call that have these words.
pub(crate) fn take(words: &str) -> Vec<String> {
    let lines = String::from_utf8(LINES.take()).unwrap();
    lines.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

/// Writes to where the thread keeps its lines.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

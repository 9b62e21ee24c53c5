//! What a test's thread logs.
//!
//! One subscriber for all threads, which hands each line to its thread: with one per test, those that
//! come and go at the same time can make `tracing` believe that nobody listens.

use std::cell::RefCell;
use std::io::{Result, Write};
use std::sync::Once;

use tracing_subscriber::fmt::MakeWriter;

use super::eventually;

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Lines that are logged on this thread while it lives, from `info` up.
pub(crate) struct Logs;

/// Writes to where the thread wants it.
struct Lines;

/// Before the first line of the crate under test, or it is not heard.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_writer(Lines)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_max_level(tracing::Level::INFO)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

impl Logs {
    pub(crate) fn begin() -> Self {
        install();
        LINES.replace(Some(Vec::new()));
        Self
    }

    pub(crate) fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8(lines.clone().unwrap()).unwrap())
    }

    /// Waits until so many lines have these words.
    pub(crate) async fn until(&self, words: &str, count: usize) {
        let has = || if self.count(words) == count { Ok(()) } else { Err(self.text()) };
        eventually(|| std::future::ready(has())).await;
    }

    /// How many lines have these words.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.text().lines().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        LINES.replace(None);
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

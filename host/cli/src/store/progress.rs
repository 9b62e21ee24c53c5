//! How far long work is: a line every few seconds, for whoever looks at a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use annals_daemon::transfer::{Progress, Step};
use tokio::time::Instant;

use crate::output::Output;
use crate::text::{bytes, thousands};

/// Time between two lines.
const EVERY: Duration = Duration::from_secs(2);

/// Says now and then how far it is.
#[derive(Debug)]
pub(super) struct Reporter<'a> {
    output: &'a mut Output,
    is_seen: bool,
    said_at: Instant,
    /// Size of the export that is read, where that is known.
    bytes_total: Option<u64>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(output: &'a mut Output, bytes_total: Option<u64>) -> Self {
        let is_seen = std::io::stderr().is_terminal();
        Self { output, is_seen, said_at: Instant::now(), bytes_total }
    }

    /// Says it, if somebody looks and the last time is long ago.
    pub(super) fn tell(&mut self, progress: Progress) {
        if self.is_seen && self.said_at.elapsed() >= EVERY {
            self.said_at = Instant::now();
            self.output.note(line(progress, self.bytes_total));
        }
    }
}

fn line(progress: Progress, bytes_total: Option<u64>) -> String {
    let Progress { step, commits_count, events_count, bytes_count } = progress;
    let verb = match step {
        Step::Exporting => "exported",
        Step::Importing => "imported",
        Step::Verifying => "verified",
    };
    let (commits, events) = (thousands(commits_count), thousands(events_count));
    let part = bytes_total.and_then(|total| bytes_count.saturating_mul(100).checked_div(total));
    let percent = part.map(|percent| format!(", {} %", percent.min(100))).unwrap_or_default();
    format!("{verb} {commits} commits, {events} events, {}{percent} …", bytes(bytes_count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_said_in_numbers_for_people() {
        // Guards what is seen during an export or import of hours.
        let progress = Progress {
            step: Step::Importing,
            commits_count: 12_345,
            events_count: 23_456,
            bytes_count: 3 << 20,
        };
        let text = "imported 12 345 commits, 23 456 events, 3.0 MiB …";
        assert_eq!(line(progress, None), text);
        let text = "imported 12 345 commits, 23 456 events, 3.0 MiB, 25 % …";
        assert_eq!(line(progress, Some(12 << 20)), text);
        let text = "verified 12 345 commits, 23 456 events, 3.0 MiB …";
        assert_eq!(line(Progress { step: Step::Verifying, ..progress }, Some(0)), text);
    }
}

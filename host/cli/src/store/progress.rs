//! How far long work is: one line with a bar, for whoever looks at a terminal. It goes away in the end.

use std::io::IsTerminal as _;
use std::time::Duration;

use annals_daemon::{maintenance, transfer};
use tokio::time::Instant;

use crate::output::Output;
use crate::text::{bytes, thousands};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// How long a line gets, in characters: one that wraps could not be shown in place of the last.
const LINE_CHARS_MAX: usize = 79;

/// How many steps a bar has.
const BAR_STEPS: u64 = 20;

/// Shows how far it is.
#[derive(Debug)]
pub(crate) struct Reporter<'a> {
    output: &'a mut Output,
    is_seen: bool,
    said_at: Instant,
    is_shown: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(output: &'a mut Output) -> Self {
        let is_seen = std::io::stderr().is_terminal();
        Self { output, is_seen, said_at: Instant::now(), is_shown: false }
    }

    /// Shows nothing: whoever reads what is written shows how far that is.
    pub(super) fn hidden(output: &'a mut Output) -> Self {
        Self { output, is_seen: false, said_at: Instant::now(), is_shown: false }
    }

    /// Shows it, if somebody looks and the last time is long ago.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.is_seen && self.said_at.elapsed() >= EVERY {
            self.said_at = Instant::now();
            self.is_shown = true;
            self.output.progress(line().chars().take(LINE_CHARS_MAX).collect::<String>());
        }
    }
}

impl Reporter<'_> {
    /// Says that something is strange, above what is shown.
    pub(crate) fn warn(&mut self, text: &str) {
        if std::mem::take(&mut self.is_shown) {
            self.output.progress("");
        }
        self.output.warning(text);
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        if self.is_shown {
            self.output.progress("");
        }
    }
}

/// How far an export or import is, and how fast.
#[derive(Debug)]
pub(super) struct Transfer {
    /// The size of the export that is read, where that is known.
    bytes_total: Option<u64>,
    step: Option<(transfer::Step, Instant)>,
}

impl Transfer {
    pub(super) fn new(bytes_total: Option<u64>) -> Self {
        Self { bytes_total, step: None }
    }

    /// What to show. Must be told every progress, for the time at which a step begins.
    pub(super) fn tell(&mut self, progress: transfer::Progress, reporter: &mut Reporter<'_>) {
        let began = match self.step {
            Some((step, began)) if step == progress.step => began,
            _ => Instant::now(),
        };
        self.step = Some((progress.step, began));
        reporter.tell(|| of_transfer(progress, self.bytes_total, began.elapsed()));
    }
}

fn of_transfer(
    progress: transfer::Progress,
    bytes_total: Option<u64>,
    elapsed: Duration,
) -> String {
    let transfer::Progress { step, commits_count, commits_total, events_count, bytes_count } =
        progress;
    let verb = match step {
        transfer::Step::Exporting => "exported",
        transfer::Step::Importing => "imported",
        transfer::Step::Verifying => "verified",
    };
    let (commits, events) = (thousands(commits_count), thousands(events_count));
    let of_commits = commits_total.map(|total| bar(commits_count, total));
    let bar = of_commits.or_else(|| bytes_total.map(|total| bar(bytes_count, total)));
    let bar = bar.unwrap_or_default();
    let per_second =
        u128::from(commits_count).saturating_mul(1_000).checked_div(elapsed.as_millis());
    let rate = per_second.map(|rate| thousands(u64::try_from(rate).unwrap_or(u64::MAX)));
    let rate = rate.map(|rate| format!(" ({rate}/s)")).unwrap_or_default();
    format!("{bar}{verb} {commits} commits{rate}, {events} events, {}", bytes(bytes_count))
}

/// How far a tool is that goes through files; `verb` says what it did with them.
pub(super) fn of_files(verb: &str, progress: maintenance::Progress<'_>) -> String {
    let maintenance::Progress { path, done_bytes, total_bytes } = progress;
    let name = path.file_name().unwrap_or_default().display();
    let bar = bar(done_bytes, total_bytes);
    format!("{bar}{verb} {} of {}, {name}", bytes(done_bytes), bytes(total_bytes))
}

/// A bar and a percentage, when there is a total.
pub(crate) fn bar(done: u64, total: u64) -> String {
    let part = |of: u64| done.saturating_mul(of).checked_div(total).map(|part| part.min(of));
    let (Some(steps), Some(percent)) = (part(BAR_STEPS), part(100)) else {
        return String::new();
    };
    let full = "=".repeat(usize::try_from(steps).unwrap_or_default());
    let empty = " ".repeat(usize::try_from(BAR_STEPS - steps).unwrap_or_default());
    format!("[{full}{empty}] {percent:3} % ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn progress_is_said_in_numbers_for_people() {
        // Guards what is seen during an export or import of hours.
        let progress = transfer::Progress {
            step: transfer::Step::Importing,
            commits_count: 12_345,
            commits_total: None,
            events_count: 23_456,
            bytes_count: 3 << 20,
        };
        let seconds = Duration::from_secs;
        let text = "imported 12 345 commits (2 469/s), 23 456 events, 3.0 MiB";
        assert_eq!(of_transfer(progress, None, seconds(5)), text);
        let text = "[=====               ]  25 % imported 12 345 commits, 23 456 events, 3.0 MiB";
        assert_eq!(of_transfer(progress, Some(12 << 20), seconds(0)), text);
        let text = "verified 12 345 commits (12/s), 23 456 events, 3.0 MiB";
        let verifying = transfer::Progress { step: transfer::Step::Verifying, ..progress };
        assert_eq!(of_transfer(verifying, Some(0), seconds(1_000)), text);
        let half = transfer::Progress { commits_total: Some(24_690), ..verifying };
        let text = "[==========          ]  50 % verified 12 345 commits, 23 456 events, 3.0 MiB";
        assert_eq!(of_transfer(half, Some(12 << 20), seconds(0)), text);
    }

    #[test]
    fn progress_through_files_says_where_it_is() {
        // Guards what is seen while a large store is verified or copied.
        let path = Path::new("data/log/00000000000000000000.seg");
        let progress = maintenance::Progress { path, done_bytes: 3 << 20, total_bytes: 12 << 20 };
        assert_eq!(
            of_files("copied", progress),
            "[=====               ]  25 % copied 3.0 MiB of 12.0 MiB, 00000000000000000000.seg"
        );
    }
}

//! Commands at a steady rate: sent when they are due, whether or not others were answered.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::load;
use super::target::Target;
use crate::failure::Failure;

/// How often due commands are sent.
const TICK: Duration = Duration::from_millis(1);

/// A command that was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    /// When it was due.
    pub(super) due: Instant,
    /// When it was sent: up to a tick later, more when the machine is busy.
    pub(super) sent: Instant,
    /// When it was answered.
    pub(super) answered: Instant,
}

/// What became of a command.
pub(super) type Answered = Result<Answer, Failure>;

/// How often deposits are sent, and to how many streams in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    pub(super) per_second: u64,
    pub(super) streams_count: u64,
}

impl Rate {
    /// Sends commands as long as `goes_on` says so of the time one is due, each in a task that reports
    /// when it was answered.
    pub(super) async fn send(
        self,
        target: &Target,
        answers: mpsc::UnboundedSender<Answered>,
        goes_on: impl Fn(Instant) -> bool,
    ) -> Result<(), Failure> {
        let interval =
            Duration::from_secs(1) / u32::try_from(self.per_second.max(1)).unwrap_or(u32::MAX);
        let mut due = Instant::now();
        let mut number = 0;
        while goes_on(due) {
            sleep(TICK).await;
            let now = Instant::now();
            while due <= now && goes_on(due) {
                let (mut target, answers) = (target.another().await?, answers.clone());
                let (at, sent, stream) = (due, Instant::now(), number % self.streams_count);
                // Owned by the channel: the report waits until all senders are gone.
                tokio::spawn(async move {
                    let done = target.send(load::Kind::Deposit, std::iter::once(stream)).await;
                    let answer = Answer { due: at, sent, answered: Instant::now() };
                    // Whoever reports may have given up over an earlier failure.
                    drop(answers.send(done.map(|()| answer)));
                });
                due += interval;
                number += 1;
            }
        }
        Ok(())
    }
}

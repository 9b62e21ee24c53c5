//! The real engine over memory drivers that fail, with paused time: one seed decides everything.
//!
//! ```text
//!   seed ─► client ── commands ─► Engine ─► Faulty ─► (Broken) ─► Volatile  memory
//!             │                     │        ▲                        │
//!             │                     └────────┼── Faulty ─► state      │ survives a crash, as far
//!             ▼                              │                        │ as it is durable
//!          Ledger ◄── what it was told     Plan: faults, and when     │
//!             │                            the process dies           │
//!             └──────────► check ◄────────────────────────────────────┘
//! ```
//! A run is some lives of a process, or of two hosts on one store, which has one partition or
//! several. In each the engine starts on what the last one left, a client sends commands and is told
//! outcomes or not, and at a random await of a driver the process is gone. After every step and every
//! start `check` compares what the client was told with what the drivers hold, by the invariants of
//! `annals_core::invariants` and some of the simulation's own.
//!
//! [`run`] is where to start. `life.rs` is one life and its steps, `client.rs` what is sent and
//! noted, `schedules.rs` the same of what is due later, `check.rs` what must hold, `processes.rs` the same
//! of process managers, `guest.rs` and `courier.rs` the plugins, `plan.rs` faults and deaths, `broken.rs`
//! drivers that break their contract, which must be found out.
#![expect(
    clippy::future_not_send,
    reason = "all of a run stays on one thread, as its seed demands"
)]

mod broken;
mod check;
mod client;
mod courier;
mod guest;
mod held;
mod ledger;
mod life;
mod plan;
mod processes;
mod schedules;
mod world;

pub use broken::Breach;

use annals_core::commit::RecordedCommit;
use annals_store_memory::faulty::Random;
use anyhow::Context as _;

use crate::life::{End, Kind};
use crate::world::World;

/// How many lives a run has. In the last nothing dies, and everything unknown is cleared up.
const LIVES_COUNT: u32 = 4;

/// What a run came to; the same for the same seed.
#[derive(Debug, PartialEq, Eq)]
pub struct Report {
    /// The whole log.
    pub commits: Vec<RecordedCommit>,
    /// How many commands the client was told an outcome of.
    pub told_count: usize,
    /// How many times the client was not told what became of a command.
    pub unknown_count: usize,
    /// How many lives ended at an await.
    pub deaths_count: u32,
    /// How many accepted commits the deaths took back.
    pub lost_count: u64,
}

/// Runs the simulation of a seed, with drivers that keep their contract or with one that breaks it.
///
/// # Errors
/// What was not as it must be, and how to run it again.
pub fn run(seed: u64, breach: Option<Breach>) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .context("no runtime")?;
    runtime
        .block_on(live_all(seed, breach))
        .with_context(|| format!("to repeat it: `SEED={seed} cargo test -p annals-simulation`"))
}

async fn live_all(seed: u64, breach: Option<Breach>) -> anyhow::Result<Report> {
    let mut random = Random::new(seed);
    let mut world = World::new(&mut random, breach);
    let (mut deaths_count, mut lost_count) = (0, 0);
    for number in 1..=LIVES_COUNT {
        let kind = if number == LIVES_COUNT { Kind::Last } else { Kind::Mortal };
        let end = life::live(&mut world, &mut random, kind).await;
        let end = end.with_context(|| format!("in life {number}"))?;
        let lost = world.crash(&mut random).await?;
        lost_count += lost;
        match end {
            End::Died => deaths_count += 1,
            End::Stopped => {
                anyhow::ensure!(lost == 0, "an engine that stopped lost {lost} commits");
            }
        }
    }
    let log = world.log().await?;
    Ok(Report {
        told_count: world.ledger.told_count(),
        unknown_count: world.ledger.unknown_count,
        commits: log.commits,
        deaths_count,
        lost_count,
    })
}

//! Drivers that fail on request, around real ones: what the engine must live with, made to happen.
//!
//! ```text
//!            FaultPlan: when, which call, how
//!                │
//!  engine ──► Faulty… ──► any driver
//! ```
//! A plan says of each call how long it waits and whether it fails, before or after its effect. With
//! [`NoFaults`] a decorator keeps the contract of its port in every respect; with [`SeededFaults`]
//! one number decides about all faults. What a crash leaves of a log is in
//! [`VolatileEventStore`](crate::VolatileEventStore).

mod bus;
mod event_store;
mod plan;
mod random;
mod state_store;

pub use bus::FaultyBus;
pub use event_store::FaultyEventStore;
pub use plan::{
    AppendFault, Call, FaultPlan, FaultRates, NoFaults, SeededFaults, StateCommitFault, WakeFault,
};
pub use random::Random;
pub use state_store::FaultyStateStores;

use std::sync::Arc;
use std::time::Duration;

use annals_core::error::DriverError;
use tokio::time::sleep;

/// What every injected failure says of itself.
fn injected() -> DriverError {
    DriverError::new("a fault was injected")
}

/// Waits, unless there is nothing to wait for: a call without delay must not need a timer.
async fn pause(delay: Duration) {
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// Makes a call that may wait before and after its effect, and fail before it.
async fn with_faults<T, E>(
    plan: &Arc<dyn FaultPlan>,
    call: Call,
    unavailable: impl FnOnce(DriverError) -> E,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    // Asked at once, so that a plan decides at the call and not at the end of a wait.
    let fails = plan.fails(call);
    pause(plan.delay_before(call)).await;
    if fails {
        return Err(unavailable(injected()));
    }
    let outcome = work.await;
    pause(plan.delay_after(call)).await;
    outcome
}

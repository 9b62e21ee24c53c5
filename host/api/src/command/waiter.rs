//! Waiting for a view after a command, so that whoever sent it reads its effect.
//!
//! The command is decided and recorded, whatever becomes of the wait: a view that is late is told in
//! the answer, and is no problem.

use std::time::Duration;

use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_engine::command::{CommandOutcome, Verdict};
use annals_engine::view::{ViewError, WaitFor};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::problem::Problem;
use crate::projection::phase_of;
use crate::request::query;
use crate::view::checkpoint;

/// Which view the answer to a command waits for.
#[derive(Debug)]
pub(crate) struct Waiter {
    projection: PluginName,
    wait: Duration,
}

impl Waiter {
    /// What `wait_for` and `wait_ms` ask for. The projection must be there: a command with a wish that
    /// cannot be fulfilled is not run.
    pub(crate) fn new(
        wait_for: Option<&str>,
        wait_ms: Option<u64>,
        api: &Api,
    ) -> Result<Option<Self>, Problem> {
        let Some(projection) = wait_for else {
            let alone = || query::bad("wait_ms", "is given without `wait_for`", "both or none");
            return if wait_ms.is_some() { Err(alone()) } else { Ok(None) };
        };
        let wait = query::view_wait(wait_ms, &api.options)?;
        let projection = PluginName::new(projection)?;
        api.engine.check_projection(&projection)?;
        Ok(Some(Self { projection, wait }))
    }
}

/// An outcome, and whether a view has it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) outcome: CommandOutcome,
    pub(crate) waited_for: Option<WaitedFor>,
}

/// Whether the view that was asked for has the command's last event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WaitedFor {
    /// The projection.
    #[schema(value_type = String)]
    projection: PluginName,
    /// Whether its view has the command's last event; also when the command has none. When not, the
    /// command is recorded all the same, and the view will have it later.
    is_reached: bool,
    /// How far the view is in the command's partition; null before its first event, and when the
    /// projection was removed meanwhile.
    #[schema(value_type = Option<u64>)]
    checkpoint: Option<Position>,
    /// What the projection did when the wait was over without success: `catching-up`, `caught-up`,
    /// `failing`, `standing-by`; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    phase: Option<&'static str>,
}

/// Waits for the view, if a view was asked for and the command is accepted.
pub(crate) async fn wait(api: &Api, waiter: Option<Waiter>, outcome: CommandOutcome) -> Decided {
    let waited_for = match (waiter, &outcome.verdict) {
        (Some(waiter), Verdict::Accepted(_)) => Some(waited_for(api, waiter, &outcome).await),
        // A rejection is no event, and is told at once.
        _ => None,
    };
    Decided { outcome, waited_for }
}

async fn waited_for(api: &Api, waiter: Waiter, outcome: &CommandOutcome) -> WaitedFor {
    let Waiter { projection, wait } = waiter;
    let partition = outcome.partition;
    // Without an event there is nothing to wait for, but how far the view is can be told.
    let position = outcome.position.unwrap_or(Position::new(0));
    let wait = if outcome.position.is_some() { wait } else { Duration::ZERO };
    let reaching = api.engine.view_reached(&projection, WaitFor { partition, position, wait });
    let reached = tokio::select! {
        reached = reaching => reached,
        () = api.lifecycle.stopped() => Err(ViewError::Stopping),
    };
    let has_no_event = outcome.position.is_none();
    match reached {
        Ok(checkpoints) => WaitedFor {
            projection,
            is_reached: true,
            checkpoint: checkpoint(&checkpoints, partition),
            phase: None,
        },
        Err(ViewError::NotReached { checkpoint, phase, .. }) => WaitedFor {
            projection,
            is_reached: has_no_event,
            checkpoint,
            phase: (!has_no_event).then(|| phase_of(&phase).0),
        },
        // The host is stopping, or the projection was removed.
        Err(_) => WaitedFor { projection, is_reached: has_no_event, checkpoint: None, phase: None },
    }
}

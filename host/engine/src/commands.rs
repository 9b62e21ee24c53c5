//! The way of a command from whoever sends it to the shard of its stream, for the API and for what the
//! host itself sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::error::DriverError;
use annals_core::json::{self, InvalidJson};
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::{Category, PluginName};
use annals_core::port::event_store::SizeLimit;
use annals_core::stream::StreamId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::catalog::ActiveAggregate;
use crate::command::{CommandError, CommandOutcome, CommandRequest};
use crate::figures::CommandCounts;
use crate::outcome;
use crate::shard::{Job, JobSender, Reply, ShardContext, Work, read_error};

/// Sends commands to shards, as many at once as there are permits.
#[derive(Debug)]
pub(crate) struct Commands {
    context: Arc<ShardContext>,
    senders: Vec<JobSender>,
    in_flight: Arc<Semaphore>,
    counts: CommandCounts,
    is_stopping: AtomicBool,
}

impl Commands {
    pub(crate) fn new(context: Arc<ShardContext>, senders: Vec<JobSender>) -> Self {
        let in_flight = Arc::new(Semaphore::new(context.options.commands_in_flight_max));
        let (counts, is_stopping) = (CommandCounts::default(), AtomicBool::new(false));
        Self { context, senders, in_flight, counts, is_stopping }
    }

    /// Runs a command and waits until its outcome is durable. A rejection is an outcome.
    ///
    /// # Errors
    /// Each variant of [`CommandError`].
    pub(crate) async fn execute(
        &self,
        request: CommandRequest,
    ) -> Result<CommandOutcome, CommandError> {
        let ended = self.check_and_run(request).await;
        self.counts.ended(&ended);
        ended
    }

    /// The same for a command that may have been decided before: its first outcome is told also when
    /// its aggregate is gone, or knows it no longer.
    ///
    /// # Errors
    /// Each variant of [`CommandError`].
    pub(crate) async fn execute_or_find(
        &self,
        request: CommandRequest,
    ) -> Result<CommandOutcome, CommandError> {
        let asked = request.clone();
        match self.execute(request).await {
            Err(
                error @ (CommandError::UnknownAggregate { .. }
                | CommandError::UnknownCommand { .. }),
            ) => self.find(&asked).await?.ok_or(error),
            ended => ended,
        }
    }

    async fn find(&self, request: &CommandRequest) -> Result<Option<CommandOutcome>, CommandError> {
        let Some(id) = request.command_id else { return Ok(None) };
        let (store, stream) = (&*self.context.store, stream_of(&request.aggregate, &request.id)?);
        let found = store.find_command(&stream, id).await.map_err(read_error)?;
        match found {
            Some(recorded) => Ok(Some(outcome::first_outcome(store, recorded, request).await?)),
            None => Ok(None),
        }
    }

    async fn check_and_run(&self, request: CommandRequest) -> Result<CommandOutcome, CommandError> {
        let (stream, active) = self.check(&request)?;
        self.run(stream, active, |reply| Work::Command(Box::new(request), reply)).await
    }

    /// Finds the aggregate of a command and its stream, and checks what needs no plugin to be asked.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) fn check(
        &self,
        request: &CommandRequest,
    ) -> Result<(StreamId, Arc<ActiveAggregate>), CommandError> {
        let active = self.aggregate(&request.aggregate)?;
        let stream = stream_of(&request.aggregate, &request.id)?;
        if active.command_index(&request.command).is_none() {
            return Err(outcome::unknown_command(&active, &request.command));
        }
        if request.data.len() > PAYLOAD_BYTES_MAX {
            return Err(CommandError::TooLarge {
                what: SizeLimit::PayloadBytes,
                size: request.data.len(),
                max: PAYLOAD_BYTES_MAX,
            });
        }
        json::check(&request.data).map_err(|error| not_json(request, &error))?;
        Ok((stream, active))
    }

    /// Has the shard of `stream` do some work.
    ///
    /// # Errors
    /// [`CommandError`].
    pub(crate) async fn run<T>(
        &self,
        stream: StreamId,
        active: Arc<ActiveAggregate>,
        work: impl FnOnce(Reply<T>) -> Work,
    ) -> Result<T, CommandError> {
        let permit = self.permit()?;
        let shards = u64::try_from(self.senders.len()).unwrap_or(1).max(1);
        let index = usize::try_from(stream.stable_hash() % shards).unwrap_or(0);
        let (reply, answer) = oneshot::channel();
        let job = Job { stream, active, work: work(reply), permit, ended: None };
        let shard = self.senders.get(index).ok_or(CommandError::Stopping)?;
        shard.send(job).map_err(|_| CommandError::Stopping)?;
        let ended = || CommandError::Unavailable(DriverError::new("the shard ended early"));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The right to have one more job done.
    ///
    /// # Errors
    /// [`CommandError::Busy`] or [`CommandError::Stopping`].
    pub(crate) fn permit(&self) -> Result<OwnedSemaphorePermit, CommandError> {
        if self.is_stopping() {
            return Err(CommandError::Stopping);
        }
        let in_flight_max = self.context.options.commands_in_flight_max;
        Arc::clone(&self.in_flight)
            .try_acquire_owned()
            .map_err(|_| CommandError::Busy { in_flight_max })
    }

    /// The active aggregate of a name.
    ///
    /// # Errors
    /// [`CommandError::UnknownAggregate`].
    pub(crate) fn aggregate(
        &self,
        name: &PluginName,
    ) -> Result<Arc<ActiveAggregate>, CommandError> {
        self.context.catalog.get(name).ok_or_else(|| CommandError::UnknownAggregate {
            aggregate: name.clone(),
            known: self.context.catalog.names(),
        })
    }

    /// How many jobs are under way.
    pub(crate) fn in_flight(&self) -> u64 {
        let free = self.in_flight.available_permits();
        let taken = self.context.options.commands_in_flight_max.saturating_sub(free);
        u64::try_from(taken).unwrap_or(u64::MAX)
    }

    pub(crate) fn counts(&self) -> &CommandCounts {
        &self.counts
    }

    /// Refuses whatever comes from now on.
    pub(crate) fn refuse(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

/// The stream of an aggregate's entity.
///
/// # Errors
/// [`CommandError::InvalidId`].
pub(crate) fn stream_of(aggregate: &PluginName, id: &str) -> Result<StreamId, CommandError> {
    StreamId::new(&Category::from(aggregate), id).map_err(CommandError::InvalidId)
}

fn not_json(request: &CommandRequest, error: &InvalidJson) -> CommandError {
    CommandError::Malformed {
        command: request.command.clone(),
        message: error.to_string(),
        pointer: String::new(),
        expected: Some("one JSON value".to_owned()),
    }
}

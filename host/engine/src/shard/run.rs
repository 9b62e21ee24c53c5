//! The loop of a shard: a queue per busy stream, a task per busy stream, nothing for idle ones.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use annals_core::stream::StreamId;
use tokio::sync::{Notify, mpsc, oneshot};

use super::sandbox::Sandbox;
use super::versions::Versions;
use super::{Job, JobSender, ShardContext, Work};
use crate::catalog::ActiveAggregate;

/// How many jobs are taken from the inbox at once.
const INBOX_BATCH_JOBS: usize = 256;

/// What the tasks of one shard share. All run on one thread, so cells are enough; no borrow is held
/// across an `.await`.
pub(super) struct ShardState {
    pub(super) context: Arc<ShardContext>,
    /// Where jobs go that would hold up others; `None` in the shard where they do.
    apart: Option<JobSender>,
    /// By generation of the version that is in it.
    pub(super) sandboxes: RefCell<HashMap<u64, Sandbox>>,
    pub(super) versions: RefCell<Versions>,
    /// Counts sandboxes, so that an entity of an older one is never mistaken for one of a newer.
    pub(super) sandboxes_count: Cell<u64>,
    pub(super) snapshots_in_flight: Cell<usize>,
    // Invariant: a stream has an entry exactly while a task works on it.
    queues: RefCell<HashMap<StreamId, VecDeque<Job>>>,
    idle: Notify,
}

/// Runs a shard until its inbox is closed and everything in it is done.
pub(super) async fn run(
    context: Arc<ShardContext>,
    mut inbox: mpsc::UnboundedReceiver<Job>,
    apart: Option<JobSender>,
) {
    let state = Rc::new(ShardState {
        context,
        apart,
        sandboxes: RefCell::default(),
        versions: RefCell::default(),
        sandboxes_count: Cell::new(0),
        snapshots_in_flight: Cell::new(0),
        queues: RefCell::default(),
        idle: Notify::new(),
    });
    let mut changes = state.context.catalog.changes();
    let mut jobs = Vec::with_capacity(INBOX_BATCH_JOBS);
    loop {
        tokio::select! {
            biased;
            // The catalog lives as long as the shard.
            Ok(()) = changes.changed() => state.follow_catalog(),
            jobs_count = inbox.recv_many(&mut jobs, INBOX_BATCH_JOBS) => {
                if jobs_count == 0 {
                    break;
                }
                for job in jobs.drain(..) {
                    state.accept(job);
                }
            }
        }
    }
    while state.is_busy() {
        state.idle.notified().await;
    }
}

impl ShardState {
    fn accept(self: &Rc<Self>, job: Job) {
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.get_mut(&job.stream) {
            queue.push_back(job);
            return;
        }
        queues.insert(job.stream.clone(), VecDeque::new());
        // Owned by the queue's entry: it ends by removing it, which `run` waits for.
        tokio::task::spawn_local(Rc::clone(self).work(job));
    }

    async fn work(self: Rc<Self>, first: Job) {
        let stream = first.stream.clone();
        let mut next = Some(first);
        while let Some(job) = next {
            self.run_job(job).await;
            next = self.next_job(&stream);
        }
        if !self.is_busy() {
            self.idle.notify_one();
        }
    }

    fn next_job(&self, stream: &StreamId) -> Option<Job> {
        let mut queues = self.queues.borrow_mut();
        let next = queues.get_mut(stream).and_then(VecDeque::pop_front);
        if next.is_none() {
            queues.remove(stream);
        }
        next
    }

    async fn run_job(self: &Rc<Self>, mut job: Job) {
        // A job may have been sent just before a newer version was activated.
        let mut active = self.begin(Arc::clone(&job.active));
        if let Some(apart) = &self.apart
            && self.would_hold_up_others(&active, &job.stream)
        {
            self.let_go(&active, &job.stream);
            self.end(&active);
            let (ended, end) = oneshot::channel();
            job.ended = Some(ended);
            match apart.send(job) {
                Ok(()) => {
                    // The next job of the stream comes after this one. It ends by being dropped.
                    end.await.unwrap_or_default();
                    return;
                }
                // It ends after this shard; were it gone, the job would run here.
                Err(back) => {
                    job = *back;
                    active = self.begin(Arc::clone(&job.active));
                }
            }
        }
        let _ended = job.ended.take();
        self.make_room(&active);
        match job.work {
            Work::Command(request, reply) => {
                self.run_command(&active, job.stream, *request, (reply, job.permit)).await;
            }
            Work::State(reply) => {
                let answer = self.state_now(&active, &job.stream).await;
                self.note_state(&active, &job.stream, &answer).await;
                // The asker may have gone away; that is its right.
                drop(reply.send(answer));
            }
        }
        self.end(&active);
    }

    /// Whether a job of `stream` should not run among those of other streams.
    fn would_hold_up_others(&self, active: &ActiveAggregate, stream: &StreamId) -> bool {
        active.pace.is_slow() || self.context.quarantine.is_suspect(stream, active.generation)
    }

    /// Whether this is the shard that holds up nobody, whatever fails in it.
    pub(super) fn is_apart(&self) -> bool {
        self.apart.is_none()
    }

    /// Whether any stream or snapshot is being worked on.
    fn is_busy(&self) -> bool {
        !self.queues.borrow().is_empty() || self.snapshots_in_flight.get() > 0
    }

    /// Tells the loop that a snapshot is done.
    pub(super) fn snapshot_ended(&self) {
        self.snapshots_in_flight.set(self.snapshots_in_flight.get().saturating_sub(1));
        if !self.is_busy() {
            self.idle.notify_one();
        }
    }
}

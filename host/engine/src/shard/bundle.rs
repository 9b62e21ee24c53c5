//! Collecting what repeats a failure, when somebody keeps it.
//!
//! The stream is read again: nothing is kept of the calls that go well. Until the failed command is
//! answered no other of its stream runs on this host, so what is read is what the plugin was given.

use std::rc::Rc;
use std::sync::Arc;

use annals_core::columns::History;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Revision;
use annals_core::port::event_store::Direction;
use annals_core::port::failure_sink::{FailedCommand, FailedStream, FailedWork, FailureBundle};
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;

use super::run::ShardState;
use crate::catalog::ActiveAggregate;
use crate::state::tell;

/// Most data of events that a bundle holds, in bytes: what a person can still send to somebody.
const BUNDLE_BYTES_MAX: usize = 16 << 20;

/// Most pages of events that a bundle holds.
const BUNDLE_PAGES_MAX: usize = 20;

impl ShardState {
    /// Keeps what repeats `failure`, if it is wanted. `command` is what was being decided.
    pub(super) async fn keep_bundle(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
        failure: &GuestFailure,
        command: Option<FailedCommand>,
    ) {
        let Some(sink) = &self.context.options.failure_sink else { return };
        let now = self.context.clock.now();
        // A view that cannot be read is not the plugin's fault.
        let is_ours = matches!(failure, GuestFailure::View { .. });
        if is_ours || !sink.wants(active.digest, failure, now) {
            return;
        }
        let mut failed = self.failed_stream(active, stream).await;
        failed.command = command.filter(|_| failure.call() == "decide");
        let bundle = FailureBundle {
            plugin: active.description.name.clone(),
            version: active.description.version.clone(),
            digest: active.digest,
            at: now,
            failure: failure.clone(),
            work: FailedWork::Stream(failed),
        };
        let sink = Arc::clone(sink);
        // An end by panic is the sink's fault, and nobody's who waits for an answer.
        drop(tokio::task::spawn_blocking(move || sink.keep(&bundle)).await);
    }

    /// The stream as it is loaded: from its snapshot, if there is one, and in the same pages.
    async fn failed_stream(&self, active: &ActiveAggregate, stream: &StreamId) -> FailedStream {
        let snapshot = self.context.snapshots.load(stream, active.build()).await;
        let mut from = snapshot.as_ref().map_or(Revision::FIRST, |it| it.revision.next());
        let mut failed = FailedStream {
            stream: stream.to_string(),
            snapshot: snapshot.map(|it| it.data),
            pages: Vec::new(),
            is_complete: false,
            command: None,
        };
        let mut bytes_count = 0;
        while failed.pages.len() < BUNDLE_PAGES_MAX {
            let store = &self.context.store;
            let page = store.read_stream(stream, from, READ_EVENTS_MAX, Direction::Forwards).await;
            let Ok(page) = page else { break };
            let mut told: Vec<History> = Vec::new();
            if tell(active, &mut told, &page.events).is_err() {
                break;
            }
            bytes_count += told.iter().map(|history| history.data.bytes_count()).sum::<usize>();
            if bytes_count > BUNDLE_BYTES_MAX {
                break;
            }
            failed.pages.append(&mut told);
            match page.next {
                Some(next) => from = next,
                None => {
                    failed.is_complete = true;
                    break;
                }
            }
        }
        failed
    }
}

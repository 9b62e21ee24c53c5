//! Project events, look at the rows, ask questions.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::aggregate::expect;
use super::{NOW_MS, context};
use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::projection::{Failure as WireFailure, Write};
use crate::host::native::{Rows, commit, replace_rows};
use crate::runtime::aggregate::lower_event;
use crate::runtime::projection::{answer, project_batch};
use crate::{Failure, KeyRange, Message as _, Projection, Queries, QueryError, Row, Table};
use crate::{Value, View};

/// The view of a projection after events, each given with its stream id: `("account/a1", event)`.
///
/// Projects them in one batch and one by one, and panics unless both give the same rows. To look at
/// a failure, use [`Projected::fail`].
#[must_use]
#[track_caller]
pub fn project<P: Projection>(
    events: impl IntoIterator<Item = (impl Into<String>, P::Event)>,
) -> Projected<P> {
    let empty = Projected { rows: Rows::new(), streams: Vec::new(), projection: PhantomData };
    empty.and(events)
}

/// A view to look at.
#[derive(Debug)]
pub struct Projected<P> {
    rows: Rows,
    /// Of the events so far, for their revisions and positions.
    streams: Vec<String>,
    projection: PhantomData<P>,
}

impl<P: Projection> Projected<P> {
    /// Projects further events.
    #[must_use]
    #[track_caller]
    pub fn and(mut self, events: impl IntoIterator<Item = (impl Into<String>, P::Event)>) -> Self {
        let events: Vec<(String, P::Event)> =
            events.into_iter().map(|(stream_id, event)| (stream_id.into(), event)).collect();
        let mut one_by_one = self.rows.clone();
        let mut streams = self.streams.clone();
        for event in &events {
            let batch = batch::<P>(&streams, std::slice::from_ref(event));
            one_by_one = expect(written::<P>(one_by_one, &batch), "event was not projected");
            streams.push(event.0.clone());
        }
        let batch = batch::<P>(&self.streams, &events);
        self.rows = expect(written::<P>(self.rows, &batch), "batch was not projected");
        assert_eq!(
            readable(&self.rows),
            readable(&one_by_one),
            "one batch gives other rows than batches of one event",
        );
        self.streams = streams;
        self
    }

    /// Projects one event that cannot be handled, and answers why; the view stays as it is.
    ///
    /// # Panics
    ///
    /// When the event was projected.
    #[must_use]
    #[track_caller]
    pub fn fail(&self, stream_id: impl Into<String>, event: P::Event) -> Failure {
        let batch = batch::<P>(&self.streams, &[(stream_id.into(), event)]);
        match written::<P>(self.rows.clone(), &batch) {
            Ok(_) => crate::trap_because("the event was projected"),
            Err(WireFailure::Retry((_, message))) => Failure::retry(message),
            Err(WireFailure::Park((_, message))) => Failure::park(message),
        }
    }

    /// The row with a key.
    #[must_use]
    #[track_caller]
    pub fn row<V: DeserializeOwned>(&self, table: Table<V>, key: impl AsRef<[u8]>) -> Option<V> {
        self.look(|view| view.get(table, key))
    }

    /// All rows of a table, in key order.
    #[must_use]
    #[track_caller]
    pub fn rows<V: DeserializeOwned>(&self, table: Table<V>) -> Vec<Row<V>> {
        self.look(|view| view.scan(table, &KeyRange::all(), u32::MAX))
    }

    /// Asks a question, as a client would: by name, with parameters in JSON.
    ///
    /// # Errors
    ///
    /// What the projection answers.
    #[track_caller]
    pub fn query(&self, query: P::Query) -> Result<Value, QueryError>
    where
        P: Queries,
    {
        let parameters = expect(query.encode(), "the query is not JSON");
        self.look(|_| answer::<P>(context(), query.name(), &parameters))
    }

    fn look<R>(&self, look: impl FnOnce(&View) -> R) -> R {
        let before = replace_rows(self.rows.clone());
        let seen = look(&View::new(P::TABLES));
        replace_rows(before);
        seen
    }
}

/// The rows after a batch.
fn written<P: Projection>(rows: Rows, batch: &types::EventBatch) -> Result<Rows, WireFailure> {
    let before = replace_rows(rows);
    let result: Result<Vec<Write>, WireFailure> = project_batch::<P>(batch);
    let after = result.map(commit);
    let rows = replace_rows(before);
    after.map(|()| rows)
}

/// Events as the host passes them, after `earlier` ones of these streams.
#[track_caller]
fn batch<P: Projection>(earlier: &[String], events: &[(String, P::Event)]) -> types::EventBatch {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let index = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    let mut batch = types::EventBatch {
        partition: 0,
        streams: Vec::new(),
        stream_indexes: Vec::new(),
        event_types: Vec::new(),
        revisions: Vec::new(),
        positions: Vec::new(),
        recorded_at: Vec::new(),
        data_ends: Vec::new(),
        data: Vec::new(),
    };
    let mut streams = earlier.to_vec();
    for (stream_id, event) in events {
        let known = batch.streams.iter().position(|other| other == stream_id);
        let stream = known.unwrap_or_else(|| {
            batch.streams.push(stream_id.clone());
            batch.streams.len().saturating_sub(1)
        });
        let new_event = lower_event(event);
        batch.stream_indexes.push(index(stream));
        batch.event_types.push(new_event.event_type);
        let revision = streams.iter().filter(|other| *other == stream_id).count();
        batch.revisions.push(count(revision));
        batch.positions.push(count(streams.len()));
        batch.recorded_at.push(NOW_MS);
        batch.data.extend_from_slice(&new_event.data);
        batch.data_ends.push(index(batch.data.len()));
        streams.push(stream_id.clone());
    }
    batch
}

/// Rows as text, for the message of an assertion.
fn readable(rows: &Rows) -> Vec<(u32, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    rows.iter().map(|((table, key), value)| (*table, text(key), text(value))).collect()
}

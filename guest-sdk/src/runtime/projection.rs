//! The components that a [`Projection`] becomes, without and with [`Queries`].

use std::marker::PhantomData;

use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::{descriptor, projection, query};
use crate::message::chain;
use crate::projection::Remedy;
use crate::runtime::columns::{entry, payload};
use crate::runtime::descriptor::{Package, describe_projection, describe_queries};
use crate::{EventMeta, Failure, Message as _, Projection, Queries, QueryContext, QueryError};
use crate::{View, Writes, host, trap_because};

/// Exports `T`, described with `P`.
#[derive(Debug)]
pub struct ProjectionComponent<T, P>(PhantomData<(T, P)>);

impl<T: Projection, P: Package> descriptor::Guest for ProjectionComponent<T, P> {
    fn describe() -> descriptor::Description {
        host::report_panics();
        describe_projection::<T, P>()
    }
}

impl<T: Projection, P: Package> projection::Guest for ProjectionComponent<T, P> {
    fn project(events: types::EventBatch) -> Result<Vec<projection::Write>, projection::Failure> {
        host::report_panics();
        project_batch::<T>(&events)
    }
}

/// Exports `T` and its queries, described with `P`.
#[derive(Debug)]
pub struct QueryableComponent<T, P>(PhantomData<(T, P)>);

impl<T: Queries, P: Package> descriptor::Guest for QueryableComponent<T, P> {
    fn describe() -> descriptor::Description {
        host::report_panics();
        describe_queries::<T, P>()
    }
}

impl<T: Queries, P: Package> projection::Guest for QueryableComponent<T, P> {
    fn project(events: types::EventBatch) -> Result<Vec<projection::Write>, projection::Failure> {
        host::report_panics();
        project_batch::<T>(&events)
    }
}

impl<T: Queries, P: Package> query::Guest for QueryableComponent<T, P> {
    fn answer(
        ctx: types::Context,
        name: String,
        parameters: Vec<u8>,
    ) -> Result<Vec<u8>, query::QueryError> {
        host::report_panics();
        match answer::<T>(ctx, &name, &parameters) {
            Ok(answer) => Ok(answer.to_string().into_bytes()),
            Err(QueryError::Unknown) => Err(query::QueryError::Unknown),
            Err(QueryError::Malformed(message)) => Err(query::QueryError::Malformed(message)),
        }
    }
}

/// The writes of a batch, or what happened to the first event that failed.
pub(crate) fn project_batch<T: Projection>(
    events: &types::EventBatch,
) -> Result<Vec<projection::Write>, projection::Failure> {
    let mut view = Writes::new(T::TABLES);
    let (decoded, undecodable) = decode_batch::<T>(events);
    view.read_ahead(|reads| {
        for (index, event) in decoded.iter().enumerate() {
            T::reads(event, &meta(events, index), reads);
        }
    });
    let decoded_count = decoded.len();
    for (index, event) in decoded.into_iter().enumerate() {
        let projected = T::project(event, &meta(events, index), &mut view);
        projected.map_err(|failure| wire_failure(index, failure))?;
    }
    match undecodable {
        Some(failure) => Err(wire_failure(decoded_count, failure)),
        None => Ok(view.finish()),
    }
}

/// The events of a batch up to the first that does not decode, and what is wrong with that one. It
/// never will decode, until another version of the plugin is there.
fn decode_batch<T: Projection>(events: &types::EventBatch) -> (Vec<T::Event>, Option<Failure>) {
    let mut decoded = Vec::with_capacity(events.event_types.len());
    for (index, event_type) in events.event_types.iter().enumerate() {
        let data = payload(&events.data, &events.data_ends, index);
        match T::Event::decode(*event_type, data) {
            Ok(event) => decoded.push(event),
            Err(error) => return (decoded, Some(Failure::park(chain(&error)))),
        }
    }
    (decoded, None)
}

fn meta(events: &types::EventBatch, index: usize) -> EventMeta<'_> {
    let stream = usize::try_from(entry(&events.stream_indexes, index)).unwrap_or(usize::MAX);
    let Some(stream_id) = events.streams.get(stream) else {
        trap_because("the host's stream index is out of range");
    };
    EventMeta {
        stream_id,
        revision: entry(&events.revisions, index),
        position: entry(&events.positions, index),
        partition: events.partition,
        recorded_at_ms: entry(&events.recorded_at, index),
    }
}

fn wire_failure(index: usize, failure: Failure) -> projection::Failure {
    // Batches are limited to far fewer events than this can count.
    let event = u32::try_from(index).unwrap_or(u32::MAX);
    match failure.remedy {
        Remedy::Retry => projection::Failure::Retry((event, failure.message)),
        Remedy::Park => projection::Failure::Park((event, failure.message)),
    }
}

/// Finds a query by its name and answers it.
pub(crate) fn answer<T: Queries>(
    call: types::Context,
    name: &str,
    parameters: &[u8],
) -> Result<crate::Value, QueryError> {
    let index = T::Query::TYPES.iter().position(|query| query.name == name);
    let type_index =
        index.and_then(|index| u32::try_from(index).ok()).ok_or(QueryError::Unknown)?;
    let query = T::Query::decode(type_index, parameters)
        .map_err(|error| QueryError::Malformed(chain(&error)))?;
    T::answer(query, &QueryContext { call }, &View::new(T::TABLES))
}

//! From the configuration to the options of the parts.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use annals_api::ApiOptions;
use annals_engine::{EngineOptions, Placement};
use annals_runtime::RuntimeLimits;
use annals_store_local::LogOptions;

use crate::config::{Config, Store};

/// The engine's options.
pub(crate) fn engine(config: &Config) -> EngineOptions {
    let (engine, projections) = (&config.engine, &config.projections);
    let cores_count = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    EngineOptions {
        shards_count: engine.shards_count.on(cores_count),
        commands_in_flight_max: engine.commands_in_flight_max.get(),
        command_conflict_retries_max: engine.command_conflict_retries_max,
        residents_max: engine.residents_max,
        snapshot_every_events: engine.snapshot_every_events.get(),
        snapshots_in_flight_max: engine.snapshots_in_flight_max.get(),
        decision_events_max: engine.decision_events_max.get(),
        batch_events_max: projections.batch_events_max.get(),
        batch_bytes_max: projections.batch_bytes_max.get(),
        batch_writes_max: projections.batch_writes_max.get(),
        projection_retry_wait: projections.retry_wait,
        projection_retry_wait_max: projections.retry_wait_max,
        queries_in_flight_max: engine.queries_in_flight_max.get(),
        placement: Placement::Threads,
    }
}

/// How the log is kept.
pub(crate) fn log(store: &Store) -> LogOptions {
    LogOptions {
        segment_bytes: store.segment_bytes.get(),
        index_cache_bytes_max: store.index_cache_bytes_max.bytes(),
        filter_bytes_max: store.filter_bytes_max.bytes(),
    }
}

/// The runtime's limits.
pub(crate) fn runtime(config: &Config) -> RuntimeLimits {
    let limits = &config.limits;
    RuntimeLimits {
        component_bytes_max: limits.component_bytes_max.get(),
        component_functions_max: limits.component_functions_max.get(),
        function_bytes_max: limits.function_bytes_max.get(),
        decide_fuel_max: limits.decide_fuel_max.get(),
        event_fuel_max: limits.event_fuel_max.get(),
        bulk_fuel_max: limits.bulk_fuel_max.get(),
        memory_bytes_max: limits.memory_bytes_max.get(),
        table_elements_max: limits.table_elements_max.get(),
        instances_max: limits.instances_max.get(),
        input_bytes_max: limits.input_bytes_max.get(),
        output_bytes_max: limits.output_bytes_max.get(),
        entities_max: limits.entities_max.get(),
        view_keys_max: limits.view_keys_max.get(),
        view_scan_rows_max: limits.view_scan_rows_max.get(),
        log_lines_per_second_max: limits.log_lines_per_second_max,
        log_line_bytes_max: limits.log_line_bytes_max.get(),
    }
}

/// The API's options.
pub(crate) fn api(config: &Config) -> ApiOptions {
    let api = &config.api;
    ApiOptions {
        body_bytes_max: api.body_bytes_max.get(),
        component_bytes_max: config.limits.component_bytes_max.get(),
        bodies_bytes_max: api.bodies_bytes_max.get(),
        body_idle_max: api.body_idle_max,
        line_bytes_max: api.line_bytes_max.get(),
        batch_bytes_max: u64::try_from(api.batch_bytes_max.get()).unwrap_or(u64::MAX),
        batch_in_flight_max: api.batch_in_flight_max.get(),
        batches_in_flight_max: api.batches_in_flight_max.get(),
        outcome_wait_max: api.outcome_wait_max,
        page_events_max: api.page_events_max.get(),
        page_rows_max: api.page_rows_max.get(),
        wait_max: api.wait_max,
        requests_in_flight_max: api.requests_in_flight_max.get(),
        event_streams_max: api.event_streams_max.get(),
        event_stream_page_events_max: api.event_stream_page_events_max.get(),
        heartbeat: api.heartbeat,
        ready_wait_max: api.ready_wait_max,
        retry_after: api.retry_after,
    }
}

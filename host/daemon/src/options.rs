//! From the configuration to the options of the parts.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use annals_api::ApiOptions;
use annals_bus_redis::RedisOptions;
use annals_engine::process::limits::ProcessLimits;
use annals_engine::schedule::ScheduleLimits;
use annals_engine::{EngineOptions, Placement};
use annals_runtime::{PluginLimits, RuntimeLimits};
use annals_store_dynamodb::DynamoOptions;
use annals_store_local::LogOptions;

use crate::bundles::BugBundles;
use crate::config::{Config, Dynamodb, Limits, Processes, Redis, Schedules, Store};

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
        plugins: config.limits_of_plugins.options(),
        quarantine_after_failures: engine.quarantine_after_failures,
        quarantine_wait: engine.quarantine_wait,
        quarantine_wait_max: engine.quarantine_wait_max,
        quarantined_streams_max: engine.quarantined_streams_max,
        batch_events_max: projections.batch_events_max.get(),
        batch_bytes_max: projections.batch_bytes_max.get(),
        batch_writes_max: projections.batch_writes_max.get(),
        batch_wait: projections.batch_wait,
        projection_retry_wait: projections.retry_wait,
        projection_retry_wait_max: projections.retry_wait_max,
        projection_attempts_max: projections.attempts_max,
        parked_streams_max: projections.parked_streams_max,
        standby_check_every: projections.standby_check_every,
        standby_takeover_after: projections.standby_takeover_after,
        rollback_window: projections.rollback_window,
        compare_hold_max: projections.compare_hold_max,
        processes: processes(&config.processes),
        queries_in_flight_max: engine.queries_in_flight_max.get(),
        upcast_events_max: engine.upcast_events_max,
        upcast_chain_max: engine.upcast_chain_max,
        upcast_cache_bytes_max: engine.upcast_cache_bytes_max.get(),
        relay_page_events_max: config.bus.page_events_max.get(),
        // What a stream can keep is all that it is worth being given.
        relay_tail_events_max: config.redis.stream_entries_max.get(),
        relay_check_every: config.bus.check_every,
        relay_retry_wait: config.bus.retry_wait,
        relay_retry_wait_max: config.bus.retry_wait_max,
        schedules: schedules(&config.schedules),
        versions_kept: config.plugins.versions_kept.get(),
        failure_sink: BugBundles::of(config).map(|bundles| Arc::new(bundles) as _),
        on_background_thread: Some(yield_to_others),
        placement: Placement::Threads,
        ..EngineOptions::default()
    }
}

/// The limits of process managers.
fn processes(settings: &Processes) -> ProcessLimits {
    ProcessLimits {
        commands_in_flight_max: settings.commands_in_flight_max,
        instances_sending_max: settings.instances_sending_max,
        send_attempts_max: settings.send_attempts_max,
        send_wait: settings.send_wait,
        send_wait_max: settings.send_wait_max,
        causation_depth_max: settings.causation_depth_max,
        commands_pending_max: settings.commands_pending_max,
        messages_waiting_max: settings.messages_waiting_max,
        stuck_after: settings.stuck_after.get(),
        ended_kept_for: settings.ended_kept_for.get(),
        ended_kept_max: settings.ended_kept_max,
    }
}

/// The limits of scheduled commands.
fn schedules(settings: &Schedules) -> ScheduleLimits {
    /// Seconds of a day.
    const DAY_S: u64 = 24 * 3_600;
    ScheduleLimits {
        schedules_max: settings.schedules_max,
        ended_max: settings.ended_max,
        ended_kept_for: Duration::from_secs(u64::from(settings.ended_kept_days) * DAY_S),
        in_flight_max: settings.in_flight_max,
        attempts_max: settings.attempts_max,
        retry_wait: settings.retry_wait,
        retry_wait_max: settings.retry_wait_max,
        firing_wait_max: settings.firing_wait_max,
        check_every: settings.check_every,
        ..ScheduleLimits::default()
    }
}

/// By how much the thread of slow plugins and suspect streams is nicer than the others: it gets a tenth of
/// a core when all are busy, and whatever is left otherwise.
const APART_NICENESS: i32 = 10;

/// Lets other threads go before this one.
fn yield_to_others() {
    // On Linux a priority is a thread's own, and its id names the thread.
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), APART_NICENESS) {
        tracing::debug!(%error, "the thread of slow plugins has the priority of the others");
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

/// How DynamoDB is reached.
pub(crate) fn dynamodb(settings: &Dynamodb) -> DynamoOptions {
    DynamoOptions {
        region: settings.region.as_ref().map(|region| region.as_str().to_owned()),
        endpoint: settings.endpoint.as_ref().map(|endpoint| endpoint.as_str().to_owned()),
        request_wait_max: settings.request_wait_max,
        operation_wait_max: settings.operation_wait_max.get(),
        retry_wait: settings.retry_wait,
        retry_wait_max: settings.retry_wait_max,
        ..DynamoOptions::new(settings.prefix.as_str())
    }
}

/// How Redis is reached. `ca_certificates` is what `redis.ca_file` holds.
pub(crate) fn redis(settings: &Redis, ca_certificates: Option<Vec<u8>>) -> RedisOptions {
    RedisOptions {
        ca_certificates,
        stream_entries_max: settings.stream_entries_max,
        event_bytes_max: settings.event_bytes_max.get(),
        connect_wait_max: settings.connect_wait_max,
        response_wait_max: settings.response_wait_max,
        reconnect_wait: settings.reconnect_wait,
        reconnect_wait_max: settings.reconnect_wait_max,
        ..RedisOptions::new(settings.url.secret())
    }
}

/// The limits of all plugins, and of those that have their own.
pub(crate) fn runtime(config: &Config) -> PluginLimits {
    let own = config.limits_of_plugins.iter().map(|(name, _)| {
        let limits = config.limits_of_plugins.limits_of(name, &config.limits);
        (name.clone(), runtime_limits(&limits))
    });
    PluginLimits::new(runtime_limits(&config.limits), own.collect())
}

pub(crate) fn runtime_limits(limits: &Limits) -> RuntimeLimits {
    RuntimeLimits {
        component_bytes_max: limits.component_bytes_max.get(),
        component_functions_max: limits.component_functions_max.get(),
        function_bytes_max: limits.function_bytes_max.get(),
        compile_wait_max: limits.compile_wait_max,
        decide_fuel_max: limits.decide_fuel_max.get(),
        event_fuel_max: limits.event_fuel_max.get(),
        upcast_fuel_max: limits.upcast_fuel_max.get(),
        react_fuel_max: limits.react_fuel_max.get(),
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
        component_bytes_max: runtime(config).of_nameless().component_bytes_max,
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
        event_stream_behind_events_max: api.event_stream_behind_events_max.get(),
        event_stream_stalled_max: api.event_stream_stalled_max,
        heartbeat: api.heartbeat,
        ready_wait_max: api.ready_wait_max,
        retry_after: api.retry_after,
        ..ApiOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
    use std::time::Duration;

    use super::*;
    use crate::config::ConfigSource;

    #[test]
    fn settings_reach_the_options_of_remote_drivers() {
        // Guards settings that would be read and not be in force: defaults, and every one changed.
        let same = |one: String, other: String| assert_eq!(one, other);
        let defaults = dynamodb(&Dynamodb::default());
        same(format!("{defaults:?}"), format!("{:?}", DynamoOptions::new("annals")));
        let config = changed();
        let wait = Duration::from_millis;
        let expected = DynamoOptions {
            region: Some("eu-central-1".to_owned()),
            endpoint: Some("http://127.0.0.1:8000".to_owned()),
            request_wait_max: wait(1),
            operation_wait_max: wait(2),
            retry_wait: wait(3),
            retry_wait_max: wait(4),
            ..DynamoOptions::new("team")
        };
        same(format!("{:?}", dynamodb(&config.dynamodb)), format!("{expected:?}"));

        let defaults = redis(&Redis::default(), None);
        assert!(defaults == RedisOptions::new("redis://127.0.0.1:6379"));
        let expected = RedisOptions {
            ca_certificates: Some(b"pem".to_vec()),
            stream_entries_max: NonZeroU64::MIN,
            event_bytes_max: 5,
            connect_wait_max: wait(6),
            response_wait_max: wait(7),
            reconnect_wait: wait(8),
            reconnect_wait_max: wait(9),
            ..RedisOptions::new("rediss://:secret@host")
        };
        assert!(redis(&config.redis, Some(b"pem".to_vec())) == expected);
    }

    #[test]
    fn settings_of_schedules_reach_the_engine() {
        // Guards `[schedules]`: defaults, and every one changed.
        let same = |one: String, other: String| assert_eq!(one, other);
        let defaults = schedules(&Schedules::default());
        same(format!("{defaults:?}"), format!("{:?}", ScheduleLimits::default()));
        let changed = Schedules {
            schedules_max: NonZeroUsize::MIN,
            ended_kept_days: 2,
            ended_max: 3,
            in_flight_max: NonZeroUsize::MIN,
            attempts_max: NonZeroU32::MIN,
            retry_wait: Duration::from_millis(4),
            retry_wait_max: Duration::from_millis(5),
            firing_wait_max: Duration::from_millis(6),
            check_every: Duration::from_millis(7),
        };
        let expected = ScheduleLimits {
            schedules_max: NonZeroUsize::MIN,
            ended_kept_for: Duration::from_hours(48),
            ended_max: 3,
            in_flight_max: NonZeroUsize::MIN,
            attempts_max: NonZeroU32::MIN,
            retry_wait: Duration::from_millis(4),
            retry_wait_max: Duration::from_millis(5),
            firing_wait_max: Duration::from_millis(6),
            check_every: Duration::from_millis(7),
            ..ScheduleLimits::default()
        };
        same(format!("{:?}", schedules(&changed)), format!("{expected:?}"));
    }

    fn changed() -> Config {
        let variables = [
            ("ANNALS_DYNAMODB_PREFIX", "team"),
            ("ANNALS_DYNAMODB_REGION", "eu-central-1"),
            ("ANNALS_DYNAMODB_ENDPOINT", "http://127.0.0.1:8000"),
            ("ANNALS_DYNAMODB_REQUEST_WAIT_MAX", "1ms"),
            ("ANNALS_DYNAMODB_OPERATION_WAIT_MAX", "2ms"),
            ("ANNALS_DYNAMODB_RETRY_WAIT", "3ms"),
            ("ANNALS_DYNAMODB_RETRY_WAIT_MAX", "4ms"),
            ("ANNALS_REDIS_URL", "rediss://:secret@host"),
            ("ANNALS_REDIS_STREAM_ENTRIES_MAX", "1"),
            ("ANNALS_REDIS_EVENT_BYTES_MAX", "5"),
            ("ANNALS_REDIS_CONNECT_WAIT_MAX", "6ms"),
            ("ANNALS_REDIS_RESPONSE_WAIT_MAX", "7ms"),
            ("ANNALS_REDIS_RECONNECT_WAIT", "8ms"),
            ("ANNALS_REDIS_RECONNECT_WAIT_MAX", "9ms"),
        ];
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = ConfigSource { environment: environment.collect(), ..ConfigSource::default() };
        Config::load(&source).unwrap().config
    }

    #[test]
    fn settings_reach_the_limits_of_process_managers() {
        // Guards settings that would be read and not be in force: defaults, and every one changed.
        assert_eq!(engine(&Config::default()).processes, ProcessLimits::default());
        let variables = [
            ("COMMANDS_IN_FLIGHT_MAX", "1"),
            ("INSTANCES_SENDING_MAX", "2"),
            ("SEND_ATTEMPTS_MAX", "3"),
            ("SEND_WAIT", "4ms"),
            ("SEND_WAIT_MAX", "5ms"),
            ("CAUSATION_DEPTH_MAX", "6"),
            ("COMMANDS_PENDING_MAX", "7"),
            ("MESSAGES_WAITING_MAX", "8"),
            ("STUCK_AFTER", "9ms"),
            ("ENDED_KEPT_FOR", "10ms"),
            ("ENDED_KEPT_MAX", "0"),
        ];
        let named = variables
            .iter()
            .map(|(name, value)| (format!("ANNALS_PROCESSES_{name}"), (*value).to_owned()));
        let source = ConfigSource { environment: named.collect(), ..ConfigSource::default() };
        let expected = ProcessLimits {
            commands_in_flight_max: 1.try_into().unwrap(),
            instances_sending_max: 2.try_into().unwrap(),
            send_attempts_max: 3.try_into().unwrap(),
            send_wait: Duration::from_millis(4),
            send_wait_max: Duration::from_millis(5),
            causation_depth_max: 6.try_into().unwrap(),
            commands_pending_max: 7.try_into().unwrap(),
            messages_waiting_max: 8.try_into().unwrap(),
            stuck_after: Duration::from_millis(9),
            ended_kept_for: Duration::from_millis(10),
            ended_kept_max: 0,
        };
        assert_eq!(engine(&Config::load(&source).unwrap().config).processes, expected);
    }
}

//! The areas of the configuration, one struct per table of `annals.toml`.
//!
//! The text of every field is its documentation, here and in `docs/reference/configuration.md`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use annals_api::ApiOptions;
use annals_bus_redis::RedisOptions;
use annals_engine::EngineOptions;
use annals_engine::process::limits::ProcessLimits;
use annals_engine::schedule::ScheduleLimits;
use annals_runtime::RuntimeLimits;
use annals_store_dynamodb::DynamoOptions;
use annals_store_local::LogOptions;

use super::area::area;
use super::choice::{BusDriver, LogFilter, LogFormat, ShardsCount, StoreDriver};
use super::long_time::LongTime;
use super::remote::{Endpoint, OperationWait, RedisUrl, RegionName, TablePrefix};
use super::value::{ByteCount, SegmentBytes};
use super::versions_kept::VersionsKept;
use super::web::WebFolders;

/// The port of the daemon unless told otherwise.
pub const PORT: u16 = 7070;

area! {
    /// Where the daemon listens, and whom it serves.
    Server in "server" {
        /// Address and port to listen on. Port 0 takes a free one, which is printed.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        /// Allows an address that other machines can reach. There is no authentication yet: whoever
        /// reaches the port can do everything.
        insecure: bool = false;
        /// Most connections at once. Further ones wait to be accepted.
        connections_max: NonZeroUsize = count(1_024);
        /// Longest wait for the next request of a connection, with its whole head. A connection that
        /// is slower, or idle, is closed.
        request_wait_max: Duration = Duration::from_secs(60);
    }
}

area! {
    /// What a client may ask for at once. Reaching a limit is a documented answer.
    Api in "api" {
        /// Largest JSON body.
        body_bytes_max: ByteCount = size(api().body_bytes_max);
        /// Bodies above 64 KiB being held at once, all together. The next is refused as busy.
        bodies_bytes_max: ByteCount = size(api().bodies_bytes_max);
        /// Longest pause inside a body before the request is given up.
        body_idle_max: Duration = api().body_idle_max;
        /// Longest line of a batch of commands.
        line_bytes_max: ByteCount = size(api().line_bytes_max);
        /// Largest batch of commands.
        batch_bytes_max: ByteCount = ByteCount::new(api().batch_bytes_max);
        /// Commands of one batch decided at once. Reading goes no further ahead.
        batch_in_flight_max: NonZeroUsize = count(api().batch_in_flight_max);
        /// Batches served at once. The next is refused as busy.
        batches_in_flight_max: NonZeroUsize = count(api().batches_in_flight_max);
        /// Longest wait for the outcome of a command, or for an append to be durable.
        outcome_wait_max: Duration = api().outcome_wait_max;
        /// Most events or commands of one page.
        page_events_max: NonZeroUsize = count(api().page_events_max);
        /// Most rows of one page.
        page_rows_max: NonZeroUsize = count(api().page_rows_max);
        /// Longest wait a request may ask for by `wait_ms`.
        wait_max: Duration = api().wait_max;
        /// Requests being answered at once, health probes and event streams not counted. The next is
        /// refused as busy.
        requests_in_flight_max: NonZeroUsize = count(api().requests_in_flight_max);
        /// Event streams open at once. The next is refused as busy.
        event_streams_max: NonZeroUsize = count(api().event_streams_max);
        /// Most events an event stream reads ahead of its client.
        event_stream_page_events_max: NonZeroUsize = count(api().event_stream_page_events_max);
        /// After having caught up, an event stream that is more than so many events behind the head is
        /// told that it fell behind, and goes on.
        event_stream_behind_events_max: NonZeroU64 = count_u64(api().event_stream_behind_events_max);
        /// An event stream whose client takes nothing for so long is told that it fell behind, and
        /// ends. A connection whose client takes nothing of any answer for twice as long is closed.
        event_stream_stalled_max: Duration = api().event_stream_stalled_max;
        /// How often an event stream without events says that it lives.
        heartbeat: Duration = api().heartbeat;
        /// Longest wait of the readiness probe for the store.
        ready_wait_max: Duration = api().ready_wait_max;
        /// What `retry-after` says when the host is busy, in whole seconds.
        retry_after: Duration = api().retry_after;
    }
}

area! {
    /// Where events, views and plugins are kept.
    Store in "store" {
        /// `local` keeps everything in the data folder. `memory` forgets everything at the end, for
        /// tests. `dynamodb` keeps everything in two tables of Amazon DynamoDB, which
        /// `annals store create` makes, and any number of daemons may run on them.
        driver: StoreDriver = StoreDriver::Local;
        /// The data folder. It is made when it is not there, and belongs to one daemon at a time.
        data: PathBuf = PathBuf::from("annals-data");
        /// How long a segment of the log gets before the next is begun. Opening reads the last one;
        /// the others are found by their indexes. It may change from one start to the next.
        segment_bytes: SegmentBytes = SegmentBytes::of(log().segment_bytes);
        /// Most memory for parts of indexes that were used lately.
        index_cache_bytes_max: ByteCount = ByteCount::new(log().index_cache_bytes_max);
        /// Most memory for the filters that tell which segments know a stream, a command id or a
        /// claim; those of the oldest segments are read from disk when there are more. 12 bits each.
        filter_bytes_max: ByteCount = ByteCount::new(log().filter_bytes_max);
    }
}

area! {
    /// The tables of `store.driver = "dynamodb"`. Credentials come from where the AWS SDK usually finds
    /// them: variables such as `AWS_PROFILE`, files in `~/.aws`, or the role of the machine.
    Dynamodb in "dynamodb" {
        /// What the names of the tables begin with: they are `<prefix>-events` and `<prefix>-state`.
        prefix: TablePrefix = TablePrefix::of(&dynamodb().prefix);
        /// The AWS region. When empty: that of `AWS_REGION` or of the profile.
        region: Option<RegionName> = None;
        /// Another address than that of AWS, e.g. of an emulator. When empty: that of the region.
        endpoint: Option<Endpoint> = None;
        /// Longest wait for the answer to one request, before it counts as lost.
        request_wait_max: Duration = dynamodb().request_wait_max;
        /// How long an operation is tried again when the service is too busy or does not answer.
        operation_wait_max: OperationWait = OperationWait::of(dynamodb().operation_wait_max);
        /// First wait before a request is sent again. It doubles up to `retry_wait_max`; a random part
        /// of it is waited.
        retry_wait: Duration = dynamodb().retry_wait;
        /// Longest wait before a request is sent again.
        retry_wait_max: Duration = dynamodb().retry_wait_max;
    }
}

area! {
    /// How news of events travels.
    Bus in "bus" {
        /// `local` tells the parts of this daemon. `redis` also tells other hosts, and copies events
        /// into streams of Redis; losing Redis costs latency, and no event.
        driver: BusDriver = BusDriver::Local;
        /// Most events handed to the bus at once.
        page_events_max: NonZeroUsize = count(engine().relay_page_events_max);
        /// How often the bus is asked whether it still has all it was given.
        check_every: Duration = engine().relay_check_every;
        /// First wait after the bus failed. It doubles up to `retry_wait_max`.
        retry_wait: Duration = engine().relay_retry_wait;
        /// Longest wait after the bus failed.
        retry_wait_max: Duration = engine().relay_retry_wait_max;
    }
}

area! {
    /// The Redis of `bus.driver = "redis"`.
    Redis in "redis" {
        /// Where Redis is, with user and password where it wants them. `rediss://` is TLS. The password
        /// is never printed.
        url: RedisUrl = RedisUrl::of(&redis().url);
        /// Certificates (PEM) of the authorities that a TLS server may have its certificate from. When
        /// empty: those that the operating system trusts.
        ca_file: Option<PathBuf> = None;
        /// About how many events a stream keeps; the oldest go first.
        stream_entries_max: NonZeroU64 = redis().stream_entries_max;
        /// Most data and metadata of an event that is copied whole. Of a larger one the copy says where
        /// to read it.
        event_bytes_max: ByteCount = size(redis().event_bytes_max);
        /// Longest that connecting may take, with TLS and login.
        connect_wait_max: Duration = redis().connect_wait_max;
        /// Longest wait for an answer. After that the connection counts as lost.
        response_wait_max: Duration = redis().response_wait_max;
        /// First wait before connecting again. It doubles up to `reconnect_wait_max`.
        reconnect_wait: Duration = redis().reconnect_wait;
        /// Longest wait before connecting again.
        reconnect_wait_max: Duration = redis().reconnect_wait_max;
    }
}

area! {
    /// How commands are run.
    Engine in "engine" {
        /// How many threads run commands; `auto` is one per core.
        shards_count: ShardsCount = ShardsCount::Auto;
        /// Most commands accepted and not yet answered. The next is refused as busy.
        commands_in_flight_max: NonZeroUsize = count(engine().commands_in_flight_max);
        /// How often a command is decided again after another host wrote its stream first.
        command_conflict_retries_max: u32 = engine().command_conflict_retries_max;
        /// Most entities kept in memory per shard and plugin. The least recently used go first.
        residents_max: NonZeroUsize = engine().residents_max;
        /// A snapshot is kept each time a stream grew by this many events.
        snapshot_every_events: NonZeroU64 = count_u64(engine().snapshot_every_events);
        /// Most snapshots being written at once per shard. Further ones are passed over.
        snapshots_in_flight_max: NonZeroUsize = count(engine().snapshots_in_flight_max);
        /// Most events one decision may hold.
        decision_events_max: NonZeroUsize = count(engine().decision_events_max);
        /// Most named questions answered at once. The next is refused as busy.
        queries_in_flight_max: NonZeroUsize = count(engine().queries_in_flight_max);
        /// Most events that one stored event may become when it is upcast, over all upcasters.
        upcast_events_max: NonZeroUsize = engine().upcast_events_max;
        /// Most upcasters one after the other, until a reader reads what they make of an event.
        upcast_chain_max: NonZeroU32 = engine().upcast_chain_max;
        /// Most memory for what upcasters made of events. The least recently used go first.
        upcast_cache_bytes_max: ByteCount = size(engine().upcast_cache_bytes_max);
        /// After so many failures of its plugin in a row, commands of a stream are refused for a while.
        quarantine_after_failures: NonZeroU32 = engine().quarantine_after_failures;
        /// How long they are refused first. It doubles at each further failure up to
        /// `quarantine_wait_max`.
        quarantine_wait: Duration = engine().quarantine_wait;
        /// Longest that they are refused before one is tried again.
        quarantine_wait_max: Duration = engine().quarantine_wait_max;
        /// Most streams that are known to have failed. The least recently used are forgotten first.
        quarantined_streams_max: NonZeroUsize = engine().quarantined_streams_max;
        /// Most bug bundles kept in the data folder, and most written per hour. 0 keeps none.
        bug_bundles_kept: u32 = 20;
    }
}

area! {
    /// How events become views.
    Projections in "projections" {
        /// Most events given to a projection at once.
        batch_events_max: NonZeroUsize = count(engine().batch_events_max);
        /// Most data given to a projection at once. One event always fits.
        batch_bytes_max: ByteCount = size(engine().batch_bytes_max);
        /// Most writes a projection may answer a batch with.
        batch_writes_max: NonZeroUsize = count(engine().batch_writes_max);
        /// How long a projection waits for more events when there are fewer than a batch may have. That is
        /// fewer and larger commits, and views that are later by as much.
        batch_wait: Duration = engine().batch_wait;
        /// First wait after a projection failed. It doubles up to `retry_wait_max`.
        retry_wait: Duration = engine().projection_retry_wait;
        /// Longest wait after a projection failed.
        retry_wait_max: Duration = engine().projection_retry_wait_max;
        /// How often an event is given to a projection that cannot handle it. Then it is parked, and its
        /// stream waits behind it.
        attempts_max: NonZeroU32 = engine().projection_attempts_max;
        /// Most streams of a projection that wait behind a parked event. Then the projection stops
        /// instead.
        parked_streams_max: NonZeroUsize = count(engine().parked_streams_max.get());
        /// How often a host looks how far a projection is that another host runs.
        standby_check_every: Duration = engine().standby_check_every;
        /// How long a projection may not get on, with events to project, before another host takes it
        /// over. Longer than its slowest batch.
        standby_takeover_after: Duration = engine().standby_takeover_after;
        /// How long the view that served is followed after a rebuild took over, so that it can be
        /// restored at once.
        rollback_window: Duration = engine().rollback_window;
        /// Longest that the two views of a rebuild stand still at the same place while some of their rows
        /// are compared. Rows that cannot be compared so are told as not exact.
        compare_hold_max: Duration = engine().compare_hold_max;
    }
}

area! {
    /// What process managers may do, and how long things take. What `[projections]` says about waiting
    /// after a failure and about standing by holds for them too.
    Processes in "processes" {
        /// Most commands of one process manager on the way at once.
        commands_in_flight_max: NonZeroUsize = processes().commands_in_flight_max;
        /// Most instances of one process manager whose commands wait. With more, it takes no further
        /// events and fires no timers until there are fewer; outcomes it always takes.
        instances_sending_max: NonZeroUsize = processes().instances_sending_max;
        /// How often a command is tried that its target fails on. Then the instance is told that it
        /// failed.
        send_attempts_max: NonZeroU32 = processes().send_attempts_max;
        /// First wait before a command is tried again. It doubles up to `send_wait_max`.
        send_wait: Duration = processes().send_wait;
        /// Longest wait before a command is tried again.
        send_wait_max: Duration = processes().send_wait_max;
        /// Most commands of process managers that may lead to each other without anybody waiting. An
        /// instance whose command would be one more is parked.
        causation_depth_max: NonZeroU16 = processes().causation_depth_max;
        /// Most commands of one instance whose outcome is not handled. An instance that wants more is
        /// parked.
        commands_pending_max: NonZeroUsize = processes().commands_pending_max;
        /// Most messages that wait behind one that an instance cannot handle. With more, the process
        /// manager stops there.
        messages_waiting_max: NonZeroUsize = processes().messages_waiting_max;
        /// How long an instance may get on with nothing before it is told as stuck. One that waits for
        /// a timer waits on purpose.
        stuck_after: LongTime = LongTime::of(processes().stuck_after);
        /// How long instances are kept that have ended.
        ended_kept_for: LongTime = LongTime::of(processes().ended_kept_for);
        /// Most instances of one process manager that are kept and have ended. The first to end go
        /// first.
        ended_kept_max: u64 = processes().ended_kept_max;
    }
}

area! {
    /// Commands that are sent when their time has come.
    Schedules in "schedules" {
        /// Most schedules that have not ended. One more is refused.
        schedules_max: NonZeroUsize = schedules().schedules_max;
        /// How many days a schedule is kept after its end, with what became of it.
        ended_kept_days: u32 = 7;
        /// Most schedules kept after their end. The longest ended go first.
        ended_max: u32 = schedules().ended_max;
        /// Most scheduled commands that this host sends at once.
        in_flight_max: NonZeroUsize = schedules().in_flight_max;
        /// How often a command may fail before its schedule is parked. What is not the command's fault,
        /// such as a store that does not answer, is tried for ever.
        attempts_max: NonZeroU32 = schedules().attempts_max;
        /// First wait before a command is tried again. It doubles up to `retry_wait_max`.
        retry_wait: Duration = schedules().retry_wait;
        /// Longest wait before a command is tried again.
        retry_wait_max: Duration = schedules().retry_wait_max;
        /// Longest wait for the outcome of a command. After that, or when its host ended, any host sends
        /// it again, under the same command id.
        firing_wait_max: Duration = schedules().firing_wait_max;
        /// How often the clock is looked at, and what other hosts scheduled.
        check_every: Duration = schedules().check_every;
    }
}

area! {
    /// Which plugins are kept, and where from they come.
    Plugins in "plugins" {
        /// Most versions of a plugin that are kept, the active one among them. Installing a further one
        /// deletes the component, and the view, of the one that was active longest ago.
        versions_kept: VersionsKept = VersionsKept::of(engine().versions_kept);
        /// For development: the components (`*.wasm`) of this folder are installed at the start and
        /// whenever they change. When empty: none.
        watch: Option<PathBuf> = None;
    }
}

area! {
    /// What a plugin may use. Reaching a limit is a failure of the plugin that names the limit; the
    /// daemon and the other plugins go on. Fuel counts instructions: about 4 000 000 take 1 ms.
    Limits in "limits" {
        /// Largest component file.
        component_bytes_max: ByteCount = size(runtime().component_bytes_max);
        /// Most functions of a component.
        component_functions_max: NonZeroUsize = count(runtime().component_functions_max);
        /// Largest function of a component. Compiling takes more than linear time in it.
        function_bytes_max: ByteCount = size(runtime().function_bytes_max);
        /// Longest that compiling a component may take.
        compile_wait_max: Duration = runtime().compile_wait_max;
        /// Fuel of `decide`, and of the fixed part of every other call.
        decide_fuel_max: NonZeroU64 = count_u64(runtime().decide_fuel_max);
        /// What each event of `evolve`, `project` and `correlate` adds to the fuel of the call.
        event_fuel_max: NonZeroU64 = count_u64(runtime().event_fuel_max);
        /// What each event of `upcast` adds to the fuel of the call.
        upcast_fuel_max: NonZeroU64 = count_u64(runtime().upcast_fuel_max);
        /// Fuel of `on-event`, `on-timer` and `on-reply`.
        react_fuel_max: NonZeroU64 = count_u64(runtime().react_fuel_max);
        /// Most fuel of a call with many events, of starting a sandbox and of `describe`.
        bulk_fuel_max: NonZeroU64 = count_u64(runtime().bulk_fuel_max);
        /// Most memory of a sandbox.
        memory_bytes_max: ByteCount = size(runtime().memory_bytes_max);
        /// Most table elements of a sandbox.
        table_elements_max: NonZeroUsize = count(runtime().table_elements_max);
        /// Most core instances, and most memories, of a sandbox.
        instances_max: NonZeroUsize = count(runtime().instances_max);
        /// Most bytes the host passes to a plugin in one call.
        input_bytes_max: ByteCount = size(runtime().input_bytes_max);
        /// Most bytes a plugin passes to the host in one call.
        output_bytes_max: ByteCount = size(runtime().output_bytes_max);
        /// Most entities of one sandbox.
        entities_max: NonZeroUsize = count(runtime().entities_max);
        /// Most rows a plugin asks for by key at once.
        view_keys_max: NonZeroUsize = count(runtime().view_keys_max);
        /// Most rows a plugin is given by one scan.
        view_scan_rows_max: NonZeroU32 =
            NonZeroU32::new(runtime().view_scan_rows_max).unwrap_or(NonZeroU32::MIN);
        /// Most lines per second and plugin that reach the log. The rest is counted.
        log_lines_per_second_max: u32 = runtime().log_lines_per_second_max;
        /// Longest line of a plugin. It is cut.
        log_line_bytes_max: ByteCount = size(runtime().log_line_bytes_max);
    }
}

area! {
    /// Pages that are served beside the API, under `/apps/NAME/`. They are read when the daemon starts,
    /// and again only when it is started again.
    Web in "web" {
        /// The folders, by the name of the app. Each has an `index.html`; hidden files are passed over,
        /// symbolic links are refused.
        folders: WebFolders = WebFolders::default();
        /// Largest file.
        file_bytes_max: ByteCount = ByteCount::new(4 << 20);
        /// All files of all folders together, which are kept in memory.
        bytes_max: ByteCount = ByteCount::new(64 << 20);
        /// Most files of all folders together.
        files_max: NonZeroUsize = count(1_000);
    }
}

area! {
    /// What the daemon says on standard error.
    Log in "log" {
        /// `text` for people, `json` for machines.
        format: LogFormat = LogFormat::Text;
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, also by part, e.g.
        /// `info,annals_engine=debug`.
        filter: LogFilter = LogFilter::default();
    }
}

area! {
    /// How long the daemon takes to stop, at most, for each of its steps. A step over its limit is
    /// given up and the next begins; nothing that was acknowledged depends on them.
    Shutdown in "shutdown" {
        /// For requests that are being answered.
        requests_wait_max: Duration = Duration::from_secs(10);
        /// For commands and projections that are running, and until what they wrote is durable.
        engine_wait_max: Duration = Duration::from_secs(10);
        /// For closing the files.
        store_wait_max: Duration = Duration::from_secs(10);
    }
}

// The defaults are those of the parts that the settings are for.

fn api() -> ApiOptions {
    ApiOptions::default()
}

fn dynamodb() -> DynamoOptions {
    DynamoOptions::new("annals")
}

fn redis() -> RedisOptions {
    RedisOptions::new("redis://127.0.0.1:6379")
}

fn engine() -> EngineOptions {
    EngineOptions::default()
}

fn processes() -> ProcessLimits {
    ProcessLimits::default()
}

fn schedules() -> ScheduleLimits {
    ScheduleLimits::default()
}

fn log() -> LogOptions {
    LogOptions::default()
}

fn runtime() -> RuntimeLimits {
    RuntimeLimits::default()
}

fn count(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN)
}

fn count_u64(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN)
}

fn size(bytes: usize) -> ByteCount {
    ByteCount::new(u64::try_from(bytes).unwrap_or(u64::MAX))
}

//! What a plugin that misbehaves costs its neighbours: the latency of another plugin's commands, and of
//! plain appends, while it does, against the same without it.
//!
//! ```sh
//! cargo run --release -p annals-daemon --example neighbours
//! ```
//! Each misdeed is done all the time by some callers, once on one stream, which gets into quarantine,
//! and once on a new stream each time, which no quarantine of streams can stop.
#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "it may stop at any fault")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use annals_components::misbehaving as misdeed;
use annals_core::commit::Commit;
use annals_core::event::{NewEvent, Origin};
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_daemon::{Assembly, Config};
use annals_engine::Engine;
use annals_engine::command::CommandRequest;
use bytes::Bytes;
use tokio::time::Instant;

/// How long each is measured.
const TIME: Duration = Duration::from_secs(3);

/// How many callers the neighbour has, and the plugin that misbehaves.
const CALLERS: u64 = 8;

/// How many streams the neighbour has.
const STREAMS: u64 = 64;

#[derive(Debug, Clone, Copy)]
struct Measured {
    count: usize,
    median_us: u128,
    p99_us: u128,
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.store.data = folder.path().join("data");
    config.engine.bug_bundles_kept = 0;
    let assembly = Assembly::open(&config).await.unwrap();
    let engine = Arc::clone(assembly.engine());
    for component in [annals_components::account(), annals_components::misbehaving()] {
        engine.install(None, Bytes::from_static(component), None).await.unwrap();
    }
    for stream in 0..STREAMS {
        let data = r#"{"owner":"Ada","initial_cents":1}"#;
        engine.execute(request("account", stream, "open-account", data)).await.unwrap();
    }
    println!("misdeed, streams: commands of another plugin; appends; times of those alone");
    for name in [
        misdeed::TRAP,
        misdeed::LOOP_FOREVER,
        misdeed::ALLOCATE_FOREVER,
        misdeed::RECURSE_FOREVER,
        misdeed::EMIT_MILLION,
        misdeed::LOG_FLOOD,
        misdeed::RECORD_LOOP_WHEN_EVOLVED,
    ] {
        for streams in [Streams::One, Streams::New] {
            let (alone, appends_alone) = measure(&engine).await;
            let stop = Arc::new(AtomicBool::new(false));
            let callers: Vec<_> = (0..CALLERS)
                .map(|_| {
                    tokio::spawn(misbehave(Arc::clone(&engine), name, streams, Arc::clone(&stop)))
                })
                .collect();
            let (beside, appends) = measure(&engine).await;
            stop.store(true, Ordering::Relaxed);
            for caller in callers {
                caller.await.unwrap();
            }
            println!(
                "{name}, {streams:?}: {}; {}",
                ratio(alone, beside),
                ratio(appends_alone, appends)
            );
        }
    }
    drop(engine);
    assembly.close(&config).await;
}

fn ratio(alone: Measured, beside: Measured) -> String {
    let times = |one: u128, other: u128| {
        let tenths = other * 10 / one.max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    format!(
        "{} at median {} us ({} times), p99 {} us ({} times)",
        beside.count,
        beside.median_us,
        times(alone.median_us, beside.median_us),
        beside.p99_us,
        times(alone.p99_us, beside.p99_us)
    )
}

/// Commands of the neighbour, and appends that need no plugin, for a while.
async fn measure(engine: &Arc<Engine>) -> (Measured, Measured) {
    let end = Instant::now() + TIME;
    let callers: Vec<_> =
        (0..CALLERS).map(|caller| tokio::spawn(deposit(Arc::clone(engine), caller, end))).collect();
    let appends = append(engine, end).await;
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.unwrap());
    }
    (measured(times), measured(appends))
}

async fn deposit(engine: Arc<Engine>, caller: u64, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut stream = caller;
    while Instant::now() < end {
        let start = Instant::now();
        let deposit = request("account", stream % STREAMS, "deposit-funds", r#"{"cents":1}"#);
        engine.execute(deposit).await.unwrap();
        times.push(start.elapsed());
        stream += CALLERS;
    }
    times
}

async fn append(engine: &Engine, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    let stream = StreamId::parse("notes/1").unwrap();
    while Instant::now() < end {
        let start = Instant::now();
        let events = vec![NewEvent::json("noted".parse().unwrap(), b"{}".to_vec())];
        let at = engine.clock().now();
        let commit = Commit::plain(stream.clone(), ExpectedRevision::Any, events, at);
        let accepted = engine.store().append(commit).await.unwrap();
        accepted.durability.wait().await.unwrap();
        times.push(start.elapsed());
    }
    times
}

/// Where commands misbehave.
#[derive(Debug, Clone, Copy)]
enum Streams {
    /// In one stream per caller.
    One,
    /// In a new stream each time.
    New,
}

/// Misbehaves in stream after stream of `streams`.
async fn misbehave(engine: Arc<Engine>, name: &str, streams: Streams, stop: Arc<AtomicBool>) {
    static STREAM: AtomicU64 = AtomicU64::new(0);
    let one = STREAM.fetch_add(1, Ordering::Relaxed);
    while !stop.load(Ordering::Relaxed) {
        let stream = match streams {
            Streams::One => one,
            Streams::New => STREAM.fetch_add(1, Ordering::Relaxed),
        };
        let answer = engine.execute(request("misbehaving", stream, name, "{}")).await;
        if answer.is_err() {
            // As a client that tries again does, however badly.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn request(aggregate: &str, stream: u64, command: &str, data: &'static str) -> CommandRequest {
    CommandRequest {
        aggregate: aggregate.parse().unwrap(),
        id: stream.to_string(),
        command: command.parse().unwrap(),
        data: Bytes::from_static(data.as_bytes()),
        command_id: None,
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin::default(),
    }
}

fn measured(mut times: Vec<Duration>) -> Measured {
    times.sort();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100].as_micros();
    Measured { count: times.len(), median_us: at(50), p99_us: at(99) }
}

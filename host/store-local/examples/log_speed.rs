//! How fast the stores are on this machine, against plain writes and syncs of the same disk:
//! `cargo run --release --example log_speed -- [FOLDER [EVENTS_COUNT [STREAMS_COUNT]]]`. With a count,
//! a log of so many events over 100 000 streams (or so many as are given) is made in `FOLDER/large`;
//! if it is there already, it is opened and used.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::exit,
    clippy::indexing_slicing,
    reason = "a measurement reads the clock, prints, and fails by panicking"
)]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::{Commit, StreamAppend};
use annals_core::event::{ContentType, NewEvent};
use annals_core::id::{CommandId, CorrelationId, Digest, IdGenerator};
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ExpectedRevision, Partition, Revision};
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::port::state_store::{RowKey, StateCommit, StateSpace, StateWrite};
use annals_core::port::{EventStore as _, StateStores as _};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_local::{LocalEventStore, LocalStore};
use bytes::Bytes;
use pollster::block_on;
use uuid::Uuid;

const EVENT_BYTES: usize = 250;
const STREAMS_COUNT: u64 = 10_000;

#[derive(Debug, Default)]
struct CountedIds(AtomicU64);

impl IdGenerator for CountedIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u64_pair(7, self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn main() {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    if let Some(count) = std::env::args().nth(2) {
        let streams_count = std::env::args().nth(3).map_or(100_000, |it| it.parse().unwrap());
        return large(&parent.join("large"), count.parse().unwrap(), streams_count);
    }
    let folder = tempfile::tempdir_in(parent).unwrap();
    let sync_us = raw_sync_us(folder.path());
    let batch_bytes_per_second = raw_batches(folder.path());
    let store = open(&folder.path().join("data"));
    lone_writer(&store.events, sync_us);
    for in_flight in [256, 1_024] {
        closed_loop(&store.events, in_flight);
    }
    hot_stream(&store.events);
    batches(&store.events, batch_bytes_per_second);
    feed(&store.events);
    correlated(&store.events);
    cold_stream(&store.events);
    states(&store);
    drop(store);
    drop(open(&folder.path().join("data")));
}

fn open(folder: &Path) -> LocalStore {
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    let store = LocalStore::open(folder, &CountedIds::default()).unwrap();
    let report = &store.recovery;
    let (took, cpu) = (begin.elapsed(), cpu_seconds() - cpu);
    println!(
        "open: {} events in {} segments in {took:?}, {cpu:.3} s of cpu, {}",
        report.events_count,
        report.segments_count,
        memory()
    );
    store
}

/// How much memory the process has, and how much of it is its own.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    format!("{} of memory, {} at most", field("VmRSS:"), field("VmHWM:"))
}

/// A large log: filled, ended in the middle of writing, and opened.
fn large(folder: &Path, count: u64, streams_count: u64) {
    let store = open(folder);
    let recorded_count = store.recovery.events_count;
    if recorded_count < count {
        let streams: Vec<_> = (0..streams_count)
            .map(|number| StreamId::parse(&format!("account/{number}")).unwrap())
            .collect();
        let missing = count - recorded_count;
        run(&store.events, 1_024, missing, ("filling", recorded_count), |number| {
            let stream = number.wrapping_mul(7_919) % streams_count;
            streams[usize::try_from(stream).unwrap()].clone()
        });
        println!("filled: {}", memory());
        // As `kill -9` would: nothing is closed.
        std::process::exit(0);
    }
    let (sync_us, first_id) = (0.0, u64::MAX / 2 + recorded_count);
    lone_writer_from(&store.events, sync_us, first_id);
    cold_stream(&store.events);
    let streams: Vec<_> = (0..STREAMS_COUNT)
        .map(|number| StreamId::parse(&format!("account/{number}")).unwrap())
        .collect();
    run(&store.events, 256, 500_000, ("256 in flight on all of it", first_id + 10_000), |number| {
        streams[usize::try_from(number % STREAMS_COUNT).unwrap()].clone()
    });
    println!("used: {}", memory());
    feed(&store.events);
    correlated(&store.events);
    println!("read: {}", memory());
}

/// Seconds of processor time this process has used: what counts on a machine that does other work.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds = tasks.map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<f64>().unwrap()
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// Writes and syncs of 4 KiB into prepared space.
fn raw_sync_us(folder: &Path) -> f64 {
    let file = File::create(folder.join("raw")).unwrap();
    file.write_all_at(&vec![0; 16 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let mut times = Vec::new();
    for at in 0..2_000 {
        let begin = Instant::now();
        file.write_all_at(&[1; 4_096], at * 4_096).unwrap();
        file.sync_data().unwrap();
        times.push(begin.elapsed());
    }
    println!("raw write + sync of 4 KiB: {}", percentiles(&mut times));
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Plain writes and syncs of the bytes of a batch, appending.
fn raw_batches(folder: &Path) -> f64 {
    let file = File::create(folder.join("batches")).unwrap();
    let batch = vec![1; 1_000 * EVENT_BYTES];
    let begin = Instant::now();
    for at in 0..500 {
        file.write_all_at(&batch, at * 250_000).unwrap();
        file.sync_data().unwrap();
    }
    let rate = 500.0 * 250_000.0 / begin.elapsed().as_secs_f64();
    println!("raw write + sync of 250 kB: {:.0} MB/s", rate / 1e6);
    rate
}

fn event() -> NewEvent {
    let data = format!("{{\"text\":\"{}\"}}", "x".repeat(EVENT_BYTES - 11));
    NewEvent::json(EventType::new("funds-deposited").unwrap(), data)
}

fn commit(stream: &StreamId, number: u64, event: &NewEvent) -> Commit {
    Commit {
        recorded_at: Timestamp::from_ms(1),
        origin: Arc::default(),
        command: Some(CommandRecord {
            id: CommandId::new(Uuid::from_u64_pair(1, number)),
            name: CommandName::new("deposit-funds").unwrap(),
            stream: stream.clone(),
            content_type: ContentType::Json,
            data: Bytes::from_static(b"{\"amount_cents\":100}"),
            decided_at: Timestamp::from_ms(1),
            seed: (1, 2),
            plugin: Digest::from_bytes([7; 32]),
            outcome: Outcome::Accepted,
        }),
        streams: vec![StreamAppend {
            stream: stream.clone(),
            expected: ExpectedRevision::Any,
            events: vec![event.clone()],
        }],
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    }
}

fn lone_writer(store: &LocalEventStore, sync_us: f64) {
    lone_writer_from(store, sync_us, 0);
}

fn lone_writer_from(store: &LocalEventStore, sync_us: f64, first_id: u64) {
    let (stream, event) = (StreamId::parse("account/lone").unwrap(), event());
    let mut times = Vec::new();
    for number in 0..5_000 {
        let begin = Instant::now();
        let accepted = block_on(store.append(commit(&stream, first_id + number, &event))).unwrap();
        block_on(accepted.durability.wait()).unwrap();
        times.push(begin.elapsed());
    }
    let text = percentiles(&mut times);
    let over = times[times.len() / 2].as_secs_f64() * 1e6 - sync_us;
    println!("lone writer: {text}; {over:.0} µs over a sync");
}

/// Keeps so many commits in flight, each of one event of one of many streams, replying by callback.
fn closed_loop(store: &LocalEventStore, in_flight: u64) {
    let count = 1_500_000;
    let streams: Vec<_> = (0..STREAMS_COUNT)
        .map(|number| StreamId::parse(&format!("account/{number}")).unwrap())
        .collect();
    let first_id = count * in_flight * 10;
    run(store, in_flight, count, (&format!("{in_flight} in flight"), first_id), |number| {
        let stream = number.wrapping_mul(7_919) % STREAMS_COUNT;
        streams[usize::try_from(stream).unwrap()].clone()
    });
}

fn hot_stream(store: &LocalEventStore) {
    let stream = StreamId::parse("account/hot").unwrap();
    let name = "one hot stream, 256 in flight";
    run(store, 256, 500_000, (name, 1 << 60), |_| stream.clone());
}

fn run(
    store: &LocalEventStore,
    in_flight: u64,
    count: u64,
    (name, first_id): (&str, u64),
    stream: impl Fn(u64) -> StreamId,
) {
    let event = event();
    let (tx, rx) = mpsc::channel();
    let (begin, cpu) = (Instant::now(), cpu_seconds());
    let mut times = Vec::new();
    for number in 0..count + in_flight {
        if number >= in_flight {
            let sent: Instant = rx.recv().unwrap();
            times.push(sent.elapsed());
        }
        if number < count {
            let sent = Instant::now();
            let commit = commit(&stream(number), first_id + number, &event);
            let accepted = block_on(store.append(commit)).unwrap();
            let tx = tx.clone();
            accepted.durability.on_done(move |outcome| {
                outcome.unwrap();
                tx.send(sent).unwrap();
            });
        }
    }
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    let cpu_us = (cpu_seconds() - cpu) * 1e6 / count as f64;
    let times = percentiles(&mut times);
    println!("{name}: {rate:.0} commits/s, {cpu_us:.2} µs of cpu each, {times}");
}

fn batches(store: &LocalEventStore, raw_bytes_per_second: f64) {
    let event = event();
    let begin = Instant::now();
    let count = 500_u32;
    for number in 0..count {
        let stream = StreamId::parse(&format!("batch/{}", number % 100)).unwrap();
        let events = vec![event.clone(); 1_000];
        let commit = Commit::plain(stream, ExpectedRevision::Any, events, Timestamp::from_ms(1));
        let accepted = block_on(store.append(commit)).unwrap();
        block_on(accepted.durability.wait()).unwrap();
    }
    let events_per_second = f64::from(count) * 1_000.0 / begin.elapsed().as_secs_f64();
    let share = events_per_second * 250.0 / raw_bytes_per_second * 100.0;
    println!("batches of 1 000: {events_per_second:.0} events/s, {share:.0} % of plain writes");
}

fn feed(store: &LocalEventStore) {
    let only = FeedFilter { stream_prefix: Some("account/77".into()), ..FeedFilter::default() };
    for (name, filter) in [("all", FeedFilter::default()), ("prefix", only)] {
        for limit in [1_000, 4_096] {
            let (mut after, mut count) = (None, 0);
            let cpu = cpu_seconds();
            loop {
                let page = block_on(store.read_feed(Partition::ZERO, after, &filter, limit));
                let page = page.unwrap();
                count += page.events.len();
                after = page.read_up_to;
                if page.is_at_head {
                    break;
                }
            }
            let looked_at = after.unwrap().get() + 1;
            let rate = looked_at as f64 / (cpu_seconds() - cpu);
            println!(
                "feed, {name}, pages of {limit}: {count} events, {rate:.0}/s of cpu looked at"
            );
        }
    }
}

fn correlated(store: &LocalEventStore) {
    let id = CorrelationId::new("nobody-has-this-one").unwrap();
    let (begin, cpu, mut next) = (Instant::now(), cpu_seconds(), 0);
    loop {
        let page = block_on(store.read_correlated(Partition::ZERO, &id, next)).unwrap();
        next = page.next;
        if page.is_at_head {
            break;
        }
    }
    let rate = next as f64 / (cpu_seconds() - cpu);
    println!(
        "correlation id: {next} commits looked at in {:?}, {rate:.0}/s of cpu",
        begin.elapsed()
    );
}

fn cold_stream(store: &LocalEventStore) {
    for name in ["account/lone", "account/hot", "account/42"] {
        let stream = StreamId::parse(name).unwrap();
        let begin = Instant::now();
        let (mut from, mut count) = (Some(Revision::FIRST), 0);
        while let Some(next) = from.filter(|_| count < 10_000) {
            let read = store.read_stream(&stream, next, 10_000 - count, Direction::Forwards);
            let page = block_on(read).unwrap();
            count += page.events.len();
            from = page.next;
        }
        println!("stream {name}: {count} events in {:?}", begin.elapsed());
    }
}

fn states(store: &LocalStore) {
    let space = StateSpace::View {
        projection: annals_core::name::PluginName::new("balances").unwrap(),
        digest: Digest::of(b"1"),
        build: 0,
    };
    let state = block_on(store.states.open(&space)).unwrap();
    let cpu = cpu_seconds();
    let commits_count = 50_u64;
    for commit in 0..commits_count {
        let writes = (0..10_000_u64).map(|number| {
            let key = (number.wrapping_mul(7_919) + commit * 5_000) % 100_000;
            let row = RowKey { table: "balances".into(), key: Bytes::from(key.to_string()) };
            StateWrite::Put(row, Bytes::from_static(b"{\"balance_cents\":100,\"count\":1}"))
        });
        let commit = StateCommit { conditions: Vec::new(), writes: writes.collect() };
        block_on(state.commit(commit)).unwrap();
    }
    let rate = commits_count as f64 * 10_000.0 / (cpu_seconds() - cpu);
    println!("view writes, 10 000 per commit: {rate:.0} rows/s of cpu");
    let cpu = cpu_seconds();
    for number in 0..100_000_u64 {
        block_on(state.get("balances", number.to_string().as_bytes())).unwrap();
    }
    println!("view reads: {:.0} rows/s of cpu", 1e5 / (cpu_seconds() - cpu));
    let host = block_on(store.states.open(&StateSpace::Host)).unwrap();
    let mut times = Vec::new();
    for number in 0..1_000 {
        let row = RowKey { table: "timers".into(), key: Bytes::from(number.to_string()) };
        let writes = vec![StateWrite::Put(row, Bytes::from_static(b"{}"))];
        let begin = Instant::now();
        block_on(host.commit(StateCommit { conditions: Vec::new(), writes })).unwrap();
        times.push(begin.elapsed());
    }
    println!("host commits, durable: {}", percentiles(&mut times));
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 1_000).min(times.len() - 1)];
    format!("p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999))
}

//! Streams whose commands make their plugin fail: kept apart from the others, and after some failures
//! in a row refused for a while.
//!
//! ```text
//!  trusted ──fails──► suspect: its jobs run on a thread and in sandboxes apart
//!     ▲                  │  ▲ │ fails `after_failures` times in a row
//!     │                  │  │ ▼
//!     └──10 successes────┘  └─ quarantined: refused for `wait`, twice as long at each further failure
//! ```
//! What is known of a stream holds for the version of the plugin it was seen with.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use annals_core::name::PluginName;
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use lru::LruCache;

use crate::options::EngineOptions;

/// After so many commands without a failure a suspect is trusted again: a stream that fails now and
/// then makes the others lose their residents at most at every so many of its commands.
const TRUSTED_AFTER_SUCCESSES: u32 = 10;

/// What is known of streams that failed; the least recently used go first.
#[derive(Debug)]
pub(crate) struct Quarantine {
    after_failures: NonZeroU32,
    wait: Duration,
    wait_max: Duration,
    /// How many suspects there are, so that nobody waits for the lock when there is none.
    suspects_count: AtomicUsize,
    suspects: Mutex<LruCache<StreamId, Suspect>>,
}

#[derive(Debug, Clone)]
struct Suspect {
    generation: u64,
    /// In a row.
    failures_count: u32,
    /// Since the last failure.
    successes_count: u32,
    last_failure: Option<Arc<GuestFailure>>,
    until: Timestamp,
}

/// A stream that is refused for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantinedStream {
    /// The stream.
    pub stream: StreamId,
    /// How often in a row its commands made the plugin fail.
    pub failures_count: u32,
    /// The last failure.
    pub last_failure: Arc<GuestFailure>,
    /// When a command is tried again.
    pub until: Timestamp,
    /// How long that is from now on.
    pub wait: Duration,
}

/// The streams of one plugin that are refused for now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuarantinedStreams {
    /// How many there are.
    pub count: usize,
    /// Some of them, those that failed last first.
    pub streams: Vec<QuarantinedStream>,
}

/// Most streams of a plugin that are told one by one.
const TOLD_STREAMS_MAX: usize = 20;

impl Quarantine {
    pub(crate) fn new(options: &EngineOptions) -> Self {
        let streams_max: NonZeroUsize = options.quarantined_streams_max;
        Self {
            after_failures: options.quarantine_after_failures,
            wait: options.quarantine_wait,
            wait_max: options.quarantine_wait_max,
            suspects_count: AtomicUsize::new(0),
            suspects: Mutex::new(LruCache::new(streams_max)),
        }
    }

    /// Whether `stream` has failed lately with this version of its plugin.
    pub(crate) fn is_suspect(&self, stream: &StreamId, generation: u64) -> bool {
        let is_empty = self.suspects_count.load(Ordering::Relaxed) == 0;
        !is_empty && self.suspects().peek(stream).is_some_and(|it| it.generation == generation)
    }

    /// Why commands of `stream` are refused now, if they are.
    pub(crate) fn refusal(
        &self,
        stream: &StreamId,
        generation: u64,
        now: Timestamp,
    ) -> Option<QuarantinedStream> {
        if self.suspects_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut suspects = self.suspects();
        let suspect = suspects.get(stream).filter(|it| it.generation == generation)?;
        suspect.quarantined(stream, now)
    }

    /// Notes that a command of `stream` made its plugin fail.
    pub(crate) fn failed(
        &self,
        stream: &StreamId,
        generation: u64,
        failure: &GuestFailure,
        now: Timestamp,
    ) {
        self.change(stream, generation, |suspect| {
            suspect.failures_count = suspect.failures_count.saturating_add(1);
            suspect.successes_count = 0;
            suspect.last_failure = Some(Arc::new(failure.clone()));
            let over = suspect.failures_count.checked_sub(self.after_failures.get());
            if let Some(over) = over {
                let doubled = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
                let wait = self.wait.saturating_mul(doubled).min(self.wait_max);
                let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                suspect.until = Timestamp::from_ms(now.ms().saturating_add(wait_ms));
            }
        });
    }

    /// Notes that a read of `stream` made its plugin fail: it is kept apart, and not refused for that.
    pub(crate) fn suspected(&self, stream: &StreamId, generation: u64) {
        self.change(stream, generation, |suspect| suspect.successes_count = 0);
    }

    /// Notes that a command of `stream` was decided.
    pub(crate) fn succeeded(&self, stream: &StreamId, generation: u64) {
        if self.suspects_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut suspects = self.suspects();
        let Some(suspect) = suspects.peek_mut(stream) else { return };
        suspect.failures_count = 0;
        suspect.until = Timestamp::default();
        suspect.successes_count = suspect.successes_count.saturating_add(1);
        let is_trusted = suspect.successes_count >= TRUSTED_AFTER_SUCCESSES;
        if is_trusted || suspect.generation != generation {
            suspects.pop(stream);
        }
        self.suspects_count.store(suspects.len(), Ordering::Relaxed);
    }

    /// The streams of `plugin`, in its version `generation`, that are refused now.
    pub(crate) fn of_plugin(
        &self,
        plugin: &PluginName,
        generation: u64,
        now: Timestamp,
    ) -> QuarantinedStreams {
        let suspects = self.suspects();
        let mut all = QuarantinedStreams::default();
        for (stream, suspect) in suspects.iter() {
            let is_of_plugin = stream.category() == plugin.as_str();
            if !is_of_plugin || suspect.generation != generation {
                continue;
            }
            let Some(quarantined) = suspect.quarantined(stream, now) else { continue };
            all.count = all.count.saturating_add(1);
            if all.streams.len() < TOLD_STREAMS_MAX {
                all.streams.push(quarantined);
            }
        }
        all
    }

    fn change(&self, stream: &StreamId, generation: u64, change: impl FnOnce(&mut Suspect)) {
        let mut suspects = self.suspects();
        let fresh = || Suspect {
            generation,
            failures_count: 0,
            successes_count: 0,
            last_failure: None,
            until: Timestamp::default(),
        };
        let suspect = suspects.get_or_insert_mut(stream.clone(), fresh);
        if suspect.generation != generation {
            *suspect = fresh();
        }
        change(suspect);
        self.suspects_count.store(suspects.len(), Ordering::Relaxed);
    }

    fn suspects(&self) -> MutexGuard<'_, LruCache<StreamId, Suspect>> {
        // What is in there is valid at every moment, a panic elsewhere or not.
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Suspect {
    fn quarantined(&self, stream: &StreamId, now: Timestamp) -> Option<QuarantinedStream> {
        let last_failure = self.last_failure.as_ref().filter(|_| now < self.until)?;
        Some(QuarantinedStream {
            stream: stream.clone(),
            failures_count: self.failures_count,
            last_failure: Arc::clone(last_failure),
            until: self.until,
            wait: Duration::from_millis(self.until.ms_since(now)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quarantine(streams_max: usize) -> Quarantine {
        Quarantine::new(&EngineOptions {
            quarantine_after_failures: NonZeroU32::new(2).unwrap(),
            quarantine_wait: Duration::from_secs(1),
            quarantine_wait_max: Duration::from_secs(3),
            quarantined_streams_max: NonZeroUsize::new(streams_max).unwrap(),
            ..EngineOptions::default()
        })
    }

    fn stream(id: &str) -> StreamId {
        StreamId::parse(&format!("tally/{id}")).unwrap()
    }

    fn failure() -> GuestFailure {
        GuestFailure::Trap { plugin: "tally".into(), call: "decide", cause: "told to".into() }
    }

    #[test]
    fn waits_double_up_to_their_limit_and_end_with_a_success_or_another_version() {
        // Guards the growing wait, and that a plugin that was put right is not kept waiting.
        let (quarantine, a) = (quarantine(10), stream("a"));
        let at = Timestamp::from_ms(10_000);
        let waits: Vec<_> = (0..6)
            .map(|_| {
                quarantine.failed(&a, 1, &failure(), at);
                quarantine.refusal(&a, 1, at).map(|refused| refused.until.ms_since(at))
            })
            .collect();
        assert_eq!(waits, [None, Some(1_000), Some(2_000), Some(3_000), Some(3_000), Some(3_000)]);
        assert_eq!(quarantine.refusal(&a, 1, Timestamp::from_ms(13_000)), None, "its end");
        assert_eq!(quarantine.refusal(&a, 2, at), None, "another version");
        quarantine.succeeded(&a, 1);
        assert_eq!(quarantine.refusal(&a, 1, at), None, "after a success");
        assert!(quarantine.is_suspect(&a, 1), "one success is not enough to be trusted");
        (1..TRUSTED_AFTER_SUCCESSES).for_each(|_| quarantine.succeeded(&a, 1));
        assert!(!quarantine.is_suspect(&a, 1));
    }

    #[test]
    fn no_more_streams_are_kept_than_allowed_and_the_oldest_go_first() {
        // Guards memory: a client can make up streams without end.
        let quarantine = quarantine(2);
        for id in ["a", "b", "c"] {
            quarantine.failed(&stream(id), 1, &failure(), Timestamp::default());
        }
        let known = ["a", "b", "c"].map(|id| quarantine.is_suspect(&stream(id), 1));
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn a_plugin_is_told_how_many_and_only_some_of_them() {
        // Guards the size of what operators are shown.
        let (quarantine, now) = (quarantine(100), Timestamp::from_ms(1));
        for number in 0..30 {
            let stream = stream(&number.to_string());
            quarantine.failed(&stream, 1, &failure(), now);
            quarantine.failed(&stream, 1, &failure(), now);
        }
        let told = quarantine.of_plugin(&"tally".parse().unwrap(), 1, now);
        assert_eq!((told.count, told.streams.len()), (30, TOLD_STREAMS_MAX));
        assert_eq!(told.streams.first().map(|it| it.stream.clone()), Some(stream("29")));
        let other = quarantine.of_plugin(&"account".parse().unwrap(), 1, now);
        assert_eq!(other, QuarantinedStreams::default());
    }
}

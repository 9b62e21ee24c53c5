//! Log lines of plugins: that they reach the host's log, and that there is an end to them.

use std::fmt;
use std::sync::{Arc, Mutex};

use annals_components::misbehaving as misdeed;
use annals_core::port::guest::GuestRuntime as _;
use annals_runtime::RuntimeLimits;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::with_default;
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Resident, SetClock, runtime_with};

/// Collects what is logged under the target of plugins, as `level field=value …`.
#[derive(Debug, Default, Clone)]
struct Collector(Arc<Mutex<Vec<String>>>);

impl Collector {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "annals::plugin"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

fn misbehaving(clock: &Arc<SetClock>) -> Resident {
    let clock = Arc::clone(clock);
    let runtime = runtime_with(RuntimeLimits::default(), clock);
    Resident::new(&runtime.load(misdeed::misbehaving()).unwrap())
}

const LINE: &str = "INFO message=plugin logged a line plugin=\"misbehaving\" \
                    message_id=00000000-0000-0000-0000-000000000001 line=\"once more\"";

const DROPPED: &str = "WARN message=plugin logged too many lines in one second \
                       plugin=\"misbehaving\" dropped_count=9900 lines_per_second_max=100";

#[test]
fn a_hundred_lines_per_second_are_kept_and_the_rest_is_counted() {
    // Guards "logs without end": the log of the host stays readable, and nothing is lost in silence.
    let (log, clock) = (Collector::default(), Arc::new(SetClock::default()));
    with_default(log.clone(), || {
        let mut resident = misbehaving(&clock);
        clock.set(5_000);
        resident.accept(misdeed::LOG_FLOOD, "");
        assert_eq!(log.take(), vec![LINE; 100]);
        // The same second: of another sandbox of the same plugin nothing is kept either.
        clock.set(5_999);
        let mut other = Resident::new(&resident.plugin);
        other.accept(misdeed::LOG_LARGE_LINE, "");
        assert_eq!(log.take(), Vec::<String>::new());
        // The next second begins with what the last one lost.
        clock.set(6_000);
        resident.accept(misdeed::LOG_FLOOD, "");
        let dropped = DROPPED.replace("9900", "9901");
        assert_eq!(log.take()[..2], [dropped, LINE.to_owned()]);
        // And the last word comes when the plugin goes.
        drop((resident, other));
        assert_eq!(log.take(), [DROPPED]);
    });
}

#[test]
fn a_long_line_is_cut() {
    // Guards the size of the host's log.
    let (log, clock) = (Collector::default(), Arc::new(SetClock::default()));
    with_default(log.clone(), || misbehaving(&clock).accept(misdeed::LOG_LARGE_LINE, ""));
    let line = format!("{}…", "a".repeat(8 << 10));
    assert_eq!(log.take(), [LINE.replace("once more", &line)]);
}

#[test]
fn what_the_clock_says_changes_nothing_for_the_guest() {
    // Guards determinism: kept or dropped, a line costs the same fuel, so a guest that logs until it
    // is out of fuel ends at the same line.
    let lines = |lines_per_second_max| {
        let limits = RuntimeLimits {
            log_lines_per_second_max: lines_per_second_max,
            ..RuntimeLimits::default()
        };
        let log = Collector::default();
        let runtime = runtime_with(limits, Arc::new(SetClock::default()));
        with_default(log.clone(), || {
            let plugin = runtime.load(misdeed::misbehaving()).unwrap();
            let mut resident = Resident::new(&plugin);
            drop(plugin);
            resident.decide(misdeed::LOG_FOREVER, "").unwrap_err();
        });
        let lines = log.take();
        let kept = lines.iter().filter(|line| **line == LINE).count();
        let dropped = lines.iter().find_map(|line| {
            let (_, rest) = line.split_once("dropped_count=")?;
            rest.split(' ').next()?.parse::<usize>().ok()
        });
        (kept, kept + dropped.unwrap_or_default())
    };
    let (kept_all, all) = lines(u32::MAX);
    let (kept_few, same) = lines(100);
    assert_eq!((kept_all, kept_few), (all, 100));
    assert_eq!(all, same);
    assert!(all > 10_000, "{all}");
}

//! Scheduled commands: fired once, whatever happens, and never dropped.

mod bench;
mod dynamodb;
mod failing;
mod hosts;
mod limits;
mod recurring;

use annals_core::event::Origin;
use annals_core::id::{CausationId, CorrelationId};
use annals_core::place::{ActualRevision, Partition, Position, Revision};
use annals_core::port::event_store::{Direction, FeedFilter};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::schedule::Schedule;
use annals_engine::schedule::{
    ScheduleCounts, ScheduleError, ScheduleFigures, ScheduleOutcome, ScheduleRejection,
    ScheduleStatus, Timing,
};
use bytes::Bytes;
use tokio::time::sleep;

use crate::support::{run, state};
use bench::{Bench, HOUR, SECOND, add, after, command, ms, outcomes, schedule_id};

#[test]
fn a_command_runs_once_at_its_time_though_the_host_was_stopped_meanwhile() {
    // Guards C7: scheduled for an hour later, the host is stopped and started in between; it runs
    // once, another one that was cancelled never, and a rejection is visible in its schedule.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(add("runs", after("1h"))).await;
        bench.schedule(command("no", "add", r#"{"amount":-1}"#, after("1h"))).await;
        bench.schedule(add("cancelled", after("1h"))).await;
        assert_eq!(bench.cancel("cancelled").await.unwrap().status, ScheduleStatus::Cancelled);
        let bench = bench.restarted_after(HOUR / 2).await;
        assert_eq!(bench.show("runs").await.due_at, Some(ms(3_600_000)));
        sleep(HOUR / 2 - SECOND).await;
        assert_eq!(bench.decided_count(), 0, "nothing runs before its time");
        let runs = bench.until_status("runs", ScheduleStatus::Done).await;
        let no = bench.until_status("no", ScheduleStatus::Rejected).await;
        let expected = ScheduleOutcome {
            command_id: runs.outcomes[0].command_id,
            due_at: ms(3_600_000),
            recorded_at: runs.outcomes[0].recorded_at,
            revision: ActualRevision::from(Revision::FIRST),
            partition: Partition::ZERO,
            position: Some(Position::new(1)),
            rejection: None,
        };
        assert_eq!(runs.outcomes, [expected]);
        assert!(runs.outcomes[0].recorded_at.ms_since(ms(3_600_000)) < 1_000, "{runs:?}");
        let rejection = ScheduleRejection { code: "negative".into(), message: "no".into() };
        assert_eq!(no.outcomes[0].rejection, Some(rejection));
        assert_eq!((runs.due_at, runs.next_try_at, no.due_at), (None, None, None));
        let bench = bench.restarted_after(24 * HOUR).await;
        sleep(HOUR).await;
        assert_eq!(bench.decided_count(), 2);
        assert_eq!(state(&bench.engine, "a").await, (0, "1".to_owned()));
        assert_eq!(bench.show("cancelled").await.outcomes, []);
        let figures = bench.engine.schedules().figures().await;
        let counts = ScheduleCounts { waiting: 0, parked: 0, ended: 3 };
        assert_eq!(figures, ScheduleFigures { counts: Some(counts), ..ScheduleFigures::default() });
    });
}

#[test]
fn what_was_due_while_the_host_was_down_runs_at_its_start() {
    // Guards late commands: they run at once, each once, the earliest of a stream first; so does one
    // that was due before it was scheduled.
    run(async {
        let bench = Bench::start().await;
        for (id, delay, amount) in [("third", "30m", 3), ("first", "10m", 1), ("second", "20m", 2)]
        {
            let data = format!(r#"{{"amount":{amount}}}"#);
            bench.schedule(command(id, "add", &data, after(delay))).await;
        }
        let bench = bench.restarted_after(HOUR).await;
        for id in ["first", "second", "third", "over"] {
            if id == "over" {
                bench.schedule(add("over", Timing::At(Timestamp::from_ms(1)))).await;
            }
            let done = bench.until_status(id, ScheduleStatus::Done).await;
            let at = done.outcomes[0].recorded_at.ms_since(ms(3_600_000));
            assert!(at < 1_000, "{id} ran {at} ms after the start");
        }
        assert_eq!(bench.decided_count(), 4);
        let figures = bench.engine.schedules().figures().await;
        assert_eq!((figures.accepted_count, figures.late_ms), (4, 0));
        let filter = FeedFilter::default();
        let feed = bench.engine.store().read_feed(Partition::ZERO, None, &filter, 100);
        let events = feed.await.unwrap().events.into_iter();
        let events = events.filter(|event| event.stream.as_str() == "tally/a");
        let said: Vec<_> = events.map(|event| event.data).collect();
        let amounts = [1, 2, 3, 1].map(|amount| Bytes::from(format!(r#"{{"amount":{amount}}}"#)));
        assert_eq!(said, amounts);
    });
}

#[test]
fn a_clock_that_is_set_fires_once() {
    // Guards R19: a jump over the time fires at the next look, a jump back does not fire again; one
    // that is not due any more waits for its time.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(add("jumped", after("1h"))).await;
        bench.schedule(add("waits", after("3h"))).await;
        sleep(10 * SECOND).await;
        bench.clock.set(2 * 3_600_000);
        sleep(2 * SECOND).await;
        assert_eq!(bench.show("jumped").await.status, ScheduleStatus::Done);
        bench.clock.set(0);
        sleep(2 * HOUR).await;
        assert_eq!(bench.decided_count(), 1);
        let waits = bench.until_status("waits", ScheduleStatus::Done).await;
        assert_eq!(outcomes(&waits), [(3 * 3_600_000, "accepted")]);
        assert_eq!(state(&bench.engine, "a").await, (1, "2".to_owned()));
    });
}

#[test]
fn the_same_id_is_the_same_schedule() {
    // Guards repeats: the first answer again, also after the end; other content is refused with what
    // differs; without an id each request is a schedule.
    run(async {
        let bench = Bench::start().await;
        let first = bench.schedule(add("mine", after("1m"))).await;
        sleep(30 * SECOND).await;
        assert_eq!(bench.schedule(add("mine", after("1m"))).await, first);
        let schedules = bench.engine.schedules();
        let mut other = command("mine", "claim", r#"{"amount":2}"#, after("60001ms"));
        other.target = "b".to_owned();
        let refused = schedules.create(other).await.unwrap_err();
        let text = "schedule `mine` is there with other content: target, command, data, timing";
        assert_eq!(refused.to_string(), text);
        let done = bench.until_status("mine", ScheduleStatus::Done).await;
        assert_eq!(bench.schedule(add("mine", after("1m"))).await, done);
        assert_eq!(bench.decided_count(), 1);
        let nameless = || {
            let mut request = add("none", after("1m"));
            request.id = None;
            request
        };
        let ids = [bench.schedule(nameless()).await.id, bench.schedule(nameless()).await.id];
        assert_ne!(ids[0], ids[1]);
    });
}

#[test]
fn only_what_could_run_now_is_scheduled() {
    // Guards against a mistake that shows hours later: names, ids, data and its size are checked as
    // for a command.
    run(async {
        let bench = Bench::start().await;
        let schedules = bench.engine.schedules();
        let mut refused = Vec::new();
        let mut other_aggregate = add("x", after("1h"));
        other_aggregate.aggregate = crate::support::name("other");
        let mut other_id = add("x", after("1h"));
        other_id.target = String::new();
        let large = format!(r#""{}""#, "x".repeat(256 << 10));
        for request in [
            other_aggregate,
            other_id,
            command("x", "vanish", "{}", after("1h")),
            command("x", "add", "{", after("1h")),
            command("x", "add", &large, after("1h")),
        ] {
            refused.push(schedules.create(request).await.unwrap_err().to_string());
        }
        let expected = [
            "there is no aggregate `other`",
            "the id is not valid",
            "aggregate `tally` has no command `vanish`",
            "the data of command `add` does not fit: not JSON: EOF while parsing an object at line \
             1 column 1",
            "262146 bytes of data of one event or command, at most 262144 are allowed",
        ];
        assert_eq!(refused, expected);
        let unknown = schedules.show(&schedule_id("x")).await.unwrap_err();
        assert_eq!(unknown.to_string(), "there is no schedule `x`");
        let largest = format!(r#""{}""#, "x".repeat((256 << 10) - 2));
        let request = command("x", "add", &largest, after("1h"));
        assert_eq!(bench.schedule(request).await.data, Some(Bytes::from(largest.clone())));
        assert_eq!(bench.show("x").await.data, Some(Bytes::from(largest)));
    });
}

#[test]
fn what_has_ended_is_neither_cancelled_nor_tried_again() {
    // Guards the answers of cancel and retry: a repeat of a cancellation is one, the rest is refused
    // with what the schedule is.
    run(async {
        let bench = Bench::start().await;
        bench.schedule(add("done", after("0s"))).await;
        bench.schedule(add("later", after("1h"))).await;
        bench.until_status("done", ScheduleStatus::Done).await;
        let refused = bench.cancel("done").await.unwrap_err();
        assert_eq!(refused.to_string(), "schedule `done` is done already");
        let refused = bench.retry("later").await.unwrap_err();
        assert_eq!(refused.to_string(), "schedule `later` is waiting, not parked");
        let cancelled = bench.cancel("later").await.unwrap();
        assert_eq!(bench.cancel("later").await.unwrap(), cancelled);
        assert!(matches!(bench.cancel("none").await, Err(ScheduleError::Unknown { .. })));
    });
}

#[test]
fn commands_say_what_led_to_them() {
    // Guards tracing: the schedule caused the command; one command belongs to the request that
    // scheduled it, each of a series to itself.
    run(async {
        let bench = Bench::start().await;
        let origin = Origin {
            correlation_id: Some(CorrelationId::new("order-7").unwrap()),
            principal: Some("ada".into()),
            ..Origin::default()
        };
        let mut once = add("once", after("0s"));
        let mut series = add("series", bench::cron("* * * * *"));
        // Nobody is known to have asked for the series.
        series.origin = Origin { principal: None, ..origin.clone() };
        once.origin = origin;
        (once.target, series.target) = ("once".to_owned(), "series".to_owned());
        bench.schedule(once).await;
        bench.schedule(series).await;
        let read = async |id: &str, schedule: Schedule| {
            let stream = StreamId::parse(&format!("tally/{id}")).unwrap();
            let store = bench.engine.store();
            let page = store.read_stream(&stream, Revision::FIRST, 1, Direction::Forwards).await;
            let event = page.unwrap().events[0].clone();
            let caused_by = Some(schedule.causation_id);
            assert_eq!(event.command_id, Some(schedule.outcomes[0].command_id));
            assert_eq!(event.origin.causation_id, caused_by);
            let who = if id == "once" { "ada" } else { "schedule/series" };
            assert_eq!(event.origin.principal.as_deref(), Some(who));
            (event.origin.correlation_id.clone().unwrap(), schedule.outcomes[0].command_id)
        };
        let once = bench.until_status("once", ScheduleStatus::Done).await;
        assert_ne!(once.causation_id, CausationId::new(uuid::Uuid::nil()));
        assert_eq!(read("once", once).await.0.as_str(), "order-7");
        let series = bench.until("series", |it| it.outcomes_count == 1).await;
        let (correlation_id, command_id) = read("series", series).await;
        assert_eq!(correlation_id, CorrelationId::from(command_id));
    });
}

//! Clocks that jump: times never go back, and nothing else depends on them.

use annals_core::place::Position;
use annals_core::port::EventStore as _;
use annals_core::time::Timestamp;
use pollster::block_on;

use super::history::History;
use super::support::{accept, feed, plain};

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 8_766 * HOUR_MS;

#[test]
fn a_clock_that_goes_back_an_hour_or_forward_ten_years_moves_no_event() {
    // Guards R7, across restarts, segments and indexes that were made again.
    let start = 1_800_000_000_000;
    let far = start + 10 * YEAR_MS;
    let told = [start, start - HOUR_MS, start + 1, far, start + 2, far - HOUR_MS, far + 1, 0];
    let expected = [start, start, start + 1, far, far, far, far + 1, far + 1];
    let history = History::new(5);
    // Each fills a segment of its own.
    let large = "x".repeat(4_100);
    for rounds in 0..3 {
        for (&told, &expected) in told.iter().zip(&expected) {
            let (mut stepped, _) = history.open().unwrap();
            let mut commit = plain("account/a1", &[&large]);
            commit.recorded_at = Timestamp::from_ms(told);
            let accepted = accept(&stepped.store, commit).unwrap();
            let expected = if rounds == 0 { expected } else { far + 1 };
            assert_eq!(accepted.receipt.recorded_at, Timestamp::from_ms(expected));
            stepped.settle();
            stepped.close();
            history.folder.kill();
        }
        for name in history.folder.names_ending(".idx").iter().skip(rounds).step_by(2) {
            history.folder.take(name);
        }
    }
    let (stepped, _) = history.open().unwrap();
    let events = feed(&stepped.store);
    assert_eq!(events.len(), 24);
    assert!(events.is_sorted_by_key(|event| event.recorded_at));
    for (number, event) in (0..).zip(&events) {
        assert_eq!(event.position, Position::new(number));
    }
    assert!(history.folder.names_ending(".seg").len() > 20);
    let head = block_on(stepped.store.head(annals_core::place::Partition::ZERO)).unwrap();
    assert_eq!(head, Some(Position::new(23)));
}

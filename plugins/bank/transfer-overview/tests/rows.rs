//! The rows of transfers.

use annals_sdk::Failure;
use annals_sdk::testing::{NOW_MS, Projected, project};
use bank_transfer_overview::{
    COMPLETED_CENTS, Event, Status, TOTALS, TRANSFERS, TransferOverview, TransferRow,
};

fn started(cents: i64) -> Event {
    Event::TransferStarted { from: "a1".to_owned(), to: "a2".to_owned(), cents }
}

fn row(id: &str, cents: i64, status: Status) -> TransferRow {
    TransferRow {
        id: id.to_owned(),
        from: "a1".to_owned(),
        to: "a2".to_owned(),
        cents,
        status,
        reason: None,
        started_at_ms: NOW_MS,
        ended_at_ms: None,
    }
}

/// The totals as name and number.
fn totals(view: &Projected<TransferOverview>) -> Vec<(String, i64)> {
    let rows = view.rows(TOTALS).into_iter();
    rows.map(|row| (row.key_text().into_owned(), row.value)).collect()
}

#[test]
fn every_transfer_has_a_row_and_is_counted_where_it_is() {
    // Guards B1: what became of t1 and t2, and that a transfer is counted once, wherever it goes.
    let view = project::<TransferOverview>([
        ("money-transfer/t1", started(10)),
        ("money-transfer/t2", started(100)),
        ("money-transfer/t3", started(7)),
        ("money-transfer/t1", Event::TransferDebited),
        ("money-transfer/t3", Event::TransferDebited),
        ("money-transfer/t2", Event::TransferFailed { reason: "insufficient-funds".to_owned() }),
        ("money-transfer/t1", Event::TransferCompleted),
    ]);
    let ended_at_ms = Some(NOW_MS);
    let rows: Vec<TransferRow> = view.rows(TRANSFERS).into_iter().map(|row| row.value).collect();
    let reason = Some("insufficient-funds".to_owned());
    let expected = [
        TransferRow { ended_at_ms, ..row("t1", 10, Status::Completed) },
        TransferRow { ended_at_ms, reason, ..row("t2", 100, Status::Failed) },
        row("t3", 7, Status::Debited),
    ];
    assert_eq!(rows, expected);
    let expected =
        [("completed", 1), (COMPLETED_CENTS, 10), ("debited", 1), ("failed", 1), ("started", 0)];
    assert_eq!(totals(&view), expected.map(|(name, number)| (name.to_owned(), number)));
}

#[test]
fn an_event_of_a_transfer_that_never_started_is_parked() {
    // Guards streams that were written without the aggregate.
    let view = project::<TransferOverview>([("money-transfer/t1", started(10))]);
    let failure = view.fail("money-transfer/t2", Event::TransferCompleted);
    assert_eq!(failure, Failure::park("no transfer was started in this stream"));
}

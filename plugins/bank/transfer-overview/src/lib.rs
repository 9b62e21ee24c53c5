//! The projection `transfer-overview` of the bank: what became of every transfer, and of all of them.
//!
//! It shares no code with the aggregate `money-transfer`: recorded events are all they have in common.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, Projection, Reads, Table, Writes};

/// A row per transfer, by its id.
pub const TRANSFERS: Table<TransferRow> = Table::new("transfers");

/// Totals over all transfers: how many there are of each [`Status`], by its name, and
/// [`COMPLETED_CENTS`].
pub const TOTALS: Table<i64> = Table::new("totals");

/// How much was moved, in cents.
pub const COMPLETED_CENTS: &str = "completed_cents";

/// A transfer.
#[annals_sdk::data]
pub struct TransferRow {
    /// Its id.
    pub id: String,
    /// Id of the account that pays.
    pub from: String,
    /// Id of the account that is paid.
    pub to: String,
    /// How much.
    pub cents: i64,
    /// How far it is.
    pub status: Status,
    /// Why it failed, as a code.
    pub reason: Option<String>,
    /// When it was asked for, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_at_ms: u64,
    /// When it was completed or failed.
    pub ended_at_ms: Option<u64>,
}

/// How far a transfer is.
#[annals_sdk::data]
#[derive(Copy, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was asked for.
    Started,
    /// The source has paid.
    Debited,
    /// The target has the money.
    Completed,
    /// It will not be.
    Failed,
}

/// The events of transfers.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `money-transfer`")]
pub enum Event {
    TransferStarted { from: String, to: String, cents: i64 },
    TransferDebited,
    TransferCompleted,
    TransferFailed { reason: String },
}

/// The projection.
#[derive(Debug)]
pub struct TransferOverview;

impl Projection for TransferOverview {
    const NAME: &'static str = "transfer-overview";
    const TABLES: &'static [&'static str] = &[TRANSFERS.name(), TOTALS.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        let before = view.get(TRANSFERS, meta.id());
        if let Some(before) = &before {
            view.add(TOTALS, before.status.as_str(), -1);
        }
        let row = changed(before, event, meta)?;
        view.add(TOTALS, row.status.as_str(), 1);
        if row.status == Status::Completed {
            view.add(TOTALS, COMPLETED_CENTS, row.cents);
        }
        view.put(TRANSFERS, meta.id(), &row);
        Ok(())
    }

    fn reads(_: &Event, meta: &EventMeta<'_>, reads: &mut Reads<'_>) {
        reads.row(TRANSFERS, meta.id());
    }
}

/// The row of a transfer after an event.
fn changed(
    before: Option<TransferRow>,
    event: Event,
    meta: &EventMeta<'_>,
) -> Result<TransferRow, Failure> {
    let started_before = || {
        // The aggregate starts a transfer before all else; a stream that was written without it need not.
        before.ok_or_else(|| Failure::park("no transfer was started in this stream"))
    };
    let ended_at_ms = Some(meta.recorded_at_ms);
    match event {
        Event::TransferStarted { from, to, cents } => Ok(TransferRow {
            id: meta.id().to_owned(),
            from,
            to,
            cents,
            status: Status::Started,
            reason: None,
            started_at_ms: meta.recorded_at_ms,
            ended_at_ms: None,
        }),
        Event::TransferDebited => Ok(TransferRow { status: Status::Debited, ..started_before()? }),
        Event::TransferCompleted => {
            Ok(TransferRow { status: Status::Completed, ended_at_ms, ..started_before()? })
        }
        Event::TransferFailed { reason } => {
            let (status, reason) = (Status::Failed, Some(reason));
            Ok(TransferRow { status, reason, ended_at_ms, ..started_before()? })
        }
    }
}

impl Status {
    /// As it stands in rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Debited => "debited",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

annals_sdk::export_projection!(TransferOverview);

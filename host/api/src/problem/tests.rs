//! Each error of the engine and the stores has its code, and keeps its internals to itself.

use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::SchemaVersion;
use annals_core::id::{CommandId, Digest, EventId};
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::plugin::PluginKind;
use annals_core::port::blob_store::BlobError;
use annals_core::port::event_store::{AppendError, ReadError, SizeLimit};
use annals_core::port::guest::{GuestFailure, LoadError};
use annals_core::port::state_store::StateError as RowsError;
use annals_core::stream::StreamId;
use annals_engine::command::CommandError;
use annals_engine::plugins::{InstallError, RestoreError, UnreadableEvents};
use annals_engine::projection::{Phase, ProjectionError};
use annals_engine::state::StateError;
use annals_engine::view::ViewError;
use uuid::Uuid;

use super::{Code, Problem};

/// Words of a driver or a trap that no client may see.
const SECRET: &str = "/var/lib/annals: table `secret`";

fn driver() -> DriverError {
    DriverError::new(SECRET)
}

fn stream() -> StreamId {
    StreamId::parse("account/a1").unwrap()
}

fn trap() -> GuestFailure {
    GuestFailure::Trap { plugin: "account".to_owned(), call: "decide", cause: SECRET.to_owned() }
}

fn view_unreadable() -> GuestFailure {
    GuestFailure::View { plugin: "account".to_owned(), call: "answer", cause: SECRET.to_owned() }
}

#[track_caller]
fn check(problem: impl Into<Problem>, code: Code) {
    let problem = problem.into();
    let body = String::from_utf8(problem.body(None)).unwrap();
    assert_eq!(problem.code(), code, "{body}");
    assert!(!body.contains("secret"), "{body}");
    let detail = problem.0.detail.as_ref();
    assert!(detail.starts_with(|c: char| c.is_uppercase() || c == '`' || c.is_ascii_digit()));
    assert!(detail.ends_with('.'), "{detail}");
}

#[test]
fn errors_of_commands_have_their_codes() {
    // Guards the table of statuses for commands.
    let (expected, actual) = (ExpectedRevision::NoStream, ActualRevision::from(Revision::FIRST));
    let command_id = CommandId::new(Uuid::nil());
    let cases = [
        (
            CommandError::WrongExpectedRevision { stream: stream(), expected, actual },
            Code::WrongExpectedRevision,
        ),
        (CommandError::Contended { stream: stream(), attempts: 6 }, Code::Contended),
        (
            CommandError::ClaimHeld {
                scope: Arc::from("e-mail"),
                key: Arc::from("ada@example.org"),
                holder: stream(),
            },
            Code::ClaimHeld,
        ),
        (CommandError::CommandIdReused { command_id, stream: stream() }, Code::CommandIdReused),
        (CommandError::TooLarge { what: SizeLimit::PayloadBytes, size: 2, max: 1 }, Code::TooLarge),
        (CommandError::Busy { in_flight_max: 1 }, Code::Busy),
        (CommandError::Plugin(trap()), Code::PluginFailed),
        (CommandError::Plugin(view_unreadable()), Code::Unavailable),
        (
            CommandError::UnreadableEvent {
                stream: stream(),
                event_type: "account-opened".parse().unwrap(),
                schema_version: SchemaVersion(2),
                revision: Revision::FIRST,
                plugin_version: "1.0.0".to_owned(),
            },
            Code::UnreadableEvent,
        ),
        (CommandError::Unavailable(driver()), Code::Unavailable),
        (CommandError::Damaged(driver()), Code::Damaged),
        (
            CommandError::OutcomeUnknown { command_id, cause: Arc::from(SECRET) },
            Code::OutcomeUnknown,
        ),
        (CommandError::Stopping, Code::Stopping),
    ];
    for (error, code) in cases {
        check(error.clone(), code);
        check(StateError::Command(error), code);
    }
}

#[test]
fn errors_of_views_have_their_codes() {
    // Guards the table of statuses for views; a failing projection does not tell why.
    let projection = "account-balances".parse().unwrap();
    let not_reached = ViewError::NotReached {
        projection,
        partition: annals_core::place::Partition(2),
        position: annals_core::place::Position::new(7),
        wait: std::time::Duration::from_millis(5),
        checkpoint: None,
        phase: Phase::Failing { cause: SECRET.to_owned(), attempts: 3, is_of_events: false },
    };
    check(not_reached, Code::NotReached);
    check(ViewError::Busy { in_flight_max: 1 }, Code::Busy);
    check(ViewError::Plugin(trap()), Code::PluginFailed);
    check(ViewError::State(RowsError::Unavailable(driver())), Code::Unavailable);
    check(ViewError::State(RowsError::Damaged(driver())), Code::Damaged);
    check(ViewError::State(RowsError::NotACounter { table: Arc::from("secret") }), Code::Internal);
    check(ViewError::Stopping, Code::Stopping);
}

#[test]
fn errors_of_installing_have_their_codes() {
    // Guards the table of statuses for plugins.
    let name = || "account".parse().unwrap();
    let digest = Digest::of(b"");
    let other_kind = InstallError::OtherKind {
        name: name(),
        installed: PluginKind::Aggregate,
        kind: PluginKind::Projection,
    };
    check(other_kind, Code::PluginKindDiffers);
    let too_large = LoadError::TooLarge { component_bytes: 2, component_bytes_max: 1 };
    check(InstallError::Load(too_large), Code::BadPlugin);
    let view =
        ProjectionError::View { projection: name(), source: RowsError::Unavailable(driver()) };
    check(InstallError::Projection(view), Code::Unavailable);
    let fault = SECRET.to_owned();
    let checkpoint = ProjectionError::Checkpoint { projection: name(), fault };
    check(InstallError::Projection(checkpoint), Code::Damaged);
    check(InstallError::Blob(BlobError::Unavailable(driver())), Code::Unavailable);
    check(InstallError::Blob(BlobError::Damaged { digest }), Code::Unavailable);
    check(InstallError::Record(AppendError::Unavailable(driver())), Code::Unavailable);
    check(InstallError::OutcomeUnknown(driver()), Code::OutcomeUnknown);
    check(InstallError::Contended { attempts: 5 }, Code::Contended);
    let unread = RestoreError::Read(ReadError::Unavailable(driver()));
    check(InstallError::Registry(unread), Code::Unavailable);
    let damaged = RestoreError::Damaged { cause: SECRET.to_owned() };
    check(InstallError::Registry(damaged), Code::Damaged);
    check(InstallError::Stopping, Code::Stopping);
    let unreadable = UnreadableEvents {
        category: "account".to_owned(),
        event_type: "account-opened".parse().unwrap(),
        schema_version: SchemaVersion::FIRST,
        events_count: 2,
    };
    let (version, unreadable) = ("2.0.0".to_owned(), vec![unreadable]);
    let history = InstallError::UnreadableHistory { name: name(), version, unreadable };
    check(history, Code::UnreadableHistory);
    check(InstallError::History(ReadError::Unavailable(driver())), Code::Unavailable);
    check(InstallError::UnknownPlugin { name: name(), known: vec![name()] }, Code::UnknownPlugin);
    check(InstallError::NoVersionBefore { name: name() }, Code::NoVersionBefore);
    let kept = vec![digest];
    check(InstallError::VersionNotKept { name: name(), digest, kept }, Code::VersionNotKept);
    check(InstallError::View(RowsError::Unavailable(driver())), Code::Unavailable);
}

#[test]
fn errors_of_stores_have_their_codes() {
    // Guards the table of statuses for plain appends and reads.
    let event = EventId::new(Uuid::nil());
    check(AppendError::Empty, Code::MalformedAppend);
    check(AppendError::EventIdsReused { stream: stream(), event }, Code::EventIdsReused);
    check(AppendError::Unavailable(driver()), Code::Unavailable);
    check(AppendError::OutcomeUnknown(driver()), Code::OutcomeUnknown);
    let command = CommandId::new(Uuid::nil());
    check(AppendError::AlreadyDecided { stream: stream(), command }, Code::Internal);
    check(ReadError::Unavailable(driver()), Code::Unavailable);
    check(ReadError::Damaged(driver()), Code::Damaged);
}

//! The one list of problem codes. Each has a section in `docs/reference/errors.md`; a test compares
//! the two.

use axum::http::StatusCode;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal $status:ident,)+) => {
        /// A stable name for a kind of failure, and its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// All codes, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code as clients see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The status of answers with this code.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = "malformed-json" BAD_REQUEST,
    /// The body is JSON, but not of the shape the call takes.
    MalformedBody = "malformed-body" BAD_REQUEST,
    /// The body ended before it was complete.
    IncompleteBody = "incomplete-body" BAD_REQUEST,
    /// The data of a command does not fit its schema.
    MalformedCommand = "malformed-command" BAD_REQUEST,
    /// The parameters of a named question do not fit.
    MalformedQuery = "malformed-query" BAD_REQUEST,
    /// An append contradicts itself.
    MalformedAppend = "malformed-append" BAD_REQUEST,
    /// The path is not UTF-8 after percent-decoding, or a part of it is too long.
    BadPath = "bad-path" BAD_REQUEST,
    /// A name in the path, the query or the body is not kebab-case.
    BadName = "bad-name" BAD_REQUEST,
    /// The id of a stream is not valid.
    BadStreamId = "bad-stream-id" BAD_REQUEST,
    /// The id of a schedule is not valid.
    BadScheduleId = "bad-schedule-id" BAD_REQUEST,
    /// `idempotency-key` is not a UUID.
    BadIdempotencyKey = "bad-idempotency-key" BAD_REQUEST,
    /// `if-revision` is not an expected revision.
    BadIfRevision = "bad-if-revision" BAD_REQUEST,
    /// `x-correlation-id` is not a correlation id.
    BadCorrelationId = "bad-correlation-id" BAD_REQUEST,
    /// `x-causation-id` is not a UUID.
    BadCausationId = "bad-causation-id" BAD_REQUEST,
    /// `last-event-id` is not a position.
    BadLastEventId = "bad-last-event-id" BAD_REQUEST,
    /// A query parameter has a value it cannot have.
    BadQueryParameter = "bad-query-parameter" BAD_REQUEST,
    /// The call has no such query parameter.
    UnknownQueryParameter = "unknown-query-parameter" BAD_REQUEST,
    /// There is no such namespace.
    UnknownNamespace = "unknown-namespace" BAD_REQUEST,
    /// The bytes are not a plugin this host can run.
    BadPlugin = "bad-plugin" BAD_REQUEST,
    /// The plugin describes itself by another name.
    PluginNameDiffers = "plugin-name-differs" BAD_REQUEST,
    /// A view cannot begin where it should.
    BadRebuildBegin = "bad-rebuild-begin" BAD_REQUEST,
    /// Plugins of the kind have nothing to verify.
    UnsupportedPluginKind = "unsupported-plugin-kind" BAD_REQUEST,
    /// The host's own streams are not written by clients.
    SystemCategory = "system-category" FORBIDDEN,
    /// There is no such path.
    UnknownRoute = "unknown-route" NOT_FOUND,
    /// There is no such aggregate.
    UnknownAggregate = "unknown-aggregate" NOT_FOUND,
    /// The aggregate has no such command.
    UnknownCommand = "unknown-command" NOT_FOUND,
    /// The stream has no event.
    UnknownStream = "unknown-stream" NOT_FOUND,
    /// The stream does not reach the revision.
    UnknownRevision = "unknown-revision" NOT_FOUND,
    /// There is no such projection.
    UnknownProjection = "unknown-projection" NOT_FOUND,
    /// The projection has no such table.
    UnknownTable = "unknown-table" NOT_FOUND,
    /// The table has no such row.
    UnknownRow = "unknown-row" NOT_FOUND,
    /// The projection has no such question.
    UnknownQuery = "unknown-query" NOT_FOUND,
    /// There is no such process manager.
    UnknownProcess = "unknown-process" NOT_FOUND,
    /// The process manager has no such instance.
    UnknownProcessInstance = "unknown-process-instance" NOT_FOUND,
    /// There is no such plugin.
    UnknownPlugin = "unknown-plugin" NOT_FOUND,
    /// There is no such subscription.
    UnknownSubscription = "unknown-subscription" NOT_FOUND,
    /// There is no such schedule.
    UnknownSchedule = "unknown-schedule" NOT_FOUND,
    /// No stream holds the name.
    ClaimNotHeld = "claim-not-held" NOT_FOUND,
    /// The version of the plugin is not kept.
    VersionNotKept = "version-not-kept" NOT_FOUND,
    /// The path exists, but not with this method.
    MethodNotAllowed = "method-not-allowed" METHOD_NOT_ALLOWED,
    /// The body came too slowly.
    BodyTooSlow = "body-too-slow" REQUEST_TIMEOUT,
    /// The stream is not where the writer believes.
    WrongExpectedRevision = "wrong-expected-revision" CONFLICT,
    /// No event of the feed has that position yet.
    PositionAhead = "position-ahead" CONFLICT,
    /// Other hosts kept writing the stream first.
    Contended = "contended" CONFLICT,
    /// Another stream holds the name.
    ClaimHeld = "claim-held" CONFLICT,
    /// The command id was used for another command.
    CommandIdReused = "command-id-reused" CONFLICT,
    /// Some of the event ids are recorded already.
    EventIdsReused = "event-ids-reused" CONFLICT,
    /// The name belongs to a plugin of another kind.
    PluginKindDiffers = "plugin-kind-differs" CONFLICT,
    /// The version of the plugin does not read what is recorded.
    UnreadableHistory = "unreadable-history" CONFLICT,
    /// There is no version of the plugin to go back to.
    NoVersionBefore = "no-version-before" CONFLICT,
    /// Active plugins read less without the upcaster.
    UpcasterNeeded = "upcaster-needed" CONFLICT,
    /// Another upcaster takes one of its events.
    UpcasterConflict = "upcaster-conflict" CONFLICT,
    /// The subscription is there with other settings.
    SubscriptionDiffers = "subscription-differs" CONFLICT,
    /// There are as many subscriptions as may be.
    TooManySubscriptions = "too-many-subscriptions" CONFLICT,
    /// As many streams of the subscription have a parked event as may.
    TooManyParked = "too-many-parked" CONFLICT,
    /// The schedule is there with other content.
    ScheduleDiffers = "schedule-differs" CONFLICT,
    /// There are as many schedules as may be.
    TooManySchedules = "too-many-schedules" CONFLICT,
    /// The schedule has ended already.
    ScheduleEnded = "schedule-ended" CONFLICT,
    /// The schedule is not parked.
    ScheduleNotParked = "schedule-not-parked" CONFLICT,
    /// A view of the projection is built already.
    RebuildUnderWay = "rebuild-under-way" CONFLICT,
    /// No view of the projection is built.
    NoRebuild = "no-rebuild" CONFLICT,
    /// The view that is built has not caught up and been compared.
    RebuildNotReady = "rebuild-not-ready" CONFLICT,
    /// No view of before a cut-over is followed any more.
    NoPreviousView = "no-previous-view" CONFLICT,
    /// The body is larger than allowed.
    BodyTooLarge = "body-too-large" PAYLOAD_TOO_LARGE,
    /// A line of a batch is longer than allowed.
    LineTooLarge = "line-too-large" PAYLOAD_TOO_LARGE,
    /// A command or event is over a limit of the store.
    TooLarge = "too-large" PAYLOAD_TOO_LARGE,
    /// The body is of a media type the call does not take.
    UnsupportedMediaType = "unsupported-media-type" UNSUPPORTED_MEDIA_TYPE,
    /// The domain said no.
    Rejected = "rejected" UNPROCESSABLE_ENTITY,
    /// The plugin trapped, reached a limit or broke the contract.
    PluginFailed = "plugin-failed" INTERNAL_SERVER_ERROR,
    /// The active plugin does not read a recorded event.
    UnreadableEvent = "unreadable-event" INTERNAL_SERVER_ERROR,
    /// An upcaster made nothing of a recorded event.
    UpcastFailed = "upcast-failed" INTERNAL_SERVER_ERROR,
    /// Nobody knows whether it was recorded.
    OutcomeUnknown = "outcome-unknown" INTERNAL_SERVER_ERROR,
    /// What is stored cannot be read.
    Damaged = "damaged" INTERNAL_SERVER_ERROR,
    /// A fault of the host.
    Internal = "internal" INTERNAL_SERVER_ERROR,
    /// Too much is going on.
    Busy = "busy" SERVICE_UNAVAILABLE,
    /// The stream made its plugin fail again and again.
    Quarantined = "quarantined" SERVICE_UNAVAILABLE,
    /// A store does not answer.
    Unavailable = "unavailable" SERVICE_UNAVAILABLE,
    /// The host is stopping.
    Stopping = "stopping" SERVICE_UNAVAILABLE,
    /// The view did not reach the position in time.
    NotReached = "not-reached" GATEWAY_TIMEOUT,
    /// There was no answer in time.
    Deadline = "deadline" GATEWAY_TIMEOUT,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Code;

    #[test]
    fn codes_are_kebab_case_and_differ() {
        // Guards the spelling that clients compare with.
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        for text in texts {
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{text}");
        }
    }

    #[test]
    fn errors_reference_documents_every_code_with_its_status() {
        // Guards `docs/reference/errors.md`: each code has one section, in the order of the list, and
        // no section is of a code that is gone.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/errors.md");
        let reference = std::fs::read_to_string(path).unwrap();
        let documented: Vec<_> =
            reference.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let expected: Vec<_> = Code::ALL
            .iter()
            .map(|code| format!("`{}` ({})", code.as_str(), code.status().as_u16()))
            .collect();
        assert_eq!(documented, expected);
        for section in reference.split("\n## ").skip(1) {
            let has_both = section.contains("**Cause.**") && section.contains("**What to do.**");
            assert!(has_both, "{section}");
        }
    }
}

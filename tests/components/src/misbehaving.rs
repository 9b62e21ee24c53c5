//! A plugin that misbehaves when it is called: its commands, and what a host has to make of them.
//!
//! "Fails" means: the caller gets an error that names plugin, call and limit; nothing is recorded;
//! the stream and other plugins go on.

use std::sync::OnceLock;

use crate::build;

/// The aggregate `misbehaving`. Its commands, without data, are the constants of this module.
#[must_use]
pub fn misbehaving() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("tests/components/misbehaving"))
}

/// Lists the commands, each as a constant and as a variant of [`Misdeed`].
macro_rules! misdeeds {
    ($($(#[$doc:meta])+ $constant:ident $misdeed:ident = $name:literal;)+) => {
        $($(#[$doc])+ pub const $constant: &str = $name;)+

        /// A command of the aggregate `misbehaving`. Tests match all of them: one without a test does not
        /// compile.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Misdeed {
            $($(#[$doc])+ $misdeed,)+
        }

        impl Misdeed {
            /// Every command, in the order of the plugin's description.
            pub const ALL: &[Self] = &[$(Self::$misdeed,)+];

            /// The name of the command.
            #[must_use]
            pub const fn command(self) -> &'static str {
                match self { $(Self::$misdeed => $name,)+ }
            }
        }
    };
}

/// The event of [`NOTE`].
pub const NOTED: &str = "noted";

misdeeds! {
    /// Accepted, with one event [`NOTED`]: the plugin can behave.
    NOTE Note = "note";
    /// Fails: out of fuel.
    LOOP_FOREVER LoopForever = "loop-forever";
    /// Fails: out of memory, as a trap. The memory is given back.
    ALLOCATE_FOREVER AllocateForever = "allocate-forever";
    /// Fails: out of stack.
    RECURSE_FOREVER RecurseForever = "recurse-forever";
    /// Fails: trap.
    TRAP Trap = "trap";
    /// Fails: a million events are more than a decision may have, or than the fuel makes.
    EMIT_MILLION EmitMillion = "emit-million";
    /// Fails: 1 001 events are one more than a decision may have.
    EMIT_TOO_MANY EmitTooMany = "emit-too-many";
    /// Fails: an event of one byte more than 256 KiB.
    EMIT_LARGE_EVENT EmitLargeEvent = "emit-large-event";
    /// Fails: 100 MiB do not fit into the plugin's memory, or are too many for an event.
    EMIT_HUNDRED_MEBIBYTES EmitHundredMebibytes = "emit-hundred-mebibytes";
    /// Fails: an event type one past the descriptor's last.
    EMIT_TYPE_OUT_OF_RANGE EmitTypeOutOfRange = "emit-type-out-of-range";
    /// Fails: data that is not JSON although its content type is.
    EMIT_INVALID_JSON EmitInvalidJson = "emit-invalid-json";
    /// Fails: JSON with a string that is not UTF-8.
    EMIT_INVALID_UTF8 EmitInvalidUtf8 = "emit-invalid-utf8";
    /// Fails: no data, which is not JSON.
    EMIT_NO_DATA EmitNoData = "emit-no-data";
    /// Fails: a rejection whose code is not kebab-case.
    REJECT_BAD_CODE RejectBadCode = "reject-bad-code";
    /// Fails: a rejection without a code.
    REJECT_EMPTY_CODE RejectEmptyCode = "reject-empty-code";
    /// Fails: a message that is not UTF-8, which the component model refuses.
    REJECT_INVALID_UTF8 RejectInvalidUtf8 = "reject-invalid-utf8";
    /// Fails: a message of 1 MiB, more than a rejection may have.
    REJECT_LARGE_MESSAGE RejectLargeMessage = "reject-large-message";
    /// Fails: detail that is not JSON.
    REJECT_INVALID_JSON_DETAIL RejectInvalidJsonDetail = "reject-invalid-json-detail";
    /// Fails: 101 claims are more than a decision may have.
    CLAIM_TOO_MANY ClaimTooMany = "claim-too-many";
    /// Fails: a claim of the empty name.
    CLAIM_EMPTY_KEY ClaimEmptyKey = "claim-empty-key";
    /// Fails: a claim of a name of 1 025 bytes, more than allowed.
    CLAIM_LARGE_KEY ClaimLargeKey = "claim-large-key";
    /// Fails: a claim in a scope that is not kebab-case.
    CLAIM_BAD_SCOPE ClaimBadScope = "claim-bad-scope";
    /// Fails: out of fuel, after lines of which 100 are kept.
    LOG_FOREVER LogForever = "log-forever";
    /// Accepted, with one event [`NOTED`]: 10 000 lines, of which 100 are kept and the rest counted.
    LOG_FLOOD LogFlood = "log-flood";
    /// Accepted, with one event [`NOTED`]: a line of 1 MiB, which is cut.
    LOG_LARGE_LINE LogLargeLine = "log-large-line";
    /// Accepted, and the stream is broken: `evolve` traps on the event, now and on every load.
    RECORD_TRAP_WHEN_EVOLVED RecordTrapWhenEvolved = "record-trap-when-evolved";
    /// Accepted, and the stream is broken: `evolve` is out of fuel, now and on every load.
    RECORD_LOOP_WHEN_EVOLVED RecordLoopWhenEvolved = "record-loop-when-evolved";
    /// Accepted; from here on `snapshot` traps. Commands go on without snapshots.
    RECORD_TRAP_IN_SNAPSHOT RecordTrapInSnapshot = "record-trap-in-snapshot";
    /// Accepted; from here on `snapshot` is out of fuel. Commands go on without snapshots.
    RECORD_LOOP_IN_SNAPSHOT RecordLoopInSnapshot = "record-loop-in-snapshot";
    /// Accepted; from here on the snapshot is not JSON. Commands go on without snapshots.
    RECORD_INVALID_JSON_SNAPSHOT RecordInvalidJsonSnapshot = "record-invalid-json-snapshot";
    /// Accepted; from here on the snapshot has 9 MiB, more than the host keeps. Commands go on without
    /// snapshots.
    RECORD_LARGE_SNAPSHOT RecordLargeSnapshot = "record-large-snapshot";
}

/// What `describe` does. All but [`Log`](Self::Log) are refused at install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescribeFault {
    /// Trap.
    Trap,
    /// Out of fuel.
    LoopForever,
    /// Out of memory.
    AllocateForever,
    /// Out of stack.
    RecurseForever,
    /// Installed: a log line in the sandbox does nothing.
    Log,
    /// The plugin has the empty name.
    EmptyName,
    /// The plugin's name is not kebab-case.
    BadName,
    /// The plugin's name is not UTF-8.
    InvalidUtf8Name,
    /// The version is not a semantic one.
    BadVersion,
    /// Two events have one name.
    DuplicateEvent,
    /// A command's name is not kebab-case.
    BadCommandName,
    /// 1 001 events, one more than allowed.
    TooManyEvents,
    /// An event of schema version 0.
    SchemaVersionZero,
    /// Schemas that are not JSON.
    SchemaNotJson,
    /// A description of 2 MiB, where 1 MiB is allowed.
    TooLarge,
}

impl DescribeFault {
    /// Every fault.
    pub const ALL: [Self; 15] = [
        Self::Trap,
        Self::LoopForever,
        Self::AllocateForever,
        Self::RecurseForever,
        Self::Log,
        Self::EmptyName,
        Self::BadName,
        Self::InvalidUtf8Name,
        Self::BadVersion,
        Self::DuplicateEvent,
        Self::BadCommandName,
        Self::TooManyEvents,
        Self::SchemaVersionZero,
        Self::SchemaNotJson,
        Self::TooLarge,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::LoopForever => "loop-forever",
            Self::AllocateForever => "allocate-forever",
            Self::RecurseForever => "recurse-forever",
            Self::Log => "log",
            Self::EmptyName => "empty-name",
            Self::BadName => "bad-name",
            Self::InvalidUtf8Name => "invalid-utf8-name",
            Self::BadVersion => "bad-version",
            Self::DuplicateEvent => "duplicate-event",
            Self::BadCommandName => "bad-command-name",
            Self::TooManyEvents => "too-many-events",
            Self::SchemaVersionZero => "schema-version-zero",
            Self::SchemaNotJson => "schema-not-json",
            Self::TooLarge => "too-large",
        }
    }
}

/// The text in the component that stands for no fault.
const NO_FAULT: &[u8; 48] = b"annals-misbehaving-fault........................";

/// The aggregate `misbehaving`, which misbehaves in `describe` already.
///
/// `describe` takes no input, so the fault is written over a text in the component's data.
#[must_use]
#[expect(clippy::panic, reason = "without its component a test cannot run")]
pub fn misbehaving_in_describe(fault: DescribeFault) -> Vec<u8> {
    let mut bytes = misbehaving().to_vec();
    let starts = || bytes.windows(NO_FAULT.len()).enumerate();
    let mut found = starts().filter(|(_, text)| text == NO_FAULT).map(|(start, _)| start);
    let (Some(start), None) = (found.next(), found.next()) else {
        panic!("the component has not one place for a fault");
    };
    let text = bytes.iter_mut().skip(start).skip(NO_FAULT.len() / 2);
    text.zip(fault.name().bytes()).for_each(|(place, byte)| *place = byte);
    bytes
}

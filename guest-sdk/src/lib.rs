//! Write Annals plugins in Rust.
//!
//! Annals is a daemon that keeps events and runs the rules of your domain as sandboxed WebAssembly
//! components. You write states, events, commands and two functions; names, JSON Schemas,
//! snapshots and everything the contract asks of a component come from here.
//!
//! # An aggregate
//!
//! An aggregate keeps the rules of one kind of stream. It **decides** a command, which gives events
//! or a rejection, and **evolves** its state from events.
//!
//! ```
//! use annals_sdk::{Aggregate, Context, Decision, Rejection, ensure};
//!
//! /// What we must know to decide.
//! #[annals_sdk::state]
//! struct Account {
//!     is_open: bool,
//!     balance_cents: i64,
//! }
//!
//! /// What can be asked: imperative. On the wire `open-account`, `deposit-funds`.
//! #[annals_sdk::command]
//! enum Command {
//!     OpenAccount,
//!     /// Documentation becomes part of the JSON Schema.
//!     DepositFunds { cents: i64 },
//! }
//!
//! /// What happened: past tense. Recorded for ever, so choose fields with care.
//! #[annals_sdk::event]
//! enum Event {
//!     AccountOpened,
//!     FundsDeposited { cents: i64 },
//! }
//!
//! impl Aggregate for Account {
//!     const NAME: &'static str = "account";
//!     type Command = Command;
//!     type Event = Event;
//!
//!     fn evolve(&mut self, event: Event) {
//!         match event {
//!             Event::AccountOpened => self.is_open = true,
//!             Event::FundsDeposited { cents } => self.balance_cents += cents,
//!         }
//!     }
//!
//!     fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
//!         match command {
//!             Command::OpenAccount => {
//!                 ensure!(!self.is_open, "already-open", "the account is open");
//!                 Ok(Event::AccountOpened.into())
//!             }
//!             Command::DepositFunds { cents } => {
//!                 ensure!(self.is_open, "not-open", "the account is not open");
//!                 ensure!(cents > 0, "invalid-amount", "{cents} is not more than 0");
//!                 Ok(Event::FundsDeposited { cents }.into())
//!             }
//!         }
//!     }
//! }
//!
//! annals_sdk::export_aggregate!(Account);
//!
//! // Tests are native and read like the rules. See `testing`.
//! use annals_sdk::testing::given;
//!
//! given::<Account>([Event::AccountOpened])
//!     .when(Command::DepositFunds { cents: 190 })
//!     .then([Event::FundsDeposited { cents: 190 }])
//!     .then_state(|account| assert_eq!(account.balance_cents, 190));
//! given::<Account>([])
//!     .when(Command::DepositFunds { cents: 190 })
//!     .then_rejected("not-open");
//! ```
//!
//! # A projection
//!
//! A projection turns events of any aggregates into rows that are cheap to read, and may answer
//! questions about them.
//!
//! ```
//! use annals_sdk::{EventMeta, Failure, KeyRange, Projection, Queries, QueryContext, QueryError};
//! use annals_sdk::{Table, Value, View, Writes, json};
//!
//! const BALANCES: Table<i64> = Table::new("balances");
//!
//! struct Balances;
//!
//! /// The events it wants, with the fields it needs.
//! #[annals_sdk::event]
//! enum Event {
//!     FundsDeposited { cents: i64 },
//! }
//!
//! #[annals_sdk::query]
//! enum Query {
//!     CountAccounts,
//! }
//!
//! impl Projection for Balances {
//!     const NAME: &'static str = "balances";
//!     const TABLES: &'static [&'static str] = &[BALANCES.name()];
//!     type Event = Event;
//!
//!     fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
//!         let Event::FundsDeposited { cents } = event;
//!         view.add(BALANCES, meta.id(), cents);
//!         Ok(())
//!     }
//! }
//!
//! impl Queries for Balances {
//!     type Query = Query;
//!
//!     fn answer(query: Query, _: &QueryContext, view: &View) -> Result<Value, QueryError> {
//!         match query {
//!             Query::CountAccounts => {
//!                 Ok(json!(view.scan(BALANCES, &KeyRange::all(), 1_000).len()))
//!             }
//!         }
//!     }
//! }
//!
//! annals_sdk::export_projection!(Balances, queries);
//!
//! use annals_sdk::testing::project;
//!
//! let view = project::<Balances>([
//!     ("account/a1", Event::FundsDeposited { cents: 190 }),
//!     ("account/a1", Event::FundsDeposited { cents: 10 }),
//! ]);
//! assert_eq!(view.row(BALANCES, "a1"), Some(200));
//! assert_eq!(view.query(Query::CountAccounts), Ok(json!(1)));
//! ```
//!
//! How fast a projection catches up depends on what it asks the host for and how many rows it
//! changes. Counting with [`Writes::add`] needs no read and is one write per counter and batch. Rows
//! that `project` reads are best named in [`Projection::reads`], which fetches those of a whole batch
//! at once.
//!
//! # A process manager
//!
//! A process manager follows what happens over several aggregates and sends them commands, with a state
//! of its own per thing that it follows.
//!
//! ```
//! use annals_sdk::{ProcessContext, ProcessManager, Reaction, Received, Reply, Sent, Timer, Unhandled};
//!
//! /// Thanks who opens an account with a gift, and takes no for an answer.
//! struct WelcomeGift;
//!
//! #[annals_sdk::data]
//! struct Gift {
//!     account: String,
//! }
//!
//! /// The events it wants, with the fields it needs.
//! #[annals_sdk::event]
//! enum Event {
//!     AccountOpened,
//! }
//!
//! /// What it sends, and to whom.
//! #[annals_sdk::outgoing]
//! enum Command {
//!     #[annals(target = "account")]
//!     DepositFunds { cents: i64 },
//! }
//!
//! type Reacted = Result<Reaction<Gift, Command>, Unhandled>;
//!
//! impl ProcessManager for WelcomeGift {
//!     const NAME: &'static str = "welcome-gift";
//!     type State = Gift;
//!     type Event = Event;
//!     type Command = Command;
//!
//!     // One instance per account.
//!     fn correlate(received: &Received<'_, Event>) -> Vec<String> {
//!         vec![received.id().to_owned()]
//!     }
//!
//!     fn on_event(_: Option<Gift>, received: Received<'_, Event>, ctx: &ProcessContext) -> Reacted {
//!         let account = received.id().to_owned();
//!         Ok(Reaction::keep(Gift { account }).start_timer("next-day", ctx.now_ms() + 86_400_000))
//!     }
//!
//!     fn on_timer(gift: Gift, _: Timer, _: &ProcessContext) -> Reacted {
//!         let account = gift.account.clone();
//!         Ok(Reaction::keep(gift).send(account, Command::DepositFunds { cents: 500 }))
//!     }
//!
//!     fn on_reply(_: Gift, _: Sent<Command>, _: Reply, _: &ProcessContext) -> Reacted {
//!         Ok(Reaction::end())
//!     }
//! }
//!
//! annals_sdk::export_process_manager!(WelcomeGift);
//!
//! use annals_sdk::testing::given_instance;
//!
//! let gift = Command::DepositFunds { cents: 500 };
//! given_instance::<WelcomeGift>("a1")
//!     .when_event("account/a1", Event::AccountOpened)
//!     .then_commands([])
//!     .when_timer("next-day")
//!     .then_commands([("a1", gift.clone())])
//!     .when_reply(gift, Reply::Accepted)
//!     .then_ended();
//! ```
//!
//! # An upcaster
//!
//! An upcaster makes new shapes of old ones when events are read, so that aggregates and
//! projections know the newest only. What is stored stays as it is.
//!
//! ```
//! use annals_sdk::{Unreadable, Upcast, Upcaster};
//!
//! struct Deposits;
//!
//! /// What is stored.
//! #[annals_sdk::shapes]
//! enum Old {
//!     FundsDeposited { cents: i64 },
//! }
//!
//! /// What is read.
//! #[annals_sdk::shapes]
//! enum New {
//!     #[annals(schema_version = 2)]
//!     FundsDeposited { cents: i64, currency: String },
//! }
//!
//! impl Upcaster for Deposits {
//!     const NAME: &'static str = "deposits";
//!     type From = Old;
//!     type To = New;
//!
//!     fn upcast(event: Old) -> Result<Upcast<New>, Unreadable> {
//!         let Old::FundsDeposited { cents } = event;
//!         // All there was then.
//!         Ok(New::FundsDeposited { cents, currency: "EUR".to_owned() }.into())
//!     }
//! }
//!
//! annals_sdk::export_upcaster!(Deposits);
//!
//! use annals_sdk::testing::given_stored;
//!
//! given_stored::<Deposits>([Old::FundsDeposited { cents: 190 }])
//!     .when_upcast()
//!     .then([New::FundsDeposited { cents: 190, currency: "EUR".to_owned() }]);
//! ```
//!
//! # What a plugin cannot do
//!
//! There is no clock, no randomness, no file and no network; what is true about the outside comes
//! in with [`Context`]. A panic ends the call and is reported as the plugin's failure, with its
//! text in the log; nothing of the call is recorded.

#[doc(hidden)]
pub mod __private;
mod aggregate;
#[doc(hidden)]
#[expect(
    unsafe_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::too_many_lines,
    clippy::uninlined_format_args,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "generated by wit-bindgen, whose style is its own"
)]
#[rustfmt::skip]
pub mod bindings;
mod canonical;
mod context;
mod host;
pub mod log;
mod message;
mod process;
mod projection;
mod random;
mod rejection;
mod runtime;
mod table;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod upcaster;
mod view;

pub use schemars;
pub use serde;
pub use serde_json::{self, Value, json};

pub use crate::aggregate::{Aggregate, Claim, Decision, Release};
pub use crate::context::{Context, ProcessContext, QueryContext};
pub use crate::message::{
    Command, DecodeError, EncodeError, Event, Message, MessageType, Outgoing, Query, Shapes,
};
pub use crate::process::{ProcessManager, Reaction, Received, Reply, Sent, Timer, Unhandled};
pub use crate::projection::{EventMeta, Failure, Projection, Queries, QueryError};
pub use crate::random::Random;
pub use crate::rejection::Rejection;
pub use crate::table::{KeyRange, Table};
pub use crate::upcaster::{Unreadable, Upcast, Upcaster};
pub use crate::view::{Reads, Row, View, Writes};

/// Makes an enum the commands of an aggregate.
///
/// Each variant is a command: `OpenAccount { owner: String }` is `open-account` with the data
/// `{"owner": ..}`. The enum derives `Debug`, `Clone`, `PartialEq` and `Serialize`; put other
/// derives below this attribute.
///
/// - A variant without fields has the data `{}`, and no data at all is fine too.
/// - A variant with one unnamed field, `OpenAccount(Opening)`, has that type's data; see [`data`].
/// - `#[annals(name = "..")]` gives another name, `#[annals(schema_version = 2)]` another version
///   than 1.
/// - Documentation, `#[serde(..)]` and `#[schemars(..)]` of variants and fields count as they do
///   on a struct.
/// - A field that the command does not have is refused: it is a misspelling.
///
/// ```
/// use annals_sdk::Message as _;
///
/// #[annals_sdk::command]
/// enum Command {
///     OpenAccount { owner: String },
///     #[annals(schema_version = 2)]
///     CloseAccount,
/// }
///
/// let open = Command::OpenAccount { owner: "Athena".to_owned() };
/// assert_eq!(open.encode().unwrap(), br#"{"owner":"Athena"}"#);
/// assert_eq!(Command::decode(0, br#"{"owner":"Athena"}"#).unwrap(), open);
/// assert_eq!(Command::decode(1, b"").unwrap(), Command::CloseAccount);
/// assert!(Command::decode(0, br#"{"ovner":"Athena"}"#).is_err());
/// ```
///
/// Fields of a tuple have no names that JSON could use:
///
/// ```compile_fail
/// #[annals_sdk::command]
/// enum Command {
///     OpenAccount(String, i64),
/// }
/// ```
pub use annals_sdk_macros::command;
/// Makes a type part of messages, rows or state: an enum or struct that derives `Debug`, `Clone`,
/// `PartialEq`, `Serialize`, `Deserialize` and `JsonSchema`.
///
/// ```
/// use annals_sdk::json;
///
/// #[annals_sdk::data]
/// struct Address {
///     city: String,
/// }
///
/// #[annals_sdk::event]
/// enum Event {
///     CustomerMoved { to: Address },
/// }
///
/// let moved = Event::CustomerMoved { to: Address { city: "Athens".to_owned() } };
/// assert_eq!(json!(moved), json!({ "to": { "city": "Athens" } }));
/// ```
pub use annals_sdk_macros::data;
/// Makes an enum the events of an aggregate or projection.
///
/// As [`command`], but fields that the event does not have are skipped: an event was recorded by
/// some version of its aggregate and is taken as it is.
///
/// ```
/// use annals_sdk::Message as _;
///
/// #[annals_sdk::event]
/// enum Event {
///     AccountOpened { owner: String },
/// }
///
/// let recorded = br#"{"owner":"Athena","colour":"blue"}"#;
/// let event = Event::decode(0, recorded).unwrap();
/// assert_eq!(event, Event::AccountOpened { owner: "Athena".to_owned() });
/// assert_eq!(event.name(), "account-opened");
/// ```
///
/// Every name is there once:
///
/// ```compile_fail
/// #[annals_sdk::event]
/// enum Event {
///     AccountOpened,
///     #[annals(name = "account-opened")]
///     AccountOpenedAgain,
/// }
/// ```
pub use annals_sdk_macros::event;
/// Makes an enum the commands that a process manager sends.
///
/// As [`command`], and each variant names the aggregate that takes it. Name the command and its fields
/// as the aggregate does; they share no code.
///
/// ```
/// use annals_sdk::{Message as _, Outgoing as _};
///
/// #[annals_sdk::outgoing]
/// enum Command {
///     #[annals(target = "account")]
///     CreditForTransfer { transfer: String, cents: i64 },
///     #[annals(target = "money-transfer")]
///     CompleteTransfer,
/// }
///
/// assert_eq!(Command::TARGETS, ["account", "money-transfer"]);
/// assert_eq!(Command::CompleteTransfer.name(), "complete-transfer");
/// ```
///
/// A command without a target goes nowhere:
///
/// ```compile_fail
/// #[annals_sdk::outgoing]
/// enum Command {
///     CompleteTransfer,
/// }
/// ```
pub use annals_sdk_macros::outgoing;
/// Makes an enum the queries of a projection; a variant's fields are the query's parameters.
///
/// As [`command`], with [`Queries`](trait@Queries) as its use.
///
/// ```
/// use annals_sdk::Message as _;
///
/// #[annals_sdk::query]
/// enum Query {
///     RichestAccounts { limit: Option<u32> },
/// }
///
/// assert_eq!(Query::decode(0, b"{}").unwrap(), Query::RichestAccounts { limit: None });
/// ```
pub use annals_sdk_macros::query;
/// Makes an enum the events that an [`Upcaster`] takes or makes.
///
/// As [`event`], but an event may be there in several versions; variants then say its name and
/// version.
///
/// ```
/// use annals_sdk::Message as _;
///
/// #[annals_sdk::shapes]
/// enum Old {
///     #[annals(name = "funds-deposited", schema_version = 1)]
///     DepositedEuros { euros: f64 },
///     #[annals(name = "funds-deposited", schema_version = 2)]
///     DepositedCents { cents: i64 },
/// }
///
/// assert_eq!(Old::DepositedEuros { euros: 1.5 }.name(), "funds-deposited");
/// ```
///
/// Every version of a name is there once:
///
/// ```compile_fail
/// #[annals_sdk::shapes]
/// enum Old {
///     FundsDeposited,
///     #[annals(name = "funds-deposited", schema_version = 1)]
///     FundsDepositedAgain,
/// }
/// ```
pub use annals_sdk_macros::shapes;
/// Makes a type the state of an aggregate: as [`data`], and derives `Default`, the state before
/// the first event.
///
/// ```
/// #[annals_sdk::state]
/// struct Account {
///     balance_cents: i64,
/// }
///
/// assert_eq!(Account::default(), Account { balance_cents: 0 });
/// ```
pub use annals_sdk_macros::state;

/// Makes an [`Aggregate`] the one that this component is. Once per crate, which must have the
/// crate type `cdylib`; on other targets than wasm32 it only checks the type.
///
/// Version and summary of the plugin are `version` and `description` of its `Cargo.toml`.
#[macro_export]
macro_rules! export_aggregate {
    ($aggregate:ty) => {
        $crate::__export!(
            AggregateComponent<$aggregate>,
            AGGREGATE_WORLD,
            descriptor::__export_annals_plugin_descriptor_0_1_0_cabi,
            aggregate::__export_annals_plugin_aggregate_0_1_0_cabi,
        );
    };
}

/// Makes a [`Projection`] the one that this component is; with `, queries` also its
/// [`Queries`](trait@Queries). Once per crate, as [`export_aggregate`].
#[macro_export]
macro_rules! export_projection {
    ($projection:ty) => {
        $crate::__export!(
            ProjectionComponent<$projection>,
            PROJECTION_WORLD,
            descriptor::__export_annals_plugin_descriptor_0_1_0_cabi,
            projection::__export_annals_plugin_projection_0_1_0_cabi,
        );
    };
    ($projection:ty, queries) => {
        $crate::__export!(
            QueryableComponent<$projection>,
            QUERYABLE_PROJECTION_WORLD,
            descriptor::__export_annals_plugin_descriptor_0_1_0_cabi,
            projection::__export_annals_plugin_projection_0_1_0_cabi,
            query::__export_annals_plugin_query_0_1_0_cabi,
        );
    };
}

/// Makes a [`ProcessManager`] the one that this component is. Once per crate, as
/// [`export_aggregate`].
#[macro_export]
macro_rules! export_process_manager {
    ($process_manager:ty) => {
        $crate::__export!(
            ProcessManagerComponent<$process_manager>,
            PROCESS_MANAGER_WORLD,
            descriptor::__export_annals_plugin_descriptor_0_1_0_cabi,
            process_manager::__export_annals_plugin_process_manager_0_1_0_cabi,
        );
    };
}

/// Makes an [`Upcaster`] the one that this component is. Once per crate, as [`export_aggregate`].
///
/// It may use nothing of the host, so it does not build with [`log`] in it.
#[macro_export]
macro_rules! export_upcaster {
    ($upcaster:ty) => {
        $crate::__export!(
            UpcasterComponent<$upcaster>,
            UPCASTER_WORLD,
            descriptor::__export_annals_plugin_descriptor_0_1_0_cabi,
            upcaster::__export_annals_plugin_upcaster_0_1_0_cabi,
        );
    };
}

/// A plugin's own mistake: ends the call, with the text in the host's log.
#[expect(clippy::panic, reason = "a trap is how a component says that it is broken")]
#[track_caller]
fn trap_because(reason: &str) -> ! {
    panic!("{reason}")
}

/// As [`trap_because`], for an error and its causes.
#[track_caller]
fn trap(what: &str, error: &dyn std::error::Error) -> ! {
    trap_because(&format!("{what}: {}", message::chain(error)))
}

//! The port to sandboxed plugins. The runtime implements it with wasmtime; engine tests with native
//! guests.
//!
//! ```text
//! GuestRuntime ── load(bytes) ─► GuestPlugin ── aggregate() ─► AggregateGuest   one per shard
//!                                            ├─ projection() ─► ProjectionGuest one per runner
//!                                            ├─ process_manager() ─► ProcessManagerGuest  one per runner
//!                                            └─ upcaster() ───► UpcasterGuest   one per call at once
//! ```
//!
//! Guests are called synchronously. After any [`GuestFailure`] the guest is unusable, its entities
//! are gone, and the caller makes a new one.

use std::fmt;
use std::sync::Arc;

use crate::columns::{EventBatch, History};
use crate::id::Digest;
use crate::plugin::{
    Context, Decision, Description, GivenEvent, GuestRowKey, GuestShape, GuestTimer, GuestWrite,
    Outgoing, PluginKind, ProjectFailure, QueryRefusal, Reaction, Refusal, Reply, StoredShape,
};
use crate::usage::PluginUsage;

/// Makes plugins of bytes.
pub trait GuestRuntime: Send + Sync + fmt::Debug {
    /// Looks at the bytes without executing anything.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes are not a plugin this host can run.
    fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError>;

    /// Checks, compiles and describes a plugin. May take seconds; call it off the serving threads.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes are not a plugin this host can run.
    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError>;
}

/// What can be read off a component's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its kind.
    pub kind: PluginKind,
    /// Whether a projection answers named questions.
    pub has_queries: bool,
    /// The contract version it was built for, e.g. `0.1.0`.
    pub contract_version: String,
    /// What it imports, e.g. `annals:plugin/log@0.1.0`, in order: its powers. An interface that
    /// brings type definitions only, such as `annals:plugin/types`, is none and is not listed.
    pub imports: Vec<String>,
    /// What it exports, in order.
    pub exports: Vec<String>,
    /// Its size.
    pub component_bytes: usize,
    /// Digest of its content.
    pub digest: Digest,
}

/// A loaded plugin.
pub trait GuestPlugin: Send + Sync + fmt::Debug {
    /// What was read off the file.
    fn inspection(&self) -> &Inspection;

    /// What the plugin says of itself.
    fn description(&self) -> &Arc<Description>;

    /// A fresh sandbox for an aggregate.
    ///
    /// # Errors
    /// [`GuestFailure`] when it is another kind of plugin or cannot be instantiated.
    fn aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure>;

    /// A fresh sandbox for a projection.
    ///
    /// # Errors
    /// [`GuestFailure`] when it is another kind of plugin or cannot be instantiated.
    fn projection(&self) -> Result<Box<dyn ProjectionGuest>, GuestFailure>;

    /// A fresh sandbox for an upcaster.
    ///
    /// # Errors
    /// [`GuestFailure`] when it is another kind of plugin or cannot be instantiated.
    fn upcaster(&self) -> Result<Box<dyn UpcasterGuest>, GuestFailure> {
        Err(self.is_not(PluginKind::Upcaster))
    }

    /// A fresh sandbox for a process manager.
    ///
    /// # Errors
    /// [`GuestFailure`] when it is another kind of plugin or cannot be instantiated.
    fn process_manager(&self) -> Result<Box<dyn ProcessManagerGuest>, GuestFailure> {
        Err(self.is_not(PluginKind::ProcessManager))
    }

    /// That a plugin of another kind was asked for.
    fn is_not(&self, kind: PluginKind) -> GuestFailure {
        GuestFailure::Contract {
            plugin: self.description().name.to_string(),
            call: "instantiate",
            cause: format!("it is of kind `{}`, not `{kind}`", self.inspection().kind),
        }
    }

    /// As [`Self::aggregate`], for work that is not the plugin's own, such as looking at what it would have
    /// decided: what it does there is not in [`Self::usage`].
    ///
    /// # Errors
    /// As [`Self::aggregate`].
    fn uncounted_aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        self.aggregate()
    }

    /// What it has used since it was loaded; nothing when nobody counts.
    fn usage(&self) -> PluginUsage {
        PluginUsage::default()
    }
}

/// Names an entity inside one [`AggregateGuest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntityHandle(pub u64);

/// One sandbox with the resident entities of many streams.
pub trait AggregateGuest: Send + fmt::Debug {
    /// A new entity for the stream `stream_id`, which is `category/id`, in its initial state.
    ///
    /// # Errors
    /// [`GuestFailure`]; the guest is unusable afterwards, as for every method.
    fn create(&mut self, stream_id: &str) -> Result<EntityHandle, GuestFailure>;

    /// An entity in the state of a snapshot. `Ok(Err(text))` when the plugin does not take it; the
    /// guest stays usable.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn restore(
        &mut self,
        stream_id: &str,
        snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure>;

    /// Tells an entity what happened.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn evolve(&mut self, entity: EntityHandle, events: &History) -> Result<(), GuestFailure>;

    /// Asks an entity for a decision. `Ok(Err(refusal))` when it says no.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn decide(
        &mut self,
        entity: EntityHandle,
        context: &Context,
        command_type: u32,
        data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure>;

    /// The state of an entity, as the plugin writes it.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn snapshot(&mut self, entity: EntityHandle) -> Result<Vec<u8>, GuestFailure>;

    /// Forgets an entity.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn remove(&mut self, entity: EntityHandle) -> Result<(), GuestFailure>;

    /// How much memory the sandbox holds, in bytes.
    fn memory_bytes(&self) -> usize;

    /// How much memory the sandbox may hold, in bytes.
    fn memory_bytes_max(&self) -> usize;
}

/// A sandbox of a projection.
pub trait ProjectionGuest: Send + fmt::Debug {
    /// Turns a batch of events into writes. `view` is the view as of the start of the batch.
    ///
    /// # Errors
    /// [`GuestFailure`]; the guest is unusable afterwards, as for every method.
    fn project(
        &mut self,
        events: &EventBatch,
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure>;

    /// Answers a named question with JSON.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn answer(
        &mut self,
        context: &Context,
        query: &str,
        parameters: &[u8],
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<u8>, QueryRefusal>, GuestFailure>;
}

/// A sandbox of a process manager. It keeps nothing between calls: the state of an instance is passed
/// in, and replaced by what the call answers.
pub trait ProcessManagerGuest: Send + fmt::Debug {
    /// Per event, in order, the instances it concerns, unchecked.
    ///
    /// # Errors
    /// [`GuestFailure`]; the guest is unusable afterwards, as for every method.
    fn correlate(&mut self, events: &EventBatch) -> Result<Vec<Vec<String>>, GuestFailure>;

    /// Handles an event that concerns `instance`; `state` is `None` when the instance does not exist.
    /// `Ok(Err(text))` when the plugin cannot handle it; the guest stays usable.
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn on_event(
        &mut self,
        context: &Context,
        instance: &str,
        state: Option<&[u8]>,
        event: &GivenEvent<'_>,
    ) -> Result<Result<Reaction, String>, GuestFailure>;

    /// Handles a timer of `instance` that fired. `Ok(Err(text))` as in [`Self::on_event`].
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn on_timer(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        fired: &GuestTimer,
    ) -> Result<Result<Reaction, String>, GuestFailure>;

    /// Handles what became of a command that `instance` sent. `Ok(Err(text))` as in
    /// [`Self::on_event`].
    ///
    /// # Errors
    /// [`GuestFailure`].
    fn on_reply(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        answered: (&Outgoing, &Reply),
    ) -> Result<Result<Reaction, String>, GuestFailure>;
}

/// A sandbox of an upcaster. It keeps nothing between calls, so any sandbox answers any call alike.
pub trait UpcasterGuest: Send + fmt::Debug {
    /// Makes other shapes of events: per event, in order, what it is now, unchecked. `Ok(Err(text))`
    /// when the plugin cannot handle one of them; the guest stays usable.
    ///
    /// # Errors
    /// [`GuestFailure`]; the guest is unusable afterwards.
    fn upcast(
        &mut self,
        events: &[StoredShape<'_>],
    ) -> Result<Result<Vec<Vec<GuestShape>>, String>, GuestFailure>;
}

/// What a projection may read of its own view. Called from inside the sandbox, so it blocks. Table
/// indexes and key lengths are already checked.
pub trait ViewReader: Send + Sync {
    /// The values of rows, in the order of `keys`.
    ///
    /// # Errors
    /// [`ViewReadError`], which ends the guest's call as a failure.
    fn get_many(&self, keys: &[GuestRowKey]) -> Result<Vec<Option<Vec<u8>>>, ViewReadError>;

    /// Rows with `start <= key < end`, in key order, at most `limit`; an empty `end` has no end. May
    /// answer fewer rows than there are, but none only where there are none.
    ///
    /// # Errors
    /// [`ViewReadError`], which ends the guest's call as a failure.
    fn scan(
        &self,
        table: u32,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<ViewRow>, ViewReadError>;
}

/// A row of a scan, as key and value.
pub type ViewRow = (Vec<u8>, Vec<u8>);

/// Why a guest could not read its view.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct ViewReadError(pub String);

/// A guest broke a rule. The sandbox is unusable; nothing it said counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuestFailure {
    /// It stopped itself, e.g. by a panic.
    #[error("plugin `{plugin}` trapped in `{call}`: {cause}")]
    Trap {
        /// The plugin.
        plugin: String,
        /// The function that was called, e.g. `decide`.
        call: &'static str,
        /// What wasmtime says, with a backtrace where there is one.
        cause: String,
    },
    /// It reached a limit.
    #[error("plugin `{plugin}` reached a limit in `{call}`: {limit}")]
    Limit {
        /// The plugin.
        plugin: String,
        /// The function that was called.
        call: &'static str,
        /// Which limit, with its number and the key that sets it.
        limit: String,
    },
    /// It returned something that does not fit the contract.
    #[error("plugin `{plugin}` broke the contract in `{call}`: {cause}")]
    Contract {
        /// The plugin.
        plugin: String,
        /// The function that was called.
        call: &'static str,
        /// How.
        cause: String,
    },
    /// The host could not read the view for it. Not the plugin's fault: the same call may succeed
    /// later.
    #[error("the view of plugin `{plugin}` could not be read in `{call}`: {cause}")]
    View {
        /// The plugin.
        plugin: String,
        /// The function that was called.
        call: &'static str,
        /// What the [`ViewReader`] said.
        cause: String,
    },
}

impl GuestFailure {
    /// What happened in which call, without the plugin's name and without a backtrace: what anybody may
    /// be told.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Trap { call, .. } => format!("trapped in `{call}`"),
            Self::Limit { call, limit, .. } => format!("reached a limit in `{call}`: {limit}"),
            Self::Contract { call, cause, .. } => {
                format!("broke the contract in `{call}`: {cause}")
            }
            Self::View { call, .. } => format!("the view could not be read in `{call}`"),
        }
    }

    /// A short name of what happened: the same failure of the same plugin has the same.
    #[must_use]
    pub fn id(&self) -> String {
        Digest::of(self.to_string().as_bytes()).short()
    }

    /// The function that was called.
    #[must_use]
    pub const fn call(&self) -> &'static str {
        match self {
            Self::Trap { call, .. }
            | Self::Limit { call, .. }
            | Self::Contract { call, .. }
            | Self::View { call, .. } => call,
        }
    }
}

/// Why bytes are not a plugin this host can run. The text names the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Larger than [`COMPONENT_BYTES_MAX`](crate::limits::COMPONENT_BYTES_MAX).
    #[error("the component has {component_bytes} bytes, at most {component_bytes_max} are allowed")]
    TooLarge {
        /// Its size.
        component_bytes: usize,
        /// The largest size (inclusive).
        component_bytes_max: usize,
    },
    /// Not WebAssembly at all, or damaged.
    #[error("not a WebAssembly component: {cause}")]
    NotAComponent {
        /// How, and where.
        cause: String,
    },
    /// Imports what a plugin of its kind must not.
    #[error("a plugin of kind `{kind}` must not import: {}", forbidden.join(", "))]
    ForbiddenImports {
        /// Its kind.
        kind: PluginKind,
        /// What it must not import.
        forbidden: Vec<String>,
    },
    /// Its exports are not those of a plugin.
    #[error("not a plugin: {cause}")]
    NotAPlugin {
        /// How.
        cause: String,
    },
    /// Built for a contract version this host does not speak.
    #[error(
        "built for annals:plugin@{found}; this host speaks {spoken}: rebuild it with a matching annals-sdk"
    )]
    ContractVersion {
        /// The version found.
        found: String,
        /// The versions spoken.
        spoken: String,
    },
    /// Compiling failed or reached a limit.
    #[error("the component does not compile: {cause}")]
    Compile {
        /// What the compiler says.
        cause: String,
    },
    /// `describe` failed.
    #[error("the plugin does not describe itself")]
    Describe(#[source] GuestFailure),
    /// The description is not valid.
    #[error("the plugin's description is not valid: {cause}")]
    Description {
        /// What is wrong with it.
        cause: String,
    },
}

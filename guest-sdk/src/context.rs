//! What a plugin may know of the world outside its input.

use std::sync::Arc;

use crate::Random;
use crate::bindings::annals::plugin::types;

/// What is true about the command that is being decided, and not said by it.
///
/// The host records it with the outcome, so deciding again gives the same events. There is no
/// other clock and no other randomness.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) stream_id: Arc<str>,
    pub(crate) call: types::Context,
}

impl Context {
    /// The stream the command is for, as `category/id`, e.g. `account/a1`.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream_id
    }

    /// The part of the stream id after the first `/`, e.g. `a1`.
    #[must_use]
    pub fn id(&self) -> &str {
        split_stream_id(&self.stream_id).1
    }

    /// UUID of the command.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.call.message_id
    }

    /// Id shared by everything that one outside request led to.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.call.correlation_id
    }

    /// When the host took the command in, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.call.now
    }

    /// The namespace the stream is in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.call.namespace
    }

    /// Who asked, as the host authenticated it.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.call.principal.as_deref()
    }

    /// A fact of a later host than this SDK, by its key.
    #[must_use]
    pub fn extension(&self, key: &str) -> Option<&[u8]> {
        let mut extensions = self.call.extensions.iter();
        extensions.find(|(other, _)| other == key).map(|(_, value)| value.as_slice())
    }

    /// A random number generator that starts the same for this command whenever it is asked for.
    ///
    /// ```
    /// use annals_sdk::Context;
    ///
    /// fn ticket(ctx: &Context) -> String {
    ///     let mut random = ctx.random();
    ///     format!("{:06}", random.below(1_000_000))
    /// }
    /// ```
    #[must_use]
    pub fn random(&self) -> Random {
        Random::from_seed(self.call.seed)
    }
}

/// What is true about the event, timer or reply that a process manager handles, and not said by it.
///
/// The host passes the same again when it repeats a call. There is no other clock and no other
/// randomness.
#[derive(Debug, Clone)]
pub struct ProcessContext {
    pub(crate) instance: String,
    pub(crate) call: types::Context,
}

impl ProcessContext {
    /// The id of the instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Id of the event, timer or reply.
    #[must_use]
    pub fn message_id(&self) -> &str {
        &self.call.message_id
    }

    /// Id shared by everything that one outside request led to.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.call.correlation_id
    }

    /// When the host took it in, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.call.now
    }

    /// The namespace the instance is in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.call.namespace
    }

    /// Who asked for what led here, as the host authenticated it.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.call.principal.as_deref()
    }

    /// A random number generator that starts the same for this call whenever it is asked for.
    #[must_use]
    pub fn random(&self) -> Random {
        Random::from_seed(self.call.seed)
    }
}

/// What is true about a query and not said by it.
#[derive(Debug, Clone)]
pub struct QueryContext {
    pub(crate) call: types::Context,
}

impl QueryContext {
    /// When the host took the query in, in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.call.now
    }

    /// The namespace of the view.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.call.namespace
    }

    /// Who asked, as the host authenticated it.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.call.principal.as_deref()
    }
}

/// Category and id of `category/id`. The id may contain further `/`.
pub(crate) fn split_stream_id(stream_id: &str) -> (&str, &str) {
    stream_id.split_once('/').unwrap_or((stream_id, ""))
}

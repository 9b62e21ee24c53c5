//! The context of a message as a guest gets it, lowered from where it is.

use annals_core::plugin::Context;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::contract::v0_1_0;

/// Room for the text of a message id.
pub(crate) type IdText = [u8; Hyphenated::LENGTH];

/// `context` in the contract's words; `id` is where the text of its message id goes.
pub(crate) fn lowered<'a>(context: &'a Context, id: &'a mut IdText) -> v0_1_0::Context<'a> {
    v0_1_0::Context {
        message_id: id_text(context.message_id, id),
        correlation_id: &context.correlation_id,
        now: context.now.ms(),
        seed: context.seed,
        namespace: &context.namespace,
        principal: context.principal.as_deref(),
        extensions: &[],
    }
}

/// How many bytes of `context` have no bound of their own here.
pub(crate) fn bytes_count(context: &Context) -> usize {
    Hyphenated::LENGTH
        .saturating_add(context.correlation_id.len())
        .saturating_add(context.namespace.len())
        .saturating_add(context.principal.as_deref().map_or(0, str::len))
}

fn id_text(id: Uuid, text: &mut IdText) -> &str {
    id.as_hyphenated().encode_lower(text)
}

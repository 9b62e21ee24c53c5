//! The component that an [`Upcaster`] becomes. It may import nothing, not even the log, so a panic is
//! told by its place alone.

use std::marker::PhantomData;

use crate::bindings::exports::annals::plugin::{descriptor, upcaster};
use crate::message::chain;
use crate::runtime::descriptor::{Package, describe_upcaster};
use crate::{Message, Upcaster};

/// Exports `T`, described with `P`.
#[derive(Debug)]
pub struct UpcasterComponent<T, P>(PhantomData<(T, P)>);

impl<T: Upcaster, P: Package> descriptor::Guest for UpcasterComponent<T, P> {
    fn describe() -> descriptor::Description {
        describe_upcaster::<T, P>()
    }
}

impl<T: Upcaster, P: Package> upcaster::Guest for UpcasterComponent<T, P> {
    fn upcast(
        events: Vec<upcaster::StoredEvent>,
    ) -> Result<Vec<Vec<upcaster::StoredEvent>>, String> {
        upcast_all::<T>(&events)
    }
}

/// What each event is now, or why one of them is nothing.
pub(crate) fn upcast_all<T: Upcaster>(
    events: &[upcaster::StoredEvent],
) -> Result<Vec<Vec<upcaster::StoredEvent>>, String> {
    events.iter().map(upcast_one::<T>).collect()
}

fn upcast_one<T: Upcaster>(
    stored: &upcaster::StoredEvent,
) -> Result<Vec<upcaster::StoredEvent>, String> {
    let is_its = |shape: &crate::MessageType| {
        shape.name == stored.name && shape.schema_version == stored.schema_version
    };
    let index = T::From::TYPES.iter().position(is_its);
    let Some(index) = index.and_then(|index| u32::try_from(index).ok()) else {
        return Err(format!("no `{}` of version {}", stored.name, stored.schema_version));
    };
    let event = T::From::decode(index, &stored.data).map_err(|error| chain(&error))?;
    let upcast = T::upcast(event).map_err(|error| error.message)?;
    Ok(upcast.events().iter().map(lower_shape).collect())
}

/// An event as the contract has it for upcasters.
pub(crate) fn lower_shape<E: Message>(event: &E) -> upcaster::StoredEvent {
    let data =
        event.encode().unwrap_or_else(|error| crate::trap("event cannot be passed on", &error));
    let types = E::TYPES;
    let index = usize::try_from(event.type_index()).unwrap_or(usize::MAX);
    let Some(shape) = types.get(index) else {
        crate::trap_because("a shape is not one of its enum");
    };
    upcaster::StoredEvent {
        name: shape.name.to_owned(),
        schema_version: shape.schema_version,
        data,
    }
}

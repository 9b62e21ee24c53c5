//! The description of a plugin, from its types.

use crate::bindings::exports::annals::plugin::descriptor::{Description, MessageType};
use crate::canonical::state_schema;
use crate::{
    Aggregate, Message, Outgoing as _, ProcessManager, Projection, Queries, Upcaster, json,
};

/// What a plugin's `Cargo.toml` says; the export macros read it in the plugin's crate.
pub trait Package: 'static {
    /// `version`.
    const VERSION: &'static str;
    /// `description`.
    const SUMMARY: &'static str;
}

/// Key of the extension that lists the queries.
const QUERIES: &str = "queries";

/// Key of the extension that says that a view may begin after the first event.
const BEGINS_LATER: &str = "begins_later";

/// Key of the extension that lists what an upcaster makes.
const PRODUCES: &str = "produces";

pub(crate) fn describe_aggregate<A: Aggregate, P: Package>() -> Description {
    Description {
        commands: message_types::<A::Command>(),
        events: message_types::<A::Event>(),
        state_schema: state_schema::<A>(A::STATE_VERSION),
        ..empty::<P>(A::NAME)
    }
}

pub(crate) fn describe_projection<T: Projection, P: Package>() -> Description {
    Description {
        events: message_types::<T::Event>(),
        tables: T::TABLES.iter().map(|&table| table.to_owned()).collect(),
        extensions: T::BEGINS_LATER
            .then(|| (BEGINS_LATER.to_owned(), b"true".to_vec()))
            .into_iter()
            .collect(),
        ..empty::<P>(T::NAME)
    }
}

pub(crate) fn describe_queries<T: Queries, P: Package>() -> Description {
    let queries: Vec<_> = T::Query::TYPES
        .iter()
        .map(|query| {
            let schema = serde_json::from_str((query.schema)().as_str());
            let schema: crate::Value =
                schema.unwrap_or_else(|error| crate::trap("schema of a query", &error));
            json!({ "name": query.name, "schema": schema })
        })
        .collect();
    let mut description = describe_projection::<T, P>();
    description.extensions.push((QUERIES.to_owned(), json!(queries).to_string().into_bytes()));
    description
}

pub(crate) fn describe_process<T: ProcessManager, P: Package>() -> Description {
    Description {
        commands: message_types::<T::Command>(),
        targets: T::Command::TARGETS.iter().map(|&target| target.to_owned()).collect(),
        events: message_types::<T::Event>(),
        state_schema: state_schema::<T::State>(T::STATE_VERSION),
        ..empty::<P>(T::NAME)
    }
}

pub(crate) fn describe_upcaster<T: Upcaster, P: Package>() -> Description {
    let produces: Vec<_> = T::To::TYPES
        .iter()
        .map(|shape| {
            let schema = serde_json::from_str((shape.schema)().as_str());
            let schema: crate::Value =
                schema.unwrap_or_else(|error| crate::trap("schema of a shape", &error));
            json!({
                "name": shape.name,
                "schema_version": shape.schema_version,
                "schema": schema,
            })
        })
        .collect();
    Description {
        events: message_types::<T::From>(),
        extensions: vec![(PRODUCES.to_owned(), json!(produces).to_string().into_bytes())],
        ..empty::<P>(T::NAME)
    }
}

fn empty<P: Package>(name: &str) -> Description {
    Description {
        name: name.to_owned(),
        version: P::VERSION.to_owned(),
        summary: P::SUMMARY.to_owned(),
        commands: Vec::new(),
        events: Vec::new(),
        targets: Vec::new(),
        tables: Vec::new(),
        state_schema: String::new(),
        extensions: Vec::new(),
    }
}

fn message_types<M: Message>() -> Vec<MessageType> {
    M::TYPES
        .iter()
        .map(|message_type| MessageType {
            name: message_type.name.to_owned(),
            schema_version: message_type.schema_version,
            content_type: "application/json".to_owned(),
            schema: (message_type.schema)(),
        })
        .collect()
}

//! What the code that the macros write calls. Not part of the public API.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{DecodeError, EncodeError};

pub use crate::bindings::exports::annals::plugin::descriptor::Guest as Exported;
pub use crate::runtime::aggregate::AggregateComponent;
pub use crate::runtime::descriptor::Package;
pub use crate::runtime::export::{
    AGGREGATE_WORLD, PROCESS_MANAGER_WORLD, PROJECTION_WORLD, QUERYABLE_PROJECTION_WORLD,
    UPCASTER_WORLD,
};
pub use crate::runtime::process::ProcessManagerComponent;
pub use crate::runtime::projection::{ProjectionComponent, QueryableComponent};
pub use crate::runtime::upcaster::UpcasterComponent;

/// JSON Schema 2020-12 of `T`, as one line of canonical JSON.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> String {
    root_schema(T::schema_name().into_owned(), T::json_schema)
}

/// What schemars' own function for it does. That one is generic and becomes 2 kB of code per type.
fn root_schema(name: String, describe: fn(&mut SchemaGenerator) -> Schema) -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = describe(&mut generator);
    let definitions = generator.take_definitions(true);
    let object = schema.ensure_object();
    object.insert("$schema".to_owned(), schemars::consts::meta_schemas::DRAFT2020_12.into());
    object.entry("title").or_insert_with(|| name.into());
    if !definitions.is_empty() {
        object.insert("$defs".to_owned(), definitions.into());
    }
    let mut schema = schema.to_value();
    crate::canonical::sort(&mut schema);
    schema.to_string()
}

/// Writes a message's fields as JSON.
///
/// # Errors
///
/// When a field is something JSON cannot say.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, EncodeError> {
    serde_json::to_vec(message).map_err(EncodeError)
}

/// Reads a message's fields from JSON, straight from the bytes the host passed.
///
/// # Errors
///
/// When the data does not fit.
pub fn decode<T: DeserializeOwned>(name: &'static str, data: &[u8]) -> Result<T, DecodeError> {
    let data = if data.is_empty() { b"{}" } else { data };
    serde_json::from_slice(data).map_err(|source| DecodeError::Malformed { name, source })
}

//! The commands and events of active plugins in the description of the API.
//!
//! A plugin wrote the schemas: one that is not a JSON object or a boolean is left out.

use annals_core::plugin::{Description, MessageType, PluginKind};
use annals_engine::plugins::PluginStatus;
use serde_json::{Map, Value, json};

/// The operation all commands have in common; each command gets one of its own.
const COMMAND_PATH: &str = "/v1/aggregates/{aggregate}/{id}/{command}";

/// Adds the commands and events of active aggregates.
pub(super) fn add(document: &mut Value, plugins: &[PluginStatus]) {
    let general = document.pointer("/paths").and_then(|paths| paths.get(COMMAND_PATH)).cloned();
    let aggregates = plugins.iter().filter(|plugin| plugin.kind == PluginKind::Aggregate);
    for plugin in aggregates {
        let description = &plugin.description;
        if let Some(schemas) = object(document, "/components/schemas") {
            add_schemas(schemas, description);
        }
        if let (Some(paths), Some(general)) = (object(document, "/paths"), &general) {
            add_paths(paths, general, description);
        }
    }
}

fn object<'a>(document: &'a mut Value, pointer: &str) -> Option<&'a mut Map<String, Value>> {
    document.pointer_mut(pointer).and_then(Value::as_object_mut)
}

fn add_schemas(schemas: &mut Map<String, Value>, description: &Description) {
    let aggregate = description.name.as_str();
    for command in &description.commands {
        insert(schemas, command_schema(aggregate, command.name.as_str()), command);
    }
    for event in &description.events {
        let name = format!("{aggregate}.{}.v{}", event.name, event.schema_version);
        insert(schemas, name, event);
    }
}

fn command_schema(aggregate: &str, command: &str) -> String {
    format!("{aggregate}.{command}")
}

fn insert<N>(schemas: &mut Map<String, Value>, name: String, message: &MessageType<N>) {
    let schema = serde_json::from_str::<Value>(&message.schema).ok();
    let Some(mut schema) = schema.filter(|schema| schema.is_object() || schema.is_boolean()) else {
        return;
    };
    // References of the schema into itself, as seen from the root of the document.
    move_references(&mut schema, &format!("#/components/schemas/{name}"));
    schemas.insert(name, schema);
}

fn move_references(schema: &mut Value, root: &str) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(reference) if name == "$ref" => {
                        if let Some(inside) = reference.strip_prefix('#') {
                            *reference = format!("{root}{inside}");
                        }
                    }
                    member => move_references(member, root),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_references(item, root)),
        _ => {}
    }
}

fn add_paths(paths: &mut Map<String, Value>, general: &Value, description: &Description) {
    let aggregate = description.name.as_str();
    for command in &description.commands {
        let command = command.name.as_str();
        let mut path = general.clone();
        let Some(operation) = path.get_mut("post").and_then(Value::as_object_mut) else {
            continue;
        };
        let name = command_schema(aggregate, command);
        operation.insert("operationId".to_owned(), json!(name));
        operation
            .insert("summary".to_owned(), json!(format!("Runs `{command}` of `{aggregate}`.")));
        operation.insert("tags".to_owned(), json!([aggregate]));
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            // These two are spelled out in the path.
            parameters.retain(|parameter| {
                let name = parameter.get("name").and_then(Value::as_str);
                !matches!(name, Some("aggregate" | "command"))
            });
        }
        let content = json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{name}")}}});
        operation.insert("requestBody".to_owned(), json!({"content": content}));
        paths.insert(format!("/v1/aggregates/{aggregate}/{{id}}/{command}"), path);
    }
}

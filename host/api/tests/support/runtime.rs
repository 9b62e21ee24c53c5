//! A runtime whose components are texts such as `account 1.0.0`, run by native guests.

use std::sync::Arc;

use annals_core::event::{ContentType, SchemaVersion};
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::plugin::{Description, MessageType, PluginKind};
use annals_core::port::GuestRuntime;
use annals_core::port::guest::{
    AggregateGuest, GuestFailure, GuestPlugin, Inspection, LoadError, ProcessManagerGuest,
    ProjectionGuest, UpcasterGuest,
};
use serde_json::Value;

use super::account::{self, AccountGuest};
use super::balances::{self, BalancesGuest};
use super::misbehaving::{self, Gate, MisbehavingGuest};
use super::notes;
use super::reminders::{self, RemindersGuest};

/// See the module.
#[derive(Debug)]
pub(crate) struct NativeRuntime {
    gate: Arc<Gate>,
}

impl NativeRuntime {
    pub(crate) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl GuestRuntime for NativeRuntime {
    fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        Ok(self.load(bytes)?.inspection().clone())
    }

    fn load(&self, bytes: &[u8]) -> Result<Arc<dyn GuestPlugin>, LoadError> {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let (name, version) = text.split_once(' ').unwrap_or_default();
        let (kind, mut description) = match name {
            "account" if version.starts_with("2.") => {
                (PluginKind::Aggregate, account::next_description())
            }
            "account" => (PluginKind::Aggregate, account::description()),
            "misbehaving" => (PluginKind::Aggregate, misbehaving::description()),
            "account-balances" => (PluginKind::Projection, balances::description()),
            "reminders" => (PluginKind::ProcessManager, reminders::description()),
            "notes" | "more-notes" => {
                let name = PluginName::new(name).unwrap();
                (PluginKind::Upcaster, Description { name, ..notes::description() })
            }
            _ => return Err(LoadError::NotAComponent { cause: "no magic number".to_owned() }),
        };
        description.version = version.to_owned();
        let inspection = Inspection {
            kind,
            has_queries: kind == PluginKind::Projection,
            contract_version: "0.1.0".to_owned(),
            imports: vec!["annals:plugin/log@0.1.0".to_owned()],
            exports: Vec::new(),
            component_bytes: bytes.len(),
            digest: Digest::of(bytes),
        };
        let gate = Arc::clone(&self.gate);
        Ok(Arc::new(NativePlugin { inspection, description: Arc::new(description), gate }))
    }
}

#[derive(Debug)]
struct NativePlugin {
    inspection: Inspection,
    description: Arc<Description>,
    gate: Arc<Gate>,
}

impl GuestPlugin for NativePlugin {
    fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    fn description(&self) -> &Arc<Description> {
        &self.description
    }

    fn aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        Ok(match self.description.name.as_str() {
            "account" => Box::new(AccountGuest::of_version(&self.description.version)),
            _ => Box::new(MisbehavingGuest::new(Arc::clone(&self.gate))),
        })
    }

    fn projection(&self) -> Result<Box<dyn ProjectionGuest>, GuestFailure> {
        Ok(Box::new(BalancesGuest::new(Arc::clone(&self.gate))))
    }

    fn process_manager(&self) -> Result<Box<dyn ProcessManagerGuest>, GuestFailure> {
        if self.inspection.kind != PluginKind::ProcessManager {
            return Err(self.is_not(PluginKind::ProcessManager));
        }
        Ok(Box::new(RemindersGuest))
    }

    fn upcaster(&self) -> Result<Box<dyn UpcasterGuest>, GuestFailure> {
        Ok(Box::new(notes::NotesGuest))
    }
}

/// A description without messages and tables.
pub(super) fn bare(name: &str, summary: &str) -> Description {
    Description {
        name: PluginName::new(name).unwrap(),
        version: String::new(),
        summary: summary.to_owned(),
        commands: Vec::new(),
        events: Vec::new(),
        targets: Vec::new(),
        tables: Vec::new(),
        produces: Vec::new(),
        begins_later: false,
        state_schema: "1".to_owned(),
    }
}

/// A message of schema version 1.
pub(super) fn message<N: std::str::FromStr<Err: std::fmt::Debug>>(
    name: &str,
    schema: &Value,
) -> MessageType<N> {
    MessageType {
        name: name.parse().unwrap(),
        schema_version: SchemaVersion::FIRST,
        content_type: ContentType::Json,
        schema: schema.to_string(),
    }
}

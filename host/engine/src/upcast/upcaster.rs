//! One active upcaster: its sandboxes, and the checks of what it says. Guests are hostile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use annals_core::event::{ContentType, SchemaVersion};
use annals_core::id::Digest;
use annals_core::json;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::{EventType, PluginName};
use annals_core::plugin::{Description, GuestShape, StoredShape};
use annals_core::port::guest::{GuestFailure, GuestPlugin, UpcasterGuest};
use bytes::Bytes;

use super::cache::Made;
use super::{Shape, UpcastFault};

/// Most sandboxes that wait for the next call, of each upcaster. More are made when more readers
/// call at once, and dropped afterwards.
const IDLE_MAX: usize = 4;

/// One active version of an upcaster.
#[derive(Debug)]
pub(crate) struct Upcaster {
    plugin: Arc<dyn GuestPlugin>,
    description: Arc<Description>,
    digest: Digest,
    produces: HashMap<EventType, Vec<(SchemaVersion, ContentType)>>,
    idle: Mutex<Vec<Box<dyn UpcasterGuest>>>,
}

impl Upcaster {
    pub(super) fn new(plugin: Arc<dyn GuestPlugin>) -> Self {
        let description = Arc::clone(plugin.description());
        let mut produces: HashMap<EventType, Vec<(SchemaVersion, ContentType)>> = HashMap::new();
        for shape in &description.produces {
            let versions = produces.entry(shape.name.clone()).or_default();
            versions.push((shape.schema_version, shape.content_type.clone()));
        }
        Self {
            digest: plugin.inspection().digest,
            idle: Mutex::default(),
            plugin,
            description,
            produces,
        }
    }

    pub(crate) fn name(&self) -> &PluginName {
        &self.description.name
    }

    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn description(&self) -> &Description {
        &self.description
    }

    /// What becomes of shapes, each at most `events_max` events.
    pub(super) fn call(
        &self,
        shapes: &[&Shape],
        events_max: usize,
    ) -> Result<Vec<Made>, UpcastFault> {
        let given: Vec<_> = shapes
            .iter()
            .map(|shape| StoredShape {
                event_type: &shape.event_type,
                schema_version: shape.schema_version,
                data: &shape.data,
            })
            .collect();
        let mut guest = self.take_guest()?;
        // After a failure the guest is not put back: the next call gets another one.
        let said = guest.upcast(&given)?;
        let made = match said {
            Ok(said) => self.check(said, shapes.len(), events_max)?,
            Err(text) => {
                self.put_back(guest);
                return Err(UpcastFault::Refused(text.chars().take(REFUSAL_CHARS_MAX).collect()));
            }
        };
        self.put_back(guest);
        Ok(made)
    }

    fn take_guest(&self) -> Result<Box<dyn UpcasterGuest>, GuestFailure> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.plugin.upcaster(), Ok)
    }

    fn put_back(&self, guest: Box<dyn UpcasterGuest>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(guest);
        }
    }

    fn check(
        &self,
        said: Vec<Vec<GuestShape>>,
        given_count: usize,
        events_max: usize,
    ) -> Result<Vec<Made>, GuestFailure> {
        if said.len() != given_count {
            let count = said.len();
            return Err(
                self.broken(format!("{count} results for {given_count} events that were given"))
            );
        }
        said.into_iter().map(|shapes| self.check_result(shapes, events_max)).collect()
    }

    fn check_result(
        &self,
        shapes: Vec<GuestShape>,
        events_max: usize,
    ) -> Result<Made, GuestFailure> {
        if shapes.is_empty() {
            return Err(
                self.broken("it makes no event of an event, which cannot vanish".to_owned())
            );
        }
        if shapes.len() > events_max {
            return Err(self.too_many(shapes.len(), events_max));
        }
        shapes.into_iter().map(|shape| self.check_shape(shape)).collect()
    }

    fn check_shape(&self, shape: GuestShape) -> Result<Shape, GuestFailure> {
        let version = SchemaVersion(shape.schema_version);
        let declared = self.produces.get_key_value(shape.name.as_str()).and_then(|(name, all)| {
            let (_, content_type) = all.iter().find(|(declared, _)| *declared == version)?;
            Some((name, content_type))
        });
        let Some((event_type, content_type)) = declared else {
            // The name comes from a guest: it is cut before it is shown.
            let name: String = shape.name.escape_debug().take(NAME_CHARS_MAX).collect();
            return Err(self.broken(format!(
                "it makes `{name}` of schema version {version}, which its description does not \
                 produce"
            )));
        };
        let bytes = shape.data.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(self.limit(format!(
                "`{event_type}` of {bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed"
            )));
        }
        if *content_type == ContentType::Json {
            json::check(&shape.data)
                .map_err(|error| self.broken(format!("`{event_type}` is {error}")))?;
        }
        Ok(Shape {
            event_type: event_type.clone(),
            schema_version: version,
            content_type: content_type.clone(),
            data: Bytes::from(shape.data),
        })
    }

    pub(super) fn too_many(&self, count: usize, events_max: usize) -> GuestFailure {
        self.limit(format!(
            "{count} events of one stored event, at most {events_max} are allowed \
             (upcast_events_max)"
        ))
    }

    pub(super) fn limit(&self, limit: String) -> GuestFailure {
        GuestFailure::Limit { plugin: self.name().to_string(), call: CALL, limit }
    }

    fn broken(&self, cause: String) -> GuestFailure {
        GuestFailure::Contract { plugin: self.name().to_string(), call: CALL, cause }
    }
}

/// The function, as it is called in failures.
const CALL: &str = "upcast";

/// How much is kept of a refusal's text.
const REFUSAL_CHARS_MAX: usize = 1_000;

/// How much is shown of a name that is none.
const NAME_CHARS_MAX: usize = 64;

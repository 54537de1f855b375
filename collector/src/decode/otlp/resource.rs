//! Reads what OTLP sends once for many records: the resource and the scope.
//!
//! Sources: opentelemetry/proto/resource/v1/resource.proto, common/v1/common.proto
//! (`InstrumentationScope`); the fall-backs of service columns are documented with the columns.

use std::borrow::Cow;

use crate::columns::origin::{Resource, Scope};
use crate::decode::otlp::any_value::KeyValue;
use crate::decode::otlp::value_writer::ValueWriter;
use crate::normalize::spans::ENVOY_SDK_NAME;
use crate::protobuf::wire::{Fields, WireError};

impl Resource {
    /// Reads the resource of a `ResourceSpans`, `ResourceLogs` or `ResourceMetrics` message, wherever in the
    /// message it stands. No resource is the same as one without attributes.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn read(envelope: &[u8], writer: &mut ValueWriter) -> Result<Self, WireError> {
        let mut resource = Resource::default();
        let mut message: &[u8] = &[];
        for field in Fields::new(envelope) {
            match field? {
                (1, value) => message = value.bytes(1)?,
                (3, value) => resource.schema_url = writer.utf8(value.bytes(3)?).into_owned(),
                _ => {}
            }
        }
        let mut attributes = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, value) => attributes.push(writer.read(value.bytes(1)?)?),
                (2, value) => resource.dropped_attributes = value.varint(2)? as u32,
                _ => {}
            }
        }
        resource.name_service(&attributes);
        let (json, types) = writer.object(attributes)?;
        (resource.json, resource.types) = (json.to_owned(), types.to_owned());
        resource.identify();
        Ok(resource)
    }

    fn name_service(&mut self, attributes: &[KeyValue<'_>]) {
        // Of equal keys the last counts, as in the JSON. A version that was written without quotes is a number.
        let text = |key: &str| {
            let found = attributes.iter().rev().find(|entry| entry.key == key.as_bytes())?;
            found.value.plain_text().map(Cow::into_owned)
        };
        self.service_name = text("service.name");
        self.service_namespace = text("service.namespace").or_else(|| text("k8s.namespace.name"));
        self.service_version = text("service.version");
        self.service_instance_id = text("service.instance.id").or_else(|| text("k8s.pod.name"));
        self.from_envoy = text("telemetry.sdk.name").as_deref() == Some(ENVOY_SDK_NAME);
    }
}

impl Scope {
    /// Reads the scope from its message and the schema URL beside it.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn read(message: &[u8], schema_url: &[u8], writer: &mut ValueWriter) -> Result<Self, WireError> {
        let schema_url = non_empty(schema_url, writer);
        let mut scope = Scope { schema_url, ..Scope::default() };
        let mut attributes = Vec::new();
        for field in Fields::new(message) {
            match field? {
                (1, value) => scope.name = non_empty(value.bytes(1)?, writer),
                (2, value) => scope.version = non_empty(value.bytes(2)?, writer),
                (3, value) => attributes.push(writer.read(value.bytes(3)?)?),
                (4, value) => scope.dropped_attributes = value.varint(4)? as u32,
                _ => {}
            }
        }
        if !attributes.is_empty() {
            let (json, types) = writer.object(attributes)?;
            scope.attributes = Some((json.to_owned(), types.to_owned()));
        }
        Ok(scope)
    }
}

/// The text of a string field whose default, the empty string, is stored as null.
pub fn non_empty(bytes: &[u8], writer: &mut ValueWriter) -> Option<String> {
    (!bytes.is_empty()).then(|| writer.utf8(bytes).into_owned())
}

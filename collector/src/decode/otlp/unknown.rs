//! What an export holds instead of records, for a sender who is told that none were found.
//!
//! Fields that are not known are passed over, as protobuf and OTLP/JSON ask, so that an export in snake_case, of an old
//! version of OTLP or of another signal is a success without records. It stays one, but says why nothing is to be seen.
//!
//! Limits: only a field that may hold records is named, a list of objects or a message that is not empty, and of several
//! the first. An export of another signal in protobuf has the same field
//! numbers and is refused or rejected by what is inside.

use std::fmt;

use crate::limits::cut_text;
use crate::protobuf::messages::otlp::{EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES};
use crate::protobuf::messages::{Field, FieldType, Message};
use crate::protobuf::wire::{self, Fields, Value};

/// Bytes that are shown of a name: enough to recognise it, too few to fill an answer.
const NAME_BYTES_MAX: usize = 60;

/// A field that its message does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    name: Name,
    message: &'static str,
    /// Names in JSON of the fields that the message has.
    fields: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Json(String),
    Number(u32),
}

impl UnknownField {
    pub(super) fn by_name(name: &str, message: &'static Message) -> Self {
        let shown = wire::text(cut_text(name.as_bytes(), NAME_BYTES_MAX)).into_owned();
        UnknownField::new(Name::Json(shown), message)
    }

    fn new(name: Name, message: &'static Message) -> Self {
        let fields = message.fields.iter().map(|field| field.json_name).collect();
        UnknownField { name, message: message.name, fields }
    }
}

impl fmt::Display for UnknownField {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.name {
            Name::Number(number) => return write!(out, "field {number} is no field of {}", self.message),
            Name::Json(name) => name,
        };
        write!(out, "{name:?} is no field of {}", self.message)?;
        let exports = [&EXPORT_TRACES, &EXPORT_LOGS, &EXPORT_METRICS];
        if let Some(other) = exports.into_iter().find(|export| export.field_by_json_name(name).is_some()) {
            return write!(out, " but of {}", other.name);
        }
        let mut separator = ", whose fields are ";
        for field in &self.fields {
            write!(out, "{separator}{field:?}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The first field above the records of a validated payload that its message does not have and that holds something.
pub fn first_unknown(payload: &[u8], message: &'static Message) -> Option<UnknownField> {
    Fields::new(payload).map_while(Result::ok).find_map(|(number, value)| {
        match (message.field(number), value) {
            (None, Value::Bytes([_, ..])) => Some(UnknownField::new(Name::Number(number), message)),
            (Some(Field { field_type: FieldType::Message(inner), .. }), Value::Bytes(bytes))
                if inner.is_above_records() =>
            {
                first_unknown(bytes, inner)
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::otlp::json;

    fn check(message: &'static Message, text: &str, want: Option<&str>) {
        let unknown = json::first_unknown(text.as_bytes(), message).map(|unknown| unknown.to_string());
        assert_eq!(unknown.as_deref(), want, "{text}");
    }

    #[test]
    fn names_above_records_are_looked_at_and_no_others() {
        let none = r#"{"resourceSpans":[{"resource":{"new":1},"scopeSpans":[{"scope":{"new":1},"spans":[{"new":1}]}]}]}"#;
        check(&EXPORT_TRACES, none, None);
        check(&EXPORT_TRACES, "{}", None);
        let no_lists_of_objects =
            r#"{"a":1,"b":"[{}]","c":{},"d":[],"e":[[{}]],"f":null,"resource_spans":[ {}]}"#;
        check(
            &EXPORT_TRACES,
            no_lists_of_objects,
            Some(
                r#""resource_spans" is no field of ExportTraceServiceRequest, whose fields are "resourceSpans""#,
            ),
        );
        check(&EXPORT_TRACES, r#"{"resource_spans":[]}"#, None);
        check(
            &EXPORT_TRACES,
            r#"{"resource_spans":[{"scope_spans":[{"spans":[{}]}]}]}"#,
            Some(
                r#""resource_spans" is no field of ExportTraceServiceRequest, whose fields are "resourceSpans""#,
            ),
        );
        check(
            &EXPORT_TRACES,
            r#"{"resourceSpans":[{"resource":{},"instrumentationLibrarySpans":[{"spans":[{}]}]}]}"#,
            Some(
                r#""instrumentationLibrarySpans" is no field of ResourceSpans, whose fields are "resource", "scopeSpans", "schemaUrl""#,
            ),
        );
        check(
            &EXPORT_METRICS,
            r#"{"resourceLogs":[{}]}"#,
            Some(
                r#""resourceLogs" is no field of ExportMetricsServiceRequest but of ExportLogsServiceRequest"#,
            ),
        );
        check(
            &EXPORT_METRICS,
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"points":[{}]}}]}]}]}"#,
            Some(r#""points" is no field of Gauge, whose fields are "dataPoints""#),
        );
        check(
            &EXPORT_LOGS,
            r#"{"resourceLogs":[{"scopeLogs":[{"log_records":[{}]}]}]}"#,
            Some(
                r#""log_records" is no field of ScopeLogs, whose fields are "scope", "logRecords", "schemaUrl""#,
            ),
        );
    }

    #[test]
    fn a_name_is_shown_in_part_and_escaped() {
        let text = format!(r#"{{"a\n{}":[{{}}]}}"#, "é".repeat(NAME_BYTES_MAX));
        let unknown = json::first_unknown(text.as_bytes(), &EXPORT_LOGS).expect("unknown").to_string();
        assert!(unknown.starts_with(&format!("\"a\\n{}\" is no field", "é".repeat(29))), "{unknown}");
    }

    #[test]
    fn numbers_above_records_are_looked_at_and_no_others() {
        let shown =
            |payload: &[u8]| first_unknown(payload, &EXPORT_TRACES).map(|unknown| unknown.to_string());
        // ResourceSpans with instrumentation_library_spans, field 1000 up to OTLP 0.18: tag c2 3e, one empty span.
        let old = b"\x0a\x05\xc2\x3e\x02\x12\x00";
        assert_eq!(shown(old).as_deref(), Some("field 1000 is no field of ResourceSpans"));
        // A resource, and a span in a scope, with a field 100 of text.
        let unknown = b"\xa2\x06\x01x";
        let inside = [b"\x0a\x0e\x0a\x04".as_slice(), unknown, b"\x12\x06\x12\x04", unknown].concat();
        assert_eq!(shown(&inside), None);
        // Above, but empty, and a number.
        assert_eq!(shown(b"\xa2\x06\x00\xa0\x06\x01"), None);
        assert_eq!(shown(unknown).as_deref(), Some("field 100 is no field of ExportTraceServiceRequest"));
        assert_eq!(shown(b""), None);
    }
}

//! Log records that are access logs: a text in a known format, fields by name, or both.
//!
//! Envoy's OTLP logger writes what its operator configured, as a text or as fields, in the body or as attributes, every
//! value a string. Fields are known by the names that Istio, Envoy Gateway and Contour give them and by those of the
//! semantic conventions; what is said twice is said first by the body. The record itself has the start of the request to
//! the microsecond and the ids of the proxy's span.
//!
//! Limits: a name that no field has is an attribute's.

use std::borrow::Cow;
use std::sync::LazyLock;

use hashbrown::HashMap;

use super::{LineReader, UNKNOWN_PROGRAM, proxy, push_origin};
use crate::access_log::field::Field;
use crate::access_log::pattern::LINE;
use crate::access_log::reading::Reading;
use crate::access_log::settle::settle;
use crate::access_log::{LineFormat, envoy_formats, known};
use crate::normalize::requests::facts::TraceContext;
use crate::normalize::requests::judge;
use crate::normalize::requests::proxy::ProxyIdentity;
use crate::request_rows::RequestBuilder;
use crate::row_attributes::RowAttributes;
use crate::tally::{Arrival, RejectReason, Tally};

/// `source_format` of what Envoy's OTLP logger sent.
const ENVOY_OTLP: &str = "envoy_otlp";

/// A log record, as far as it matters here.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    /// Whether Envoy's logger sent it: then its fields have Envoy's names.
    pub from_envoy: bool,
    /// When the request began, by the record.
    pub start_unix_nano: Option<i64>,
    pub trace_context: Option<TraceContext>,
    /// Its body, where that is text.
    pub text: Cow<'a, str>,
    /// Fields: of the body where that has fields, then the attributes, each in the order sent.
    pub fields: Vec<NamedValue<'a>>,
}

/// A field of a record: its name, its value as text, and its type in the grammar of `attribute_types`.
#[derive(Debug)]
pub(crate) struct NamedValue<'a> {
    pub name: Cow<'a, str>,
    pub text: Cow<'a, str>,
    pub types: Cow<'a, str>,
}

/// Whether a text is a line in one of the formats of Envoy and its kin.
pub(crate) fn is_of_envoy(text: &str) -> bool {
    let formats = known::all().iter().filter(|format| envoy_formats::NAMES.contains(&format.name));
    reading_of(formats, text.trim_end(), RowAttributes::default()).1.is_some()
}

impl LineReader<'_> {
    /// Whether a text is a line of this origin: in its format, or in any known one where none is told.
    pub(crate) fn is_line(&self, text: &str) -> bool {
        reading_of(self.formats(), text.trim_end(), RowAttributes::default()).1.is_some()
    }

    /// Pushes the row of a record that `sender` logged, or whoever the format names, and counts it.
    pub(crate) fn push_record(
        &mut self,
        record: &Record<'_>,
        sender: Option<&ProxyIdentity>,
        arrival: &Arrival<'_>,
        out: &mut RequestBuilder,
        tally: &mut Tally,
    ) {
        let text = record.text.trim_end();
        let attributes = std::mem::take(&mut self.attributes);
        let (mut reading, format) = reading_of(self.formats(), text, attributes);
        if record.from_envoy {
            reading.seen.source_format = ENVOY_OTLP;
        }
        let unread = take_fields(record, format.is_some(), &mut reading);
        let settled = match settle(&mut reading, arrival, self.clock(b"")) {
            Err(RejectReason::MissingTime) => {
                reading.seen.start = arrival.ingest_time;
                Ok(())
            }
            settled => settled,
        };
        let (mut seen, mut attributes) = (reading.seen, reading.attributes);
        if settled.is_ok() {
            let program = format.map_or(UNKNOWN_PROGRAM, |format| format.program);
            seen.observer = seen.observer.or(program.observer);
            let proxy = sender.unwrap_or_else(|| proxy(&mut self.proxies, self.origin, program));
            push_origin(proxy, &mut attributes);
            if let Some(field) = unread {
                tally.keep_unread(field);
                attributes.push_text("", "unread_field", field);
            }
            let mut verdict = judge(&seen, proxy);
            verdict.counted &= unread.is_none();
            out.push(arrival, &seen, &verdict, proxy, &attributes, unread.map(|_| text));
            tally.warnings.merge(attributes.warnings());
        }
        tally.count(settled);
        self.attributes = attributes;
    }

    fn formats(&self) -> impl Iterator<Item = &LineFormat> {
        let known = if self.origin.format.is_none() { known::all() } else { &[] };
        self.origin.format.iter().chain(self.last).chain(known)
    }
}

/// What the first of `formats` reads that can read `text`, and which that is; nothing where none can.
fn reading_of<'a, 'f>(
    formats: impl Iterator<Item = &'f LineFormat>,
    text: &'a str,
    mut attributes: RowAttributes,
) -> (Reading<'a>, Option<&'f LineFormat>) {
    for format in formats {
        let mut reading = Reading::new(format.name, attributes);
        if format.read(text, &mut reading).is_ok() {
            reading.seen.layer = format.layer;
            return (reading, Some(format));
        }
        attributes = reading.attributes;
    }
    (Reading::new(ENVOY_OTLP, attributes), None)
}

/// Takes in what a record says beside its text; gives the first field that failed, of a record that says too little to be
/// a call.
fn take_fields<'a>(record: &'a Record<'_>, is_read: bool, reading: &mut Reading<'a>) -> Option<&'static str> {
    let mut unread = None;
    for NamedValue { name, text, types } in &record.fields {
        // Whoever passes records on may have made numbers of them.
        let is_plain = matches!(&**types, "s" | "i" | "d");
        let field = FIELDS.get(&**name).filter(|_| record.from_envoy && is_plain);
        match field.map(|field| (field.set(Cow::Borrowed(text), reading), field.name())) {
            Some((Ok(()), _)) => continue,
            Some((Err(_), field)) => unread = unread.or(Some(field)),
            None => {}
        }
        if record.from_envoy && matches!(&**text, "" | "-") {
            continue;
        }
        reading.attributes.push_with("", name, |to, to_types| {
            to.push_str(text);
            to_types.push_str(types);
        });
    }
    reading.start.set_unix_nano(record.start_unix_nano);
    reading.seen.trace_context = record.trace_context.or(reading.seen.trace_context);
    if is_read || unread.is_some() {
        return unread;
    }
    if reading.seen.response_code.is_none() && reading.seen.method.is_empty() && reading.seen.flags.0 == 0 {
        // Nothing says that a call was made, let alone what became of it.
        return Some(LINE);
    }
    if !record.text.is_empty() {
        reading.attributes.push_text("", "body", &record.text);
    }
    None
}

/// Fields by the names that they have in Envoy's records.
static FIELDS: LazyLock<HashMap<&'static str, Field>> =
    LazyLock::new(|| envoy_formats::record_fields().collect());

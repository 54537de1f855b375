//! Rows of `spans` as the spans that TraceQL asks.
//!
//! Nothing is copied: a span is a place in a batch, and answers from its columns when it is asked. Only the objects that
//! many rows share, resources and scopes, are read once each. Columns that a scan left out read as null, so a query may ask
//! only what it named to [`Needs`](super::needs::Needs).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use arrow::array::RecordBatch;
use meshlake_schema::attributes::push_bytes;
use meshlake_schema::parents;
use meshlake_schema::rows::{Attributes, Events, Integers, Links, Rows, RowsError, Text};
use meshlake_schema::sent::{self, SentAttributes, SentValue};
use meshlake_schema::{Table, read_columns};
use meshlake_traceql::tree::{Expr, Scope};
use meshlake_traceql::{Span, Spans, Trace, Value};

read_columns! {
    /// Attributes are read apart.
    struct Columns of Table::Spans {
        trace_id: Text,
        span_id: Text,
        parent_span_id: Text,
        name: Text,
        kind: Integers,
        status_code: Integers,
        status_message: Text,
        time_unix_nano: Integers,
        duration_nano: Integers,
        service_namespace: Text,
        service_name: Text,
        scope_name: Text,
        scope_version: Text,
        events: Events,
        links: Links,
    }
}

/// Rows of one batch.
pub struct SpanRows<'a> {
    count: usize,
    columns: Columns<'a>,
    attributes: SentAttributes<'a>,
    resources: Objects,
    scopes: Objects,
}

impl<'a> SpanRows<'a> {
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn of(batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(Table::Spans, batch);
        let objects =
            |json, types| Ok::<_, RowsError>(Objects::of(rows.count(), rows.read(json)?, rows.read(types)?));
        Ok(SpanRows {
            count: rows.count(),
            columns: Columns::of(batch)?,
            attributes: SentAttributes::of(rows)?,
            resources: objects("resource", "resource_types")?,
            scopes: objects("scope_attributes", "scope_attribute_types")?,
        })
    }

    /// All rows in their order, of whatever traces.
    pub fn all(&self) -> StoredSpans<'_> {
        StoredSpans { rows: self, places: (0..self.count).collect() }
    }

    /// The rows of each trace, each span once, sorted by start and id.
    pub fn traces(&self) -> Vec<StoredSpans<'_>> {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        for row in 0..self.count {
            by_id.entry(self.trace_id(row)).or_default().push(row);
        }
        let mut traces: Vec<_> = by_id.into_iter().collect();
        traces.sort_unstable_by_key(|(id, _)| *id);
        traces.into_iter().map(|(_, places)| self.trace(places)).collect()
    }

    fn trace(&self, mut places: Vec<usize>) -> StoredSpans<'_> {
        let mut seen = HashSet::new();
        places.retain(|row| seen.insert(self.placed(*row)));
        places.sort_by_key(|row| (self.start_nano(*row), self.columns.span_id.get(*row), *row));
        StoredSpans { rows: self, places }
    }

    /// What tells one span from another: the same span stored twice is one.
    fn placed(&self, row: usize) -> parents::Span<'a> {
        let columns = &self.columns;
        parents::Span {
            id: columns.span_id.get(row).unwrap_or_default(),
            parent: columns.parent_span_id.get(row),
            service: (columns.service_namespace.get(row), columns.service_name.get(row)),
            kind: columns.kind.or_zero(row),
            start: self.start_nano(row),
            duration: columns.duration_nano.or_zero(row),
        }
    }

    /// The rows for which a condition holds that asks about no other span; all without one.
    pub fn passing(&self, condition: Option<&Expr>) -> Vec<usize> {
        let Some(condition) = condition else { return (0..self.count).collect() };
        let all = self.all();
        let spans = Trace::of_rows(&all);
        (0..spans.count()).filter(|row| spans.holds(condition, *row)).collect()
    }

    pub fn trace_id(&self, row: usize) -> &'a str {
        self.columns.trace_id.get(row).unwrap_or_default()
    }

    pub fn start_nano(&self, row: usize) -> i64 {
        self.columns.time_unix_nano.or_zero(row)
    }

    /// Calls for each attribute of that scope, span, resource or instrumentation: keys and values.
    pub fn for_each_attribute<'s>(
        &'s self,
        row: usize,
        scope: Scope,
        visit: &mut dyn FnMut(&'s str, Value<'s>),
    ) {
        match scope {
            Scope::Span => {
                self.attributes.entries(row).into_iter().for_each(|(key, value)| visit(key, of_sent(value)));
            }
            Scope::Resource => self.resources.for_each(row, visit),
            Scope::Instrumentation => self.scopes.for_each(row, visit),
            Scope::Event => {
                let events = &self.columns.events;
                let all = events
                    .places(row)
                    .flat_map(|at| entries(&events.attributes, &events.attribute_types, at));
                all.for_each(|(key, value)| visit(key, value));
            }
            Scope::Link => {
                let links = &self.columns.links;
                let all =
                    links.places(row).flat_map(|at| entries(&links.attributes, &links.attribute_types, at));
                all.for_each(|(key, value)| visit(key, value));
            }
            Scope::Any => {}
        }
    }
}

impl SpanRows<'_> {
    /// Which distinct object the attributes of a row's resource or scope are; none without one, and of other scopes.
    pub fn object(&self, row: usize, scope: Scope) -> Option<usize> {
        match scope {
            Scope::Resource => self.resources.places[row],
            Scope::Instrumentation => self.scopes.places[row],
            _ => None,
        }
    }
}

/// Some of the rows.
pub struct StoredSpans<'a> {
    rows: &'a SpanRows<'a>,
    places: Vec<usize>,
}

impl Spans for StoredSpans<'_> {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn trace_id(&self, at: usize) -> &str {
        self.rows.trace_id(self.places[at])
    }

    fn span(&self, at: usize) -> Span<'_> {
        let (columns, row) = (&self.rows.columns, self.places[at]);
        Span {
            id: columns.span_id.get(row).unwrap_or_default(),
            parent: columns.parent_span_id.get(row),
            name: columns.name.get(row).unwrap_or_default(),
            kind: columns.kind.or_zero(row),
            status: columns.status_code.or_zero(row),
            status_message: columns.status_message.get(row).unwrap_or_default(),
            start_nano: self.rows.start_nano(row),
            duration_nano: columns.duration_nano.or_zero(row),
            namespace: columns.service_namespace.get(row),
            service: columns.service_name.get(row),
            scope_name: columns.scope_name.get(row).unwrap_or_default(),
            scope_version: columns.scope_version.get(row).unwrap_or_default(),
        }
    }

    fn attribute(&self, at: usize, scope: Scope, key: &str) -> Value<'_> {
        let row = self.places[at];
        match scope {
            Scope::Span => self.rows.attributes.get(row, key).map_or(Value::Nil, of_sent),
            Scope::Resource => self.rows.resources.get(row, key),
            Scope::Instrumentation => self.rows.scopes.get(row, key),
            Scope::Any | Scope::Event | Scope::Link => Value::Nil,
        }
    }

    fn for_each_attribute<'s>(&'s self, at: usize, scope: Scope, visit: &mut dyn FnMut(&'s str, Value<'s>)) {
        self.rows.for_each_attribute(self.places[at], scope, visit);
    }

    fn event_count(&self, at: usize) -> usize {
        self.rows.columns.events.places(self.places[at]).len()
    }

    fn event(&self, at: usize, event: usize) -> (&str, i64) {
        let events = &self.rows.columns.events;
        let place = events.places(self.places[at]).start + event;
        (events.name.get(place).unwrap_or_default(), events.time_unix_nano.or_zero(place))
    }

    fn event_attribute(&self, at: usize, event: usize, key: &str) -> Value<'_> {
        let events = &self.rows.columns.events;
        let place = events.places(self.places[at]).start + event;
        let value = sent::entry(&events.attributes, &events.attribute_types, place, key);
        value.map_or(Value::Nil, of_sent)
    }

    fn link_count(&self, at: usize) -> usize {
        self.rows.columns.links.places(self.places[at]).len()
    }

    fn link(&self, at: usize, link: usize) -> (&str, &str) {
        let links = &self.rows.columns.links;
        let place = links.places(self.places[at]).start + link;
        (links.trace_id.get(place).unwrap_or_default(), links.span_id.get(place).unwrap_or_default())
    }

    fn link_attribute(&self, at: usize, link: usize, key: &str) -> Value<'_> {
        let links = &self.rows.columns.links;
        let place = links.places(self.places[at]).start + link;
        let value = sent::entry(&links.attributes, &links.attribute_types, place, key);
        value.map_or(Value::Nil, of_sent)
    }
}

fn entries<'a>(
    map: &Attributes<'a>,
    types: &Text<'a>,
    place: usize,
) -> impl Iterator<Item = (&'a str, Value<'a>)> {
    sent::entries(map, types, place).map(|(key, value)| (key, of_sent(value)))
}

/// The value as the language knows it: bytes are base64, and structures JSON, as texts.
pub fn of_sent(value: SentValue<'_>) -> Value<'_> {
    match value {
        SentValue::List(items) => Value::List(items.into_iter().map(of_item).collect()),
        value => of_item(value),
    }
}

fn of_item(value: SentValue<'_>) -> Value<'_> {
    match value {
        SentValue::Nothing => Value::Nil,
        SentValue::Text(text) => Value::Text(text),
        SentValue::Integer(value) => Value::Integer(value),
        SentValue::Double(value) => Value::Float(value),
        SentValue::Boolean(value) => Value::Boolean(value),
        SentValue::Bytes(bytes) => {
            let mut text = String::new();
            push_bytes(&mut text, &bytes);
            Value::Text(Cow::Owned(text))
        }
        SentValue::List(_) | SentValue::Map(_) => Value::Text(Cow::Owned(value.json())),
    }
}

/// The distinct JSON objects of a column, each read once.
struct Objects {
    /// By row.
    places: Vec<Option<usize>>,
    objects: Vec<Vec<(String, Value<'static>)>>,
}

impl Objects {
    fn of(count: usize, json: Text<'_>, types: Text<'_>) -> Objects {
        let (mut known, mut objects) = (HashMap::new(), Vec::new());
        // Mostly that of the row before: rows are sorted by service.
        let mut last = None;
        let mut place_of = |row: usize| {
            let code = (json.code(row), types.code(row));
            if let Some((_, place)) = last.filter(|(last, _)| *last == code) {
                return place;
            }
            let place = json.get(row).map(|text| {
                *known.entry(code).or_insert_with(|| {
                    let entries = sent::object(text, types.get(row).unwrap_or_default());
                    objects.push(entries.into_iter().map(|(key, value)| (key, of_sent(value))).collect());
                    objects.len() - 1
                })
            });
            last = Some((code, place));
            place
        };
        let places =
            if json.has_values() { (0..count).map(&mut place_of).collect() } else { vec![None; count] };
        Objects { places, objects }
    }

    fn entries(&self, row: usize) -> &[(String, Value<'static>)] {
        self.places[row].map_or(&[], |place| &self.objects[place])
    }

    fn get(&self, row: usize, key: &str) -> Value<'_> {
        let found = self.entries(row).iter().find(|(own, _)| own == key);
        found.map_or(Value::Nil, |(_, value)| borrowed(value))
    }

    fn for_each<'s>(&'s self, row: usize, visit: &mut dyn FnMut(&'s str, Value<'s>)) {
        self.entries(row).iter().for_each(|(key, value)| visit(key, borrowed(value)));
    }
}

/// The same value without a copy of its text.
fn borrowed<'s>(value: &'s Value<'static>) -> Value<'s> {
    match value {
        Value::Text(text) => Value::text(text),
        other => other.clone(),
    }
}

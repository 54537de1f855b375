//! Spans of a trace, told from rows.

use arrow::array::RecordBatch;
use meshlake_query::analysis::TraceSpan;
use meshlake_schema::parents::Span;
use meshlake_schema::rows::{Booleans, Events, Integers, Links, Rows, RowsError, Text as Texts};
use meshlake_schema::sent::{SentAttributes, SentValue};
use meshlake_schema::{Table, read_columns};

read_columns! {
    /// What is shown of a span.
    pub struct Columns of Table::Spans {
        span_id: Texts,
        parent_span_id: Texts,
        service_name: Texts,
        service_namespace: Texts,
        service_version: Texts,
        name: Texts,
        kind: Integers,
        time_unix_nano: Integers,
        duration_nano: Integers,
        status_code: Integers,
        status_message: Texts,
        outcome: Texts,
        is_proxy: Booleans,
        resource: Texts,
        resource_types: Texts,
        scope_name: Texts,
        scope_version: Texts,
        events: Events,
        links: Links,
    }
}

/// One span, told from a row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub columns: &'a Columns<'a>,
    pub batch: &'a RecordBatch,
    pub row: usize,
}

impl<'a> Row<'a> {
    pub fn id(&self) -> &'a str {
        self.columns.span_id.get(self.row).unwrap_or_default()
    }

    pub fn service(&self) -> &'a str {
        self.columns.service_name.named(self.row).unwrap_or("–")
    }

    pub fn name(&self) -> &'a str {
        self.columns.name.named(self.row).unwrap_or("–")
    }

    pub fn start(&self) -> i64 {
        self.columns.time_unix_nano.or_zero(self.row)
    }

    pub fn duration(&self) -> i64 {
        self.columns.duration_nano.or_zero(self.row).max(0)
    }

    pub fn is_error(&self) -> bool {
        self.columns.status_code.get(self.row) == Some(2)
    }

    pub fn span(&self) -> Span<'a> {
        Span {
            id: self.id(),
            parent: self.columns.parent_span_id.named(self.row),
            service: (
                self.columns.service_namespace.named(self.row),
                self.columns.service_name.named(self.row),
            ),
            kind: self.columns.kind.get(self.row).unwrap_or_default(),
            start: self.start(),
            duration: self.duration(),
        }
    }

    pub fn is_proxy(&self) -> bool {
        self.columns.is_proxy.get(self.row) == Some(true)
    }

    /// As analyses look at it.
    pub fn analysed(&self) -> TraceSpan {
        let text = |column: Texts<'_>| column.named(self.row).map(str::to_owned);
        TraceSpan {
            span_id: self.id().to_owned(),
            parent_span_id: text(self.columns.parent_span_id),
            service: text(self.columns.service_name).unwrap_or_default(),
            namespace: text(self.columns.service_namespace),
            name: text(self.columns.name).unwrap_or_default(),
            kind: self.columns.kind.get(self.row).unwrap_or_default(),
            start: self.start(),
            duration: self.duration(),
            is_error: self.is_error() || self.columns.outcome.get(self.row) == Some("error"),
            status_message: text(self.columns.status_message),
        }
    }
}

/// Places of the rows that have a text in their name, service, id, status or in a key or value of an attribute, whatever the case.
///
/// # Errors
/// For columns that are not the table's.
pub fn matching(rows: &[Row<'_>], text: &str) -> Result<Vec<bool>, RowsError> {
    let text = text.to_lowercase();
    let has = |value: &str| value.to_lowercase().contains(&text);
    let mut of_batch: Option<(*const RecordBatch, SentAttributes<'_>)> = None;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let batch = std::ptr::from_ref(row.batch);
        let attributes = match of_batch.take() {
            Some((known, attributes)) if known == batch => attributes,
            _ => SentAttributes::of(Rows::of(Table::Spans, row.batch))?,
        };
        let message = row.columns.status_message.get(row.row).unwrap_or_default();
        let is_found = [row.name(), row.service(), row.id(), message].into_iter().any(has)
            || attributes.entries(row.row).into_iter().any(|(key, value)| has(key) || has(&told(&value)));
        found.push(is_found);
        of_batch = Some((batch, attributes));
    }
    Ok(found)
}

/// A value in one line.
pub fn told(value: &SentValue<'_>) -> String {
    match value {
        SentValue::Nothing => String::new(),
        SentValue::Text(text) => text.to_string(),
        SentValue::Integer(number) => number.to_string(),
        SentValue::Double(number) => number.to_string(),
        SentValue::Boolean(is_true) => is_true.to_string(),
        SentValue::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        SentValue::List(items) => {
            let items: Vec<String> = items.iter().map(told).collect();
            format!("[{}]", items.join(", "))
        }
        SentValue::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}: {}", told(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

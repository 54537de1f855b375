//! Spans under the resource and the scope that they came with.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use meshlake_schema::rows::{Integers, RowsError, Text};
use meshlake_schema::{Table, read_columns};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};

use super::span::{Spans, count, text};
use super::value::attributes_of;

read_columns! {
    /// What spans have in common.
    struct Columns of Table::Spans {
        resource: Text,
        resource_types: Text,
        resource_schema_url: Text,
        resource_dropped_attributes_count: Integers,
        scope_name: Text,
        scope_version: Text,
        scope_attributes: Text,
        scope_attribute_types: Text,
        scope_schema_url: Text,
        scope_dropped_attributes_count: Integers,
    }
}

type ResourceKey<'a> = ([Option<&'a str>; 3], i64);
type ScopeKey<'a> = ([Option<&'a str>; 5], i64);

/// The rows of `batches`, which hold all columns of `spans`: spans of one scope in the order given, scopes and resources in
/// the order in which the first span of each comes.
///
/// # Errors
/// A bug of ours: a batch is not one of columns of `spans`.
pub fn resource_spans(batches: &[RecordBatch]) -> Result<Vec<ResourceSpans>, RowsError> {
    let columns = batches.iter().map(Columns::of).collect::<Result<Vec<_>, _>>()?;
    let mut resources: Vec<ResourceSpans> = Vec::new();
    let mut known_resources: HashMap<ResourceKey<'_>, usize> = HashMap::new();
    let mut known_scopes: HashMap<(usize, ScopeKey<'_>), usize> = HashMap::new();
    for (batch, columns) in batches.iter().zip(&columns) {
        let spans = Spans::of(batch)?;
        for row in 0..batch.num_rows() {
            let resource = *known_resources.entry(columns.resource_key(row)).or_insert_with(|| {
                resources.push(columns.resource(row));
                resources.len() - 1
            });
            let scopes = &mut resources[resource].scope_spans;
            let scope = *known_scopes.entry((resource, columns.scope_key(row))).or_insert_with(|| {
                scopes.push(columns.scope(row));
                scopes.len() - 1
            });
            scopes[scope].spans.push(spans.get(row));
        }
    }
    Ok(resources)
}

impl<'a> Columns<'a> {
    fn resource_key(&self, row: usize) -> ResourceKey<'a> {
        let texts = [&self.resource, &self.resource_types, &self.resource_schema_url];
        (texts.map(|text| text.get(row)), self.resource_dropped_attributes_count.or_zero(row))
    }

    fn scope_key(&self, row: usize) -> ScopeKey<'a> {
        let texts = [
            &self.scope_name,
            &self.scope_version,
            &self.scope_attributes,
            &self.scope_attribute_types,
            &self.scope_schema_url,
        ];
        (texts.map(|text| text.get(row)), self.scope_dropped_attributes_count.or_zero(row))
    }

    fn resource(&self, row: usize) -> ResourceSpans {
        let resource = Resource {
            attributes: attributes_of(self.resource.get(row), self.resource_types.get(row)),
            dropped_attributes_count: count(&self.resource_dropped_attributes_count, row),
            ..Resource::default()
        };
        ResourceSpans {
            resource: Some(resource),
            scope_spans: Vec::new(),
            schema_url: text(&self.resource_schema_url, row),
        }
    }

    fn scope(&self, row: usize) -> ScopeSpans {
        let scope = InstrumentationScope {
            name: text(&self.scope_name, row),
            version: text(&self.scope_version, row),
            attributes: attributes_of(self.scope_attributes.get(row), self.scope_attribute_types.get(row)),
            dropped_attributes_count: count(&self.scope_dropped_attributes_count, row),
        };
        ScopeSpans { scope: Some(scope), spans: Vec::new(), schema_url: text(&self.scope_schema_url, row) }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_fixture::{Row, batch, row};

    use super::*;

    /// Names of a scope and of its spans.
    type Scope = (String, Vec<String>);

    /// Names of spans by resource and scope: as many attributes of the resource, the scope's name.
    fn told(rows: &[Row]) -> Vec<(usize, Vec<Scope>)> {
        let batch = batch(Table::Spans, rows);
        let resources = resource_spans(&[batch.rows().clone()]).expect("columns of spans");
        let scopes = |resource: &ResourceSpans| {
            let scope = |scope: &ScopeSpans| {
                let name = scope.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
                (name, scope.spans.iter().map(|span| span.name.clone()).collect())
            };
            resource.scope_spans.iter().map(scope).collect()
        };
        let attributes = |told: &ResourceSpans| told.resource.as_ref().map_or(0, |it| it.attributes.len());
        resources.iter().map(|resource| (attributes(resource), scopes(resource))).collect()
    }

    #[test]
    fn spans_come_under_what_they_came_with() {
        let span = |name: &str, resource: &str, scope: &str| -> Row {
            row(1, [("name", name.into()), ("resource", resource.into()), ("scope_name", scope.into())])
        };
        let (one, two) = (r#"{"a":"1"}"#, r#"{"a":"1","b":"2"}"#);
        let rows = [span("1", two, "x"), span("2", one, "x"), span("3", two, "y"), span("4", two, "x")];
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let want = vec![
            (2, vec![("x".to_owned(), texts(&["1", "4"])), ("y".to_owned(), texts(&["3"]))]),
            (1, vec![("x".to_owned(), texts(&["2"]))]),
        ];
        assert_eq!(told(&rows), want);
    }
}

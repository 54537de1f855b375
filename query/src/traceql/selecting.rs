//! Rows that a query can select, as far as filters can say it.
//!
//! An attribute that is a list equals what is in it, and a list is one text in its column. A filter that lets lists pass beside the
//! value that is asked for cannot be looked up in what files have for that, and then all attributes are decoded. So rows without lists
//! are scanned for the value alone, and the others by themselves, if there are any: the types of attributes say so, and files
//! tell those without a look at rows. They tell the keys of resources, events and links too, and what a condition asks of keys that
//! none of them has is left out of their filter.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use futures::stream::{self, BoxStream, StreamExt as _};
use meshlake_engine::{DataFile, Part, Query, QueryError, Scan, Texts};
use meshlake_schema::filter::{Place, Test};
use meshlake_schema::{Filter, Table, TimeRange};
use meshlake_traceql::Selected;
use meshlake_traceql::tree::Scope;

use super::by_files::Places;

/// Where types of attributes are, and how a list's begins.
const TYPES: &str = "attribute_types";
const LIST: &str = "[";

/// The rows of `scan`, whatever its filter and part, that pass the filter of a query; each once.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn selected_rows(
    query: &Query,
    selected: &Selected,
    scan: Scan<'_>,
) -> Result<BoxStream<'static, Result<RecordBatch, QueryError>>, QueryError> {
    let scopes = selected.scopes_beside_spans();
    if selected.without_lists.is_none() && scopes.is_empty() {
        let scan = Scan { filter: selected.filter.clone(), part: Part::Whole, ..scan };
        return Ok(query.scan(&scan).await?.boxed());
    }
    let told = told(query, &scopes, scan.range).await?;
    let is_absent =
        |scope: Scope, key: &str| told.names.get(&scope).is_some_and(|names| !names.contains(key));
    let (narrow, files) = (selected.lacking(&is_absent), told.files(query));
    let untold: Vec<&DataFile> = told.untold.iter().collect();
    let mut filters: Vec<(Part<'_>, Filter)> = Vec::new();
    filters.extend(apart(&narrow, told.has_lists).map(|filter| (Part::Files(&files), filter)));
    filters.extend(apart(selected, true).map(|filter| (Part::Files(&untold), filter)));
    filters.push((Part::Buffered, selected.filter.clone()));
    let mut rows = Vec::new();
    for (part, filter) in filters {
        rows.push(query.scan(&Scan { part, filter, ..scan.clone() }).await?);
    }
    Ok(stream::iter(rows).flatten().boxed())
}

/// What files tell of rows that a query may select.
struct Told {
    /// Keys of attributes, of the scopes that were asked for.
    names: BTreeMap<Scope, BTreeSet<String>>,
    has_lists: bool,
    untold: Vec<DataFile>,
}

async fn told(query: &Query, scopes: &[Scope], range: TimeRange) -> Result<Told, QueryError> {
    let places = Places::of(scopes);
    let asked = [places.texts(), vec![Texts::Column(TYPES)]].concat();
    let mut told = query.told(Table::Spans, &asked, range).await?;
    let types = told.texts.pop().unwrap_or_default();
    let has_lists = types.iter().any(|types| types.contains(LIST));
    Ok(Told { names: places.names(told.texts), has_lists, untold: told.untold })
}

impl Told {
    /// The files that told.
    fn files<'q>(&self, query: &'q Query) -> Vec<&'q DataFile> {
        let untold: BTreeSet<_> = self.untold.iter().map(|file| &file.path).collect();
        query.files(Table::Spans).iter().filter(|file| !untold.contains(&file.path)).collect()
    }
}

/// The filter of rows without lists, and the one of those with some if there are any.
fn apart(selected: &Selected, has_lists: bool) -> impl Iterator<Item = Filter> {
    let plain = selected.without_lists.clone();
    let lists = plain.clone().filter(|_| has_lists).map(|plain| {
        let has_list = Filter::Is(Place::Column(TYPES.to_owned()), Test::Contains(LIST.to_owned()));
        has_list.and(selected.filter.clone()).and(plain.negated())
    });
    [Some(plain.unwrap_or_else(|| selected.filter.clone())), lists].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt as _;
    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Row, SnapshotBuilder, row};
    use meshlake_schema::SystemClock;
    use meshlake_traceql::parse;

    use super::*;
    use crate::traceql::rows::SpanRows;

    fn span(trace: &str, attributes: &[(&str, &str)], types: &str) -> Row {
        let cells = [
            ("trace_id", trace.into()),
            ("attributes", attributes.into()),
            ("attribute_types", types.into()),
        ];
        row(1, cells)
    }

    async fn selected(snapshot: SnapshotBuilder, text: &str) -> Vec<String> {
        let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
        let query = engine.expect("no directory is named").begin("default").await.expect("a place is free");
        let selected = Selected::of(&parse(text).expect("TraceQL"));
        let scan = Scan { columns: Some(&["trace_id"]), ..Scan::of(Table::Spans) };
        let rows = selected_rows(&query, &selected, scan).await.expect("it is answered");
        let batches: Vec<RecordBatch> = rows.try_collect().await.expect("all are read");
        let mut ids = Vec::new();
        for batch in &batches {
            let rows = SpanRows::of(batch).expect("columns of spans");
            ids.extend((0..batch.num_rows()).map(|row| rows.trace_id(row).to_owned()));
        }
        ids.sort();
        ids
    }

    /// `d` has a list beside the value that is asked for, and is found once all the same.
    #[tokio::test]
    async fn values_and_lists_are_found_once_each() {
        let plain = [span("a", &[("color", "red")], "s"), span("b", &[("color", "blue")], "s")];
        let lists = [
            span("c", &[("color", "[\"red\"]")], "[s]"),
            span("d", &[("color", "red"), ("tags", "[\"x\"]")], "s[s]"),
        ];
        let both = [plain.clone(), lists.clone()].concat();
        let file = async |rows: &[Row]| SnapshotBuilder::new().filtered_file(rows, rows).await;
        for snapshot in [
            file(&both).await,
            file(&plain).await.hot(Table::Spans, 1, &lists),
            file(&lists).await.hot(Table::Spans, 1, &plain),
            SnapshotBuilder::new().hot(Table::Spans, 1, &both),
        ] {
            assert_eq!(selected(snapshot, "{ span.color = \"red\" }").await, ["a", "c", "d"]);
        }
        let found = selected(file(&plain).await, "{ span.color = \"green\" }").await;
        assert!(found.is_empty(), "{found:?}");
    }

    /// What is asked without scope is the span's alone where no resource has that key, and is looked for in every row where one has.
    #[tokio::test]
    async fn keys_that_no_resource_or_event_has_are_looked_for_on_spans() {
        let of_resource = |trace: &str, resource: &str| {
            let cells = [("resource", resource.into()), ("resource_types", "s".into())];
            span(trace, &[("size", "1")], "s").into_iter().chain(cells).collect::<Row>()
        };
        let plain = [span("a", &[("color", "red")], "s"), of_resource("b", r#"{"zone":"x"}"#)];
        let colored = [of_resource("c", r#"{"color":"red"}"#), span("d", &[], "")];
        let file = async |rows: &[Row]| SnapshotBuilder::new().filtered_file(rows, rows).await;
        let check = async |snapshot: SnapshotBuilder, text: &str, want: &[&str]| {
            assert_eq!(selected(snapshot, text).await, want, "{text}");
        };
        check(file(&plain).await, "{ .color = \"red\" }", &["a"]).await;
        check(file(&plain).await, "{ .color = \"red\" || event.color = \"red\" }", &["a"]).await;
        check(file(&plain).await, "{ resource.color != \"x\" }", &[]).await;
        check(file(&plain).await, "{ resource.color = nil }", &["a", "b"]).await;
        check(file(&plain).await.hot(Table::Spans, 1, &colored), "{ .color = \"red\" }", &["a", "c", "d"])
            .await;
        check(file(&[plain, colored].concat()).await, "{ .color = \"red\" }", &["a", "b", "c", "d"]).await;
    }
}

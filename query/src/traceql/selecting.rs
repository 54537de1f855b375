//! Rows that a query can select, as far as filters can say it.
//!
//! An attribute that is a list equals what is in it, and a list is one text in its column. A filter that lets lists pass beside the
//! value that is asked for cannot be looked up in what files have for that, and then all attributes are decoded. So rows without lists
//! are scanned for the value alone, and the others by themselves, if there are any: the types of attributes say so, and files
//! tell those without a look at rows.

use arrow::array::RecordBatch;
use futures::stream::{self, BoxStream, StreamExt as _};
use meshlake_engine::{DataFile, Part, Query, QueryError, Scan, Texts};
use meshlake_schema::filter::{Place, Test};
use meshlake_schema::{Filter, Table};
use meshlake_traceql::Selected;

/// Where types of attributes are, and how a list's begins.
const TYPES: &str = "attribute_types";
const LIST: &str = "[";

/// The rows of `scan`, whatever its filter, that pass the filter of a query; each once.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn selected_rows(
    query: &Query,
    selected: &Selected,
    scan: Scan<'_>,
) -> Result<BoxStream<'static, Result<RecordBatch, QueryError>>, QueryError> {
    let Some(plain) = &selected.without_lists else {
        let scan = Scan { filter: selected.filter.clone(), ..scan };
        return Ok(query.scan(&scan).await?.boxed());
    };
    let mut rows = vec![query.scan(&Scan { filter: plain.clone(), ..scan.clone() }).await?];
    let has_list = Filter::Is(Place::Column(TYPES.to_owned()), Test::Contains(LIST.to_owned()));
    let filter = has_list.and(selected.filter.clone()).and(plain.clone().negated());
    let told = query.told(Table::Spans, &[Texts::Column(TYPES)], scan.range).await?;
    let untold: Vec<&DataFile> = told.untold.iter().collect();
    let parts = if told.texts.iter().flatten().any(|types| types.contains(LIST)) {
        vec![Part::Whole]
    } else if untold.is_empty() {
        vec![Part::Buffered]
    } else {
        vec![Part::Files(&untold), Part::Buffered]
    };
    for part in parts {
        rows.push(query.scan(&Scan { filter: filter.clone(), part, ..scan.clone() }).await?);
    }
    Ok(stream::iter(rows).flatten().boxed())
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
}

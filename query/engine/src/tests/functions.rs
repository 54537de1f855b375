//! Functions in FROM: what they are called with, what they see, and that they are bounded as any statement.

use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt, stream};

use super::*;

const PARAMETERS: [Parameter; 4] = [
    Parameter { name: "word", kind: ParameterKind::Text },
    Parameter { name: "at", kind: ParameterKind::Time },
    Parameter { name: "length", kind: ParameterKind::Duration },
    Parameter { name: "number", kind: ParameterKind::Count },
];

/// One row with what it was called with.
struct Told;

impl TableFunction for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }

    fn columns(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("arguments", DataType::Utf8, true)]))
    }

    fn rows(&self, _: Arc<Query>, given: Arguments) -> ComputedRows {
        let told = (given.text("word"), given.time("at"), given.duration("length"), given.count("number"));
        let column = StringArray::from(vec![format!("{told:?}")]);
        let batch = RecordBatch::try_new(self.columns(), vec![Arc::new(column)]).expect("the one column");
        stream::once(async { Ok(batch) }).boxed()
    }
}

/// The rows of a statement, of which it is told how many there are.
struct Counted(&'static str);

impl TableFunction for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn columns(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)]))
    }

    fn rows(&self, query: Arc<Query>, _: Arguments) -> ComputedRows {
        let (statement, columns) = (self.0, self.columns());
        let counted = async move {
            let batches: Vec<RecordBatch> = query.sql(statement).await?.try_collect().await?;
            let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            let column = Int64Array::from(vec![rows as i64]);
            Ok(RecordBatch::try_new(columns, vec![Arc::new(column)]).expect("the one column"))
        };
        stream::once(counted).boxed()
    }
}

/// Never has a row.
struct Endless;

impl TableFunction for Endless {
    fn name(&self) -> &'static str {
        "endless"
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn columns(&self) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("rows", DataType::Int64, true)]))
    }

    fn rows(&self, _: Arc<Query>, _: Arguments) -> ComputedRows {
        stream::pending().boxed()
    }
}

fn engine(snapshot: SnapshotBuilder, functions: Vec<Arc<dyn TableFunction>>) -> Engine {
    let config = EngineConfig { timeout_seconds: 1, ..EngineConfig::default() };
    let engine = Engine::with_functions(snapshot.reader(), config, Arc::new(SystemClock), functions);
    engine.expect("no directory is named")
}

async fn told(call: &str) -> String {
    let engine = engine(SnapshotBuilder::new(), vec![Arc::new(Told)]);
    one(&engine, &format!("SELECT * FROM {call}")).await
}

#[tokio::test]
async fn arguments_are_read_as_what_the_parameters_are() {
    let none = "(None, None, None, None)";
    let cases = [
        ("told()", none.to_owned()),
        ("told(NULL, NULL)", none.to_owned()),
        ("told('a' || 'b')", "(Some(\"ab\"), None, None, None)".to_owned()),
        // 2023-11-14T22:13:20Z is 1,700,000,000 s after the epoch.
        (
            "told(NULL, TIMESTAMP '2023-11-14T22:13:20Z')",
            "(None, Some(UnixNanos(1700000000000000000)), None, None)".to_owned(),
        ),
        (
            "told(NULL, '2023-11-14T22:13:20Z')",
            "(None, Some(UnixNanos(1700000000000000000)), None, None)".to_owned(),
        ),
        ("told(NULL, '1700000000.5')", "(None, Some(UnixNanos(1700000000500000000)), None, None)".to_owned()),
        ("told(NULL, 1700000000)", "(None, Some(UnixNanos(1700000000000000000)), None, None)".to_owned()),
        ("told(NULL, DATE '1970-01-02')", "(None, Some(UnixNanos(86400000000000)), None, None)".to_owned()),
        (
            "told(NULL, TIMESTAMP '1970-01-02' - INTERVAL '1 second')",
            "(None, Some(UnixNanos(86399000000000)), None, None)".to_owned(),
        ),
        ("told(NULL, NULL, '5m')", "(None, None, Some(300s), None)".to_owned()),
        ("told(NULL, NULL, 90)", "(None, None, Some(90s), None)".to_owned()),
        ("told(NULL, NULL, INTERVAL '1 day 30 seconds')", "(None, None, Some(86430s), None)".to_owned()),
        ("told('', 0, 0, 7)", "(Some(\"\"), Some(UnixNanos(0)), Some(0ns), Some(7))".to_owned()),
    ];
    for (call, want) in cases {
        assert_eq!(told(call).await, want, "{call}");
    }
}

#[tokio::test]
async fn a_wrong_argument_is_named() {
    let cases = [
        ("told(1)", "told: word must be text, not 1"),
        ("told(NULL, 'soon')", "told: at must be a timestamp, RFC 3339 or unix seconds, not soon"),
        ("told(NULL, NULL, 'long')", "told: length must be an interval"),
        ("told(NULL, NULL, INTERVAL '1 month')", "told: length must be an interval"),
        ("told(NULL, NULL, INTERVAL '-1 day')", "told: length must be an interval"),
        ("told(NULL, NULL, NULL, -1)", "told: number must be a whole number from 0 on, not -1"),
        ("told(NULL, NULL, NULL, 1.5)", "told: number must be a whole number from 0 on, not 1.5"),
        ("told(NULL, NULL, NULL, '7')", "told: number must be a whole number"),
        ("told(NULL, NULL, NULL, 1, 2)", "told takes at most 4 arguments: word, at, length, number"),
        ("told($1)", "told: word must be a constant, not $1"),
        ("told((SELECT 'a'))", "told: word must be a constant"),
        ("untold()", "table function 'untold' not found"),
        ("range(1, 5)", "table function 'range' not found"),
    ];
    for (call, want) in cases {
        let said = told(call).await;
        assert!(said.starts_with("Invalid(") && said.contains(want), "{call}: {said}");
    }
}

#[tokio::test]
async fn a_function_sees_the_snapshot_of_its_statement_as_its_tenant() {
    let rows = [span(1, "a"), span(2, "b"), of_tenant("other", span(3, "x"))];
    let snapshot = || SnapshotBuilder::new().hot(Table::Spans, 1, &rows);
    let counting = |statement| engine(snapshot(), vec![Arc::new(Counted(statement))]);
    let joined = "SELECT c.rows, name FROM counted() c JOIN spans ON true WHERE c.rows = 2 ORDER BY name";
    assert_eq!(one(&counting("SELECT 1 FROM spans"), joined).await, "2,a;2,b");
    assert_eq!(one(&counting("SELECT 1 FROM spans"), "SELECT count(*) FROM counted()").await, "1");
    // No function knows a function, itself or another.
    let said = one(&counting("SELECT * FROM counted()"), "SELECT * FROM counted()").await;
    assert!(said.contains("table function 'counted' not found"), "{said}");
}

#[tokio::test]
async fn a_function_is_no_table_and_no_door_to_one() {
    let engine = engine(SnapshotBuilder::new(), vec![Arc::new(Told)]);
    for sql in ["SELECT * FROM told", "SELECT * FROM \"told()\"", "SELECT * FROM public.\"told()\""] {
        let said = one(&engine, sql).await;
        assert!(said.starts_with("Invalid("), "{sql}: {said}");
    }
    assert_eq!(
        one(&engine, "SELECT count(*) FROM information_schema.tables WHERE table_name LIKE 'told%'").await,
        "0"
    );
}

#[tokio::test]
async fn a_name_that_is_nearly_a_table_or_a_function_is_answered_with_it() {
    let engine = engine(SnapshotBuilder::new(), vec![Arc::new(Told)]);
    for (sql, meant) in [
        ("SELECT 1 FROM span", "spans"),
        ("SELECT 1 FROM \"Log\"", "logs"),
        ("EXPLAIN SELECT 1 FROM spans JOIN public.request r ON true", "requests"),
        ("SELECT 1 FROM told", "told()"),
    ] {
        let said = one(&engine, sql).await;
        assert!(said.contains(&format!("' not found: did you mean {meant}?")), "{sql}: {said}");
    }
    let said = one(&engine, "SELECT 1 FROM customers").await;
    assert!(said.contains("'meshlake.public.customers' not found") && !said.contains("mean"), "{said}");
}

#[tokio::test]
async fn a_function_ends_with_its_statement() {
    let engine = engine(SnapshotBuilder::new(), vec![Arc::new(Endless)]);
    let ended = rows(&engine, "SELECT * FROM endless()").await;
    assert_eq!(ended, Err(QueryError::TimedOut(Duration::from_secs(1))));
}

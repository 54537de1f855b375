//! Prepared statements: described as they will answer, and values that are nothing but values.

use arrow::datatypes::{DataType, TimeUnit};
use meshlake_schema::UnixNanos;
use meshlake_schema::filter::Value;

use super::*;

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.to_owned()))
}

fn integer(number: i64) -> Option<Value> {
    Some(Value::Integer(number))
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

async fn engine() -> Engine {
    let attributes = Cell::from([("k", "v")].as_slice());
    let shop = [("name", "a".into()), ("kind", 2_i64.into()), ("attributes", attributes)];
    let cart = [("name", "b".into()), ("kind", 3_i64.into()), ("is_proxy", true.into())];
    SnapshotBuilder::new()
        .file(Table::Spans, &[row(SECOND, shop), of_tenant("other", span(2, "x"))], &[])
        .await
        .hot(Table::Spans, 7, &[row(3 * SECOND, cart)])
        .engine()
}

async fn prepared(engine: &Engine, sql: &str) -> Result<Prepared, QueryError> {
    engine.begin("default").await?.prepare(sql).await
}

async fn run(engine: &Engine, sql: &str, values: &[Option<Value>]) -> Result<String, QueryError> {
    let bound = prepared(engine, sql).await?.bind(values)?;
    // Another query than the one that prepared it.
    let rows = text_rows(engine.begin("default").await?.run(bound).await?).await?;
    Ok(rows.into_iter().map(|row| row.join(",")).collect::<Vec<_>>().join(";"))
}

#[tokio::test]
async fn parameters_have_the_types_of_what_they_are_compared_with() {
    let engine = engine().await;
    let cases = [
        ("SELECT name FROM spans", vec![]),
        ("SELECT name FROM spans WHERE name = $1", vec![Some(DataType::Utf8)]),
        (
            "SELECT name FROM spans WHERE $2 = kind AND duration_nano > $1",
            vec![Some(DataType::Int64), Some(DataType::Int32)],
        ),
        ("SELECT name FROM spans WHERE time >= $1 AND time < $2", vec![Some(utc()), Some(utc())]),
        ("SELECT name FROM spans WHERE date = $1", vec![Some(DataType::Date32)]),
        ("SELECT name FROM spans WHERE is_proxy = $1", vec![Some(DataType::Boolean)]),
        ("SELECT name FROM spans WHERE adjusted_count BETWEEN $1 AND 2", vec![Some(DataType::Float64)]),
        ("SELECT name FROM spans WHERE kind IN ($1, 3)", vec![Some(DataType::Int32)]),
        ("SELECT name FROM spans WHERE name LIKE $1", vec![Some(DataType::Utf8)]),
        ("SELECT name FROM spans WHERE attributes['k'] = $1", vec![Some(DataType::Utf8)]),
        ("SELECT count(*) FROM spans GROUP BY name HAVING count(*) > $1", vec![Some(DataType::Int64)]),
        (
            "SELECT name FROM (SELECT name FROM spans WHERE kind = $1) LIMIT $2",
            vec![Some(DataType::Int32), Some(DataType::Int64)],
        ),
        (
            "SELECT name FROM spans WHERE kind IN (SELECT kind FROM spans WHERE name = $1)",
            vec![Some(DataType::Utf8)],
        ),
        ("SELECT CAST($1 AS BIGINT), $2::boolean", vec![Some(DataType::Int64), Some(DataType::Boolean)]),
        ("SELECT name FROM spans WHERE $1 IS NULL OR name = $1", vec![Some(DataType::Utf8)]),
        // Nothing tells, or too much.
        ("SELECT $1", vec![None]),
        ("SELECT upper($1)", vec![None]),
        ("SELECT name FROM spans WHERE name = $1 OR kind = $1", vec![None]),
    ];
    for (sql, want) in cases {
        let parameters = prepared(&engine, sql).await.map(|prepared| prepared.parameters().to_vec());
        assert_eq!(parameters, Ok(want), "{sql}");
    }
}

/// What a client was told before is what it gets.
#[tokio::test]
async fn columns_are_described_as_they_are_answered() {
    let engine = engine().await;
    let cases = [
        ("SELECT * FROM spans WHERE name = $1", vec![text("a")]),
        ("SELECT count(*) AS n, avg(duration_nano), max(time) FROM spans WHERE kind = $1", vec![integer(2)]),
        ("SELECT kind + $1 AS next, name || 'x' FROM spans", vec![integer(1)]),
        ("SELECT 1 AS a UNION ALL SELECT 2.5", vec![]),
        ("SELECT CASE WHEN kind = $1 THEN 'x' ELSE name END FROM spans", vec![integer(1)]),
        ("SELECT date_trunc('hour', time) AS hour, attributes['k'] FROM spans", vec![]),
        ("SELECT $1::double AS x", vec![Some(Value::Double(0.5))]),
        ("SELECT kind FROM spans WHERE name = $1 ORDER BY kind LIMIT $2", vec![text("a"), integer(1)]),
        ("EXPLAIN SELECT name FROM spans WHERE kind = $1", vec![integer(1)]),
        ("SHOW TABLES", vec![]),
        ("DESCRIBE spans", vec![]),
    ];
    let columns = |schema: &arrow::datatypes::SchemaRef| -> Vec<(String, DataType)> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    for (sql, values) in cases {
        let prepared = prepared(&engine, sql).await.expect(sql);
        let query = engine.begin("default").await.expect("a place is free");
        let rows = query.run(prepared.bind(&values).expect(sql)).await.expect(sql);
        assert_eq!(columns(prepared.columns()), columns(rows.schema()), "{sql}");
    }
}

#[tokio::test]
async fn values_of_every_type_find_their_rows() {
    let engine = engine().await;
    let at = |seconds| Some(Value::Time(UnixNanos(seconds * SECOND)));
    let cases = [
        ("SELECT name FROM spans WHERE name = $1", vec![text("a")], "a"),
        ("SELECT name FROM spans WHERE kind = $1", vec![integer(3)], "b"),
        ("SELECT name FROM spans WHERE kind = $1", vec![text("3")], "b"),
        ("SELECT name FROM spans WHERE kind > $1 + 1", vec![Some(Value::Integer(1))], "b"),
        ("SELECT name FROM spans WHERE time < $1", vec![at(2)], "a"),
        ("SELECT name FROM spans WHERE time > $1", vec![text("1970-01-01T00:00:02Z")], "b"),
        (
            "SELECT name FROM spans WHERE date = $1 AND is_proxy = $2",
            vec![text("1970-01-01"), Some(Value::Boolean(true))],
            "b",
        ),
        (
            "SELECT name FROM spans WHERE adjusted_count < $1 AND kind = 2",
            vec![Some(Value::Double(0.5))],
            "a",
        ),
        ("SELECT name FROM spans WHERE attributes['k'] = $1", vec![text("v")], "a"),
        ("SELECT name FROM spans ORDER BY name DESC LIMIT $1", vec![integer(1)], "b"),
        ("SELECT upper($1), $2", vec![text("x"), integer(7)], "X,7"),
        // Null is never equal, and can be asked for.
        ("SELECT name FROM spans WHERE name = $1", vec![None], ""),
        ("SELECT count(*) FROM spans WHERE $1 IS NULL OR name = $1", vec![None], "2"),
        ("SELECT $1 IS NULL", vec![None], "true"),
        // More than nine, and not in order.
        (
            "SELECT $11::int - $10::int, $1::int + $2::int + $3::int + $4::int + $5::int + $6::int + $7::int + $8::int + $9::int",
            (1..=11).map(integer).collect(),
            "1,45",
        ),
    ];
    for (sql, values, want) in cases {
        assert_eq!(run(&engine, sql, &values).await.as_deref(), Ok(want), "{sql} with {values:?}");
    }
}

#[tokio::test]
async fn a_prepared_statement_is_run_again_on_what_has_come_since() {
    let (before, after) = (mixed().await, engine().await);
    let prepared = prepared(&before, "SELECT name FROM spans WHERE kind = $1").await.expect("a statement");
    for (kind, want) in [(2, "a"), (3, "b"), (4, "")] {
        let bound = prepared.bind(&[integer(kind)]).expect("one number");
        let query = after.begin("default").await.expect("a place is free");
        let rows = text_rows(query.run(bound).await.expect("a plan")).await.expect("readable files");
        assert_eq!(rows.concat().concat(), want);
    }
}

#[tokio::test]
async fn other_numbers_and_kinds_of_values_are_refused() {
    let engine = engine().await;
    let sql = "SELECT name FROM spans WHERE name = $1 AND kind = $2";
    let cases = [
        (vec![], "the statement's parameters are 2, the values given 0"),
        (vec![text("a")], "the statement's parameters are 2, the values given 1"),
        (vec![text("a"), integer(2), None], "the statement's parameters are 2, the values given 3"),
        (vec![integer(1), integer(2)], "parameter $1: 1 is Int64, not Utf8"),
        (vec![text("a"), text("two")], "parameter $2: two does not read as Int32"),
        (vec![text("a"), Some(Value::Boolean(true))], "parameter $2: true is Boolean, not Int32"),
    ];
    for (values, want) in cases {
        let error = run(&engine, sql, &values).await.expect_err("it does not fit");
        assert_eq!(error, QueryError::Invalid(want.to_owned()));
    }
    // Without any way to give values.
    let plain = one(&engine, sql).await;
    assert!(plain.contains("the statement's parameters are 2, the values given 0"), "{plain}");
}

#[tokio::test]
async fn texts_are_values_whatever_they_say() {
    let engine = engine().await;
    for hostile in [
        "' OR 1=1 --",
        "a' OR 'a'='a",
        "'; DROP TABLE spans; --",
        "$2",
        "a\0b",
        "other' AND tenant = 'other",
        "\\' OR 1=1",
        "(SELECT name FROM spans)",
    ] {
        let of_rows = "SELECT count(*) FROM spans WHERE name = $1 OR attributes['k'] = $1 OR tenant = $1";
        assert_eq!(run(&engine, of_rows, &[text(hostile)]).await.as_deref(), Ok("0"), "{hostile}");
        let length = run(&engine, "SELECT octet_length($1)", &[text(hostile)]).await;
        assert_eq!(length, Ok(hostile.len().to_string()), "{hostile}");
    }
    assert_eq!(
        run(&engine, "SELECT count(*) FROM spans WHERE tenant = $1", &[text("other")]).await.as_deref(),
        Ok("0")
    );
}

#[tokio::test]
async fn the_guards_hold_for_prepared_statements() {
    let engine = engine().await;
    for sql in [
        "DROP TABLE spans",
        "PREPARE p AS SELECT $1",
        "EXECUTE p(1)",
        "INSERT INTO spans SELECT * FROM spans WHERE name = $1",
        "SELECT * FROM information_schema.df_settings WHERE name = $1",
        "SELECT $1; SELECT 2",
        &format!("SELECT $1{}", "+1".repeat(600)),
        &format!("SELECT {}", vec!["$1"; 5_000].join(",")),
    ] {
        let answer = prepared(&engine, sql).await;
        assert!(matches!(answer, Err(QueryError::Refused(_) | QueryError::Invalid(_))), "{sql}: {answer:?}");
    }
    let much = run(&engine, "SELECT repeat($1, $2)", &[text("x"), integer(2_000_000_000)]).await;
    assert!(matches!(much, Err(QueryError::Refused(_))), "{much:?}");
}

#[tokio::test]
async fn parameters_are_numbered_from_one_and_bounded() {
    let engine = engine().await;
    for sql in
        ["SELECT $2::int", "SELECT $1::int, $3::int", "SELECT $name, $3", "SELECT $0", "SELECT $01::int"]
    {
        let answer = prepared(&engine, sql).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{sql}: {answer:?}");
    }
    let far = prepared(&engine, "SELECT $99999999999999999999::int").await;
    assert!(matches!(far, Err(QueryError::Invalid(_))), "{far:?}");
    let many = |count: usize| {
        let list: Vec<String> = (1..=count).map(|i| format!("${i}")).collect();
        format!("SELECT count(*) FROM spans WHERE kind IN ({})", list.join(","))
    };
    let most = prepared(&engine, &many(1_000)).await.map(|prepared| prepared.parameters().len());
    assert_eq!(most, Ok(1_000));
    assert!(matches!(prepared(&engine, &many(1_001)).await, Err(QueryError::Refused(_))));
}

#[tokio::test]
async fn texts_are_bounded_together() {
    let engine = engine().await;
    let sql = "SELECT name FROM spans WHERE name = $1 OR name = $2";
    let prepared = prepared(&engine, sql).await.expect("a statement");
    let values = |bytes: usize| [text(&"x".repeat(bytes)), text("y")];
    assert!(prepared.bind(&values(65_535)).is_ok());
    assert!(matches!(prepared.bind(&values(65_536)), Err(QueryError::Refused(_))));
}

#[tokio::test]
async fn question_marks_are_parameters_too() {
    let engine = engine().await;
    let sql = "SELECT name FROM spans WHERE kind = ? AND name <> ? AND name <> '?'";
    assert_eq!(run(&engine, sql, &[integer(2), text("b")]).await.as_deref(), Ok("a"));
    assert!(prepared(&engine, "SELECT ? + $1").await.is_ok_and(|prepared| prepared.parameters().len() == 1));
}

#[tokio::test]
async fn parameters_with_names_are_told_in_the_order_of_their_numbers() {
    let engine = engine().await;
    let sql = "SELECT name FROM spans WHERE kind = $kind AND name <> $other AND kind <= $kind";
    let statement = prepared(&engine, sql).await.expect("a statement");
    assert_eq!(statement.names(), ["kind", "other"]);
    assert_eq!(statement.parameters(), [Some(DataType::Int32), Some(DataType::Utf8)]);
    assert_eq!(run(&engine, sql, &[integer(2), text("b")]).await.as_deref(), Ok("a"));
}

#[tokio::test]
async fn a_list_that_something_is_any_of_has_the_type_of_that() {
    let engine = engine().await;
    let cases = [
        ("SELECT name FROM spans WHERE name = ANY($1)", r#"["b", "c"]"#, "b"),
        ("SELECT name FROM spans WHERE kind = ANY($1)", "[1, 2]", "a"),
    ];
    for (sql, list, want) in cases {
        assert_eq!(run(&engine, sql, &[text(list)]).await.as_deref(), Ok(want), "{sql}");
    }
}

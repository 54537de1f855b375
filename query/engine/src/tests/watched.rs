//! What steps of a plan make beside the pool's back is counted or refused, and ordinary statements notice
//! nothing.

use super::*;

const POOL_BYTES: usize = 64 << 20;

/// Names of 34 bytes, which a view does not hold itself.
async fn engine(count: i64) -> Engine {
    let spans: Vec<Row> = (0..count)
        .map(|second| {
            let attributes =
                Cell::from([("some key", "some value"), ("another key", "another value")].as_slice());
            let mut span = span(second, &format!("an operation with a long name {second:04}"));
            span.insert("attributes", attributes);
            span
        })
        .collect();
    let config = EngineConfig {
        parallelism: 2,
        memory_bytes_max: POOL_BYTES,
        spill_bytes_max: 0,
        timeout_seconds: 600,
        ..EngineConfig::default()
    };
    SnapshotBuilder::new().hot(Table::Spans, 1, &spans).engine_with(config)
}

/// Each of these takes gigabytes from nobody's budget when it is not watched: a text of all names, 34 KB, a
/// thousand million times at worst.
#[tokio::test(flavor = "multi_thread")]
async fn steps_that_multiply_end_in_an_error() {
    let engine = engine(1_000).await;
    let columns = |call: &str| (0..400).map(|n| format!("{call} AS c{n}")).collect::<Vec<_>>().join(", ");
    for sql in [
        "SELECT string_agg(a.name, ',') OVER () FROM spans a, spans b".to_owned(),
        "SELECT replace(a.name, 'a', string_agg(b.name, ',') OVER ()) FROM spans a JOIN spans b ON a.kind = b.kind".to_owned(),
        "SELECT string_agg(name, ',') OVER (ORDER BY time) FROM (SELECT a.name, a.time FROM spans a, spans b)".to_owned(),
        "SELECT array_agg(a.name) OVER (ORDER BY a.time, b.time) FROM spans a, spans b".to_owned(),
        "SELECT first_value(x) OVER () FROM (SELECT a.kind, repeat(a.name, 100) AS x FROM spans a, spans b)".to_owned(),
        "SELECT *, count(*) OVER () FROM (SELECT a.* FROM spans a, spans b)".to_owned(),
        "SELECT l, b.name FROM (SELECT string_agg(name, ',') AS l FROM spans) a, spans b, spans c".to_owned(),
        "SELECT unnest(l), x FROM (SELECT array_agg(name) AS l, string_agg(name, ',') AS x FROM spans)".to_owned(),
        "SELECT (SELECT string_agg(name, ',') FROM spans) || name FROM spans".to_owned(),
        "SELECT repeat('x', 60000000) FROM spans".to_owned(),
        "SELECT repeat('x', 16777217)".to_owned(),
        format!("SELECT {}", (0..20).map(|n| format!("repeat('x', 100000{n})")).collect::<Vec<_>>().join(", ")),
        "SELECT array_has_any(generate_series(1, 100000), generate_series(200000, 300000))".to_owned(),
        format!("SELECT {} FROM spans", columns("repeat(name, 1500)")),
        format!("SELECT {} FROM (SELECT repeat(name, 1500) AS x FROM spans)", columns("upper(x)")),
    ] {
        let answer = rows(&engine, &sql).await;
        let answer = answer.map(|rows| rows[0][0].chars().take(50).collect::<String>());
        let is_told = matches!(answer, Err(QueryError::Memory(_) | QueryError::Refused(_) | QueryError::TooManyBytes(_)));
        assert!(is_told, "{}...: {answer:?}", &sql[..sql.len().min(90)]);
    }
}

#[tokio::test]
async fn a_window_of_texts_with_a_filter_is_refused_with_a_way_out() {
    let engine = mixed().await;
    let sql = "SELECT max(name) FILTER (WHERE kind > 0) OVER () FROM spans";
    let refused = rows(&engine, sql).await;
    assert!(matches!(&refused, Err(QueryError::Refused(why)) if why.contains("CASE WHEN")), "{refused:?}");
    let sql = "SELECT DISTINCT max(CASE WHEN name < 'd' THEN name END) OVER () FROM spans";
    assert_eq!(one(&engine, sql).await, "c");
}

#[tokio::test]
async fn what_is_watched_answers_as_ever() {
    let engine = mixed().await;
    for (sql, want) in [
        ("SELECT string_agg(name, '+') OVER (ORDER BY name) FROM spans ORDER BY 1", "a;a+b;a+b+c;a+b+c+d"),
        (
            "SELECT DISTINCT array_agg(name) OVER (PARTITION BY kind ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM spans",
            "[a, b, c, d]",
        ),
        (
            "SELECT max(name) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM spans ORDER BY 1",
            "b;c;d;d",
        ),
        (
            "SELECT first_value(name) OVER (ORDER BY name DESC), lag(name) OVER (ORDER BY name) FROM spans ORDER BY name",
            "d,;d,a;d,b;d,c",
        ),
        ("SELECT count(*) OVER (), sum(2) OVER (ORDER BY name) FROM spans ORDER BY 2", "4,2;4,4;4,6;4,8"),
        ("SELECT name || NULL, name || '-' || 1 FROM spans WHERE name = 'a'", ",a-1"),
        ("SELECT [1] || [2, 3], [1] || 2, concat('a', NULL, 'b')", "[1, 2, 3],[1, 2],ab"),
        (
            "SELECT b.name, unnest(l) FROM (SELECT array_agg(name ORDER BY name) AS l FROM spans) a, spans b WHERE b.name < 'c' ORDER BY 1, 2",
            "a,a;a,b;a,c;a,d;b,a;b,b;b,c;b,d",
        ),
        ("SELECT (SELECT max(name) FROM spans) || name FROM spans ORDER BY 1", "da;db;dc;dd"),
        (
            "SELECT name ~ name, name LIKE name, name NOT ILIKE upper(name), name SIMILAR TO name || '?' FROM spans ORDER BY name LIMIT 1",
            "true,true,false,true",
        ),
        (
            "SELECT repeat(name, 2) ~ '^a+$', repeat(name, 2) LIKE 'a_', repeat(name, 2) !~* 'A', name ~ 'b|c' FROM spans WHERE name = 'a'",
            "true,true,false,false",
        ),
        (
            "SELECT name LIKE NULL, repeat(name, 2) LIKE NULL, NULL ~ name, name ~ NULL || name FROM spans LIMIT 1",
            ",,,",
        ),
        (
            "SELECT count(*) FROM spans a JOIN spans b ON a.name LIKE b.name || '%' OR a.name ~ ('^' || b.name)",
            "4",
        ),
        ("SELECT array_has_any([1, 2], [2, 3]), array_has_all([1, 2], [2, 3])", "true,false"),
        (
            "SELECT encode('ab', 'hex'), array_to_string([1, 2], ','), string_to_array('a,b', ','), named_struct('k', 1)",
            "6162,1,2,[a, b],{k: 1}",
        ),
    ] {
        assert_eq!(one(&engine, sql).await, want, "{sql}");
    }
    assert_eq!(engine.shared.template.pool_bytes(), 0);
}

#[tokio::test]
async fn columns_that_are_concatenated_keep_their_name() {
    let engine = mixed().await;
    let answer =
        engine.sql("default", "SELECT name || 'x', [kind] FROM spans LIMIT 1").await.expect("an answer");
    let names: Vec<_> = answer.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["spans.name || Utf8(\"x\")", "make_array(spans.kind)"]);
}

/// Long columns beside ordinary work: what real statements do stays within the bounds.
#[tokio::test(flavor = "multi_thread")]
async fn ordinary_statements_are_not_in_the_way() {
    let engine = engine(1_000).await;
    for (sql, want) in [
        ("SELECT count(*) FROM spans a JOIN spans b USING (name)", "1000"),
        ("SELECT max(length(l)) FROM (SELECT string_agg(name, ',') AS l FROM spans GROUP BY kind)", "34999"),
        (
            "SELECT count(*) FROM (SELECT a.name, row_number() OVER (ORDER BY a.time) AS n FROM spans a, (SELECT * FROM spans LIMIT 100) b)",
            "100000",
        ),
        ("SELECT count(DISTINCT upper(name) || lower(name)) FROM spans", "1000"),
        ("SELECT length(repeat('x', 1000000))", "1000000"),
    ] {
        assert_eq!(one(&engine, sql).await, want, "{sql}");
    }
}

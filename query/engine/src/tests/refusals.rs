//! What may not be asked is refused, in words, before it costs anything.

use super::*;

#[tokio::test]
async fn statements_that_are_not_reads_are_refused() {
    let engine = mixed().await;
    for sql in [
        "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc'",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/meshlake-x.csv'",
        "COPY spans TO 'file:///tmp/meshlake-x.parquet'",
        "INSERT INTO spans SELECT * FROM spans",
        "DELETE FROM spans",
        "UPDATE spans SET name = 'x'",
        "DROP TABLE spans",
        "SELECT 1; DROP TABLE spans",
        "EXPLAIN ANALYZE INSERT INTO spans SELECT * FROM spans",
        "EXPLAIN COPY spans TO '/tmp/meshlake-x.csv'",
        "PREPARE p AS SELECT 1",
        "SET datafusion.runtime.memory_limit = '1T'",
        "RESET datafusion.runtime.memory_limit",
        "SHOW ALL",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM information_schema.parameters",
        "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        "BEGIN",
    ] {
        let answer = rows(&engine, sql).await;
        let refused = matches!(answer, Err(QueryError::Refused(_) | QueryError::Invalid(_)));
        assert!(refused, "{sql}: {answer:?}");
    }
    assert!(!std::path::Path::new("/tmp/meshlake-x.csv").exists());
}

/// Every statement of the parser's that is not a question, by itself and behind words that would run it on the way.
#[tokio::test]
async fn no_kind_of_statement_changes_anything() {
    let engine = mixed().await;
    let kinds = [
        "INSERT INTO spans (name) VALUES ('x')",
        "INSERT OVERWRITE spans SELECT * FROM spans",
        "REPLACE INTO spans (name) VALUES ('x')",
        "MERGE INTO spans USING logs ON true WHEN MATCHED THEN DELETE",
        "TRUNCATE TABLE spans",
        "COPY spans TO STDOUT",
        "COPY spans FROM STDIN",
        "COPY spans TO PROGRAM 'touch /tmp/meshlake-x.csv'",
        "UNLOAD (SELECT 1) TO 's3://x'",
        "CREATE OR REPLACE TABLE spans AS SELECT 1",
        "CREATE TEMPORARY TABLE t (a INT)",
        "CREATE OR REPLACE VIEW spans AS SELECT 1",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
        "CREATE INDEX i ON spans (name)",
        "CREATE ROLE r",
        "CREATE SEQUENCE q",
        "ALTER TABLE spans DROP COLUMN name",
        "DROP FUNCTION abs",
        "DROP SCHEMA public CASCADE",
        "SELECT * INTO t FROM spans",
        "WITH x AS (INSERT INTO spans SELECT * FROM spans) SELECT 1",
        "GRANT SELECT ON spans TO x",
        "SET TIME ZONE 'Europe/Berlin'",
        "SET datafusion.catalog.information_schema = false",
        "SET ROLE x",
        "USE other",
        "START TRANSACTION",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "PREPARE p AS DELETE FROM spans",
        "EXECUTE p",
        "DEALLOCATE p",
        "DECLARE c CURSOR FOR SELECT 1",
        "CALL f()",
        "ANALYZE TABLE spans COMPUTE STATISTICS",
        "VACUUM spans",
        "OPTIMIZE TABLE spans",
        "MSCK REPAIR TABLE spans",
        "ATTACH DATABASE '/etc' AS x",
        "INSTALL httpfs",
        "LOAD '/lib/x.so'",
        "PRAGMA journal_mode = OFF",
        "KILL 1",
        "LISTEN x",
        "NOTIFY x",
        "CACHE TABLE t AS SELECT 1",
        "COMMENT ON TABLE spans IS 'x'",
        "LOCK TABLE spans",
        "FLUSH TABLES",
        "SELECT set_config('x', 'y', false)",
        "SELECT pg_terminate_backend(1)",
        "SELECT nextval('q')",
        "SELECT 1; SELECT 2",
    ];
    for kind in kinds {
        for before in ["", "EXPLAIN ", "EXPLAIN ANALYZE ", "EXPLAIN VERBOSE "] {
            let sql = format!("{before}{kind}");
            let answer = rows(&engine, &sql).await;
            let refused = matches!(answer, Err(QueryError::Refused(_) | QueryError::Invalid(_)));
            assert!(refused, "{sql}: {answer:?}");
        }
    }
    assert_eq!(one(&engine, "SELECT count(*), min(name), abs(-1) FROM spans").await, "4,a,1");
    assert!(!std::path::Path::new("/tmp/meshlake-x.csv").exists());
}

#[tokio::test]
async fn nothing_outside_the_tables_can_be_named() {
    let engine = mixed().await;
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM 's3://other/x.parquet'",
        "SELECT * FROM 'http://169.254.169.254/x.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT array_resize([1], 1000000000000)",
        "SELECT input_file_name()",
        "SELECT version()",
    ] {
        let answer = rows(&engine, sql).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{sql}: {answer:?}");
    }
}

#[tokio::test]
async fn functions_that_make_much_of_little_are_refused_before_they_do() {
    let engine = mixed().await;
    let long = "x".repeat(20_000);
    for sql in [
        "SELECT repeat('x', 2000000000)".to_owned(),
        "SELECT repeat(name, 2000000000) FROM spans".to_owned(),
        "SELECT lpad('x', 2147483647)".to_owned(),
        "SELECT rpad(name, 2147483647, 'y') FROM spans".to_owned(),
        format!("SELECT replace('{long}', 'x', '{long}')"),
        format!("SELECT regexp_replace('{long}', '.', '{long}', 'g')"),
        "SELECT concat(a, a, a, a, a, a, a, a, a) FROM (SELECT repeat('x', 8000000) a)".to_owned(),
        "SELECT levenshtein(repeat('x', 60000), repeat('y', 60000)) AS distance".to_owned(),
        "SELECT array_repeat(1, 1000000000000) AS repeated_number".to_owned(),
        "SELECT list_repeat(repeat('x', 10000), 10000) AS repeated_text".to_owned(),
        "SELECT array_repeat(array_repeat(kind, 1000), 1000000) FROM spans".to_owned(),
        "SELECT range(1, 4194305 + 1) AS one_more_than_allowed".to_owned(),
        "SELECT generate_series(kind, 1000000000000) FROM spans".to_owned(),
        "SELECT generate_series(now(), now() + INTERVAL '1 day', INTERVAL '1 us')".to_owned(),
        "SELECT * FROM generate_series(1, 100000001) AS one_row_too_many".to_owned(),
    ] {
        let answer = rows(&engine, &sql).await.map(|rows| rows.len());
        assert!(matches!(answer, Err(QueryError::Refused(_))), "{}: {answer:?}", &sql[..40]);
    }
    let sql = "SELECT repeat('ab', 2), lpad('7', 3, '0'), replace('a-b', '-', '+'), \
               regexp_replace('/cart/17', '[0-9]+', ':id'), concat('a', NULL, 1), concat_ws(',', 'a', 'b')";
    assert_eq!(one(&engine, sql).await, "abab,007,a+b,/cart/:id,a1,a,b");
}

#[tokio::test]
async fn chains_and_towers_end_in_a_clear_error_and_never_in_an_abort() {
    let engine = mixed().await;
    let ctes: String = (0..20).map(|i| format!("t{i} AS (SELECT 1 a), ")).collect();
    for sql in [
        format!("SELECT 1{}", "+1".repeat(2_000)),
        format!("SELECT count(*) FROM spans WHERE {}", vec!["kind = 0"; 2_000].join(" OR ")),
        format!("SELECT count(*) FROM spans WHERE name = {}", vec!["name"; 240].join(" || ")),
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("WITH {ctes} t AS (SELECT 1) SELECT {}", vec!["1"; 100_000].join(",")),
        format!("SELECT * FROM {}", vec!["spans"; 40].join(" CROSS JOIN ")),
        format!("SELECT 1 {}", " UNION ALL SELECT 1".repeat(10_000)),
        format!("SELECT {}", "CASE WHEN true THEN ".repeat(2_000)),
    ] {
        let answer = rows(&engine, &sql).await;
        let refused = matches!(answer, Err(QueryError::Refused(_) | QueryError::Invalid(_)));
        assert!(refused, "{}...: {answer:?}", &sql[..60]);
    }
    // Short texts that would be planned without end.
    let doubling = |first: &str, step: &str, last: &str| {
        let steps = (1..20).map(|n| format!(", t{n} AS ({})", step.replace("last", &format!("t{}", n - 1))));
        format!("WITH t0 AS ({first}){} {}", steps.collect::<String>(), last.replace("last", "t19"))
    };
    let nested = format!("SELECT {}1{}", "(SELECT ".repeat(20), ")".repeat(20));
    for sql in [
        doubling(
            "SELECT name AS x FROM spans",
            "SELECT x||x AS x FROM last",
            "SELECT x FROM last WHERE x = 'a'",
        ),
        doubling(
            "SELECT kind AS x FROM spans",
            "SELECT x+x AS x FROM last",
            "SELECT x FROM last ORDER BY x LIMIT 1",
        ),
        doubling("SELECT 1 AS x", "SELECT [x, x] AS x FROM last", "SELECT x FROM last"),
        doubling("SELECT 1 AS x", "SELECT a.x FROM last a JOIN last b ON a.x = b.x", "SELECT x FROM last"),
        nested,
        format!("SELECT count(*) FROM spans GROUP BY CUBE ({})", ["kind"; 20].join(", ")),
    ] {
        let answer = rows(&engine, &sql).await;
        assert!(matches!(answer, Err(QueryError::Refused(_))), "{}...: {answer:?}", &sql[..60]);
    }
    // A chain near the deepest that is let through runs.
    let sql = format!("SELECT count(*) FROM spans WHERE kind + {} > -1", vec!["kind"; 90].join(" + "));
    assert_eq!(one(&engine, &sql).await, "4");
}

#[tokio::test]
async fn no_length_and_no_pattern_takes_a_plan_down() {
    let engine = mixed().await;
    for sql in [
        "SELECT rpad('e', -1, name), lpad('e', -1, name), rpad(name, -1, NULL), lpad(name, -9223372036854775807) FROM spans LIMIT 1",
        "SELECT rpad('e', -1, 'x'), lpad('e', -1), rpad('e', kind - 1, 'x'), lpad('e', kind - 1, name) FROM spans LIMIT 1",
    ] {
        let answer = rows(&engine, sql).await;
        assert!(answer.as_ref().is_ok_and(|rows| rows[0].iter().all(String::is_empty)), "{sql}: {answer:?}");
    }
    for sql in [
        "SELECT name ~ '{\"a\":[1]}' FROM spans",
        "SELECT 'x' SIMILAR TO '(a*' FROM spans",
        "SELECT regexp_like(name, '(a') FROM spans",
        "SELECT array_length(generate_series(CAST(1000000 AS DECIMAL(38, 10)), 0))",
        "SELECT max(2 BETWEEN array_length(generate_series(CAST(1000000 AS DECIMAL(38, 10)), 0)) AND NULL) FROM spans",
    ] {
        let answer = rows(&engine, sql).await;
        assert!(matches!(answer, Err(QueryError::Invalid(_))), "{sql}: {answer:?}");
    }
}

//! Statements of PostgreSQL's clients: read, rewritten and answered, from telemetry or from the catalogue.
//!
//! What the catalogue should say is what `psql` 15 shows of a PostgreSQL 16 with the same tables.

use meshlake_schema::Table;

use super::{Engines, SnapshotBuilder, span, text_rows};
use crate::postgres::{Catalogue, Command, CopyFormat, Identity, Misread, PostgresType, Scalar, read};
use crate::{Engine, QueryError};
use std::sync::Arc;

pub async fn commands(sql: &str) -> Result<Vec<Command>, Misread> {
    read(sql, Vec::new()).await
}

pub async fn only(sql: &str) -> Command {
    let mut commands = commands(sql).await.expect("it can be read");
    assert_eq!(commands.len(), 1, "{sql}");
    commands.remove(0)
}

/// Rows as text, joined by commas and semicolons, or the error.
async fn answer(engine: &Engine, sql: &str) -> String {
    match rows(engine, sql).await {
        Ok(rows) => rows.iter().map(|row| row.join(",")).collect::<Vec<_>>().join(";"),
        Err(error) => format!("{error:?}"),
    }
}

async fn rows(engine: &Engine, sql: &str) -> Result<Vec<Vec<String>>, QueryError> {
    let command = commands(sql).await.map_err(|misread| misread.error)?.remove(0);
    let Command::Rows(question) = command else { panic!("{sql} is no question") };
    let identity = Identity {
        database: "default".to_owned(),
        user: "me".to_owned(),
        process_id: 7,
        settings: vec![("server_version".to_owned(), "16.4".to_owned(), "")],
    };
    let query = engine.begin("default").await?.as_postgres(&Arc::new(identity), question.catalogue)?;
    text_rows(query.sql(&question.sql).await?).await
}

async fn catalogue_of(sql: &str) -> Result<Catalogue, QueryError> {
    match commands(sql).await.map_err(|misread| misread.error)?.remove(0) {
        Command::Rows(question) => Ok(question.catalogue),
        other => panic!("{other:?}"),
    }
}

fn with_spans() -> Engine {
    SnapshotBuilder::new().hot(Table::Spans, 1, &[span(1, "a"), span(2, "b")]).engine()
}

#[tokio::test]
async fn statements_are_told_apart_by_their_semicolons() {
    assert_eq!(commands(" ; ;; ").await, Ok(Vec::new()));
    assert_eq!(commands("BEGIN; COMMIT;").await, Ok(vec![Command::Begin, Command::Commit]));
    let quoted = commands("SELECT ';' -- ;\n; SELECT $$;$$").await.expect("it can be read");
    assert_eq!(quoted.len(), 2);
    let most = commands(&"BEGIN;".repeat(100)).await.map(|commands| commands.len());
    assert_eq!(most, Ok(100));
    assert!(commands(&"BEGIN;".repeat(101)).await.is_err());
}

#[tokio::test]
async fn settings_are_named_and_valued_in_several_ways() {
    let set = |name: &str, value: Option<&str>, is_local| Command::Set {
        name: name.to_owned(),
        value: value.map(str::to_owned),
        is_local,
    };
    let cases = [
        ("SET a = 'x'", set("a", Some("x"), false)),
        ("set SESSION A to x, 'y'", set("a", Some("x, y"), false)),
        ("SET LOCAL a.b TO -1", set("a.b", Some("-1"), true)),
        ("SET a TO DEFAULT", set("a", None, false)),
        ("SET TIME ZONE 'UTC'", set("timezone", Some("UTC"), false)),
        ("SET NAMES 'utf8'", set("client_encoding", Some("utf8"), false)),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Command::SetTransaction),
        ("SHOW TRANSACTION ISOLATION LEVEL", Command::Show("transaction_isolation".to_owned())),
        ("SHOW ALL", Command::Show("all".to_owned())),
        ("RESET ALL", Command::Reset(None)),
        ("DEALLOCATE PREPARE \"X\"", Command::Deallocate(Some("X".to_owned()))),
        ("ROLLBACK WORK TO SAVEPOINT a", Command::RollbackTo),
        ("ABORT", Command::Rollback),
    ];
    for (sql, want) in cases {
        assert_eq!(only(sql).await, want, "{sql}");
    }
}

#[tokio::test]
async fn cursors_go_forward() {
    let fetch = |rows, is_move| Command::Fetch { cursor: "c".to_owned(), rows, is_move };
    let cases = [
        ("FETCH c", fetch(Some(1), false)),
        ("FETCH NEXT FROM c", fetch(Some(1), false)),
        ("FETCH FORWARD 10 IN c", fetch(Some(10), false)),
        ("FETCH FORWARD ALL FROM C", fetch(None, false)),
        ("MOVE 3 FROM c", fetch(Some(3), true)),
    ];
    for (sql, want) in cases {
        assert_eq!(only(sql).await, want, "{sql}");
    }
    for sql in ["FETCH PRIOR FROM c", "FETCH -1 FROM c", "DECLARE c SCROLL CURSOR FOR SELECT 1"] {
        assert!(matches!(commands(sql).await, Err(Misread { error: QueryError::Refused(_), .. })), "{sql}");
    }
}

#[tokio::test]
async fn copies_go_out_in_the_format_that_is_named() {
    let format = async |sql: &str| match only(sql).await {
        Command::Copy { format, .. } => format,
        other => panic!("{other:?}"),
    };
    let text = CopyFormat::Text { delimiter: '\t', null: "\\N".to_owned(), has_header: false };
    assert_eq!(format("COPY spans TO STDOUT").await, text);
    assert_eq!(format("COPY (SELECT 1) TO STDOUT (FORMAT binary)").await, CopyFormat::Binary);
    let csv = CopyFormat::Csv { delimiter: ';', null: "-".to_owned(), has_header: true };
    assert_eq!(format("COPY spans (name) TO STDOUT WITH CSV HEADER DELIMITER ';' NULL '-'").await, csv);
    for sql in ["COPY spans FROM STDIN", "COPY spans TO '/tmp/x'", "COPY spans TO PROGRAM 'sh'"] {
        assert!(matches!(commands(sql).await, Err(Misread { error: QueryError::Refused(_), .. })), "{sql}");
    }
}

#[tokio::test]
async fn a_misread_statement_says_where() {
    for (sql, position) in [("SELECT 1 FROM\n spans WHRE kind", 27), ("é; FETCH", 1), ("SELECT 'open", 8)] {
        let misread = commands(sql).await.expect_err("it cannot be read");
        assert_eq!(misread.position, Some(position), "{sql}: {misread}");
    }
}

#[tokio::test]
async fn the_catalogue_and_telemetry_are_read_apart() {
    let telemetry =
        ["SELECT * FROM spans", "WITH s AS (SELECT 1) SELECT * FROM s, public.spans", "SHOW TABLES"];
    for sql in telemetry {
        assert_eq!(catalogue_of(sql).await, Ok(Catalogue::Telemetry), "{sql}");
    }
    let system = [
        "SELECT 1",
        "SELECT * FROM pg_class",
        "SELECT * FROM information_schema.tables",
        "WITH s AS (SELECT 1) SELECT * FROM s",
    ];
    for sql in system {
        assert_eq!(catalogue_of(sql).await, Ok(Catalogue::System), "{sql}");
    }
    assert!(matches!(catalogue_of("SELECT * FROM pg_class, spans").await, Err(QueryError::Refused(_))));
    // No spelling gets around it: each session has its own tables.
    let engine = with_spans();
    for sql in [
        "SELECT * FROM pg_class WHERE oid IN (SELECT kind FROM spans)",
        "SELECT * FROM \"pg_catalog\".\"spans\"",
    ] {
        assert!(rows(&engine, sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn what_only_postgresql_understands_is_rewritten() {
    let engine = with_spans();
    let cases = [
        ("SELECT name FROM public.spans ORDER BY name COLLATE \"C\"", "a;b"),
        ("SELECT name FROM db.public.spans WHERE name OPERATOR(pg_catalog.~) '^(a)$'", "a"),
        ("SELECT E'\\x41', $$b$$, N'c'", "A,b,c"),
        ("SELECT name FROM spans WHERE name = ANY('{a,x}')", "a"),
        ("SELECT name FROM spans WHERE name LIKE '/a' ESCAPE '/'", "a"),
        ("SELECT 'spans'::regclass::oid > 16383, 'pg_class'::pg_catalog.regclass::int", "true,1259"),
        ("SELECT 1259::regclass, 23::regtype, 'int4'::regtype::text", "pg_class,integer,integer"),
        ("SELECT current_user, current_schema, current_database()", "me,public,default"),
        ("SELECT ARRAY(SELECT nspname FROM pg_namespace WHERE oid = 11)", "[pg_catalog]"),
        ("SELECT i FROM generate_series(1, 3) AS i", "1;2;3"),
        ("SELECT 1, 1, 1", "1,1,1"),
    ];
    for (sql, want) in cases {
        assert_eq!(answer(&engine, sql).await, want, "{sql}");
    }
}

#[tokio::test]
async fn the_catalogue_tells_tables_columns_and_types() {
    let engine = with_spans();
    let cases = [
        ("SELECT relkind FROM pg_class WHERE relname = 'spans'", "r"),
        (
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = 'spans'::regclass AND attname IN ('time', 'kind', 'attributes') ORDER BY 1",
            "attributes,jsonb;kind,integer;time,timestamp with time zone",
        ),
        ("SELECT obj_description('spans'::regclass)", "One row per span received over OTLP."),
        (
            "SELECT data_type FROM information_schema.columns WHERE table_name = 'spans' AND column_name = 'name'",
            "text",
        ),
        ("SELECT typname, typlen FROM pg_type WHERE oid = 1184", "timestamptz,8"),
        ("SELECT datname FROM pg_database", "default"),
        ("SELECT count(*) FROM pg_index", "0"),
        // It stands on things of which there are none, in ways that the engine could not plan.
        ("SELECT x, (SELECT generate_subscripts(conkey, 1)) FROM pg_constraint c, unnest(conkey) x", ""),
        (
            "SELECT relname, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef d WHERE d.adrelid = c.oid) FROM pg_class c WHERE relname = 'spans'",
            "spans,",
        ),
        ("SELECT version()", concat!("PostgreSQL 16.4 (Meshlake ", env!("CARGO_PKG_VERSION"), ")")),
    ];
    for (sql, want) in cases {
        assert_eq!(answer(&engine, sql).await, want, "{sql}");
    }
}

#[tokio::test]
async fn sets_of_rows_stand_for_tables_and_columns() {
    let engine = with_spans();
    let cases = [
        (
            "SELECT i, count(name) FROM generate_series(1, 2) AS i LEFT JOIN spans ON i = 1 GROUP BY 1 ORDER BY 1",
            "1,2;2,0",
        ),
        ("SELECT generate_series(3, 1, -1)", "3;2;1"),
        ("SELECT * FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS t(x, n)", "a,1;b,2"),
        (
            "SELECT t::text FROM generate_series('2026-11-29'::timestamp, '2026-11-30'::timestamp, '12 hours'::interval) AS t",
            "2026-11-29T00:00:00;2026-11-29T12:00:00;2026-11-30T00:00:00",
        ),
    ];
    for (sql, want) in cases {
        assert_eq!(answer(&engine, sql).await, want, "{sql}");
    }
    assert!(answer(&engine, "SELECT generate_series(1, 9, 0)").await.contains("step can't be 0"));
    assert!(answer(&engine, "SELECT generate_series(1, 5000000)").await.contains("at most"));
}

/// Each is of a kind that a driver or a tool sends: pgjdbc, SQLAlchemy, Npgsql, asyncpg, Grafana, DBeaver, DuckDB.
#[tokio::test]
async fn what_drivers_ask_the_catalogue_is_planned() {
    let engine = with_spans();
    let cases = [
        // Of things that there are none of, through sub-queries and WITH.
        (
            "SELECT (keys).x FROM (SELECT information_schema._pg_expandarray(indkey) AS keys FROM pg_index) k",
            "",
        ),
        ("WITH k AS (SELECT conkey FROM pg_constraint) SELECT (conkey).n FROM k", ""),
        ("SELECT count(*) FROM (SELECT inhrelid, (x).y FROM pg_inherits GROUP BY inhrelid) i", "0"),
        (
            "SELECT relname FROM pg_class c LEFT JOIN (SELECT indrelid FROM pg_index) i ON c.oid = i.indrelid WHERE relname = 'spans'",
            "spans",
        ),
        // Among columns.
        (
            "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'spans'), NOT EXISTS (SELECT 1 FROM pg_class WHERE relname = 'none')",
            "true,true",
        ),
        (
            "SELECT EXISTS (SELECT 1 FROM spans WHERE name = 'a'), EXISTS (SELECT 1 FROM spans WHERE name = 'x')",
            "true,false",
        ),
        (
            "SELECT relname, EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'trace_id') FROM pg_class c WHERE relname IN ('spans', 'pg_am') ORDER BY 1",
            "pg_am,false;spans,true",
        ),
        (
            "SELECT 1 IN (SELECT oid FROM pg_namespace), 11 NOT IN (SELECT oid FROM pg_namespace), NULL IN (SELECT 1)",
            "false,false,",
        ),
        (
            "SELECT nspname FROM pg_namespace ORDER BY CASE WHEN nspname IN (SELECT 'public') THEN 0 ELSE 1 END, 1 FETCH FIRST 2 ROWS ONLY",
            "public;information_schema",
        ),
        ("SELECT n.oid, n.* FROM pg_namespace n WHERE n.nspname = 'public'", "2200,2200,public,10,"),
        // Types and the functions that read them.
        (
            "SELECT t.typname FROM pg_type t JOIN pg_proc p ON p.oid = t.typreceive WHERE p.proname = 'int8recv'",
            "int8",
        ),
        ("SELECT typname FROM pg_type WHERE oid = 'pg_catalog.trigger'::regtype", "trigger"),
        (
            "SELECT CASE WHEN typtype = 'd' THEN (WITH RECURSIVE b AS (SELECT 1) SELECT (x).y FROM b) ELSE typname END FROM pg_type WHERE oid = 20",
            "int8",
        ),
        (
            "WITH RECURSIVE t(oid, element, depth) AS (SELECT oid, typelem, 0 FROM pg_type WHERE oid = 1016 UNION ALL \
             SELECT p.oid, p.typelem, depth + 1 FROM pg_type p, t WHERE p.oid = t.element) SELECT oid, depth FROM t ORDER BY 2",
            "1016,0;20,1",
        ),
        ("SELECT xmin, ctid FROM pg_class WHERE relname = 'spans'", "0,(0,0)"),
        ("SELECT format('%s %I %L%%', 'a', 'B c', NULL)", "a \"B c\" NULL%"),
        // Documents, bytes, and texts that are booleans.
        (
            "SELECT to_char('2026-11-29 07:40:04.25'::timestamp, 'DD.MM.YYYY HH24:MI:SS.MS')",
            "29.11.2026 07:40:04.250",
        ),
        (
            "SELECT to_timestamp('2026-11-22 00:00:01.500000', 'YYYY-MM-DD HH24:MI:SS.US') = '2026-11-22 00:00:01.5'",
            "true",
        ),
        ("SELECT '{\"a\": {\"b\": 1}}'::jsonb -> 'a' ->> 'b', '[5]'::json ->> 0", "1,5"),
        (
            "SELECT count(*) FROM spans WHERE is_proxy = 'f' AND NOT attributes ? 'none' AND attributes ->> 'none' IS NULL",
            "2",
        ),
    ];
    for (sql, want) in cases {
        assert_eq!(answer(&engine, sql).await, want, "{sql}");
    }
}

#[tokio::test]
async fn telemetry_is_not_read_by_recursion() {
    let engine = with_spans();
    let refused = answer(
        &engine,
        "WITH RECURSIVE t AS (SELECT name FROM spans UNION ALL SELECT name FROM t) SELECT * FROM t",
    );
    assert!(refused.await.contains("ecursive"));
}

#[tokio::test]
async fn arrays_that_are_parameters_are_of_what_they_are_compared_with() {
    let engine = with_spans();
    let Command::Rows(question) =
        only("SELECT 1 FROM spans WHERE kind = ANY($1) AND name = ANY($2::text[])").await
    else {
        panic!("a question")
    };
    assert_eq!(question.array_parameters, [1], "the other is cast to what it is");
    let identity = Arc::new(Identity::default());
    let query = engine.begin("default").await.expect("a query");
    let query = query.as_postgres(&identity, question.catalogue).expect("a session");
    let of_elements = question.of_elements.expect("there are arrays");
    let prepared = query.prepare(&of_elements).await.expect("it can be planned");
    assert_eq!(prepared.parameters()[0], Some(arrow::datatypes::DataType::Int32));
    let texts = PostgresType { scalar: Scalar::Text, is_array: true };
    assert_eq!(question.cast_parameters, [(2, texts)]);
}

/// Expected values are PostgreSQL 16's.
#[tokio::test]
async fn what_postgresql_spells_otherwise_is_known() {
    let engine = with_spans();
    for (sql, want) in [
        ("SELECT mod(7, 4), mod(-7, 2 + 2), |/ 16.0, 7 / mod(7, 4)", "3,-3,4.0,2"),
        ("SELECT every(kind >= 0), variance(x) FROM (SELECT kind, 1 AS x FROM spans)", "true,0.0"),
        (
            "SELECT timezone('UTC', TIMESTAMP '2024-01-02 03:04:05') = TIMESTAMPTZ '2024-01-02 03:04:05Z'",
            "true",
        ),
        ("SELECT date_trunc('day', TIMESTAMP '2024-01-02 03:04:05', 'UTC') = TIMESTAMP '2024-01-02'", "true"),
        ("SELECT localtimestamp <= now(), localtime IS NOT NULL", "true,true"),
        ("SELECT substring('foo12bar' FROM '[0-9]+'), substring('abc' FROM 2 FOR 1)", "12,b"),
        ("SELECT regexp_split_to_array('a1b22c', '[0-9]+')", "[a, b, c]"),
        ("SELECT ARRAY[1, 2] && ARRAY[2, 3], ARRAY[1] && ARRAY[2]", "true,false"),
        (r#"SELECT '{"a": {"b": [1, 2]}}' #>> '{a,b,1}', '{"a": 1}'::jsonb #> '{a}'"#, "2,1"),
        ("SELECT kind::int2, kind::int8, kind::text FROM spans LIMIT 1", "0,0,0"),
        ("SELECT pg_sleep(0)", ""),
    ] {
        assert_eq!(answer(&engine, sql).await, want, "{sql}");
    }
}

#[tokio::test]
async fn a_statement_that_sleeps_ends_at_its_deadline() {
    let engine = with_spans();
    let query = engine.begin_within("default", std::time::Duration::from_secs(1)).await.expect("a query");
    let identity =
        Identity { database: String::new(), user: String::new(), process_id: 7, settings: Vec::new() };
    let query = query.as_postgres(&Arc::new(identity), Catalogue::System).expect("a session");
    let rows = match query.sql("SELECT pg_sleep(600)").await {
        Ok(answer) => text_rows(answer).await,
        // Planning can take the second on a machine under load.
        Err(error) => Err(error),
    };
    assert!(matches!(rows, Err(QueryError::TimedOut(_))), "{rows:?}");
}

//! Statements of PostgreSQL's clients: read, rewritten and answered, from telemetry or from the catalogue.
//!
//! What the catalogue should say is what `psql` 15 shows of a PostgreSQL 16 with the same tables.

use meshlake_schema::Table;

use super::{Engines, SnapshotBuilder, span, text_rows};
use crate::postgres::{Catalogue, Command, CopyFormat, Identity, Misread, read};
use crate::{Engine, QueryError};
use std::sync::Arc;

async fn commands(sql: &str) -> Result<Vec<Command>, Misread> {
    read(sql, Vec::new()).await
}

async fn only(sql: &str) -> Command {
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
async fn a_series_ends_where_it_would_be_too_long() {
    let engine = with_spans();
    assert_eq!(answer(&engine, "SELECT array_upper(generate_series(1, 1000), 1)").await, "1000");
    assert!(answer(&engine, "SELECT generate_series(1, 1001)").await.contains("at most 1000"));
    assert!(answer(&engine, "SELECT generate_series(1, 9, 0)").await.contains("zero"));
}

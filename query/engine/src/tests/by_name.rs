//! `PREPARE` and `EXECUTE` as statements, and `TABLE`.

use super::postgres::{commands, only};
use crate::QueryError;
use crate::postgres::{Command, Misread, PostgresType};

#[tokio::test]
async fn questions_are_prepared_and_executed_by_name() {
    let values = async |sql: &str| match only(sql).await {
        Command::Execute { values, .. } => values,
        other => panic!("{other:?}"),
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(values("EXECUTE q").await, []);
    assert_eq!(
        values("execute q ('a''b', -1.5, NULL, true)").await,
        [text("a'b"), text("-1.5"), None, text("true")]
    );
    let typed = values(r"EXECUTE q(E'a\tb', '7'::bigint, DATE '2026-11-29', (2))").await;
    assert_eq!(typed, ["a\tb", "7", "2026-11-29", "2"].map(text));
    let Command::Prepare { name, parameters, question } =
        only("PREPARE Q (text, float8[]) AS SELECT kind FROM spans WHERE name = $1").await
    else {
        panic!("it prepares");
    };
    let types = parameters.into_iter().map(|known| known.map(PostgresType::sql_name));
    assert_eq!(types.collect::<Vec<_>>(), [text("text"), text("double precision[]")]);
    assert_eq!((name.as_str(), question.tag), ("q", "SELECT"));
    for sql in
        ["PREPARE q (text AS SELECT 1", "PREPARE q (nothing) AS SELECT 1", "EXECUTE q(1", "EXECUTE q(1) x"]
    {
        assert!(matches!(commands(sql).await, Err(Misread { error: QueryError::Invalid(_), .. })), "{sql}");
    }
}

#[tokio::test]
async fn a_value_that_is_no_constant_is_refused() {
    for sql in ["EXECUTE q(now())", "EXECUTE q(1 + 1)", "EXECUTE q((SELECT 1))"] {
        assert!(matches!(commands(sql).await, Err(Misread { error: QueryError::Refused(_), .. })), "{sql}");
    }
}

#[tokio::test]
async fn a_table_is_a_question_for_all_of_it() {
    for (sql, want) in [
        ("TABLE spans", "SELECT * FROM spans"),
        ("table public.spans ORDER BY kind LIMIT 5", "SELECT * FROM public.spans ORDER BY kind LIMIT 5"),
    ] {
        assert_eq!(only(sql).await, only(want).await, "{sql}");
    }
}

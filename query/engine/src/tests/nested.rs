//! A query in FROM is computed by itself, whatever it has in common with the one around it.

use super::*;

async fn check(sql: &str, want: &str) {
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &[span(1, "a"), span(2, "b")]).engine();
    assert_eq!(one(&engine, sql).await, want, "{sql}");
}

#[tokio::test]
async fn an_expression_that_is_written_twice_is_computed_twice() {
    // 1 + 1 + 1, and once more.
    check("SELECT a+1 AS a FROM (SELECT a+1 AS a FROM (SELECT 1 AS a))", "3").await;
    check("SELECT a+1 AS a FROM (SELECT a+1 AS a FROM (SELECT a+1 AS a FROM (SELECT 1 AS a)))", "4").await;
    // Swapped twice is as it was.
    check("SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT 1 AS a, 2 AS b))", "1,2").await;
    check("SELECT a*a AS a FROM (SELECT a*a AS a FROM (SELECT a*a AS a FROM (SELECT 2 AS a)))", "256").await;
    check("SELECT name || '!' AS name FROM (SELECT name || '!' AS name FROM spans) ORDER BY 1", "a!!;b!!")
        .await;
}

#[tokio::test]
async fn what_stands_between_makes_no_difference() {
    let inner = "SELECT a+1 AS a FROM (SELECT 1 AS a)";
    for between in [
        format!("({inner} WHERE true)"),
        format!("({inner} ORDER BY a)"),
        format!("({inner} LIMIT 5)"),
        "(SELECT DISTINCT a+1 AS a FROM (SELECT 1 AS a))".to_owned(),
        format!("(SELECT a FROM ({inner}))"),
        format!("({inner} UNION ALL SELECT 9 WHERE false)"),
        format!("({inner}) CROSS JOIN (SELECT 7 AS b)"),
        "(SELECT a, b FROM (SELECT a+1 AS a, 8 AS b FROM (SELECT 1 AS a)))".to_owned(),
        format!("(SELECT sum(a) OVER () AS a FROM ({inner}))"),
        format!("(SELECT max(a) AS a FROM ({inner}))"),
    ] {
        check(&format!("SELECT a+1 AS a FROM {between}"), "3").await;
    }
}

#[tokio::test]
async fn queries_in_expressions_have_their_own_as_well() {
    let three = "SELECT a+1 AS a FROM (SELECT a+1 AS a FROM (SELECT 1 AS a))";
    check(&format!("SELECT ({three}) + ({three})"), "6").await;
    check(&format!("SELECT count(*) FROM spans WHERE 3 IN ({three}) AND 2 NOT IN ({three})"), "2").await;
    check(&format!("SELECT count(*) FROM spans WHERE EXISTS (SELECT 1 FROM ({three}) WHERE a = 3)"), "2")
        .await;
    check(&format!("WITH t AS ({three}) SELECT a+1 AS a FROM t"), "4").await;
    check(&format!("{three} UNION ALL {three}"), "3;3").await;
    // Of windows and groups: 2 rows, their sum twice.
    check("SELECT sum(a) AS a FROM (SELECT sum(a) AS a FROM (SELECT a+1 AS a FROM (SELECT 1 AS a)))", "2")
        .await;
    let window = "SELECT DISTINCT sum(n) OVER () AS n FROM (SELECT sum(n) OVER () AS n FROM (SELECT 1 AS n FROM spans))";
    check(window, "4").await;
    check(
        "SELECT unnest([a, a]) + 1 AS a FROM (SELECT unnest([a, a]) + 1 AS a FROM (SELECT 1 AS a))",
        "3;3;3;3",
    )
    .await;
}

#[tokio::test]
async fn rows_are_sorted_by_the_columns_of_the_answer() {
    let (rows, more) = ("(SELECT 1 AS a, 2 AS b UNION ALL SELECT 2, 1)", "UNION ALL SELECT 3, 0");
    check(&format!("SELECT b AS a, a AS b FROM {rows} ORDER BY a"), "1,2;2,1").await;
    check(&format!("SELECT b AS a, a AS b FROM (SELECT * FROM {rows} {more}) ORDER BY a LIMIT 2"), "0,3;1,2")
        .await;
    check(&format!("SELECT DISTINCT a + 1 AS a FROM {rows} ORDER BY a LIMIT 1"), "2").await;
}

#[tokio::test]
async fn columns_keep_their_names_and_tables() {
    let engine = mixed().await;
    let sql = "SELECT * FROM (SELECT upper(name), kind + 1 AS \"Kind\", name FROM (SELECT name || '' AS name, kind FROM spans))";
    let answer = engine.sql("default", sql).await.expect("a statement that may be asked");
    let names = answer.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["upper(name)", "Kind", "name"]);
    let sql = "SELECT count(DISTINCT kind), max(a) + 1, sum(a) OVER () FROM (SELECT kind, 1 AS a FROM spans) GROUP BY a";
    let answer = engine.sql("default", sql).await.expect("a statement that may be asked");
    let names = answer.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>();
    assert_eq!(names[..2], ["count(DISTINCT kind)", "max(a) + Int64(1)"]);
    assert!(!names[2].contains("nested"), "{names:?}");
    check("SELECT x.a, y.a FROM (SELECT a+1 AS a FROM (SELECT a+1 AS a FROM (SELECT 1 AS a))) x, (SELECT 5 AS a) y", "3,5").await;
}

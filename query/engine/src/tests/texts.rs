//! Rows with a text inside of a column: that the rest of a row is read only where it is there changes no answer.

use super::*;

/// 900 rows in three files, and the same in memory: texts that many rows have, few or none, rows without any.
#[tokio::test]
async fn a_search_for_texts_changes_no_answer() {
    let rows_of = |file: i64| -> Vec<Row> {
        let row = |i: i64| {
            let attributes = [("k", if i % 2 == 0 { "v" } else { "w" })];
            let mut row = row(i * SECOND, [("attributes", attributes.as_slice().into())]);
            if i % 5 > 0 {
                row.insert("body", format!("line {i} of {}", i % 97).as_str().into());
            }
            row.insert("severity_text", if i % 3 == 0 { "error" } else { "info" }.into());
            row.insert("trace_id", format!("{:032x}", i % 10).as_str().into());
            row
        };
        (300 * file..300 * (file + 1)).map(row).collect()
    };
    let (mut files, mut hot) = (SnapshotBuilder::new(), SnapshotBuilder::new());
    for file in 0..3 {
        files = files.file(Table::Logs, &rows_of(file), &[]).await;
        hot = hot.hot(Table::Logs, file as u64 + 1, &rows_of(file));
    }
    let (files, hot) = (files.engine(), hot.engine());
    let trace = format!("'{:032x}'", 7);
    for filter in [
        "contains(body, 'line 77 ')".to_owned(),
        "contains(body, 'line')".to_owned(),
        "contains(body, 'none')".to_owned(),
        "contains(body, 'line 77 ') OR contains(severity_text, 'rr')".to_owned(),
        "contains(body, 'line 77 ') OR body IS NULL".to_owned(),
        "contains(body, ' of 3') AND severity_text = 'error'".to_owned(),
        "NOT contains(body, ' of 3')".to_owned(),
        "contains(body, ' of 3') AND attributes['k'] = 'v'".to_owned(),
        "contains(body, ' of 3') AND attributes['none'] = 'v'".to_owned(),
        format!("contains(body, ' of 3') AND trace_id = {trace}"),
        format!("contains(body, ' of 3') AND (trace_id = {trace} OR severity_text = 'info')"),
    ] {
        let sql =
            format!("SELECT count(*), min(time), max(time), min(body), max(body) FROM logs WHERE {filter}");
        assert_eq!(one(&files, &sql).await, one(&hot, &sql).await, "{sql}");
    }
    // Row 77 alone: 77 of 77, and no multiple of five.
    let found = one(&files, "SELECT body FROM logs WHERE contains(body, 'line 77 ')").await;
    assert_eq!(found, "line 77 of 77");
}

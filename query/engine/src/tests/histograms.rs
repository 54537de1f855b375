//! Functions over histograms, against arithmetic: bucket i holds (2^(i/32), 2^((i+1)/32)], so that 2^20 and 2^30 are the
//! last values of buckets 639 and 959.

use super::*;

/// Nine calls of 2^20 ns (1.048576 ms) and, in another cell, one of 2^30 ns (1,073.741824 ms).
const CELLS: &str = "(VALUES (0, make_array(639), make_array(9000), 1048576, 1048576), \
                      (0, make_array(959), make_array(1000), 1073741824, 1073741824)) AS cells(z, b, c, lo, hi)";

async fn told(sql: &str) -> String {
    one(&SnapshotBuilder::new().engine(), sql).await
}

/// What is asked of both cells merged.
async fn merged(asked: &str) -> String {
    told(&format!("SELECT {asked} FROM (SELECT hist_merge(z, b, c, lo, hi) AS h FROM {CELLS})")).await
}

#[tokio::test]
async fn merged_cells_count_all_calls() {
    assert_eq!(merged("hist_count(h)").await, "10.0");
    // The lowest and highest are exact, the ranks between within 1.09 %: the ninth is the lowest, too.
    assert_eq!(merged("hist_quantile(h, 0), hist_quantile(h, 0.9)").await, "1.048576,1.048576");
    assert_eq!(merged("abs(hist_quantile(h, 0.91) / 1073.741824 - 1) < 0.0109").await, "true");
    assert_eq!(merged("hist_quantile(h, 1) <= 1073.741824").await, "true");
    // A power of two ends its bucket, which then counts as a whole.
    assert_eq!(merged("hist_count_below(h, 1.048576), hist_count_below(h, 1.0)").await, "9.0,0.0");
    assert_eq!(merged("hist_count_below(h, 1e9) / hist_count(h)").await, "1.0");
    assert_eq!(
        merged("h['buckets'], h['counts_milli'], h['min_nano'], h['max_nano']").await,
        "[639, 959],[9000, 1000],1048576,1073741824"
    );
}

#[tokio::test]
async fn groups_and_parts_of_them_merge_to_the_same() {
    let by_cell =
        format!("SELECT hist_count(hist_merge(z, b, c, lo, hi)) n FROM {CELLS} GROUP BY lo ORDER BY n");
    assert_eq!(told(&by_cell).await, "1.0;9.0");
    let again = format!(
        "SELECT hist_count(hist_merge(h)), hist_quantile(hist_merge(h), 0.9) \
         FROM (SELECT hist_merge(z, b, c, lo, hi) AS h FROM {CELLS} GROUP BY lo)"
    );
    assert_eq!(told(&again).await, "10.0,1.048576");
    // A thousand rows of ten cells, in several partitions.
    let rows: Vec<Row> = (0..1_000).map(|second| span(second, "a")).collect();
    let engine = SnapshotBuilder::new().hot(Table::Spans, 1, &rows[..500]).hot(Table::Spans, 2, &rows[500..]);
    let sql = "SELECT hist_count(hist_merge(make_array(639), make_array(10))), \
               hist_count(hist_merge(0, make_array(639), make_array(10), 1048576, 1048576)) FROM spans";
    assert_eq!(one(&engine.engine(), sql).await, "10.0,10.0");
}

#[tokio::test]
async fn columns_of_a_cell_are_a_histogram_as_they_are() {
    let asked = format!(
        "SELECT hist_count(z, b, c, lo, hi), hist_quantile(z, b, c, lo, hi, 0.5) FROM {CELLS} WHERE lo > 2000000"
    );
    assert!(told(&asked).await.starts_with("1.0,1073."), "{}", told(&asked).await);
    // Sizes have no bounds: 1,500 bodies without a byte, 500 of 2^20 bytes, which are told as millionths.
    let sizes = "SELECT hist_count(1500000, make_array(639), make_array(500000)), \
                 hist_quantile(1500000, make_array(639), make_array(500000), 0.75), \
                 abs(hist_quantile(1500000, make_array(639), make_array(500000), 0.76) / 1.048576 - 1) < 0.0109";
    assert_eq!(told(sizes).await, "2000.0,0.0,true");
    assert_eq!(told("SELECT hist_count(make_array(639), make_array(500))").await, "0.5");
}

#[tokio::test]
async fn what_is_empty_or_null_is_told_apart() {
    let none = format!(
        "SELECT hist_merge(z, b, c, lo, hi) IS NULL, hist_count(hist_merge(z, b, c, lo, hi)) FROM {CELLS} WHERE lo = 0"
    );
    assert_eq!(told(&none).await, "true,");
    let empty =
        "SELECT hist_count(0, make_array(), make_array()), hist_quantile(0, make_array(), make_array(), 0.5)";
    assert_eq!(told(empty).await, "0.0,");
    assert_eq!(
        told("SELECT hist_count(NULL), hist_quantile(NULL, 0.5), hist_count_below(NULL, 1)").await,
        ",,"
    );
    assert_eq!(told("SELECT hist_quantile(make_array(1), make_array(1000), NULL)").await, "");
    let some =
        "SELECT hist_count(hist_merge(b, make_array(1000))) FROM (VALUES (make_array(7)), (NULL)) AS t(b)";
    assert_eq!(told(some).await, "1.0");
}

#[tokio::test]
async fn what_is_no_histogram_is_said() {
    let cases = [
        ("hist_count(1)", "a histogram is what hist_merge gives"),
        ("hist_count('a')", "a histogram is what hist_merge gives"),
        ("hist_count(struct(1, 2))", "a histogram is what hist_merge gives"),
        ("hist_count()", "hist_count"),
        ("hist_merge(1, 2)", "a histogram is what hist_merge gives"),
        ("hist_quantile(make_array(1), make_array(1))", "with a number behind it"),
        ("hist_quantile(make_array(1), make_array(1), 'x')", "with a number behind it"),
        ("hist_quantile(make_array(1), make_array(1), 95)", "a ratio from 0 to 1, not 95"),
        ("hist_quantile(make_array(1), make_array(1), 'NaN'::DOUBLE)", "a ratio from 0 to 1, not NaN"),
        ("hist_count(make_array(1, 2), make_array(1))", "2 buckets and 1 counts"),
        ("hist_count(make_array(1), make_array(-1))", "counts -1 values"),
    ];
    for (call, want) in cases {
        let said = told(&format!("SELECT {call}")).await;
        assert!(said.starts_with("Invalid(") && said.contains(want), "{call}: {said}");
    }
}

/// Counts that no cell has end at the most that 64 bits hold, and buckets at those of durations.
#[tokio::test]
async fn numbers_without_bounds_are_bounded() {
    let most = i64::MAX;
    let many = format!(
        "SELECT hist_count(hist_merge(b, c)) FROM (VALUES (make_array({most}), make_array({most})), \
         (make_array({most}), make_array({most})), (make_array(-5), make_array({most}))) AS t(b, c)"
    );
    // 2^64 - 1 thousandths, to the precision of a double.
    assert_eq!(told(&many).await, "1.844674407370955e16");
}

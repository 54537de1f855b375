//! Searches for ids: the rows found are those that have one, and bloom filters are believed.

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, col, in_list, lit};
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::physical_expr::expressions;

use super::*;

fn ids_file(ids: &[Option<String>], properties: WriterProperties) -> Vec<u8> {
    let nullable = ids.iter().any(Option::is_none);
    let columns: [(&str, ArrayRef, bool); 2] = [
        ("n", Arc::new((0..ids.len() as i64).collect::<Int64Array>()), false),
        ("id", Arc::new(StringArray::from(ids.to_vec())), nullable),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("plain types");
    writer.write(&batch).expect("memory takes every row");
    writer.into_inner().expect("memory takes every footer")
}

fn search(ids: &[&str], session: &SessionState) -> Arc<PageSearch> {
    let ids = ids.iter().map(|id| (*id).to_owned()).collect();
    PageSearch::for_ids(Ids::new("id".to_owned(), ids), schema(), session).expect("a store")
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![field("n", DataType::Int64), field("id", DataType::Utf8View)]))
}

/// Row groups, page versions, encodings, indexes, bloom filters and nulls of any kind, whole files or parts: the
/// rows that a look at every id finds, within those that were asked for.
#[tokio::test]
async fn rows_are_those_that_have_an_id() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let distinct = [1, 3, 40, 2_000][random.below(4) as usize];
        let nulls = [0, 3, 1][random.below(3) as usize];
        let id = |random: &mut Random| match random.below(distinct) {
            0 => String::new(),
            n => format!("{n:0width$}", width = n as usize % 7),
        };
        let mut ids: Vec<Option<String>> = (0..random.below(1_500) + 1)
            .map(|_| (nulls == 0 || random.below(4) >= nulls).then(|| id(&mut random)))
            .collect();
        // Then the bounds of pages tell.
        if random.below(2) == 0 {
            ids.sort_unstable();
        }
        let properties = any_properties(&mut random)
            .set_column_bloom_filter_enabled("id".into(), random.below(2) == 0)
            .set_column_index_truncate_length(Some(3));
        let bytes = ids_file(&ids, properties.build());
        let wanted: Vec<String> = (0..1 + random.below(3)).map(|_| id(&mut random)).collect();
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        let asked = match random.below(2) {
            0 => iter::once(0..ids.len()).collect(),
            _ => any_ranges(&mut random, ids.len()),
        };
        let selection = RowSelection::from_consecutive_ranges(asked.clone().into_iter(), ids.len());
        let is_wanted = |row: &usize| {
            let has_id = ids[*row].as_deref().is_some_and(|id| wanted.contains(&id));
            has_id && asked.iter().any(|asked| asked.contains(row))
        };
        let want: BTreeSet<usize> = (0..ids.len()).filter(is_wanted).collect();

        let (session, scans) = stored(std::slice::from_ref(&bytes)).await;
        let file = object_meta(&scans[0].file);
        let found = async |part: Option<FileRange>| match search(&wanted, &session)
            .choose(&file, Some(&selection), part.as_ref())
            .await
        {
            Choice::Rows { rows, .. } => ranges(Some(&rows), 0).into_iter().flatten().collect(),
            Choice::Nothing => BTreeSet::new(),
            Choice::AsAsked => panic!("seed {seed}: the file is not searched"),
        };
        assert_eq!(found(None).await, want, "seed {seed}: {wanted:?}");

        // Cut anywhere, each row is found in one part.
        let (size, cut) = (bytes.len() as i64, random.below(bytes.len() as u64) as i64);
        let first = found(Some(FileRange { start: 0, end: cut })).await;
        let last = found(Some(FileRange { start: cut, end: size })).await;
        assert!(first.is_disjoint(&last), "seed {seed}, cut at {cut}");
        assert_eq!(&first | &last, want, "seed {seed}, cut at {cut}");
    }
}

/// The id of each of 3 rows of 2 groups is the row's number. Filters of groups that swap places are believed.
#[tokio::test]
async fn a_group_is_not_read_when_its_bloom_filter_says_no() {
    let ids: Vec<Option<String>> = (0..6).map(|n| Some(n.to_string())).collect();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(3))
        .set_column_bloom_filter_enabled("id".into(), true);
    let bytes = ids_file(&ids, properties.build());
    let footer = footer_of(&bytes);
    let place = |group: usize| {
        let column = footer.row_group(group).column(1);
        let start = column.bloom_filter_offset().expect("a filter") as usize;
        start..start + column.bloom_filter_length().expect("of some bytes") as usize
    };
    let (first, last) = (bytes[place(0)].to_vec(), bytes[place(1)].to_vec());
    assert_eq!(first.len(), last.len(), "both have three ids");
    let mut swapped = bytes.clone();
    swapped[place(0)].copy_from_slice(&last);
    swapped[place(1)].copy_from_slice(&first);
    // A header that cannot be read, and a filter without a block.
    let (mut torn, mut empty) = (bytes.clone(), bytes.clone());
    torn[place(0)].fill(0xff);
    let header = first.len() - 32 * Sbbf::from_bytes(&first).expect("a filter").num_blocks();
    empty[place(0)][header..].fill(0);
    let (session, scans) = stored(&[bytes, swapped, torn, empty]).await;
    let left = chosen_by(&search(&["1"], &session), scans).await;
    let left: Vec<&str> = left.iter().map(|scan| scan.file.path.as_ref()).collect();
    assert_eq!(left, ["0", "2"], "all zeros hold nothing");
}

#[tokio::test]
async fn a_file_that_cannot_be_searched_for_an_id_is_left_as_it_is() {
    let ids: Vec<Option<String>> = ["a", "b"].map(|id| Some(id.to_owned())).to_vec();
    let delta = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding("id".into(), Encoding::DELTA_BYTE_ARRAY);
    let good = ids_file(&ids, plain());
    let mut torn = good.clone();
    let end = torn.len() - footer_length(&torn);
    torn[4..end].fill(0xff);
    let maps = file(&[texts(&["a"])], plain());
    let (session, scans) = stored(&[good, ids_file(&ids, delta.build()), torn, maps]).await;
    let left = chosen_by(&search(&["b"], &session), scans.clone()).await;
    let rows: Vec<bool> = left.iter().map(|scan| scan.rows.is_some()).collect();
    assert_eq!(rows, [true, false, false, false], "another encoding, no pages, no such column");
    let number = PageSearch::for_ids(Ids::new("n".to_owned(), vec!["0".to_owned()]), schema(), &session);
    let left = chosen_by(&number.expect("a store"), scans).await;
    assert!(left.iter().all(|scan| scan.rows.is_none()), "numbers are no ids");
}

#[test]
fn ids_are_those_of_a_conjunct() {
    let check = |filter: Expr, want: Option<&str>| {
        let ids = wanted_ids(&[col("n").gt(lit(1)), filter.clone()], &["id", "other"]);
        let shown = ids.map(|ids| format!("{} {}", ids.column(), ids.ids.join(" ")));
        assert_eq!(shown.as_deref(), want, "{filter}");
    };
    let is = |column: &str, id: &str| col(column).eq(lit(id));
    check(is("id", "a"), Some("id a"));
    check(lit("a").eq(col("id")), Some("id a"));
    check(is("id", "a").or(is("id", "b")), Some("id a b"));
    check(in_list(col("id"), vec![lit("a"), lit("b")], false), Some("id a b"));
    check(is("other", "a").and(is("id", "b")), Some("id b"));
    check(is("other", "a").and(col("n").eq(lit(1))), Some("other a"));
    check(in_list(col("id"), vec![lit("a"), lit("b")], true), None);
    check(in_list(col("id"), vec![lit("a"), col("n")], false), None);
    check(is("id", "a").or(is("other", "b")), None);
    check(is("id", "a").or(col("n").eq(lit(1))), None);
    check(is("id", "a").is_false(), None);
    check(col("id").not_eq(lit("a")), None);
    check(col("id").eq(col("other")), None);
    check(col("id").eq(lit(ScalarValue::Utf8(None))), None);
}

#[test]
fn a_list_is_proven_by_ids_that_are_all_in_it() {
    let ids = Ids::new("id".to_owned(), ["a", "b", "c"].map(str::to_owned).to_vec());
    let check = |column: &str, list: &[&str], is_negated: bool, want: bool| {
        let column = expressions::col(column, &schema()).expect("a column");
        let text = |text: &&str| expressions::lit(ScalarValue::Utf8View(Some((*text).to_owned())));
        let list = list.iter().map(text).collect();
        let filter = expressions::in_list(column, list, &is_negated, &schema()).expect("texts");
        assert_eq!(ids.prove(filter.as_ref()), want, "{filter}");
    };
    let texts = Arc::new(Schema::new(vec![Field::new("other", DataType::Utf8View, true)]));
    check("id", &["c", "b", "a"], false, true);
    check("id", &["a", "b", "c", "d"], false, true);
    check("id", &["a", "b", "d"], false, false);
    check("id", &["a", "b", "c"], true, false);
    let other = expressions::col("other", &texts).expect("a column");
    let list = ["a", "b", "c"].map(|id| expressions::lit(ScalarValue::Utf8View(Some(id.to_owned()))));
    let other = expressions::in_list(other, list.to_vec(), &false, &texts).expect("texts");
    assert!(!ids.prove(other.as_ref()), "of another column");
    assert!(!ids.prove(expressions::lit(true).as_ref()));
}

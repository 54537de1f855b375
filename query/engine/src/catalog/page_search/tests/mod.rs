//! Searches of whole files: the rows found are those that a look at every value finds.

mod damage;
mod ids;

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, Int64Array, MapBuilder, MapFieldNames, RecordBatch, StringBuilder};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::RowSelector;
use datafusion::parquet::basic::{Compression, Encoding, ZstdLevel};
use datafusion::parquet::column::page::Page;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaDataReader};
use datafusion::parquet::file::page_index::offset_index::PageLocation;
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use datafusion::parquet::file::serialized_reader::SerializedPageReader;
use datafusion::parquet::schema::types::ColumnPath;
use meshlake_schema::Table;
use meshlake_store::MinuteLsns;
use meshlake_store::snapshot::DataFile;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::super::attribute_access::ATTRIBUTES_COLUMN;
use super::super::columns::file_schema;
use super::super::files::{FileScan, object_meta};
use super::attributes::Search;
use super::chunk::{CHUNK_BYTES_MAX, from_chunk_start, row_counts};
use super::fixture::{Pages, Random};
use super::page::{Column, LevelsMax};
use super::*;

/// The attributes of a row; none for a null map.
type Attributes = Option<Vec<(String, Option<String>)>>;

/// Attributes of the key `k`.
fn texts(values: &[&str]) -> Attributes {
    of_keys(&values.iter().map(|value| ("k", *value)).collect::<Vec<_>>())
}

fn of_keys(entries: &[(&str, &str)]) -> Attributes {
    Some(entries.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect())
}

fn file(rows: &[Attributes], properties: WriterProperties) -> Vec<u8> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut attributes = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row.iter().flatten() {
            attributes.keys().append_value(key);
            attributes.values().append_option(value.as_deref());
        }
        attributes.append(row.is_some()).expect("keys and values are of one length");
    }
    let columns: [(&str, ArrayRef, bool); 2] = [
        ("n", Arc::new((0..rows.len() as i64).collect::<Int64Array>()), false),
        (ATTRIBUTES_COLUMN, Arc::new(attributes.finish()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("plain types");
    writer.write(&batch).expect("memory takes every row");
    writer.into_inner().expect("memory takes every footer")
}

fn plain() -> WriterProperties {
    WriterProperties::builder().build()
}

/// A session over `files`, which are named by their number, and their whole scans.
async fn stored(files: &[Vec<u8>]) -> (SessionState, Vec<FileScan>) {
    let store = Arc::new(InMemory::new());
    let mut scans = Vec::new();
    for (i, bytes) in files.iter().enumerate() {
        let path = Path::from(i.to_string());
        store.put(&path, bytes.clone().into()).await.expect("memory takes every file");
        scans.push(FileScan::whole(DataFile {
            path,
            size_bytes: bytes.len() as u64,
            rows: 0,
            date_days: 0,
            time_min_micros: 0,
            time_max_micros: 0,
            is_derived_from: false,
            came_days: None,
            minutes: MinuteLsns::default(),
        }));
    }
    let registry = Arc::new(OnlyStore::new(store));
    let runtime =
        RuntimeEnvBuilder::new().with_object_store_registry(registry).build_arc().expect("a runtime");
    (SessionStateBuilder::new().with_runtime_env(runtime).build(), scans)
}

pub fn conjuncts(wanted: &[&[(&str, &str)]]) -> Vec<Vec<Attribute>> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    wanted.iter().map(|conjunct| conjunct.iter().map(owned).collect()).collect()
}

/// Of `scans` those that may have rows with the attributes, and which rows of them to read.
async fn choose_rows(
    scans: Vec<FileScan>,
    conjuncts: &[Vec<Attribute>],
    session: &SessionState,
) -> Vec<FileScan> {
    let schema = Arc::clone(file_schema(Table::Spans));
    match PageSearch::for_attributes(conjuncts, None, schema, session).expect("a store") {
        Some(search) => chosen_by(&search, scans).await,
        None => scans,
    }
}

async fn chosen_by(search: &Arc<PageSearch>, scans: Vec<FileScan>) -> Vec<FileScan> {
    let mut chosen = Vec::new();
    for scan in scans {
        match search.choose(&object_meta(&scan.file), scan.rows.as_ref(), None).await {
            Choice::AsAsked => chosen.push(scan),
            Choice::Rows { rows, .. } => chosen.push(FileScan { rows: Some(rows), ..scan }),
            Choice::Nothing => {}
        }
    }
    chosen
}

/// The rows that are left of each file: none for a file left out, "all" for one that is as it was.
async fn chosen(files: &[Vec<u8>], wanted: &[&[(&str, &str)]]) -> Vec<String> {
    let (session, scans) = stored(files).await;
    let chosen = choose_rows(scans, &conjuncts(wanted), &session).await;
    let mut shown = vec!["none".to_owned(); files.len()];
    for scan in chosen {
        let file: usize = scan.file.path.as_ref().parse().expect("a number");
        let rows = |rows: &RowSelection| format!("{:?}", ranges(Some(rows), 0));
        shown[file] = scan.rows.as_ref().map_or_else(|| "all".to_owned(), rows);
    }
    shown
}

#[tokio::test]
async fn only_rows_with_the_value_are_left() {
    let mut rows = vec![texts(&["other", "another"]); 100];
    rows[3] = of_keys(&[("l", "wanted"), ("k", "wanted")]);
    rows[4] = of_keys(&[("k", "wanted"), ("k", "other")]);
    rows[5] = of_keys(&[("k", "other"), ("k", "wanted")]);
    rows[38] = of_keys(&[("k", "wanted"), ("l", "also")]);
    rows[99] = texts(&["wanted"]);
    let files = [file(&rows, plain()), file(&vec![texts(&["other"]); 9], plain())];
    // In row 5 the first value is another.
    assert_eq!(chosen(&files, &[&[("k", "wanted")]]).await, ["[3..5, 38..39, 99..100]", "none"]);
    assert_eq!(chosen(&files, &[&[("k", "wanted")], &[("l", "also")]]).await, ["[38..39]", "none"]);
    assert_eq!(chosen(&files, &[&[("l", "also"), ("k", "absent")]]).await, ["[38..39]", "none"]);
    assert_eq!(chosen(&files, &[&[("k", "absent")]]).await, ["none", "none"]);
    assert_eq!(chosen(&files, &[&[("other", "wanted")]]).await, ["none", "none"], "the key is another");
    assert_eq!(chosen(&files, &[&[]]).await, ["none", "none"], "of no values none is there");
    assert_eq!(chosen(&files, &[]).await, ["all", "all"], "nothing is asked of attributes");
}

/// Row groups, page versions, encodings, indexes, nulls and repeats of any kind: exactly the rows that a look
/// at every value finds, within those that were asked for.
#[tokio::test]
async fn rows_are_those_that_a_look_at_every_value_finds() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let distinct = [2, 20, 400][random.below(3) as usize];
        let value = |random: &mut Random| match random.below(distinct) {
            0 => String::new(),
            n => format!("{n:0width$}", width = n as usize % 7),
        };
        let keys = [1, 5, 300][random.below(3) as usize];
        let key = |random: &mut Random| format!("key {}", random.below(keys));
        let rows: Vec<Attributes> = (0..random.below(1_500) + 1)
            .map(|_| match random.below(10) {
                0 => None,
                1 => Some(Vec::new()),
                _ => {
                    let value = |random: &mut Random| (random.below(8) > 0).then(|| value(random));
                    Some((0..random.below(6)).map(|_| (key(&mut random), value(&mut random))).collect())
                }
            })
            .collect();
        let bytes = file(&rows, any_properties(&mut random).build());
        let wanted: Vec<Vec<Attribute>> = (0..1 + random.below(2))
            .map(|_| (0..1 + random.below(7)).map(|_| (key(&mut random), value(&mut random))).collect())
            .collect();
        let (session, mut scans) = stored(&[bytes]).await;
        let asked = any_ranges(&mut random, rows.len());
        if random.below(2) == 0 {
            let selection = RowSelection::from_consecutive_ranges(asked.clone().into_iter(), rows.len());
            scans[0].rows = Some(selection);
        }
        let is_asked = |row: usize| scans[0].rows.is_none() || asked.iter().any(|asked| asked.contains(&row));
        let has = |row: usize, conjunct: &Vec<Attribute>| {
            // Of a key that is there twice the first value counts.
            let value_of = |key: &String| rows[row].iter().flatten().find(|(own, _)| own == key)?.1.as_ref();
            conjunct.iter().any(|(key, value)| value_of(key) == Some(value))
        };
        let is_wanted = |row: &usize| is_asked(*row) && wanted.iter().all(|conjunct| has(*row, conjunct));
        let want: BTreeSet<usize> = (0..rows.len()).filter(is_wanted).collect();
        let chosen = choose_rows(scans.clone(), &wanted, &session).await;
        if want.len() > FREQUENT_ROWS_MIN {
            continue;
        }
        let selection = chosen.first().map(|scan| scan.rows.as_ref().expect("the file is searched"));
        let left: BTreeSet<usize> =
            selection.into_iter().flat_map(|rows| ranges(Some(rows), 0)).flatten().collect();
        assert_eq!(left, want, "seed {seed}: {wanted:?}");
    }
}

/// Pages of some ten rows, in groups of some hundred.
fn any_properties(random: &mut Random) -> WriterPropertiesBuilder {
    let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][random.below(2) as usize];
    let zstd = Compression::ZSTD(ZstdLevel::default());
    WriterProperties::builder()
        .set_writer_version(version)
        .set_compression([Compression::UNCOMPRESSED, zstd][random.below(2) as usize])
        .set_dictionary_enabled(random.below(4) > 0)
        .set_dictionary_page_size_limit([100, 1_000_000][random.below(2) as usize])
        .set_encoding(Encoding::PLAIN)
        .set_data_page_row_count_limit(5 + random.below(200) as usize)
        .set_write_batch_size(1 + random.below(20) as usize)
        .set_max_row_group_row_count(Some(100 + random.below(1_000) as usize))
        .set_offset_index_disabled(random.below(3) == 0)
}

fn any_ranges(random: &mut Random, row_count: usize) -> Vec<Range<usize>> {
    let mut bounds: Vec<usize> =
        (0..2 * random.below(5)).map(|_| random.below(row_count as u64 + 1) as usize).collect();
    bounds.sort_unstable();
    bounds.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect()
}

/// 1,024 rows are read though all have the value; one more ends the search, of this file and all after it.
#[tokio::test]
async fn a_frequent_value_ends_the_search() {
    let rare = file(&[texts(&["wanted"]), texts(&["other"])], plain());
    let of = |count: usize| file(&vec![texts(&["wanted", "wanted"]); count], plain());
    let files = [rare.clone(), of(1_024), rare.clone()];
    assert_eq!(chosen(&files, &[&[("k", "wanted")]]).await, ["[0..1]", "[0..1024]", "[0..1]"]);
    let files = [rare.clone(), of(1_025), rare];
    assert_eq!(chosen(&files, &[&[("k", "wanted")]]).await, ["[0..1]", "all", "all"]);
    // Of 70,400 rows 1,100 are one in 64.
    let mut many = vec![texts(&["other"]); 70_400];
    many[..1_100].fill(texts(&["wanted"]));
    assert_eq!(chosen(&[file(&many, plain())], &[&[("k", "wanted")]]).await, ["[0..1100]"]);
    many[69_000] = texts(&["wanted"]);
    assert_eq!(chosen(&[file(&many, plain())], &[&[("k", "wanted")]]).await, ["all"]);
}

#[test]
fn what_is_asked_is_cut_to_the_row_group() {
    let selection = RowSelection::from(vec![
        RowSelector::skip(2),
        RowSelector::select(3),
        RowSelector::skip(4),
        RowSelector::select(11),
    ]);
    let asked = ranges(Some(&selection), 20);
    assert_eq!(asked, [2..5, 9..20]);
    assert_eq!(within(&asked, 0..10), [2..5, 9..10]);
    assert_eq!(within(&asked, 4..10), [0..1, 5..6]);
    assert!(within(&asked, 5..9).is_empty());
    assert_eq!(ranges(None, 20), std::slice::from_ref(&(0..20)));
}

/// Bytes of the type that readers take.
fn bytes_of(bytes: &[u8]) -> impl ChunkReader + Clone + 'static {
    object_store::PutPayload::from(bytes.to_vec()).into_iter().next().expect("one part")
}

fn footer_length(file: &[u8]) -> usize {
    let length = file[file.len() - 8..].first_chunk::<4>().expect("a length and the magic bytes");
    u32::from_le_bytes(*length) as usize + 8
}

pub fn footer_of(file: &[u8]) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    { reader }.parse_and_finish(&bytes_of(file)).expect("Parquet")
}

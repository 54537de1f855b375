//! Searches of whole files: the rows found are those that a look at every value finds.

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
            is_in_traces: false,
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
    match PageSearch::for_attributes(conjuncts, schema, session).expect("a store") {
        Some(search) => chosen_by(&search, scans).await,
        None => scans,
    }
}

async fn chosen_by(search: &Arc<PageSearch>, scans: Vec<FileScan>) -> Vec<FileScan> {
    let mut chosen = Vec::new();
    for scan in scans {
        match search.choose(&object_meta(&scan.file), scan.rows.as_ref(), None).await {
            Choice::AsAsked => chosen.push(scan),
            Choice::Rows { rows, .. } => chosen.push(FileScan { file: scan.file, rows: Some(rows) }),
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

/// The scan is to meet the trouble, not the search.
#[tokio::test]
async fn a_file_that_cannot_be_searched_is_left_as_it_is() {
    let rows = [texts(&["wanted"]), texts(&["other"])];
    let good = file(&rows, plain());
    let value = ColumnPath::from(["attributes", "key_value", "value"].map(str::to_owned).to_vec());
    let delta = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_column_encoding(value, Encoding::DELTA_BYTE_ARRAY);
    let mut torn = good.clone();
    // The first value column chunk ends somewhere before; all bytes but the footer's are gone.
    let end = torn.len() - footer_length(&torn);
    torn[4..end].fill(0xff);
    let files = [good, file(&rows, delta.build()), torn, b"not Parquet".to_vec()];
    assert_eq!(chosen(&files, &[&[("k", "wanted")]]).await, ["[0..1]", "all", "all", "all"]);
    let number = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([(ATTRIBUTES_COLUMN, number)]).expect("a column");
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("plain types");
    writer.write(&batch).expect("memory takes every row");
    let other = writer.into_inner().expect("memory takes every footer");
    assert_eq!(chosen(&[other], &[&[("k", "1")]]).await, ["all"]);
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

/// Bits flipped in a page: an error, or rows that are not right, but an end. What flips in headers do is up
/// to the reader of pages.
#[test]
fn damaged_pages_end_in_a_result_or_an_error() {
    for seed in 0..6 {
        let value = |i: usize| if i.is_multiple_of(3) { "wanted" } else { ["a", "b"][i % 2] };
        let rows: Vec<Attributes> = (0..90).map(|i| texts(&[value(i), value(i + 1)])).collect();
        let version = [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0][seed % 2];
        let properties = WriterProperties::builder()
            .set_data_page_row_count_limit(30)
            .set_write_batch_size(10)
            .set_writer_version(version)
            .set_encoding(Encoding::PLAIN)
            .set_dictionary_enabled(seed < 4);
        let file = file(&rows, properties.build());
        let footer = footer_of(&file);
        let columns = [1, 2].map(|leaf| {
            let Chunk { bytes, column, pages } = Chunk::new(&footer, 0, leaf).expect("a chunk");
            let bytes = bytes_of(&file[bytes.start as usize..bytes.end as usize]);
            let row_counts = row_counts(&pages.expect("an index"), 90);
            let reader = SerializedPageReader::new(Arc::new(bytes), &column, 90, None).expect("a reader");
            (reader.collect::<Result<Vec<Page>, _>>().expect("whole pages"), row_counts)
        });
        let wanted = Wanted::new(&conjuncts(&[&[("k", "wanted")]]));
        let search = |columns: &[(Vec<Page>, Vec<Option<usize>>); 2]| {
            let column = |texts, (pages, row_counts): &(Vec<Page>, Vec<Option<usize>>), definition| {
                let levels_max = LevelsMax { definition, repetition: 1 };
                Column::new(texts, Pages(pages.clone().into()), levels_max, row_counts.clone())
            };
            let keys = column(&wanted.keys, &columns[0], 2)?;
            let values = column(&wanted.values, &columns[1], 3)?;
            let (asked, is_over) = ([0..40, 40..90], AtomicBool::new(false));
            let search =
                Search { wanted: &wanted, asked: &asked, row_count: 90, found_max: 90, is_over: &is_over };
            search.rows(values, keys)
        };
        for is_told in [true, false] {
            let mut columns = columns.clone();
            for (_, row_counts) in columns.iter_mut().filter(|_| !is_told) {
                row_counts.clear();
            }
            assert_eq!(search(&columns).expect("whole pages").map(|rows| rows.len()), Some(30));
            for (column, damaged) in
                [0, 1].into_iter().flat_map(|i| (0..columns[i].0.len()).map(move |page| (i, page)))
            {
                for bit in (0..columns[column].0[damaged].buffer().len() * 8).step_by(3) {
                    let mut columns = columns.clone();
                    let (Page::DataPage { buf, .. }
                    | Page::DataPageV2 { buf, .. }
                    | Page::DictionaryPage { buf, .. }) = &mut columns[column].0[damaged];
                    let mut flipped = buf.to_vec();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    *buf = flipped.into();
                    let _ = search(&columns);
                }
            }
        }
    }
}

#[test]
fn chunks_of_any_size_or_place_are_not_read() {
    let footer = footer_of(&file(&[texts(&["a"])], plain()));
    let chunk = |change: &dyn Fn(ColumnChunkMetaData) -> ColumnChunkMetaData| {
        let group = footer.row_group(0).clone();
        let columns: Vec<_> = group.columns().iter().cloned().map(change).collect();
        let group = group.into_builder().set_column_metadata(columns).build().expect("a group");
        let footer = footer.clone().into_builder().set_row_groups(vec![group]).build();
        Chunk::new(&footer, 0, 2).map(|chunk| chunk.bytes.end - chunk.bytes.start)
    };
    let sized = |bytes: u64| {
        let set = move |column: ColumnChunkMetaData| {
            { column.into_builder() }.set_total_compressed_size(bytes as i64).build().expect("a chunk")
        };
        chunk(&set).ok()
    };
    assert_eq!(sized(CHUNK_BYTES_MAX), Some(CHUNK_BYTES_MAX));
    assert_eq!(sized(CHUNK_BYTES_MAX + 1), None);
    assert_eq!(sized(u64::MAX), None, "-1");
    let placed = |offset: i64| {
        let set = move |column: ColumnChunkMetaData| {
            let column = column.into_builder().set_dictionary_page_offset(Some(offset));
            column.build().expect("a chunk")
        };
        chunk(&set).is_ok()
    };
    assert!(placed(footer.row_group(0).column(2).dictionary_page_offset().expect("a dictionary")));
    assert!(!placed(-1));
    assert!(!placed(i64::MAX), "pages lie before it");
}

#[test]
fn page_indexes_are_checked() {
    let check = |pages: &[(i64, i32, i64)], want: Option<&[i64]>| {
        let located = |&(offset, compressed_page_size, first_row_index): &(i64, i32, i64)| PageLocation {
            offset,
            compressed_page_size,
            first_row_index,
        };
        let pages: Vec<PageLocation> = pages.iter().map(located).collect();
        let moved = from_chunk_start(&pages, 100, 50, 9).ok();
        let offsets = moved.map(|pages| pages.iter().map(|page| page.offset).collect::<Vec<_>>());
        assert_eq!(offsets.as_deref(), want, "{pages:?}");
    };
    check(&[(110, 20, 0), (130, 20, 5)], Some(&[10, 30]));
    check(&[(110, 20, 1), (130, 20, 5)], None);
    check(&[(110, 20, 0), (130, 21, 5)], None);
    check(&[(110, 20, 0), (130, 20, 10)], None);
    check(&[(110, 20, 0), (130, 20, 5), (130, 20, 4)], None);
    check(&[(99, 20, 0)], None);
    check(&[(110, -1, 0)], None);
    check(&[(i64::MIN, 20, 0)], None);
    check(&[(i64::MAX, i32::MAX, 0)], None);
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

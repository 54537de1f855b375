//! Searches of what is not as it should be: files that are left to the scan, damaged pages, footers that lie.

use super::*;

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

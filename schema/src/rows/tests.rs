//! Every kind of column in every encoding, and every way to ask for what is not there.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray,
    MapArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{Field, Fields, Int32Type};

use super::*;
use crate::tables::{event_fields, exemplar_fields, link_fields, quantile_fields};

crate::read_columns! {
    /// A column of each reader that spans have.
    struct Spans of Table::Spans {
        trace_id: Text,
        name: Text,
        duration_nano: Integers,
        kind: Integers,
        adjusted_count: Doubles,
        is_proxy: Booleans,
        time: Micros,
        attributes: Attributes,
        links: Links,
        events: Events,
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .expect("columns have equal lengths")
}

fn read_as_declared<'a>(rows: &Rows<'a>, column: &str, kind: Kind) -> Result<(), RowsError> {
    fn read<'a, R: ColumnReader<'a>>(rows: &Rows<'a>, column: &str) -> Result<(), RowsError> {
        rows.read::<R>(column).map(drop)
    }
    match kind {
        Kind::Text | Kind::Dictionary => read::<Text>(rows, column),
        Kind::Int32 | Kind::Int64 => read::<Integers>(rows, column),
        Kind::Float64 => read::<Doubles>(rows, column),
        Kind::Boolean => read::<Booleans>(rows, column),
        Kind::Timestamp => read::<Micros>(rows, column),
        Kind::Attributes => read::<Attributes>(rows, column),
        Kind::TextList => read::<TextLists>(rows, column),
        Kind::Int64List => read::<IntegerLists>(rows, column),
        Kind::Float64List => read::<DoubleLists>(rows, column),
        Kind::Events => read::<Events>(rows, column),
        Kind::Links => read::<Links>(rows, column),
        Kind::Exemplars => read::<Exemplars>(rows, column),
        Kind::Quantiles => read::<Quantiles>(rows, column),
    }
}

#[test]
fn every_column_of_every_table_reads_in_memory_and_in_files() {
    for table in Table::ALL {
        for schema in [table.schema(), table.open_schema()] {
            let empty = RecordBatch::new_empty(Arc::clone(schema));
            for column in table.columns() {
                let read = read_as_declared(&Rows::of(table, &empty), column.name, column.kind);
                assert_eq!(read, Ok(()), "{}.{}", table.name(), column.name);
            }
        }
    }
}

#[test]
fn the_names_to_scan_are_the_columns_that_are_read() {
    let schema = Table::Spans.schema();
    let scanned: Vec<_> = Spans::NAMES.iter().map(|name| schema.index_of(name).expect("a column")).collect();
    let scanned = schema.project(&scanned).expect("they are the schema's");
    let batch = RecordBatch::new_empty(Arc::new(scanned));
    assert_eq!((batch.num_columns(), Spans::of(&batch).is_ok()), (10, true));
}

#[test]
fn readers_of_structs_read_all_of_their_fields() {
    let cases = [
        (Events::FIELDS, event_fields()),
        (Links::FIELDS, link_fields()),
        (Exemplars::FIELDS, exemplar_fields()),
        (Quantiles::FIELDS, quantile_fields()),
    ];
    for (read, declared) in cases {
        let declared: HashSet<&str> = declared.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(read.iter().copied().collect::<HashSet<_>>(), declared);
    }
}

#[test]
fn a_misspelt_column_is_an_error_though_the_batch_has_it() {
    let batch = batch(vec![("trace_ids", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
    let error = Rows::of(Table::Spans, &batch).read::<Text>("trace_ids").expect_err("no such column");
    assert_eq!(error.to_string(), "table spans has no column trace_ids");
}

#[test]
fn a_column_of_another_kind_is_an_error_though_the_batch_lacks_it() {
    let batch = batch(vec![("name", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
    let error = Rows::of(Table::Spans, &batch).read::<Integers>("trace_id").expect_err("it is text");
    assert_eq!(error.to_string(), "column trace_id of table spans is Text, not one of [Int64, Int32]");
}

#[test]
fn an_array_of_another_type_is_an_error() {
    let batch = batch(vec![("trace_id", Arc::new(Int64Array::from(vec![7])) as ArrayRef)]);
    let error = Rows::of(Table::Spans, &batch).read::<Text>("trace_id").expect_err("it came as a number");
    assert_eq!(error.to_string(), "column trace_id of table spans came as Int64");
}

#[test]
fn a_column_that_the_batch_lacks_is_null_in_every_row() {
    let batch = batch(vec![("span_id", Arc::new(StringArray::from(vec!["a"])) as ArrayRef)]);
    let spans = Spans::of(&batch).expect("all are columns of spans");
    assert_eq!((spans.trace_id.get(0), spans.name.get(0), spans.duration_nano.get(0)), (None, None, None));
    assert_eq!((spans.adjusted_count.get(0), spans.is_proxy.get(0), spans.time.get(0)), (None, None, None));
    assert_eq!((spans.attributes.get(0, "k"), spans.attributes.entries(0).count()), (None, 0));
    assert_eq!((spans.links.places(0), spans.events.places(0), spans.kind.or_zero(0)), (0..0, 0..0, 0));
}

#[test]
fn every_encoding_of_text_reads_the_same() {
    let values = [Some("a"), None, Some(""), Some("a value of more than twelve bytes")];
    let plain = StringArray::from_iter(values);
    let dictionary: DictionaryArray<Int32Type> = values.into_iter().collect();
    let viewed = StringViewArray::from_iter_values(dictionary.values().as_string::<i32>().iter().flatten());
    let of_views = DictionaryArray::try_new(dictionary.keys().clone(), Arc::new(viewed)).expect("same keys");
    let arrays: [ArrayRef; 4] = [
        Arc::new(StringViewArray::from_iter(values)),
        Arc::new(plain),
        Arc::new(dictionary),
        Arc::new(of_views),
    ];
    for array in arrays {
        let text = Text::of(array.as_ref()).expect("it is text");
        assert_eq!([0, 1, 2, 3].map(|row| text.get(row)), values);
        assert_eq!([0, 1, 2].map(|row| text.named(row)), [Some("a"), None, None]);
    }
}

#[test]
fn equal_codes_are_equal_texts_in_every_encoding() {
    let values = [Some("a"), Some("b"), None, Some("a"), Some("a value of more than twelve bytes")];
    let arrays: [ArrayRef; 3] = [
        Arc::new(StringViewArray::from_iter(values)),
        Arc::new(StringArray::from_iter(values)),
        Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for array in arrays {
        let text = Text::of(array.as_ref()).expect("it is text");
        for (row, value) in values.iter().enumerate() {
            let alike = (0..5).filter(|other| text.code(*other) == text.code(row));
            assert!(alike.into_iter().all(|other| values[other] == *value), "{row} of {text:?}");
        }
        assert_eq!(text.code(2), (0, 0), "null");
    }
}

#[test]
fn a_column_without_values_is_told() {
    let of = |values: [Option<&str>; 2]| -> [ArrayRef; 3] {
        [
            Arc::new(StringViewArray::from_iter(values)),
            Arc::new(StringArray::from_iter(values)),
            Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>()),
        ]
    };
    let has_values = |array: &ArrayRef| Text::of(array.as_ref()).expect("it is text").has_values();
    assert_eq!(of([None, Some("")]).each_ref().map(has_values), [true; 3]);
    assert_eq!(of([None; 2]).each_ref().map(has_values), [false; 3]);
    let numbers = |values: Vec<Option<i64>>| {
        Integers::of(&Int64Array::from(values)).expect("they are integers").has_values()
    };
    assert_eq!((numbers(vec![None, Some(0)]), numbers(vec![None])), (true, false));
    assert!(!Text::absent().has_values() && !Integers::absent().has_values());
}

#[test]
fn numbers_times_and_truth_values_read_and_are_null() {
    let batch = batch(vec![
        ("duration_nano", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef),
        ("kind", Arc::new(Int32Array::from(vec![Some(-2), None]))),
        ("adjusted_count", Arc::new(Float64Array::from(vec![Some(0.5), None]))),
        ("is_proxy", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("time", Arc::new(TimestampMicrosecondArray::from(vec![Some(9), None]).with_timezone("UTC"))),
    ]);
    let spans = Spans::of(&batch).expect("all are columns of spans");
    let (durations, kinds) = (spans.duration_nano, spans.kind);
    assert_eq!((durations.get(0), durations.get(1), durations.or_zero(1)), (Some(i64::MAX), None, 0));
    assert_eq!((kinds.get(0), kinds.get(1)), (Some(-2), None));
    assert_eq!((spans.adjusted_count.get(0), spans.adjusted_count.get(1)), (Some(0.5), None));
    assert_eq!((spans.is_proxy.get(0), spans.is_proxy.get(1)), (Some(true), None));
    assert_eq!((spans.time.get(0), spans.time.get(1)), (Some(9), None));
}

/// The key-value pairs of each row.
fn map(rows: &[&[(&str, &str)]]) -> MapArray {
    let DataType::Map(entry, sorted) = Kind::Attributes.hot_type() else { unreachable!("a map") };
    let DataType::Struct(fields) = entry.data_type().clone() else { unreachable!("of structs") };
    let entries = || rows.iter().flat_map(|row| row.iter());
    let keys: ArrayRef = Arc::new(entries().map(|(key, _)| Some(*key)).collect::<StringArray>());
    let values: ArrayRef = Arc::new(entries().map(|(_, value)| Some(*value)).collect::<StringArray>());
    let entries = StructArray::new(fields, vec![keys, values], None);
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    MapArray::new(entry, offsets, entries, None, sorted)
}

#[test]
fn attributes_read_by_key_and_in_order_also_of_a_slice() {
    let map = map(&[&[("a", "1")], &[], &[("b", "2"), ("a", "3"), ("a", "4")]]);
    let sliced = batch(vec![("attributes", Arc::new(map) as ArrayRef)]).slice(1, 2);
    let spans = Spans::of(&sliced).expect("a column of spans");
    assert_eq!(spans.attributes.get(0, "a"), None);
    assert_eq!((spans.attributes.get(1, "a"), spans.attributes.get(1, "c")), (Some("3"), None));
    let entries: Vec<_> = spans.attributes.entries(1).collect();
    assert_eq!(entries, [("b", "2"), ("a", "3"), ("a", "4")]);
}

#[test]
fn all_links_of_a_row_read() {
    let DataType::List(element) = Kind::Links.hot_type() else { unreachable!("a list") };
    let texts = |texts: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let fields = link_fields();
    let columns = fields.iter().map(|field| match field.name().as_str() {
        "trace_id" => texts(["t1", "t2", "t3"]),
        "span_id" => texts(["s1", "s2", "s3"]),
        "flags" => Arc::new(Int64Array::from(vec![1, 2, 3])),
        "attributes" => Arc::new(map(&[&[], &[("k", "v")], &[]])),
        "dropped_attributes_count" => Arc::new(Int64Array::from(vec![0, 0, 0])),
        _ => texts([""; 3]),
    });
    let links = StructArray::new(link_fields(), columns.collect(), None);
    let lists = ListArray::new(element, OffsetBuffer::from_lengths([1, 0, 2]), Arc::new(links), None);
    let batch = batch(vec![("links", Arc::new(lists) as ArrayRef)]);
    let links = Spans::of(&batch).expect("a column of spans").links;
    let ids = |row| links.places(row).map(|at| (links.trace_id.get(at), links.span_id.get(at)));
    assert_eq!(ids(0).collect::<Vec<_>>(), [(Some("t1"), Some("s1"))]);
    assert_eq!(ids(1).count(), 0);
    assert_eq!(ids(2).collect::<Vec<_>>(), [(Some("t2"), Some("s2")), (Some("t3"), Some("s3"))]);
    assert_eq!((links.attributes.get(1, "k"), links.flags.get(2)), (Some("v"), Some(3)));
}

#[test]
fn a_field_that_a_struct_lacks_is_null() {
    let fields = Fields::from(vec![Field::new("trace_id", DataType::Utf8, false)]);
    let ids: ArrayRef = Arc::new(StringArray::from(vec!["t"]));
    let element = Arc::new(Field::new("element", DataType::Struct(fields.clone()), false));
    let links = StructArray::new(fields, vec![ids], None);
    let lists = ListArray::new(element, OffsetBuffer::from_lengths([1]), Arc::new(links), None);
    let links = Links::of(&lists).expect("a list of structs");
    assert_eq!((links.trace_id.get(0), links.span_id.get(0), links.flags.get(0)), (Some("t"), None, None));
}

#[test]
fn lists_of_plain_values_read() {
    let DataType::List(element) = Kind::Int64List.hot_type() else { unreachable!("a list") };
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let lists = ListArray::new(element, OffsetBuffer::from_lengths([2, 0, 1]), values, None);
    let integers = IntegerLists::of(&lists).expect("integers");
    assert_eq!((integers.get(0), integers.get(1), integers.get(2)), (&[1, 2][..], &[][..], &[3][..]));
    let doubles = cast(&lists, &Kind::Float64List.hot_type()).expect("integers become doubles");
    assert_eq!(DoubleLists::of(doubles.as_ref()).expect("doubles").get(0), [1.0, 2.0]);
    let texts = cast(&lists, &Kind::TextList.hot_type()).expect("integers become text");
    let texts = TextLists::of(texts.as_ref()).expect("texts");
    assert_eq!(texts.get(0).collect::<Vec<_>>(), ["1", "2"]);
    let nulls = new_null_array(&Kind::Int64List.hot_type(), 1);
    assert!(IntegerLists::of(nulls.as_ref()).expect("integers").get(0).is_empty());
}

/// How often the meaning of a text is asked for, and what comes back.
fn interned(array: &dyn Array) -> (usize, Vec<Option<usize>>) {
    let mut asked = 0;
    let mut texts = Interned::new(Text::of(array).expect("it is text"));
    let lengths = (0..array.len()).map(|row| {
        texts.get(row, |text| {
            asked += 1;
            text.len()
        })
    });
    let lengths = lengths.collect();
    (asked, lengths)
}

#[test]
fn the_meaning_of_a_text_is_asked_for_once_per_entry() {
    let long = "a value of more than twelve bytes";
    let values = [Some("a"), Some(long), None, Some("a"), Some(long)];
    let lengths = vec![Some(1), Some(33), None, Some(1), Some(33)];
    let dictionary: DictionaryArray<Int32Type> = values.into_iter().collect();
    assert_eq!(interned(&dictionary), (2, lengths.clone()));
    // As the Parquet reader makes them of a dictionary page: equal texts are equal views.
    let views = cast(&dictionary, &DataType::Utf8View).expect("text becomes views");
    assert_eq!(interned(views.as_ref()), (2, lengths.clone()));
    // Plain strings are only compared with the row before.
    assert_eq!(interned(&StringArray::from_iter(values)), (4, lengths));
    assert_eq!(interned(&StringArray::from(vec!["a", "a", "b"])), (2, vec![Some(1); 3]));
}

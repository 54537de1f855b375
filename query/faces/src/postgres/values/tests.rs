//! Every type in both formats, against bytes written out by PostgreSQL's own rules.

use arrow::array::{
    BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Int8Array, Int32Array,
    Int64Array, ListArray, MapBuilder, NullArray, StringArray, StringBuilder, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, Int64Type, Schema};

use super::*;

/// The value as text and as bytes, by its column's own type.
fn both(array: ArrayRef) -> Result<[Vec<u8>; 2], QueryError> {
    let field = Field::new("c", array.data_type().clone(), true);
    let postgres_type = PostgresType::of(&field);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema, vec![array]).expect("one column");
    let column = |is_binary| Column { name: "c".to_owned(), postgres_type, is_binary };
    let arrays = laid_out(&batch, &[column(false)])?;
    let written = |is_binary| {
        let mut out = BytesMut::new();
        push_sized(&mut out, arrays[0].as_ref(), 0, postgres_type, is_binary);
        out.to_vec()
    };
    Ok([written(false), written(true)])
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}

#[test]
fn values_are_written_as_text_and_as_bytes() {
    let cases: Vec<(ArrayRef, &str, &[u8])> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "t", &[1]),
        (Arc::new(Int8Array::from(vec![-2])), "-2", &[0xff, 0xfe]),
        (Arc::new(Int32Array::from(vec![7])), "7", &[0, 0, 0, 7]),
        (Arc::new(Int64Array::from(vec![-1])), "-1", &[0xff; 8]),
        (Arc::new(UInt64Array::from(vec![1])), "1", &[0, 0, 0, 0, 0, 0, 0, 1]),
        (Arc::new(Float32Array::from(vec![1.5])), "1.5", &[0x3f, 0xc0, 0, 0]),
        (Arc::new(StringArray::from(vec!["a\0é"])), "a\0é", "a\0é".as_bytes()),
        (Arc::new(DictionaryArray::<Int32Type>::from_iter(["x"])), "x", b"x"),
        // 2000-01-02 is 10,958 days after 1970-01-01.
        (Arc::new(Date32Array::from(vec![10_958])), "2000-01-02", &[0, 0, 0, 1]),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![946_684_800_000_002]).with_timezone("UTC")),
            "2000-01-01 00:00:00.000002+00",
            &[0, 0, 0, 0, 0, 0, 0, 2],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![946_684_800_000_001_999])),
            "2000-01-01 00:00:00.000001",
            &[0, 0, 0, 0, 0, 0, 0, 1],
        ),
        (
            Arc::new(Decimal128Array::from(vec![150]).with_precision_and_scale(10, 2).expect("fits")),
            "1.50",
            &[0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 0x13, 0x88],
        ),
    ];
    for (array, text, bytes) in cases {
        let name = array.data_type().to_string();
        assert_eq!(both(array), Ok([sized(text.as_bytes()), sized(bytes)]), "{name}");
    }
}

#[test]
fn arrays_are_quoted_where_they_must_be() {
    let array = |texts: Vec<Option<&str>>| -> ArrayRef {
        let mut builder = arrow::array::ListBuilder::new(StringBuilder::new());
        builder.append_value(texts);
        Arc::new(builder.finish())
    };
    let texts = vec![Some("a"), None, Some("null"), Some(""), Some("b c"), Some("\"\\")];
    let [text, _] = both(array(texts)).expect("an array of texts");
    assert_eq!(text, sized(br#"{a,NULL,"null","","b c","\"\\"}"#));
    assert_eq!(both(array(Vec::new())).expect("empty")[0], sized(b"{}"));

    let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None])]);
    let want = [
        [0, 0, 0, 1].as_slice(),
        &[0, 0, 0, 1],
        &[0, 0, 0, 20],
        &[0, 0, 0, 2, 0, 0, 0, 1],
        &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0xff; 4],
    ];
    assert_eq!(both(Arc::new(numbers)), Ok([sized(b"{1,NULL}"), sized(&want.concat())]));
}

#[test]
fn documents_are_json_and_have_a_version_as_bytes() {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    builder.keys().append_value("k");
    builder.values().append_value("v");
    builder.append(true).expect("a pair");
    let want = [sized(br#"{"k":"v"}"#), sized(b"\x01{\"k\":\"v\"}")];
    assert_eq!(both(Arc::new(builder.finish())), Ok(want));
}

#[test]
fn null_has_no_bytes_whatever_its_type() {
    let nulls: [ArrayRef; 3] = [
        Arc::new(NullArray::new(1)),
        Arc::new(Int64Array::from(vec![None])),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, Vec<Option<i64>>, _>([None])),
    ];
    for null in nulls {
        let name = null.data_type().to_string();
        assert_eq!(both(null), Ok([vec![0xff; 4], vec![0xff; 4]]), "{name}");
    }
}

#[test]
fn a_count_beyond_bigint_is_an_error_and_not_another_number() {
    let most = both(Arc::new(UInt64Array::from(vec![i64::MAX.unsigned_abs()])));
    assert!(most.is_ok());
    let more = both(Arc::new(UInt64Array::from(vec![i64::MAX.unsigned_abs() + 1])));
    assert!(matches!(more, Err(QueryError::Invalid(_))), "{more:?}");
}

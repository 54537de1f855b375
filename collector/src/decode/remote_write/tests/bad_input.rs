//! Bytes that are no payload, or one that would become too much.

use bytes::Bytes;
use prost::Message as _;

use crate::decode::remote_write::testing::{
    Exemplar, Histogram, Request2, Sample, TimeSeries2, WriteRequest, decoded, encodings, histogram_series,
    labels, sample, series, spans, to_2,
};
use crate::decode::remote_write::{VERSION_1, VERSION_2};
use crate::decode::{Builders, Format, Unreadable};
use crate::protobuf::wire::WireError;

fn unpacked(format: &Format, payload: &[u8]) -> Result<usize, Unreadable> {
    (format.unpack)(Bytes::copy_from_slice(payload)).map(|valid| valid.column_bytes)
}

fn everything() -> WriteRequest {
    let histogram = Histogram {
        count_int: Some(3),
        sum: 2.0,
        positive_spans: spans(&[(0, 1), (3, 1)]),
        positive_deltas: vec![1, 1],
        ..Histogram::default()
    };
    let mut with = series(&[("__name__", "m"), ("job", "j")], &[sample(1.0), sample(2.0)]);
    let exemplar =
        Exemplar { labels: labels(&[("trace_id", "1")]), value: 0.5, timestamp: sample(0.0).timestamp };
    with.exemplars = vec![exemplar];
    WriteRequest { timeseries: vec![with, histogram_series(histogram)], ..WriteRequest::default() }
}

/// A message cut anywhere is refused or ends between two fields of the outermost; prost agrees each time, and what is taken
/// is decoded.
#[test]
fn a_payload_cut_anywhere_is_refused_or_shorter() {
    let [(first, payload_1), (second, payload_2)] = encodings(&everything());
    for end in 0..payload_1.len() {
        let cut = &payload_1[..end];
        assert_eq!(unpacked(first, cut).is_ok(), WriteRequest::decode(cut).is_ok(), "1.0 cut at {end}");
    }
    for end in 0..payload_2.len() {
        let cut = &payload_2[..end];
        assert_eq!(unpacked(second, cut).is_ok(), Request2::decode(cut).is_ok(), "2.0 cut at {end}");
        if unpacked(second, cut).is_ok() {
            decoded(second, cut);
        }
    }
}

/// Doubles of another wire type, as a sender writes them who takes `value` for a text, a varint or a float.
#[test]
fn numbers_that_are_none_are_refused() {
    let wrap = |inner: &[u8]| [&[0x0a, inner.len() as u8 + 2, 0x12, inner.len() as u8], inner].concat();
    for (inner, found) in [
        (b"\x0a\x03NaN".as_slice(), "length-delimited"),
        (b"\x08\x01", "varint"),
        (b"\x0d\0\0\x80\x3f", "fixed32"),
    ] {
        let want: Unreadable = WireError::FieldType { field: 1, found }.into();
        assert_eq!(unpacked(&VERSION_1, &wrap(inner)), Err(want));
    }
    assert!(unpacked(&VERSION_1, &wrap(b"\x09\0\0\0\0\0\0\xf8\x7f")).is_ok(), "a NaN is a number here");
}

/// The message of one version under the content type of the other would be an empty one, and its sender would take it for
/// stored.
#[test]
fn a_message_of_the_other_version_is_refused() {
    let [(first, payload_1), (second, payload_2)] = encodings(&everything());
    for (format, payload, says) in [(first, &payload_2, "2.Request"), (second, &payload_1, "WriteRequest")] {
        let Err(Unreadable::Undecodable(why)) = unpacked(format, payload) else { panic!("taken") };
        assert!(why.split(" whose ").next().is_some_and(|sent| sent.ends_with(says)), "{why}");
    }
    for format in [first, second] {
        assert_eq!(unpacked(format, b""), Ok(0), "nothing is a message of both");
    }
}

/// Empty strings of two bytes each.
#[test]
fn symbols_are_bounded() {
    let symbols = |count: usize| b"\x22\x00".repeat(count);
    assert!(unpacked(&VERSION_2, &symbols(1 << 20)).is_ok());
    let refused = unpacked(&VERSION_2, &symbols((1 << 20) + 1));
    assert_eq!(refused, Err(Unreadable::Undecodable("more than 1048576 symbols".to_owned())));
}

/// A name of 1,000 bytes on 100 samples is 100,000 bytes in columns, and a gap of 1,000 buckets 16 bytes each.
#[test]
fn what_rows_repeat_is_paid_for() {
    let name = "n".repeat(1_000);
    let labels = [("__name__", "m"), ("a", name.as_str())];
    let request = |samples: usize| WriteRequest {
        timeseries: vec![series(&labels, &vec![sample(1.0); samples])],
        ..WriteRequest::default()
    };
    for (format, of_one, of_many) in [0, 1].map(|at| {
        let ((format, one), (_, many)) =
            (encodings(&request(1))[at].clone(), encodings(&request(101))[at].clone());
        (format, unpacked(format, &one).expect("valid"), unpacked(format, &many).expect("valid"))
    }) {
        let more = of_many - of_one;
        assert!((100 * (1_000 + 196)..101 * (1_100 + 196)).contains(&more), "{} {more}", format.name);
    }
    let apart = |gap| {
        let (positive_spans, positive_deltas) = (spans(&[(0, 1), (gap, 1)]), vec![1, 0]);
        let histogram =
            Histogram { count_int: Some(2), positive_spans, positive_deltas, ..Histogram::default() };
        let timeseries = vec![histogram_series(histogram)];
        encodings(&WriteRequest { timeseries, ..WriteRequest::default() })
    };
    for (wide, narrow) in apart(1_001).into_iter().zip(apart(1)) {
        let bytes =
            |(format, payload): (&'static Format, Vec<u8>)| unpacked(format, &payload).expect("valid");
        assert_eq!(bytes(wide) - bytes(narrow), 16_000);
    }
}

/// A series of 128 labels of 64 KiB with 100 samples is 800 MiB of rows: more than an export may be in columns, which
/// is known before there is one.
#[test]
fn a_payload_that_explodes_is_known_before_it_does() {
    let value = "v".repeat(64 << 10);
    let names: Vec<_> = (0..128).map(|at| format!("l{at}")).collect();
    let names: Vec<_> = names.iter().map(|name| (name.as_str(), value.as_str())).collect();
    let request =
        WriteRequest { timeseries: vec![series(&names, &vec![sample(1.0); 100])], ..Default::default() };
    for (format, payload) in encodings(&request) {
        let column_bytes = unpacked(format, &payload).expect("valid");
        assert!(column_bytes > 800 << 20, "{}: {column_bytes}", format.name);
    }
}

/// Every byte in turn replaced by several others: what is valid is decoded, and all records are accounted for.
#[test]
fn changed_bytes_are_refused_or_decoded() {
    for (format, payload) in encodings(&everything()) {
        let mut out = Builders::default();
        for at in 0..payload.len() {
            for with in [0x00, 0x01, 0x07, 0x0a, 0x12, 0x7f, 0x80, 0xff] {
                let mut changed = payload.clone();
                changed[at] = with;
                let Ok(valid) = (format.unpack)(changed.into()) else { continue };
                let arrival = crate::decode::remote_write::testing::arrival();
                let tally = (format.decode)(&valid.bytes, None, &arrival, &mut out).expect("valid bytes");
                assert_eq!(tally.received, tally.accepted + tally.rejected_count(), "{with:#x} at {at}");
            }
        }
        let rows: usize = out.rows().iter().sum();
        assert_eq!(out.finish().iter().map(meshlake_schema::TableBatch::row_count).sum::<usize>(), rows);
    }
}

/// Labels by references beyond any sensible number cost no memory for those that are not kept.
#[test]
fn a_million_labels_are_rejected() {
    let symbols = vec![Vec::new(), b"__name__".to_vec(), b"m".to_vec()];
    let labels_refs = [1, 2].repeat(500_000);
    let samples = vec![Sample { value: 1.0, ..sample(1.0) }];
    let timeseries = vec![TimeSeries2 { labels_refs, samples, ..TimeSeries2::default() }];
    let tally = decoded(&VERSION_2, &Request2 { symbols, timeseries }.encode_to_vec()).tally;
    assert_eq!(tally.rejected, [(crate::tally::RejectReason::TooManyLabels, 1)]);
    assert_eq!(to_2(&everything()).timeseries.len(), 2);
}

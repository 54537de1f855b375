//! Requests that a real Prometheus sent while it scraped itself, held against what prost reads in them.
//!
//! `tests/cases/remote_write` has three bodies of Prometheus 0.316, taken on 2026-11-29 at 12:13 UTC with native
//! histograms on: metadata and samples of 1.0, samples of 2.0.

use std::path::Path;

use meshlake_schema::{Table, UnixNanos};
use prost::Message as _;

use crate::decode::remote_write::families::Families;
use crate::decode::remote_write::testing::{Decoded, Histogram, Request2, Sample, WriteRequest, decoded_by};
use crate::decode::remote_write::{VERSION_1, VERSION_2};
use crate::decode::{Format, Sender};
use crate::tally::Arrival;

fn body(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases/remote_write").join(name);
    let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    snap::raw::Decoder::new().decompress_vec(&packed).expect("a block of Snappy")
}

fn decoded(format: &Format, payload: &[u8], sender: Option<&Sender>) -> Decoded {
    // `date -d 2026-11-29T00:00:00Z +%s`, and a day later.
    let (earliest, latest) = (UnixNanos(1_795_910_400_000_000_000), UnixNanos(1_795_996_800_000_000_000));
    let arrival = Arrival { tenant: "acme", ingest_time: latest, earliest, latest };
    decoded_by(format, payload, sender, &arrival)
}

/// Samples and histograms one by one, in the order sent.
fn check(decoded: &Decoded, samples: &[Sample], histograms: &[Histogram]) {
    assert_eq!(decoded.tally.rejected, []);
    let points = decoded.rows(Table::MetricPoints);
    let read: Vec<_> =
        points.iter().map(|row| (row.int("time_unix_nano"), row.double("value").map(f64::to_bits))).collect();
    let sent =
        samples.iter().map(|sample| (Some(sample.timestamp * 1_000_000), Some(sample.value.to_bits())));
    assert_eq!(read, sent.collect::<Vec<_>>());
    let rows = decoded.rows(Table::MetricExpHistograms);
    let read: Vec<_> =
        rows.iter().map(|row| (row.int("count"), row.double("sum"), row.int32("scale"))).collect();
    let sent = histograms
        .iter()
        .map(|sent| (sent.count_int.map(|count| count as i64), Some(sent.sum), Some(sent.schema)));
    assert_eq!(read, sent.collect::<Vec<_>>());
    assert!(samples.len() > 100 && histograms.len() > 10, "{} and {}", samples.len(), histograms.len());
    let counts = |name: &str| rows.iter().filter_map(|row| row.ints(name)).flatten().sum::<i64>();
    let counted = counts("positive_bucket_counts") + counts("negative_bucket_counts");
    let zeros: i64 = rows.iter().filter_map(|row| row.int("zero_count")).sum();
    assert_eq!(Some(counted + zeros), rows.iter().map(|row| row.int("count")).sum());
}

#[test]
fn prometheus_sends_1_0() {
    let sender = Sender::Families(Families::default());
    let told = body("metadata-1.snappy");
    assert_eq!(decoded(&VERSION_1, &told, Some(&sender)).tally.received, 0);
    let payload = body("samples-1.snappy");
    let sent = WriteRequest::decode(payload.as_slice()).expect("prost reads it");
    let samples: Vec<_> = sent.timeseries.iter().flat_map(|series| series.samples.clone()).collect();
    let histograms: Vec<_> = sent.timeseries.iter().flat_map(|series| series.histograms.clone()).collect();
    let decoded = decoded(&VERSION_1, &payload, Some(&sender));
    check(&decoded, &samples, &histograms);
    let told = WriteRequest::decode(told.as_slice()).expect("prost reads it").metadata;
    for row in decoded.rows(Table::MetricPoints) {
        let name = row.text("metric_name").expect("never null");
        // What Prometheus makes itself, as `up`, has no metadata.
        if let Some(family) = told.iter().find(|family| family.metric_family_name == name) {
            assert_eq!(row.text("metric_description").as_deref(), Some(family.help.as_str()), "{name}");
        }
    }
}

#[test]
fn prometheus_sends_2_0() {
    let payload = body("samples-2.snappy");
    let sent = Request2::decode(payload.as_slice()).expect("prost reads it");
    let samples: Vec<_> = sent.timeseries.iter().flat_map(|series| series.samples.clone()).collect();
    let histograms: Vec<_> = sent.timeseries.iter().flat_map(|series| series.histograms.clone()).collect();
    let decoded = decoded(&VERSION_2, &payload, None);
    check(&decoded, &samples, &histograms);
    let of_job = |row: &crate::decode::remote_write::testing::Row| row.text("service_name");
    assert!(decoded.rows(Table::MetricPoints).iter().all(|row| of_job(row).as_deref() == Some("self")));
}

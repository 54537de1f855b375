//! Random requests from a seed: what was sent is what the rows say, sample by sample.

use std::collections::BTreeMap;

use meshlake_schema::Table;

use crate::decode::remote_write::testing::{
    BucketSpan, Exemplar, Histogram, NOW_MILLIS, Row, Sample, TimeSeries, WriteRequest, decoded, encodings,
    labels,
};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn time(&mut self) -> i64 {
        NOW_MILLIS - 3_600_000 + self.below(7_200_001) as i64
    }

    fn value(&mut self) -> f64 {
        match self.below(4) {
            0 => self.below(1_000) as f64,
            1 => -(self.below(1_000) as f64 + 1.0) / 8.0,
            2 => f64::INFINITY,
            _ => f64::from_bits(self.next() >> 2),
        }
    }

    /// Each a series of its own, by its number.
    fn series(&mut self, number: u64) -> TimeSeries {
        let (job, text) = (format!("job-{}", self.below(3)), format!("{number} é\"\\\n"));
        let mut names = vec![("__name__", "m"), ("job", job.as_str()), ("number", text.as_str())];
        if self.below(2) == 0 {
            names.rotate_left(1);
        }
        let samples = (0..self.below(4)).map(|_| Sample {
            value: self.value(),
            timestamp: self.time(),
            start_timestamp: self.below(2) as i64 * NOW_MILLIS,
        });
        let samples = samples.collect::<Vec<_>>();
        let histograms = (0..self.below(3)).map(|_| self.histogram()).collect::<Vec<_>>();
        let has_points = !samples.is_empty() || !histograms.is_empty();
        let exemplars = (0..if has_points { self.below(3) } else { 0 }).map(|_| Exemplar {
            labels: labels(&[("id", &self.below(9).to_string())]),
            value: self.value(),
            timestamp: self.time(),
        });
        TimeSeries { exemplars: exemplars.collect(), labels: labels(&names), samples, histograms }
    }

    /// Integers as differences or floats, at powers of two.
    fn histogram(&mut self) -> Histogram {
        let lengths: Vec<_> = (0..self.below(4)).map(|_| self.below(3) as u32).collect();
        let spans = |random: &mut Random| -> Vec<BucketSpan> {
            let offsets = lengths.iter().enumerate().map(|(at, length)| BucketSpan {
                offset: random.below(5) as i32 - if at == 0 { 9 } else { 0 },
                length: *length,
            });
            offsets.collect()
        };
        let buckets: u32 = lengths.iter().sum();
        let counts: Vec<u64> = (0..buckets).map(|_| self.below(100)).collect();
        let deltas = counts.iter().scan(0, |last, count| {
            let delta = *count as i64 - *last;
            *last = *count as i64;
            Some(delta)
        });
        let schema = self.below(13) as i32 - 4;
        let base = Histogram {
            schema,
            sum: 1.5,
            timestamp: self.time(),
            positive_spans: spans(self),
            ..Default::default()
        };
        if self.below(2) == 0 {
            let (count_int, positive_deltas) = (Some(counts.iter().sum()), deltas.collect());
            return Histogram { count_int, positive_deltas, ..base };
        }
        let positive_counts: Vec<_> = counts.iter().map(|count| *count as f64 + 0.5).collect();
        Histogram { count_float: Some(0.5 + positive_counts.iter().sum::<f64>()), positive_counts, ..base }
    }
}

/// The counts of the buckets of a sent histogram that have any, by index.
fn sent_buckets(histogram: &Histogram) -> BTreeMap<i64, f64> {
    let (mut index, mut last, mut at) = (0i64, 0i64, 0);
    let mut buckets = BTreeMap::new();
    for span in &histogram.positive_spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let count = match histogram.count_float {
                Some(_) => histogram.positive_counts[at],
                None => {
                    last += histogram.positive_deltas[at];
                    last as f64
                }
            };
            buckets.insert(index, count);
            (index, at) = (index + 1, at + 1);
        }
    }
    buckets.retain(|_, count| *count != 0.0);
    buckets
}

/// The same of a row, by the index that Prometheus counts.
fn stored_buckets(row: &Row) -> BTreeMap<i64, f64> {
    let integers = row.ints("positive_bucket_counts").expect("never null");
    let counts = row.doubles("positive_bucket_counts_double");
    let counts = counts.unwrap_or_else(|| integers.iter().map(|count| *count as f64).collect());
    let first = i64::from(row.int32("positive_offset").expect("never null")) + 1;
    let buckets = counts.into_iter().enumerate().map(|(at, count)| (first + at as i64, count));
    buckets.filter(|(_, count)| *count != 0.0).collect()
}

fn check_row(row: &Row, series: &TimeSeries, timestamp: i64) {
    let mut sent = series.labels.clone();
    sent.sort_by(|a, b| a.name.cmp(&b.name));
    sent.retain(|label| label.name != b"__name__");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let sent: Vec<_> = sent.iter().map(|label| (text(&label.name), text(&label.value))).collect();
    assert_eq!(row.attributes(), sent);
    assert_eq!(row.int("time_unix_nano"), Some(timestamp * 1_000_000));
}

#[test]
fn rows_say_what_was_sent() {
    let mut rows = 0;
    for seed in 0..200 {
        let mut random = Random(seed);
        let timeseries: Vec<_> = (0..random.below(8)).map(|number| random.series(number)).collect();
        let request = WriteRequest { timeseries, ..WriteRequest::default() };
        for (format, payload) in encodings(&request) {
            let decoded = decoded(format, &payload);
            assert_eq!(decoded.tally.rejected, [], "seed {seed}");
            let points = decoded.rows(Table::MetricPoints);
            let histograms = decoded.rows(Table::MetricExpHistograms);
            rows += points.len() + histograms.len();
            let sent = request.timeseries.iter();
            let samples =
                sent.clone().flat_map(|series| series.samples.iter().map(move |sample| (series, sample)));
            assert_eq!(points.len(), samples.clone().count(), "seed {seed}");
            for (row, (series, sample)) in points.iter().zip(samples) {
                check_row(row, series, sample.timestamp);
                assert_eq!(
                    row.double("value").map(f64::to_bits),
                    Some(sample.value.to_bits()),
                    "seed {seed}"
                );
                let start = Some(sample.start_timestamp).filter(|start| *start != 0);
                assert_eq!(row.int("start_time_unix_nano"), start.map(|start| start * 1_000_000));
            }
            let sent = sent.flat_map(|series| series.histograms.iter().map(move |sent| (series, sent)));
            assert_eq!(histograms.len(), sent.clone().count(), "seed {seed}");
            for (row, (series, histogram)) in histograms.iter().zip(sent) {
                check_row(row, series, histogram.timestamp);
                assert_eq!(stored_buckets(row), sent_buckets(histogram), "seed {seed}");
                assert_eq!(row.int32("scale"), Some(histogram.schema));
                let count = row.double("count_double").or(row.int("count").map(|count| count as f64));
                assert_eq!(count, histogram.count_float.or(histogram.count_int.map(|count| count as f64)));
            }
            let exemplars = |rows: &[Row]| -> Vec<u64> {
                let values = rows.iter().flat_map(Row::exemplars);
                values.filter_map(|exemplar| exemplar.double("value").map(f64::to_bits)).collect()
            };
            let mut stored = [exemplars(&points), exemplars(&histograms)].concat();
            let sent = request.timeseries.iter().flat_map(|series| &series.exemplars);
            let mut sent: Vec<_> = sent.map(|exemplar| exemplar.value.to_bits()).collect();
            stored.sort_unstable();
            sent.sort_unstable();
            assert_eq!(stored, sent, "seed {seed}");
        }
    }
    assert!(rows > 2_000, "{rows} rows are few");
}

//! Sums of many cells, column by column, in as few bytes as their numbers take.
//!
//! A cell of ten minutes counts some hundred calls, whole ones, so that most of its sums fit a byte once they are no longer in
//! thousandths: a [`Measure`] takes five hundred bytes of which most are zeros, and a row here a fifth of that. Rows are only
//! added up, never changed.

use meshlake_schema::LatencyHistogram;

use crate::measure::{MILLI, Measure, Protocol, SUMS};

/// Numbers of as many rows, in parts of `unit`.
#[derive(Debug)]
struct Column {
    unit: u64,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Zeros,
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Words(Vec<u32>),
    Longs(Vec<u64>),
}

impl Column {
    fn of(values: &[u64]) -> Column {
        let unit = if values.iter().all(|value| value.is_multiple_of(MILLI)) { MILLI } else { 1 };
        let most = values.iter().max().map_or(0, |most| most / unit);
        fn all<T: TryFrom<u64> + Default>(values: &[u64], unit: u64) -> Vec<T> {
            values.iter().map(|value| T::try_from(value / unit).unwrap_or_default()).collect()
        }
        let values = match most {
            0 => Values::Zeros,
            most if u8::try_from(most).is_ok() => Values::Bytes(all(values, unit)),
            most if u16::try_from(most).is_ok() => Values::Shorts(all(values, unit)),
            most if u32::try_from(most).is_ok() => Values::Words(all(values, unit)),
            _ => Values::Longs(all(values, unit)),
        };
        Column { unit, values }
    }

    fn get(&self, row: usize) -> u64 {
        let value = match &self.values {
            Values::Zeros => return 0,
            Values::Bytes(values) => values[row].into(),
            Values::Shorts(values) => values[row].into(),
            Values::Words(values) => values[row].into(),
            Values::Longs(values) => values[row],
        };
        value * self.unit
    }

    fn bytes(&self) -> usize {
        match &self.values {
            Values::Zeros => 0,
            Values::Bytes(values) => values.capacity(),
            Values::Shorts(values) => 2 * values.capacity(),
            Values::Words(values) => 4 * values.capacity(),
            Values::Longs(values) => 8 * values.capacity(),
        }
    }
}

/// Measures by row.
#[derive(Debug)]
pub struct Measures {
    /// In the order of [`SUMS`].
    sums: Vec<Column>,
    /// In the order of [`Protocol::ALL`].
    protocols: Vec<Column>,
    zeros: Column,
    mins: Column,
    maxs: Column,
    /// Where the buckets of each row end.
    ends: Vec<u32>,
    buckets: Vec<i16>,
    counts: Column,
}

impl Measures {
    /// Of at most as many rows as have 2^32 buckets.
    pub fn of(measures: &[&Measure]) -> Measures {
        let column = |of: &dyn Fn(&Measure) -> u64| {
            Column::of(&measures.iter().map(|measure| of(measure)).collect::<Vec<_>>())
        };
        let latency = |of: fn(&LatencyHistogram) -> u64| column(&|measure| of(measure.latency()));
        let (mut ends, mut buckets, mut counts) =
            (Vec::with_capacity(measures.len()), Vec::new(), Vec::new());
        for measure in measures {
            for (bucket, count) in measure.latency().buckets() {
                buckets.push(i16::try_from(bucket).expect("no index of a bucket is wider"));
                counts.push(count);
            }
            ends.push(u32::try_from(buckets.len()).expect("a file has fewer buckets"));
        }
        buckets.shrink_to_fit();
        Measures {
            sums: (0..SUMS.len()).map(|at| column(&|measure| measure.sums()[at])).collect(),
            protocols: (0..Protocol::ALL.len())
                .map(|at| column(&|measure| measure.protocols()[at]))
                .collect(),
            zeros: latency(LatencyHistogram::zero_count),
            mins: latency(|held| held.min_nano().unwrap_or(0)),
            maxs: latency(|held| held.max_nano().unwrap_or(0)),
            ends,
            buckets,
            counts: Column::of(&counts),
        }
    }

    pub fn row(&self, row: usize) -> PackedMeasure<'_> {
        PackedMeasure { measures: self, row }
    }

    /// Bytes taken.
    pub fn bytes(&self) -> usize {
        let columns = self.sums.iter().chain(&self.protocols);
        let columns = columns.chain([&self.zeros, &self.mins, &self.maxs, &self.counts]);
        let columns: usize = columns.map(|column| size_of::<Column>() + column.bytes()).sum();
        size_of::<Measures>() + columns + 4 * self.ends.capacity() + 2 * self.buckets.capacity()
    }
}

/// One row of [`Measures`].
#[derive(Debug, Clone, Copy)]
pub struct PackedMeasure<'m> {
    measures: &'m Measures,
    row: usize,
}

impl PackedMeasure<'_> {
    /// The sum of this place in [`SUMS`].
    pub fn sum(&self, at: usize) -> u64 {
        self.measures.sums[at].get(self.row)
    }

    fn add_to(&self, sum: &mut Measure) {
        let Measures { sums, protocols, zeros, mins, maxs, ends, buckets, counts } = self.measures;
        sum.merge_sums(
            std::array::from_fn(|at| sums[at].get(self.row)),
            std::array::from_fn(|at| protocols[at].get(self.row)),
        );
        let from = self.row.checked_sub(1).map_or(0, |before| ends[before] as usize);
        let places = from..ends[self.row] as usize;
        let counted = places.map(|place| (buckets[place].into(), counts.get(place)));
        let bounds = (mins.get(self.row), maxs.get(self.row));
        sum.merge_latency(zeros.get(self.row), counted, bounds);
    }
}

/// What is added to a sum.
#[derive(Debug, Clone, Copy)]
pub enum Amount<'m> {
    Whole(&'m Measure),
    Packed(PackedMeasure<'m>),
}

impl Amount<'_> {
    /// Calls, in thousandths.
    pub fn requests_milli(&self) -> u64 {
        match self {
            Amount::Whole(measure) => measure.requests_milli(),
            Amount::Packed(row) => row.sum(0),
        }
    }

    pub fn add_to(&self, sum: &mut Measure) {
        match self {
            Amount::Whole(measure) => sum.merge(measure),
            Amount::Packed(row) => row.add_to(sum),
        }
    }

    /// Adds the bytes of requests and responses, and nothing else.
    pub fn add_bytes_to(&self, sum: &mut Measure) {
        match self {
            Amount::Whole(measure) => sum.merge_bytes(measure),
            Amount::Packed(row) => {
                let mut measure = Measure::default();
                row.add_to(&mut measure);
                sum.merge_bytes(&measure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_schema::Outcome;

    use super::*;
    use crate::measure::{Halves, Observation};

    fn measure(calls: &[(u64, i64, Protocol)]) -> Measure {
        let mut measure = Measure::default();
        for (weight, duration_nano, protocol) in calls {
            let seen = Observation {
                weight: *weight,
                outcome: Outcome::Error,
                duration_nano: *duration_nano,
                timed: *protocol != Protocol::Tcp,
                sized: false,
                bytes_in: *duration_nano / 7,
                bytes_out: 3,
                protocol: *protocol,
            };
            measure.add(&seen);
            measure.add_sides(*weight, &Halves { retries: 2, is_made: true, received: 1, expected: 1 });
        }
        measure
    }

    /// Numbers of every width, whole calls and parts of them, calls that took no time, connections, and nothing at all.
    #[test]
    fn what_is_packed_is_added_as_what_is_not() {
        let measures = [
            Measure::default(),
            measure(&[(MILLI, 1_000, Protocol::Http), (MILLI, 0, Protocol::Grpc)]),
            measure(&[(1, 5_000_000, Protocol::Http), (300 * MILLI, 5_000_001, Protocol::Http)]),
            measure(&[(70_000 * MILLI, 86_400_000_000_000, Protocol::Tcp)]),
            measure(&[(5_000_000 * MILLI, i64::MAX, Protocol::Unknown)]),
        ];
        for some in [&measures[..], &measures[..2], &measures[..1]] {
            let packed = Measures::of(&some.iter().collect::<Vec<_>>());
            let (mut sum, mut again) = (Measure::default(), Measure::default());
            let (mut bytes, mut bytes_again) = (Measure::default(), Measure::default());
            for (row, measure) in some.iter().enumerate() {
                let amount = Amount::Packed(packed.row(row));
                let mut alone = Measure::default();
                amount.add_to(&mut alone);
                assert_eq!(alone, *measure, "row {row}");
                assert_eq!(amount.requests_milli(), measure.requests_milli());
                amount.add_to(&mut again);
                Amount::Whole(measure).add_to(&mut sum);
                amount.add_bytes_to(&mut bytes_again);
                Amount::Whole(measure).add_bytes_to(&mut bytes);
            }
            assert_eq!((again, bytes_again), (sum, bytes));
        }
    }

    /// A hundred cells of 23 whole calls each, of latencies that all differ: 23 buckets of 3 bytes, where the list of buckets ends,
    /// and a few bytes of sums. Before, each took 480 bytes.
    #[test]
    fn a_cell_of_a_few_calls_takes_little() {
        let cells: Vec<Measure> = (0..100)
            .map(|cell| {
                let calls: Vec<_> =
                    (0..23).map(|call| (MILLI, (cell + 1_000_000) << (call % 9), Protocol::Http)).collect();
                measure(&calls)
            })
            .collect();
        let bytes = Measures::of(&cells.iter().collect::<Vec<_>>()).bytes() / cells.len();
        assert!((30..130).contains(&bytes), "{bytes} bytes a cell");
    }
}

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

    /// Adds what each row has to the number at `at` among those that the row is summed up in.
    fn add_to(&self, of_rows: &[u32], at: usize, sums: &mut [[u64; SUMS.len()]]) {
        fn all<T: Copy + Into<u64>>(
            values: &[T],
            unit: u64,
            of_rows: &[u32],
            add: &mut impl FnMut(u32, u64),
        ) {
            for (of_row, value) in of_rows.iter().zip(values) {
                add(*of_row, (*value).into() * unit);
            }
        }
        let mut add = |of_row: u32, value: u64| {
            let sum = &mut sums[of_row as usize][at];
            *sum = sum.saturating_add(value);
        };
        match &self.values {
            Values::Zeros => {}
            Values::Bytes(values) => all(values, self.unit, of_rows, &mut add),
            Values::Shorts(values) => all(values, self.unit, of_rows, &mut add),
            Values::Words(values) => all(values, self.unit, of_rows, &mut add),
            Values::Longs(values) => all(values, self.unit, of_rows, &mut add),
        }
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
    /// Where the buckets of each row end; empty where none has any.
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
        if buckets.is_empty() {
            ends = Vec::new();
        }
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

    /// Adds the sums of all rows, in the order of [`SUMS`], each to those of `sums` at the place that `of_rows` says.
    pub fn add_sums(&self, of_rows: &[u32], sums: &mut [[u64; SUMS.len()]]) {
        for (at, column) in self.sums.iter().enumerate() {
            column.add_to(of_rows, at, sums);
        }
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
        let end = |row: usize| ends.get(row).map_or(0, |end| *end as usize);
        let places = self.row.checked_sub(1).map_or(0, end)..end(self.row);
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
    /// In the order of [`SUMS`], without latencies and protocols.
    Sums(&'m [u64; SUMS.len()]),
    Stored(&'m Stored<'m>),
}

/// A cell as columns of a file tell it.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'m> {
    /// In the order of [`SUMS`].
    pub sums: [u64; SUMS.len()],
    pub protocol: Protocol,
    pub zeros: u64,
    pub buckets: &'m [i64],
    /// Of each bucket.
    pub counts: &'m [i64],
    /// The shortest and the longest.
    pub bounds: (u64, u64),
}

impl Stored<'_> {
    fn add_to(&self, sum: &mut Measure) {
        let mut protocols = [0; Protocol::ALL.len()];
        protocols[self.protocol as usize] = self.sums[0];
        sum.merge_sums(self.sums, protocols);
        let buckets = self.buckets.iter().map(|bucket| i32::try_from(*bucket).unwrap_or(i32::MAX));
        let counts = self.counts.iter().map(|count| u64::try_from(*count).unwrap_or(0));
        sum.merge_latency(self.zeros, buckets.zip(counts), self.bounds);
    }
}

impl Amount<'_> {
    /// Calls, in thousandths.
    pub fn requests_milli(&self) -> u64 {
        match self {
            Amount::Whole(measure) => measure.requests_milli(),
            Amount::Packed(row) => row.sum(0),
            Amount::Sums(sums) => sums[0],
            Amount::Stored(stored) => stored.sums[0],
        }
    }

    pub fn add_to(&self, sum: &mut Measure) {
        match self {
            Amount::Whole(measure) => sum.merge(measure),
            Amount::Packed(row) => row.add_to(sum),
            Amount::Sums(sums) => sum.merge_sums(**sums, [0; Protocol::ALL.len()]),
            Amount::Stored(stored) => stored.add_to(sum),
        }
    }

    /// Adds the bytes of requests and responses, and nothing else.
    pub fn add_bytes_to(&self, sum: &mut Measure) {
        match self {
            Amount::Whole(measure) => sum.merge_bytes(measure),
            Amount::Packed(_) | Amount::Sums(_) | Amount::Stored(_) => {
                let mut measure = Measure::default();
                self.add_to(&mut measure);
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
            assert_eq!((&again, &bytes_again), (&sum, &bytes));
            // Every other row is summed up apart.
            let of_rows: Vec<u32> = (0..some.len()).map(|row| row as u32 % 2).collect();
            let mut sums = [[0; SUMS.len()]; 2];
            packed.add_sums(&of_rows, &mut sums);
            let mut both = Measure::default();
            sums.iter().for_each(|sums| Amount::Sums(sums).add_to(&mut both));
            assert_eq!(both.sums(), sum.sums());
            let first: u64 = some.iter().step_by(2).map(Measure::requests_milli).sum();
            assert_eq!(Amount::Sums(&sums[0]).requests_milli(), first);
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

//! Points of numbers as rows bring them: the columns of all, and whose each run of them is.
//!
//! In files the rows of a series follow one another, so that they are copied together; and as all are there before any series is
//! made, each gets its vectors once, as long as they have to be.

use super::stamps::When;
use super::strand::Strand;
use super::{Collecting, Place};

/// Points of many series.
#[derive(Debug, Default)]
pub struct Gathered {
    times: Vec<i64>,
    /// Empty while no start is known.
    starts: Vec<i64>,
    values: Vec<f64>,
    runs: Vec<Run>,
}

/// Points of one place that follow one another.
#[derive(Debug, Clone, Copy)]
struct Run {
    place: Place,
    length: usize,
}

/// Columns of some rows; nanoseconds. Where no start is known there are none.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    pub times: &'a [i64],
    pub starts: Option<&'a [i64]>,
    pub values: &'a [f64],
}

impl Gathered {
    pub fn add(&mut self, place: Place, columns: Columns<'_>) {
        let (before, length) = (self.times.len(), columns.times.len());
        self.times.extend_from_slice(columns.times);
        self.values.extend_from_slice(columns.values);
        if let Some(starts) = columns.starts {
            self.starts.resize(before, 0);
            self.starts.extend_from_slice(starts);
        }
        match self.runs.last_mut().filter(|run| run.place == place) {
            Some(run) => run.length += length,
            None => self.runs.push(Run { place, length }),
        }
    }

    pub fn push(&mut self, place: Place, when: When, value: f64) {
        let starts = [when.start];
        let starts = Some(&starts[..]).filter(|_| when.start != 0);
        self.add(place, Columns { times: &[when.time], starts, values: &[value] });
    }

    /// Gives all points to the series that they are of.
    pub fn give(mut self, series: &mut [Collecting]) {
        if !self.starts.is_empty() {
            self.starts.resize(self.times.len(), 0);
        }
        let mut lengths: Vec<Vec<usize>> = series.iter().map(|of| vec![0; of.floats.len()]).collect();
        for run in &self.runs {
            lengths[run.place.series][run.place.strand] += run.length;
        }
        for (of, lengths) in series.iter_mut().zip(lengths) {
            for (strand, length) in of.floats.iter_mut().zip(lengths) {
                strand.reserve(length, !self.starts.is_empty());
            }
        }
        let mut from = 0;
        for Run { place, length } in self.runs {
            let rows = from..from + length;
            from = rows.end;
            let strand: &mut Strand<f64> = &mut series[place.series].floats[place.strand];
            strand.times.extend_from_slice(&self.times[rows.clone()]);
            strand.values.extend_from_slice(&self.values[rows.clone()]);
            if !self.starts.is_empty() {
                strand.starts.extend_from_slice(&self.starts[rows]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use meshlake_promql::Labels;

    use super::*;

    const STARTS: [i64; 2] = [7, 0];

    fn place(series: usize) -> Place {
        Place { series, strand: 0 }
    }

    fn given(add: impl Fn(&mut Gathered)) -> Vec<(Vec<i64>, Vec<i64>, Vec<f64>)> {
        let mut gathered = Gathered::default();
        add(&mut gathered);
        let of = || Collecting {
            labels: Labels::default(),
            floats: vec![Strand::new(0, false)],
            histograms: Vec::new(),
        };
        let mut series = [of(), of()];
        gathered.give(&mut series);
        let told = series.into_iter().flat_map(|of| of.floats);
        told.map(|strand| (strand.times, strand.starts, strand.values)).collect()
    }

    #[test]
    fn points_are_given_to_whose_they_are_in_the_order_they_came() {
        let columns = |from: i64, starts: Option<&'static [i64]>| {
            let values: &[f64] = if from == 1 { &[0.1, 0.2] } else { &[0.3, 0.4] };
            let times: &[i64] = if from == 1 { &[1, 2] } else { &[3, 4] };
            move |gathered: &mut Gathered, at| gathered.add(place(at), Columns { times, starts, values })
        };
        let when = |time| When { time, start: 0 };
        let plain = given(|gathered| {
            columns(1, None)(gathered, 1);
            gathered.push(place(0), when(9), 0.9);
            columns(3, None)(gathered, 1);
        });
        let want = [(vec![9], vec![], vec![0.9]), (vec![1, 2, 3, 4], vec![], vec![0.1, 0.2, 0.3, 0.4])];
        assert_eq!(plain, want);
        let with_starts = given(|gathered| {
            columns(1, None)(gathered, 1);
            columns(3, Some(&STARTS))(gathered, 1);
            gathered.push(place(0), when(9), 0.9);
        });
        let want =
            [(vec![9], vec![0], vec![0.9]), (vec![1, 2, 3, 4], vec![0, 0, 7, 0], vec![0.1, 0.2, 0.3, 0.4])];
        assert_eq!(with_starts, want, "a start that nobody told is zero");
    }
}

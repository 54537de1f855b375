//! Finds levels of a Parquet page by their ordinal, and counts them, without writing them to memory.
//!
//! Definition levels say which entries of a map have a value, repetition levels which ones begin a row. Both
//! are few different numbers in long runs, or bits, so that what is asked is answered from runs and from 64
//! levels at a time.
//! Source: Apache Parquet format, README.md, "Nested Encoding", and Encodings.md as in [`super::hybrid`].
//!
//! Limits: levels of up to 8 bits, asked for from front to back.

use datafusion::parquet::errors::{ParquetError, Result};

use super::hybrid::{GROUP_VALUES, Run, Runs, ended, load};

/// The levels of a page, compared with one of them: which are equal, and how many.
#[derive(Debug)]
pub struct Levels<'a> {
    runs: Runs<'a>,
    level: u64,
    /// Levels behind the run under way.
    left: usize,
    run: Run<'a>,
    /// Levels of the run, and the equal ones of them.
    count: usize,
    equal: usize,
    /// Levels before the run, and the equal ones of them.
    before: usize,
    equal_before: usize,
}

impl<'a> Levels<'a> {
    /// The first `count` levels of `stream`, which are at most `level_max`, compared with `level`.
    ///
    /// # Errors
    /// For levels of more than 8 bits, which no column of ours comes near.
    pub fn new(stream: &'a [u8], level_max: i16, level: i16, count: usize) -> Result<Self> {
        let width = (u16::BITS - level_max.cast_unsigned().leading_zeros()) as usize;
        // Levels that are all 0 are not written: they are one run.
        let unwritten = if width == 0 { count } else { 0 };
        if width > 8 {
            return Err(ParquetError::General(format!("levels of {width} bits")));
        }
        Ok(Levels {
            runs: Runs::new(stream, width)?,
            level: u64::from(level.cast_unsigned()),
            left: count - unwritten,
            run: Run::Repeated { value: 0, count: unwritten },
            count: unwritten,
            equal: if level == 0 { unwritten } else { 0 },
            before: 0,
            equal_before: 0,
        })
    }

    /// The position of the equal level that has `ordinal` equal ones before it; none if there are not so
    /// many.
    ///
    /// # Errors
    /// When the stream ends early, or the position was passed.
    pub fn position_of(&mut self, ordinal: usize) -> Result<Option<usize>> {
        if !self.seek(|_, equal| ordinal < equal)? {
            return Ok(None);
        }
        let mut rest = ordinal.checked_sub(self.equal_before).ok_or_else(ended)?;
        let Run::Packed { bytes, .. } = self.run else { return Ok(Some(self.before + rest)) };
        let mut word = 0;
        loop {
            let bits = self.equal_bits(bytes, word, self.count);
            let ones = bits.count_ones() as usize;
            if rest < ones {
                let others_gone = (0..rest).fold(bits, |bits, _| bits & (bits - 1));
                return Ok(Some(self.before + word * 64 + others_gone.trailing_zeros() as usize));
            }
            rest -= ones;
            word += 1;
        }
    }

    /// How many levels up to `position`, that one included, are equal.
    ///
    /// # Errors
    /// When the stream ends early, or has no such position, or it was passed.
    pub fn equal_through(&mut self, position: usize) -> Result<usize> {
        if !self.seek(|count, _| position < count)? {
            return Err(ended());
        }
        let place = position.checked_sub(self.before).ok_or_else(ended)?;
        Ok(self.equal_before + self.equal_within(place + 1))
    }

    /// How many levels before `position` are equal; none if the one there is not.
    ///
    /// # Errors
    /// As of [`Levels::equal_through`].
    pub fn ordinal_of(&mut self, position: usize) -> Result<Option<usize>> {
        let through = self.equal_through(position)?;
        let place = position - self.before;
        let is_equal = match self.run {
            Run::Repeated { .. } => self.equal > 0,
            Run::Packed { bytes, .. } => {
                self.equal_bits(bytes, place / 64, place + 1) >> (place % 64) & 1 == 1
            }
        };
        Ok(is_equal.then(|| through - 1))
    }

    /// Goes on to the first run up to whose end `is_far` (levels and equal ones to there); false if there is
    /// none.
    fn seek(&mut self, is_far: impl Fn(usize, usize) -> bool) -> Result<bool> {
        while !is_far(self.before + self.count, self.equal_before + self.equal) {
            if self.left == 0 {
                return Ok(false);
            }
            self.before += self.count;
            self.equal_before += self.equal;
            self.pass_short_runs(&is_far);
            self.run = self.runs.next().ok_or_else(ended)??;
            self.count = self.run.count().min(self.left);
            self.left -= self.count;
            self.equal = self.equal_within(self.count);
        }
        Ok(true)
    }

    /// Passes over runs of few levels of one bit while it is not far yet, and more levels follow.
    fn pass_short_runs(&mut self, is_far: &impl Fn(usize, usize) -> bool) {
        while let Some((levels, count, length)) = self.runs.short_run() {
            let ones = levels.count_ones() as usize;
            let equal = match self.level {
                0 => count - ones,
                1 => ones,
                _ => 0,
            };
            if count >= self.left || is_far(self.before + count, self.equal_before + equal) {
                break;
            }
            self.before += count;
            self.equal_before += equal;
            self.left -= count;
            self.runs.pass(length);
        }
    }

    /// Of the first `count` levels of the run.
    fn equal_within(&self, count: usize) -> usize {
        match self.run {
            Run::Repeated { value, .. } => usize::from(u64::from(value) == self.level) * count,
            Run::Packed { bytes, .. } => {
                let ones = |word| self.equal_bits(bytes, word, count).count_ones() as usize;
                (0..count.div_ceil(64)).map(ones).sum()
            }
        }
    }

    /// A bit for each of the 64 packed levels from `64 * word` on that are below `count`, of which there are
    /// some.
    fn equal_bits(&self, bytes: &[u8], word: usize, count: usize) -> u64 {
        let width = self.runs.width();
        let at = word * 8 * width;
        let count = (count - word * 64).min(64);
        let equal = match (width, self.level) {
            (1, 0) => !load(bytes, at) as u64,
            (1, 1) => load(bytes, at) as u64,
            _ => (0..count.div_ceil(GROUP_VALUES)).fold(0, |equal, group| {
                let levels = load(bytes, at + group * width) as u64;
                let is_equal = |i: usize| levels >> (i * width) & ((1 << width) - 1) == self.level;
                let bits = (0..GROUP_VALUES).fold(0, |bits, i| bits | u64::from(is_equal(i)) << i);
                equal | bits << (group * GROUP_VALUES)
            }),
        };
        equal & (u64::MAX >> (64 - count))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Random, stream};
    use super::*;

    fn positions(levels: &mut Levels<'_>) -> Result<Vec<usize>> {
        (0..).map_while(|ordinal| levels.position_of(ordinal).transpose()).collect()
    }

    /// 0 1 1 0 1 0 0 1, the lowest bit first.
    #[test]
    fn rows_are_counted_in_bits() {
        let levels = || Levels::new(&[0x03, 0x96], 1, 0, 8).expect("one bit");
        assert_eq!(positions(&mut levels()).expect("8 levels"), [0, 3, 5, 6]);
        let mut counted = levels();
        let counts: Vec<usize> = (0..8).map(|i| counted.equal_through(i).expect("8 levels")).collect();
        assert_eq!(counts, [1, 1, 1, 2, 2, 3, 4, 4]);
        assert!(counted.equal_through(8).is_err());
        let mut levels = levels();
        let ordinals: Vec<_> = (0..8).map(|i| levels.ordinal_of(i).expect("8 levels")).collect();
        assert_eq!(ordinals, [Some(0), None, None, Some(1), None, Some(2), Some(3), None]);
    }

    /// 5 times 3, then 3 0 1 3 2 3 3 0 in 2 bits each: 11 01 00 11 and 00 11 11 10, the lowest last.
    #[test]
    fn values_are_found_among_nulls() {
        let bytes = [0x0a, 0x03, 0x03, 0xd3, 0x3e];
        let of = |count| positions(&mut Levels::new(&bytes, 3, 3, count).expect("two bits"));
        assert_eq!(of(13).expect("13 levels"), [0, 1, 2, 3, 4, 5, 8, 10, 11]);
        assert_eq!(of(9).expect("the rest fills up"), [0, 1, 2, 3, 4, 5, 8]);
        assert_eq!(of(3).expect("within a run"), [0, 1, 2]);
        assert_eq!(of(0).expect("none"), Vec::<usize>::new());
        assert!(of(14).is_err(), "there are 13");
        let mut levels = Levels::new(&bytes, 3, 3, 13).expect("two bits");
        assert_eq!(levels.position_of(6).expect("13 levels"), Some(8));
        assert_eq!(levels.ordinal_of(9).expect("13 levels"), None);
        assert!(levels.position_of(0).is_err(), "it was passed");
        assert!(levels.equal_through(0).is_err(), "it was passed");
    }

    #[test]
    fn levels_of_any_runs_are_counted() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let level_max = 1 + random.below(5) as i16;
            let some: Vec<u32> = (0..=level_max as u32).collect();
            let width = [1, 2, 2, 3, 3][level_max as usize - 1];
            let (bytes, values) = stream(&mut random, width, &some);
            let level = random.below(level_max as u64 + 1) as u32;
            let levels = || Levels::new(&bytes, level_max, level as i16, values.len()).expect("few bits");
            let want: Vec<usize> = (0..values.len()).filter(|i| values[*i] == level).collect();
            assert_eq!(positions(&mut levels()).expect("a whole stream"), want, "seed {seed}");
            let mut counted = levels();
            for i in (0..values.len()).filter(|_| random.below(3) == 0) {
                let count = values[..=i].iter().filter(|value| **value == level).count();
                assert_eq!(counted.equal_through(i).expect("a whole stream"), count, "seed {seed}, {i}");
                let ordinal = (values[i] == level).then(|| count - 1);
                assert_eq!(counted.ordinal_of(i).expect("a whole stream"), ordinal, "seed {seed}, {i}");
            }
        }
    }

    #[test]
    fn levels_that_are_not_written_are_all_0() {
        let levels = |level| Levels::new(&[], 0, level, 3).expect("no bits");
        assert_eq!(positions(&mut levels(0)).expect("3 levels"), [0, 1, 2]);
        assert_eq!(levels(0).equal_through(2).expect("3 levels"), 3);
        assert!(levels(0).equal_through(3).is_err(), "there are 3");
        assert_eq!(positions(&mut levels(1)).expect("3 levels"), Vec::<usize>::new());
    }

    #[test]
    fn wide_levels_are_refused() {
        assert!(Levels::new(&[], 255, 0, 0).is_ok());
        assert!(Levels::new(&[], 256, 0, 0).is_err());
    }
}

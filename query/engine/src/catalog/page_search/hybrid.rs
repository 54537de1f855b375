//! Searches Parquet's hybrid of run lengths and packed bits for given values, without unpacking the rest.
//!
//! Dictionary indices are written so, and levels, which `levels` counts. The decoders of the `parquet` crate
//! write each value to memory; a search wants to know of a few only, so that repeated values are looked at
//! once, and packed ones are compared eight at a time as they lie.
//!
//! ```text
//!   stream    runs up to the end
//!   run       header, ULEB128; then by its lowest bit, with n the other bits:
//!     0       one value in ceil(width / 8) bytes, little-endian, that stands n times
//!     1       n groups of 8 values, `width` bits each, from the lowest bit of the first byte on
//! ```
//! Source: Apache Parquet format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".
//!
//! Limits: values of up to 32 bits; of more than four at once each is looked up by itself, at a tenth of the
//! speed. A run that is cut off is an error, as is any other stream that ends early; bytes of any kind end in
//! a result or an error.

use std::ops::Range;

use datafusion::parquet::errors::{ParquetError, Result};

/// The widest values: the format's are of 32 bits at most.
const WIDTH_MAX: usize = 32;

/// Values that lie together in packed runs.
pub const GROUP_VALUES: usize = 8;

/// The values that are searched, and what each stands for.
#[derive(Debug, Default)]
pub struct Needles {
    /// Each value once, in ascending order, with a number for the caller.
    numbers: Vec<(u32, u32)>,
    /// One bit for each value up to the greatest.
    is_needle: Vec<u64>,
}

impl Needles {
    /// `numbers` are of ascending values.
    pub fn new(numbers: Vec<(u32, u32)>) -> Self {
        let words = numbers.last().map_or(0, |(greatest, _)| *greatest as usize / 64 + 1);
        let mut is_needle = vec![0_u64; words];
        for (value, _) in &numbers {
            is_needle[*value as usize / 64] |= 1 << (value % 64);
        }
        Needles { numbers, is_needle }
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// None for a value that is not searched.
    pub fn number_of(&self, value: u32) -> Option<u32> {
        let word = self.is_needle.get(value as usize / 64)?;
        (word >> (value % 64) & 1 == 1).then_some(())?;
        let place = self.numbers.binary_search_by_key(&value, |(value, _)| *value).ok()?;
        Some(self.numbers[place].1)
    }
}

/// Values that follow one another and are the same needle, by their ordinals in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub ordinals: Range<usize>,
    pub number: u32,
}

/// Where `needles` are among the first `count` values of `stream`, in ascending order. The stream may have
/// fewer values; then the rest matches nothing.
///
/// # Errors
/// When the stream is not as drawn above; trying again cannot help.
pub fn find(stream: &[u8], width: usize, count: usize, needles: &Needles) -> Result<Vec<Match>> {
    let runs = Runs::new(stream, width)?;
    let packed = Packed::new(needles, width);
    let mut found = Vec::new();
    let mut first = 0;
    for run in runs {
        if first >= count {
            break;
        }
        let run = run?;
        let end = first.saturating_add(run.count()).min(count);
        match run {
            Run::Repeated { value, .. } => {
                let number = needles.number_of(value);
                found.extend(number.map(|number| Match { ordinals: first..end, number }));
            }
            Run::Packed { bytes, groups } => {
                packed.find(bytes, groups, first, &mut found);
                // The last group is filled up with zeros.
                while found.last().is_some_and(|last| last.ordinals.start >= end) {
                    found.pop();
                }
            }
        }
        first = end;
    }
    Ok(found)
}

/// A comparison of packed values, all that lie in one word at once, with each needle.
struct Packed<'a> {
    needles: &'a Needles,
    width: usize,
    /// The lowest bit of each value of a word: of 8, or of 4 when they are wider than 16 bits.
    lows: u128,
    /// Needles that values can be equal to, each in all values of a word.
    patterns: Vec<u128>,
}

impl<'a> Packed<'a> {
    fn new(needles: &'a Needles, width: usize) -> Self {
        let values = if width <= 16 { GROUP_VALUES } else { GROUP_VALUES / 2 };
        let lows = (0..values).fold(0, |lows, i| lows | 1 << (i * width));
        let needle = needles.numbers.iter().map(|(value, _)| u128::from(*value));
        // A dictionary goes on growing after a page, whose indices are as wide as it needs them.
        let patterns = needle.filter(|value| value >> width == 0).map(|value| value * lows).collect();
        Packed { needles, width, lows, patterns }
    }

    /// Searches `groups` groups at the start of `bytes`; the ordinal of the first value is `first`.
    fn find(&self, bytes: &[u8], groups: usize, first: usize, found: &mut Vec<Match>) {
        match (self.width <= 16, &self.patterns[..]) {
            (_, []) => {}
            (true, &[one]) => self.compare::<1, 1>([one], bytes, groups, first, found),
            (false, &[one]) => self.compare::<2, 1>([one], bytes, groups, first, found),
            (true, few) => self.compare::<1, 4>(padded(few), bytes, groups, first, found),
            (false, few) => self.compare::<2, 4>(padded(few), bytes, groups, first, found),
        }
    }

    /// Compares each group, which is `WORDS` words, with `patterns`, and looks at the values of those that
    /// have one.
    fn compare<const WORDS: usize, const PATTERNS: usize>(
        &self,
        patterns: [u128; PATTERNS],
        bytes: &[u8],
        groups: usize,
        first: usize,
        found: &mut Vec<Match>,
    ) {
        let (width, lows, values) = (self.width, self.lows, GROUP_VALUES / WORDS);
        let highs = lows << (width - 1);
        let used = highs | (highs - lows);
        let is_all_looked_at = self.patterns.len() > PATTERNS;
        for group in 0..groups {
            let words: [u128; WORDS] = std::array::from_fn(|word| {
                let bit = word * values * width;
                load(bytes, group * width + bit / 8) >> (bit % 8) & used
            });
            let mut hits = u128::from(is_all_looked_at);
            for word in words {
                for pattern in patterns {
                    // A value that is equal is 0 now, and only below such a one a borrow begins: the highest
                    // bit is set by it, and was not set before.
                    let difference = word ^ pattern;
                    hits |= difference.wrapping_sub(lows) & !difference & highs;
                }
            }
            if hits != 0 {
                self.look_at(&words, first + group * GROUP_VALUES, found);
            }
        }
    }

    fn look_at(&self, words: &[u128], first: usize, found: &mut Vec<Match>) {
        let values = GROUP_VALUES / words.len();
        for i in 0..GROUP_VALUES {
            // Of at most 32 bits.
            let value = (words[i / values] >> (i % values * self.width) & ((1 << self.width) - 1)) as u32;
            let number = self.needles.number_of(value);
            found.extend(number.map(|number| Match { ordinals: first + i..first + i + 1, number }));
        }
    }
}

/// The first patterns, and the first one again for each that is missing.
fn padded<const COUNT: usize>(patterns: &[u128]) -> [u128; COUNT] {
    std::array::from_fn(|i| patterns.get(i).copied().unwrap_or(patterns[0]))
}

/// Values of a stream by their ordinals, asked for from front to back.
#[derive(Debug)]
pub struct Values<'a> {
    runs: Runs<'a>,
    run: Run<'a>,
    /// Values before the run.
    before: usize,
}

impl<'a> Values<'a> {
    /// # Errors
    /// For values that are wider than any in the format.
    pub fn new(stream: &'a [u8], width: usize) -> Result<Self> {
        Ok(Values { runs: Runs::new(stream, width)?, run: Run::NONE, before: 0 })
    }

    /// # Errors
    /// When the stream has no such value, or none that was not passed.
    pub fn at(&mut self, ordinal: usize) -> Result<u32> {
        while ordinal - self.before.min(ordinal) >= self.run.count() {
            self.before = self.before.saturating_add(self.run.count());
            self.run = self.runs.next().ok_or_else(ended)??;
        }
        let place = ordinal.checked_sub(self.before).ok_or_else(ended)?;
        match self.run {
            Run::Repeated { value, .. } => Ok(value),
            Run::Packed { bytes, .. } => {
                let width = self.runs.width;
                let bit = place * width;
                // Of at most 32 bits.
                Ok((load(bytes, bit / 8) >> (bit % 8) & ((1 << width) - 1)) as u32)
            }
        }
    }
}

/// Values that follow one another in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    Repeated {
        value: u32,
        count: usize,
    },
    /// The bytes begin with those of the groups, and go on to the end of the stream.
    Packed {
        bytes: &'a [u8],
        groups: usize,
    },
}

impl Run<'_> {
    pub const NONE: Self = Run::Repeated { value: 0, count: 0 };

    pub fn count(&self) -> usize {
        match self {
            Run::Repeated { count, .. } => *count,
            Run::Packed { groups, .. } => groups * GROUP_VALUES,
        }
    }
}

/// The runs of a stream, as drawn above.
#[derive(Debug)]
pub struct Runs<'a> {
    rest: &'a [u8],
    width: usize,
}

impl<'a> Runs<'a> {
    /// # Errors
    /// For values that are wider than any we search.
    pub fn new(stream: &'a [u8], width: usize) -> Result<Self> {
        if width > WIDTH_MAX {
            return Err(ParquetError::General(format!("values of {width} bits")));
        }
        Ok(Runs { rest: stream, width })
    }

    /// Bits of a value.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The next run, if it is of 1 to 64 values of one bit and not the last: the values from the lowest bit
    /// on, how many they are, and the run's length for [`Runs::pass`]. Takes no branch on the kind of run,
    /// because in repetition levels the kinds change in ways that no processor foretells.
    #[inline]
    pub fn short_run(&self) -> Option<(u64, usize, usize)> {
        let (header, values) = self.rest.first_chunk::<9>()?.split_first()?;
        let (n, is_packed) = (usize::from(header >> 1), header & 1 == 1);
        let count = if is_packed { n * GROUP_VALUES } else { n };
        let is_short = self.width == 1 && *header < 0x80 && (1..=64).contains(&count);
        let packed = u64::from_le_bytes(*values.first_chunk()?);
        let repeated = 0_u64.wrapping_sub(packed & 1);
        let values = if is_packed { packed } else { repeated } & (u64::MAX >> (64 - count.clamp(1, 64)));
        is_short.then_some((values, count, if is_packed { 1 + n } else { 2 }))
    }

    /// Passes over a run of that length in bytes.
    #[inline]
    pub fn pass(&mut self, length: usize) {
        self.rest = &self.rest[length..];
    }

    #[inline]
    fn run(&mut self) -> Result<Run<'a>> {
        let header = self.header()?;
        let n = (header >> 1) as usize;
        let is_packed = header & 1 == 1;
        let length = if is_packed { n * self.width } else { self.width.div_ceil(8) };
        let bytes = self.rest;
        self.rest = bytes.get(length..).ok_or_else(ended)?;
        match (is_packed, self.width) {
            // Values without bits are all 0, and a packed run of them has no bytes either.
            (true, 0) => Ok(Run::Repeated { value: 0, count: n * GROUP_VALUES }),
            (true, _) => Ok(Run::Packed { bytes, groups: n }),
            (false, _) => {
                let value = bytes[..length].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
                Ok(Run::Repeated { value, count: n })
            }
        }
    }

    /// Of up to five bytes, as of any number of 32 bits.
    #[inline]
    fn header(&mut self) -> Result<u64> {
        let mut header = 0;
        for shift in (0..35).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(ended)?;
            self.rest = rest;
            header |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(header);
            }
        }
        Err(ParquetError::General("the header of a run does not end".to_owned()))
    }
}

impl<'a> Iterator for Runs<'a> {
    type Item = Result<Run<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.run())
    }
}

/// 16 bytes from `at` on, the first one lowest; those behind the end are 0.
pub fn load(bytes: &[u8], at: usize) -> u128 {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some(all) => u128::from_le_bytes(*all),
        None => {
            let rest = bytes.get(at..).unwrap_or_default();
            rest.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte))
        }
    }
}

/// The error of a stream that is too short.
pub fn ended() -> ParquetError {
    ParquetError::EOF("a run is cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Random, stream};
    use super::*;

    /// The ordinals of `values` among the first `count` of `stream`.
    fn ordinals(bytes: &[u8], width: usize, count: usize, values: &[u32]) -> Result<Vec<usize>> {
        let needles = Needles::new(values.iter().map(|value| (*value, *value)).collect());
        Ok(find(bytes, width, count, &needles)?.into_iter().flat_map(|found| found.ordinals).collect())
    }

    /// The first vector is the one of Encodings.md; the others are packed by hand, the lowest bits first.
    #[test]
    fn values_are_found_in_streams_packed_by_hand() {
        let check = |bytes: &[u8], width: usize, value: u32, want: &[usize]| {
            let found = ordinals(bytes, width, 1_000, &[value]).expect("whole streams");
            assert_eq!(found, want, "{value} of {width} bits in {bytes:02x?}");
        };
        // 0 to 7 in 3 bits each: 10001000 11000110 11111010.
        for value in 0..8 {
            check(&[0x03, 0x88, 0xc6, 0xfa], 3, value, &[value as usize]);
        }
        // 5 times 6, then 200 = 0xc8 times 1: 400 is 0x90 0x03 as ULEB128.
        check(&[0x0a, 0x06, 0x90, 0x03, 0x01], 3, 6, &[0, 1, 2, 3, 4]);
        check(&[0x0a, 0x06, 0x90, 0x03, 0x01], 3, 1, &(5..205).collect::<Vec<_>>());
        // No bits at all: 5 zeros, then a group of 8.
        check(&[0x0a, 0x03], 0, 0, &(0..13).collect::<Vec<_>>());
        check(&[0x0a, 0x03], 0, 1, &[]);
        // 1 0 1 0 0 0 0 1.
        check(&[0x03, 0x85], 1, 1, &[0, 2, 7]);
        check(&[0x03, 0x85], 1, 0, &[1, 3, 4, 5, 6]);
        check(&[0x03, 7, 8, 9, 7, 0, 255, 1, 7], 8, 7, &[0, 3, 7]);
        check(&[0x03, 7, 8, 9, 7, 0, 255, 1, 7], 8, 255, &[5]);
        // 511 is nine ones; the last value, 256, has its only bit at 7 * 9 + 8 = 71.
        check(&[0x03, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0x80], 9, 511, &[0]);
        check(&[0x03, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0x80], 9, 256, &[7]);
        // 0x123abc is 0xabc, then 0x123.
        let twelve = [0x03, 0xbc, 0x3a, 0x12, 0xbc, 0x3a, 0x12, 0, 0, 0, 0xbc, 0x3a, 0x12];
        check(&twelve, 12, 0xabc, &[0, 2, 6]);
        check(&twelve, 12, 0x123, &[1, 3, 7]);
        // 0xabcde12345 is 0x12345, then 0xabcde.
        let twenty = [0x45, 0x23, 0xe1, 0xcd, 0xab];
        let twenty = [&[0x03][..], &twenty, &[0; 10], &twenty, &[0x06, 0xde, 0xbc, 0x0a]].concat();
        check(&twenty, 20, 0x12345, &[0, 6]);
        check(&twenty, 20, 0xabcde, &[1, 7, 8, 9, 10]);
        check(&[], 5, 0, &[]);
    }

    /// Streams of all widths, runs of both kinds mixed, one value searched or many: the same as looking at
    /// each value.
    #[test]
    fn values_are_found_in_streams_of_any_width() {
        for seed in 0..300 {
            let mut random = Random(seed);
            let width = seed as usize % (WIDTH_MAX + 1);
            let greatest = (1_u64 << width) - 1;
            let some: Vec<u32> = (0..6).map(|_| random.below(greatest + 1) as u32).collect();
            let (bytes, values) = stream(&mut random, width, &some);
            let mut searched = some[..if seed % 2 == 0 { 1 } else { 6 }].to_vec();
            // A dictionary goes on growing after a page: wider values may be searched in it.
            searched.extend([(greatest + 1) as u32, u32::MAX]);
            searched.sort_unstable();
            searched.dedup();
            let count = random.below(values.len() as u64 + 1) as usize;
            let want: Vec<usize> = (0..count).filter(|i| searched.contains(&values[*i])).collect();
            assert_eq!(
                ordinals(&bytes, width, count, &searched).expect("whole streams"),
                want,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn numbers_are_those_of_the_value() {
        let needles = Needles::new(vec![(1, 40), (3, 50)]);
        let found = find(&[0x03, 0x88, 0xc6, 0xfa, 0x04, 0x03], 3, 10, &needles).expect("a whole stream");
        let found: Vec<_> = found.into_iter().map(|found| (found.ordinals, found.number)).collect();
        assert_eq!(found, [(1..2, 40), (3..4, 50), (8..10, 50)]);
        assert_eq!(
            [0, 1, 2, 3, 4, u32::MAX].map(|value| needles.number_of(value)),
            [None, Some(40), None, Some(50), None, None]
        );
    }

    #[test]
    fn values_are_read_by_their_ordinals() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let width = seed as usize % (WIDTH_MAX + 1);
            let some: Vec<u32> = (0..9).map(|_| random.below(1 << width) as u32).collect();
            let (bytes, values) = stream(&mut random, width, &some);
            let mut read = Values::new(&bytes, width).expect("few bits");
            for i in (0..values.len()).filter(|_| random.below(4) == 0) {
                assert_eq!(read.at(i).expect("a whole stream"), values[i], "seed {seed}, {i}");
                assert_eq!(read.at(i).expect("the same again"), values[i], "seed {seed}, {i}");
            }
            assert!(read.at(values.len()).is_err(), "there are no more");
        }
        let mut read = Values::new(&[0x04, 0x01, 0x04, 0x02], 2).expect("two bits");
        assert_eq!(read.at(3).expect("1 1 2 2"), 2);
        assert!(read.at(1).is_err(), "it was passed");
    }

    /// What is found before the cut may be told, and nothing else.
    #[test]
    fn a_stream_that_is_cut_off_ends_in_an_error_or_early() {
        for seed in 0..30 {
            let mut random = Random(seed);
            let width = seed as usize;
            let (bytes, values) = stream(&mut random, width, &[0, u32::from(width > 0)]);
            let whole = ordinals(&bytes, width, values.len(), &[0]).expect("a whole stream");
            for end in 0..bytes.len() {
                if let Ok(found) = ordinals(&bytes[..end], width, values.len(), &[0]) {
                    assert!(whole.starts_with(&found), "seed {seed}, {end} bytes");
                }
            }
        }
    }

    #[test]
    fn any_bytes_end_in_a_result_or_an_error() {
        let mut random = Random(7);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.below(40)).map(|_| random.below(256) as u8).collect();
            let _ = ordinals(
                &bytes,
                [3, 9, 20, 32, 255][random.below(5) as usize],
                random.below(100) as usize,
                &[0, 1],
            );
        }
        assert!(ordinals(&[0x80; 9], 3, 9, &[0]).is_err(), "a header without end");
        assert!(ordinals(&[0x03], WIDTH_MAX + 1, 8, &[0]).is_err(), "too wide");
        // 2^34 - 1 times, which is more than anybody asks for.
        assert_eq!(ordinals(&[0xfe, 0xff, 0xff, 0xff, 0x7f, 1], 1, 3, &[1]).expect("capped"), [0, 1, 2]);
    }
}

//! Filters over the attributes of a file's rows: which runs of rows may hold an entry.
//!
//! A search for `attributes['key'] = 'value'` finds nothing in the statistics of columns, because an entry lies
//! inside a map. Bloom filters of Parquet would cover all keys or all values of a row group, never the pair,
//! so we keep our own, over pairs. One filter stands for [`RUN_ROWS`] rows, counted from the start of the file:
//!
//! ```text
//!   offset     bytes
//!   0          4           count of runs, n
//!   4          4 * n       blocks of each run's filter; 0: no entries, 2^32 - 1: too many, all may match
//!   4 + 4n     32 * sum    the filters, run after run; a block is 8 words of 4 bytes
//!   end - 4    4           CRC-32C of all bytes before
//! ```
//! All numbers are little-endian. A filter is the split-block Bloom filter of the Parquet format (Bloom Filter,
//! "Technical Approach") over xxh3-64 of key, a zero byte, value.
//!
//! Limits: a filter answers for exact values only, and about one in a hundred absent values seems present.
//! It costs 10 bits for each distinct entry of a run: a value that every row has anew costs 1.25 bytes a row.

use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, AsArray, MapArray, StringArray};
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

/// The footer key of a file that says where its filters are.
pub const FOOTER_KEY: &str = "meshlake.attribute_filter";

/// Rows that share a filter. Smaller runs repeat common entries more often, larger ones make a rare hit dearer:
/// this many spans decode in some tens of milliseconds.
pub const RUN_ROWS: usize = 65_536;

/// Distinct entries of a run beyond which it gets no filter: four new values a row, 5 bytes a row. Bounds what
/// a writer holds, 320 KiB a run, and keeps filters small beside the data.
const RUN_ENTRIES_MAX: usize = 4 * RUN_ROWS;

const VERSION: &str = "1";
const BLOCK_BYTES: usize = 32;
const BLOCK_BITS: usize = 8 * BLOCK_BYTES;

/// The formula of the Parquet format, -8 / ln(1 - 0.01^(1/8)), gives 9.68 for one false positive in a hundred.
const BITS_PER_ENTRY: usize = 10;

/// In place of a count of blocks: the run has too many entries.
const UNFILTERED: u32 = u32::MAX;

/// Source: Parquet format, Bloom Filter, "Technical Approach".
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The hash by which the entry `key` = `value` is filtered.
pub fn entry_hash(key: &str, value: &str) -> u64 {
    hash_with(&mut Vec::new(), key, value)
}

fn hash_with(entry: &mut Vec<u8>, key: &str, value: &str) -> u64 {
    entry.clear();
    entry.extend_from_slice(key.as_bytes());
    entry.push(0);
    entry.extend_from_slice(value.as_bytes());
    xxh3_64(entry)
}

/// The value of [`FOOTER_KEY`] for filters of `length` bytes at `offset` of the file.
pub fn footer_value(offset: u64, length: u64) -> String {
    format!("{VERSION}:{offset}:{length}")
}

/// Offset and length in bytes, as [`footer_value`] wrote them; none for another version or damaged text.
pub fn parse_footer_value(value: &str) -> Option<(u64, u64)> {
    let (offset, length) = value.strip_prefix(VERSION)?.strip_prefix(':')?.split_once(':')?;
    Some((offset.parse().ok()?, length.parse().ok()?))
}

/// Collects the entries of rows, in the order of the file.
#[derive(Debug, Default)]
pub struct AttributeFilterBuilder {
    /// Of the runs that are complete.
    block_counts: Vec<u32>,
    blocks: Vec<u8>,
    /// Of the run under way: its rows so far, and the hashes of its entries.
    run_rows: usize,
    run_entries: HashSet<u64, BuildHasherDefault<AsIs>>,
    /// Kept to be used again.
    entry: Vec<u8>,
}

impl AttributeFilterBuilder {
    /// Adds the next rows' `attributes`. A column of another type, which no table of ours has, leaves its rows
    /// unfiltered.
    pub fn push(&mut self, attributes: &dyn Array) {
        let entries = attributes.as_map_opt().and_then(Entries::new);
        let mut row = 0;
        while row < attributes.len() {
            let end = attributes.len().min(row + RUN_ROWS - self.run_rows);
            match &entries {
                Some(entries) => self.push_entries(entries, row, end),
                None => self.overflow(),
            }
            self.run_rows += end - row;
            row = end;
            if self.run_rows == RUN_ROWS {
                self.end_run();
            }
        }
    }

    /// The filters of all rows pushed, as drawn above.
    pub fn finish(mut self) -> Vec<u8> {
        if self.run_rows > 0 {
            self.end_run();
        }
        let runs = u32::try_from(self.block_counts.len()).expect("a file has fewer than 2^48 rows");
        let mut bytes = runs.to_le_bytes().to_vec();
        bytes.extend(self.block_counts.iter().flat_map(|count| count.to_le_bytes()));
        bytes.extend_from_slice(&self.blocks);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn push_entries(&mut self, entries: &Entries, row: usize, end: usize) {
        for (key, value) in entries.of_rows(row, end) {
            if self.run_entries.len() > RUN_ENTRIES_MAX {
                return;
            }
            self.run_entries.insert(hash_with(&mut self.entry, key, value));
        }
    }

    /// Makes the run under way one of too many entries.
    fn overflow(&mut self) {
        self.run_entries.extend(0..=RUN_ENTRIES_MAX as u64);
    }

    fn end_run(&mut self) {
        self.run_rows = 0;
        if self.run_entries.len() > RUN_ENTRIES_MAX {
            self.run_entries.clear();
            return self.block_counts.push(UNFILTERED);
        }
        let count = (self.run_entries.len() * BITS_PER_ENTRY).div_ceil(BLOCK_BITS);
        let mut blocks = vec![[0_u32; 8]; count];
        for hash in self.run_entries.drain() {
            let block = &mut blocks[block_of(hash, count)];
            for (word, bit) in block.iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
        }
        self.block_counts.push(u32::try_from(count).expect("a run has at most 2^18 entries"));
        self.blocks.extend(blocks.as_flattened().iter().flat_map(|word| word.to_le_bytes()));
    }
}

/// Takes a number for its own hash: those of [`entry_hash`] are spread already.
#[derive(Debug, Clone, Copy, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The filters of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeFilter {
    /// Per run: where its blocks begin in `blocks`, and how many there are.
    runs: Vec<(usize, u32)>,
    blocks: Vec<u8>,
}

impl AttributeFilter {
    /// None for bytes that are not whole.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (run_count, rest) = content.split_first_chunk::<4>()?;
        let run_count = u32::from_le_bytes(*run_count) as usize;
        let (counts, blocks) = rest.split_at_checked(run_count.checked_mul(4)?)?;
        let mut start = 0_usize;
        let mut runs = Vec::with_capacity(run_count);
        for count in counts.as_chunks::<4>().0 {
            let count = u32::from_le_bytes(*count);
            runs.push((start, count));
            if count != UNFILTERED {
                start = start.checked_add(count as usize * BLOCK_BYTES)?;
            }
        }
        (start == blocks.len()).then(|| AttributeFilter { runs, blocks: blocks.to_vec() })
    }

    /// Runs of [`RUN_ROWS`] rows, the last of which may be shorter.
    pub fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Bytes that the filters take in memory.
    pub fn size_bytes(&self) -> usize {
        self.blocks.len() + self.runs.len() * size_of::<(usize, u32)>()
    }

    /// Whether rows of `run` may hold the entry of [`entry_hash`] `hash`.
    ///
    /// # Panics
    /// When there is no such run.
    pub fn may_hold(&self, run: usize, hash: u64) -> bool {
        let (start, count) = self.runs[run];
        match count {
            0 => return false,
            UNFILTERED => return true,
            _ => {}
        }
        let block = start + block_of(hash, count as usize) * BLOCK_BYTES;
        let words = self.blocks[block..block + BLOCK_BYTES].as_chunks::<4>().0;
        words.iter().zip(bits(hash)).all(|(word, bit)| u32::from_le_bytes(*word) & bit != 0)
    }
}

/// The block of a filter of `count` blocks that the upper half of `hash` falls into.
fn block_of(hash: u64, count: usize) -> usize {
    (((hash >> 32) * count as u64) >> 32) as usize
}

/// One bit for each word of the block, from the lower half of `hash`.
fn bits(hash: u64) -> [u32; 8] {
    SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

/// Keys and values of a map column, as text.
struct Entries<'a> {
    keys: &'a StringArray,
    values: &'a StringArray,
    /// Of each row's first entry, and one behind the last.
    offsets: &'a [i32],
}

impl<'a> Entries<'a> {
    fn new(map: &'a MapArray) -> Option<Self> {
        let (keys, values) = (map.keys().as_string_opt()?, map.values().as_string_opt()?);
        Some(Entries { keys, values, offsets: map.value_offsets() })
    }

    /// The entries of the rows `row..end`; a null value is none, because nothing equals it.
    fn of_rows(&self, row: usize, end: usize) -> impl Iterator<Item = (&'a str, &'a str)> {
        let (keys, values) = (self.keys, self.values);
        let range = self.offsets[row] as usize..self.offsets[end] as usize;
        range.filter(move |i| values.is_valid(*i)).map(move |i| (keys.value(i), values.value(i)))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{MapBuilder, NullArray, StringBuilder};
    use arrow::compute::cast;
    use arrow::datatypes::DataType;

    use super::*;

    /// Row `i` has the entries that `entries` gives for it.
    fn map(rows: usize, entries: impl Fn(usize) -> Vec<(String, String)>) -> MapArray {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in 0..rows {
            for (key, value) in entries(row) {
                map.keys().append_value(key);
                map.values().append_value(value);
            }
            map.append(true).expect("keys and values are of one length");
        }
        map.finish()
    }

    fn filter_of(slices: &[&dyn Array]) -> AttributeFilter {
        let mut builder = AttributeFilterBuilder::default();
        slices.iter().for_each(|slice| builder.push(*slice));
        AttributeFilter::parse(&builder.finish()).expect("whole bytes")
    }

    fn runs_of(filter: &AttributeFilter, key: &str, value: &str) -> Vec<usize> {
        (0..filter.run_count()).filter(|run| filter.may_hold(*run, entry_hash(key, value))).collect()
    }

    /// However rows are cut into slices, each entry is found in its run; of entries that are nowhere, some
    /// 1 in 100 seems to be there.
    #[test]
    fn an_entry_is_found_in_its_run_and_hardly_elsewhere() {
        let rows = 2 * RUN_ROWS + 1;
        let entry = |row: usize| vec![("id".to_owned(), format!("{row}"))];
        let all = map(rows, entry);
        let slices: Vec<MapArray> =
            (0..rows).step_by(16_384).map(|row| all.slice(row, 16_384.min(rows - row))).collect();
        let slices: Vec<&dyn Array> = slices.iter().map(|slice| slice as &dyn Array).collect();
        let filter = filter_of(&slices);
        assert_eq!(filter.run_count(), 3);
        for row in 0..rows {
            let hash = entry_hash("id", &row.to_string());
            assert!(filter.may_hold(row / RUN_ROWS, hash), "row {row}");
        }
        let is_false = |row: &usize| filter.may_hold(0, entry_hash("other", &row.to_string()));
        let false_positives = (0..RUN_ROWS).filter(is_false).count();
        // 1 % of 65,536 is 655; the formula leaves out that blocks are not filled evenly.
        assert!((300..1_000).contains(&false_positives), "{false_positives} of {RUN_ROWS}");
        assert_eq!(filter, filter_of(&[&all]));
    }

    #[test]
    fn a_run_of_too_many_entries_may_hold_anything() {
        let per_row = RUN_ENTRIES_MAX / RUN_ROWS;
        let many = |row: usize| (0..per_row).map(|i| (format!("k{i}"), row.to_string())).collect::<Vec<_>>();
        let at_limit = map(RUN_ROWS, many);
        assert_eq!(runs_of(&filter_of(&[&at_limit]), "absent", "1"), Vec::<usize>::new());
        let above = map(RUN_ROWS, |row| {
            let one_more = (row == 0).then(|| ("more".to_owned(), String::new()));
            many(row).into_iter().chain(one_more).collect()
        });
        let rest = map(1, |_| vec![("k".to_owned(), "v".to_owned())]);
        let filter = filter_of(&[&above, &rest]);
        assert_eq!(runs_of(&filter, "absent", "1"), [0]);
        assert_eq!(runs_of(&filter, "k", "v"), [0, 1]);
    }

    #[test]
    fn rows_without_entries_hold_nothing_and_other_columns_anything() {
        assert_eq!(runs_of(&filter_of(&[&map(2, |_| Vec::new())]), "k", "v"), Vec::<usize>::new());
        assert_eq!(runs_of(&filter_of(&[&NullArray::new(2)]), "k", "v"), [0]);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let texts = cast(map(2, |_| vec![("k".to_owned(), "v".to_owned())]).values(), &dictionary);
        assert_eq!(runs_of(&filter_of(&[&texts.expect("text")]), "k", "w"), [0]);
    }

    /// The bits of hash 1 are the salts' upper five bits, by hand: 0x47b6137b >> 27 = 8, 0x44974d91 >> 27 = 8,
    /// 0x8824ad5b >> 27 = 17, 0xa2b7289d >> 27 = 20, 0x705495c7 >> 27 = 14, 0x2df1424b >> 27 = 5,
    /// 0x9efc4947 >> 27 = 19, 0x5c6bfb31 >> 27 = 11.
    #[test]
    fn bits_are_those_of_the_parquet_format() {
        assert_eq!(bits(1).map(u32::trailing_zeros), [8, 8, 17, 20, 14, 5, 19, 11]);
        assert_eq!(block_of(0x8000_0000_0000_0000, 10), 5);
        assert_eq!(block_of(u64::MAX, 10), 9);
    }

    #[test]
    fn damage_is_no_filter() {
        let mut builder = AttributeFilterBuilder::default();
        builder.push(&map(3, |row| vec![("k".to_owned(), row.to_string())]));
        let bytes = builder.finish();
        // One run, one block: 4 + 4 + 32 + 4.
        assert_eq!(bytes.len(), 44);
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1;
            assert_eq!(AttributeFilter::parse(&damaged), None, "byte {i}");
            assert_eq!(AttributeFilter::parse(&bytes[..i]), None, "{i} bytes");
        }
    }

    #[test]
    fn the_footer_says_where_the_filters_are() {
        assert_eq!(parse_footer_value(&footer_value(4, 44)), Some((4, 44)));
        for other in ["", "1", "2:4:44", "11:4:44", "1:4", "1:4:", "1:-4:44", "1:4:44:"] {
            assert_eq!(parse_footer_value(other), None, "{other}");
        }
    }
}

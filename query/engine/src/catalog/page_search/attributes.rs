//! Finds the rows of one row group that have wanted attributes, in the pages of its keys and values.
//!
//! Values are searched first, because a value says more than a key; the keys of the entries found are then
//! looked up one by one, page by page, so that little is held. Both columns have an entry at the same place,
//! whatever pages they are cut into: the n-th of its row.
//!
//! A row that has a key twice has the value of the first one, as the engine sees it, so the rows found are
//! exactly those that it would find.
//!
//! Limits: a page with matches must begin with a row, as the format asks for where an offset index is.
//! Anything unexpected is an error, and the caller then reads all rows.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::parquet::basic::Type;
use datafusion::parquet::column::page::{Page, PageReader};
use datafusion::parquet::errors::Result;
use datafusion::parquet::schema::types::SchemaDescriptor;

use super::super::attribute_access::ATTRIBUTES_COLUMN;
use super::hybrid::Match;
use super::ids::asks;
use super::levels::Levels;
use super::page::{Column, DataPage, Numbers, unexpected};
use super::wanted::Wanted;

/// The columns of keys and values among the leaves of a file, the two that a map has.
pub fn leaves(schema: &SchemaDescriptor) -> Option<[usize; 2]> {
    let is_attribute = |leaf: &usize| schema.column(*leaf).path().parts()[0] == ATTRIBUTES_COLUMN;
    let leaves: Vec<usize> = (0..schema.num_columns()).filter(is_attribute).collect();
    let leaves = <[usize; 2]>::try_from(leaves).ok()?;
    let is_text = |leaf: usize| schema.column(leaf).physical_type() == Type::BYTE_ARRAY;
    leaves.into_iter().all(is_text).then_some(leaves)
}

/// What to search in a row group, and when to give up.
pub struct Search<'a> {
    pub wanted: &'a Wanted,
    /// Rows of the row group in ascending ranges; others are not looked for.
    pub asked: &'a [Range<usize>],
    /// Of the row group.
    pub row_count: usize,
    /// Rows found beyond which it is not worth going on.
    pub found_max: usize,
    /// Set when others gave up.
    pub is_over: &'a AtomicBool,
}

impl Search<'_> {
    /// The asked rows that have attributes of all conjuncts, in ascending order; none when it gave up.
    ///
    /// # Errors
    /// When the pages are damaged or of a kind that is not understood; trying again cannot help.
    pub fn rows<P: PageReader, Q: PageReader>(
        &self,
        mut values: Column<'_, P>,
        keys: Column<'_, Q>,
    ) -> Result<Option<Vec<usize>>> {
        if !values.has_entries() || !keys.has_entries() {
            return unexpected("not the columns of a map");
        }
        let mut keys = Keys { column: keys, page: None };
        let mut found = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) && found.len() <= self.found_max {
            let Some((page, rows)) = values.next(|rows| asks(self.asked, rows))? else {
                if values.next_row != self.row_count {
                    // Rows that were not looked at would be missed.
                    return unexpected("rows are missing");
                }
                return Ok(Some(found));
            };
            let page = values.view(&page)?;
            let matches = values.matches(&page)?;
            if !matches.is_empty() {
                let entries = self.entries(&page, &rows, &matches)?;
                let content = keys.content(self.wanted, &page, &rows, &entries)?;
                found.extend(self.content_rows(&entries, &content));
            }
        }
        Ok(None)
    }

    /// The entries of asked rows that the matches are, in ascending order.
    fn entries(&self, page: &DataPage<'_>, rows: &Range<usize>, matches: &[Match]) -> Result<Vec<Entry>> {
        if !page.begins_with_row()? {
            return unexpected("a page that begins within a row");
        }
        let (mut present, mut row_starts) = (page.present()?, page.row_starts()?);
        let mut entries = Vec::new();
        for Match { ordinals, number } in matches {
            for ordinal in ordinals.clone() {
                // The rest fills up the last group of indices.
                let Some(place) = present.position_of(ordinal)? else { return Ok(entries) };
                let row = rows.start + row_starts.equal_through(place)? - 1;
                if row >= rows.end {
                    return unexpected("more rows than the page has");
                }
                if asks(self.asked, &(row..row + 1)) {
                    entries.push(Entry { row, place, value: *number });
                }
            }
        }
        Ok(entries)
    }

    /// The rows of `entries` whose conjuncts, of one entry or several, are all.
    fn content_rows(&self, entries: &[Entry], content: &[u64]) -> Vec<usize> {
        let mut rows: Vec<(usize, u64)> = Vec::new();
        for (entry, content) in entries.iter().zip(content) {
            match rows.last_mut() {
                Some((row, so_far)) if *row == entry.row => *so_far |= content,
                _ => rows.push((entry.row, *content)),
            }
        }
        let is_content = |(_, content): &(usize, u64)| *content == self.wanted.conjuncts;
        rows.into_iter().filter(is_content).map(|(row, _)| row).collect()
    }
}

/// An entry of the attributes that has a wanted value.
struct Entry {
    row: usize,
    /// Among the levels of the page of its value.
    place: usize,
    /// The value's number.
    value: u32,
}

/// The column of the keys, and the page of it where the last key was.
struct Keys<'a, P> {
    column: Column<'a, P>,
    page: Option<(Page, Range<usize>)>,
}

impl<P: PageReader> Keys<'_, P> {
    /// The conjuncts that are content with each of `entries`, which are in the page `values` with the rows
    /// `value_rows`.
    fn content(
        &mut self,
        wanted: &Wanted,
        values: &DataPage<'_>,
        value_rows: &Range<usize>,
        entries: &[Entry],
    ) -> Result<Vec<u64>> {
        let mut content = Vec::with_capacity(entries.len());
        while let Some(first) = entries.get(content.len()) {
            let is_here = |rows: &Range<usize>| rows.contains(&first.row);
            let Some((page, rows)) = self.page.as_ref().filter(|(_, rows)| is_here(rows)) else {
                self.page = self.column.next(is_here)?;
                if self.page.is_none() {
                    return unexpected("keys are missing");
                }
                continue;
            };
            let page = self.column.view(page)?;
            let mut places = Places::new((values, value_rows), (&page, rows))?;
            let mut row_keys = RowKeys::new(&self.column, &page)?;
            for entry in entries[content.len()..].iter().take_while(|entry| rows.contains(&entry.row)) {
                let key = row_keys.first(entry.row - rows.start, places.of(entry)?)?;
                content.push(key.map_or(0, |key| wanted.content(entry.value, key)));
            }
        }
        Ok(content)
    }
}

/// The keys of the rows of a page, asked for from front to back.
struct RowKeys<'a> {
    row_starts: Levels<'a>,
    present: Levels<'a>,
    numbers: Numbers<'a>,
    row: usize,
    /// Behind the entries of the row that were looked at.
    next: usize,
    /// Their wanted keys.
    passed: Vec<u32>,
}

impl<'a> RowKeys<'a> {
    fn new<P: PageReader>(column: &'a Column<'_, P>, page: &DataPage<'a>) -> Result<Self> {
        let (row_starts, present) = (page.row_starts()?, page.present()?);
        let numbers = column.numbers(page)?;
        Ok(RowKeys { row_starts, present, numbers, row: usize::MAX, next: 0, passed: Vec::new() })
    }

    /// The number of the key at `place` in a row of the page; none when it is not wanted, or the row has an
    /// entry of that key before: a map has the value of its first one.
    fn first(&mut self, row: usize, place: usize) -> Result<Option<u32>> {
        if row != self.row {
            let Some(start) = self.row_starts.position_of(row)? else {
                return unexpected("rows are missing");
            };
            (self.row, self.next) = (row, start);
            self.passed.clear();
        }
        if place < self.next {
            return unexpected("an entry that was passed");
        }
        let mut first = None;
        while self.next <= place {
            let Some(ordinal) = self.present.ordinal_of(self.next)? else {
                return unexpected("an entry without a key");
            };
            let key = self.numbers.at(ordinal)?;
            first = key.filter(|key| !self.passed.contains(key));
            self.passed.extend(first);
            self.next += 1;
        }
        Ok(first)
    }
}

/// From the places of entries among the levels of a page of values to those of a page of keys.
enum Places<'a> {
    /// The pages have the same rows.
    Same,
    /// The first row that both have lies further on in one of them.
    Shifted { in_values: usize, in_keys: usize, key_row: usize, key_rows: Levels<'a> },
}

impl<'a> Places<'a> {
    fn new(
        (values, value_rows): (&DataPage<'a>, &Range<usize>),
        (keys, key_rows): (&DataPage<'a>, &Range<usize>),
    ) -> Result<Self> {
        let (value_row, key_row) = (value_rows.start, key_rows.start);
        if value_row == key_row
            && (values.level_count, values.repetition_levels) == (keys.level_count, keys.repetition_levels)
        {
            return Ok(Places::Same);
        }
        if !keys.begins_with_row()? {
            return unexpected("a page that begins within a row");
        }
        let in_values = values.row_starts()?.position_of(key_row.saturating_sub(value_row))?;
        let in_keys = keys.row_starts()?.position_of(value_row.saturating_sub(key_row))?;
        let Some((in_values, in_keys)) = in_values.zip(in_keys) else {
            return unexpected("rows are missing");
        };
        Ok(Places::Shifted { in_values, in_keys, key_row, key_rows: keys.row_starts()? })
    }

    /// Entries are asked for in ascending order.
    fn of(&mut self, entry: &Entry) -> Result<usize> {
        let Places::Shifted { in_values, in_keys, key_row, key_rows } = self else { return Ok(entry.place) };
        let Some(behind) = entry.place.checked_sub(*in_values) else {
            return unexpected("an entry before its row");
        };
        let place = *in_keys + behind;
        if key_rows.equal_through(place)? != entry.row - *key_row + 1 {
            return unexpected("rows have more values than keys, or fewer");
        }
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::parquet::basic::Encoding;

    use super::super::fixture::Pages;
    use super::super::page::LevelsMax;
    use super::super::tests::conjuncts;
    use super::*;

    fn texts(texts: &[&str]) -> Vec<u8> {
        texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()).collect()
    }

    /// Up to 8 levels of one bit, or of two.
    fn levels(levels: &[u8], width: usize) -> Vec<u8> {
        let bits = levels.iter().enumerate();
        let packed = bits.fold(0_u64, |word, (i, level)| word | u64::from(*level) << (i * width));
        [&[0x03], &packed.to_le_bytes()[..width]].concat()
    }

    /// A page of version 1 with entries that have a repetition level and a value each.
    fn page(repetition: &[u8], values: Vec<u8>, encoding: Encoding) -> Page {
        let sized = |bytes: Vec<u8>| [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
        let definition = vec![2; repetition.len()];
        let buf = [sized(levels(repetition, 1)), sized(levels(&definition, 2)), values].concat();
        Page::DataPage {
            buf: buf.into(),
            num_values: repetition.len() as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    /// The same of version 2.
    fn page_2(repetition: &[u8], values: Vec<u8>, encoding: Encoding, rows: u32) -> Page {
        let definition = levels(&vec![2; repetition.len()], 2);
        let repetition_levels = levels(repetition, 1);
        Page::DataPageV2 {
            rep_levels_byte_len: repetition_levels.len() as u32,
            def_levels_byte_len: definition.len() as u32,
            buf: [repetition_levels, definition, values].concat().into(),
            num_values: repetition.len() as u32,
            encoding,
            num_nulls: 0,
            num_rows: rows,
            is_compressed: false,
            statistics: None,
        }
    }

    fn plain(repetition: &[u8], values: &[&str]) -> Page {
        page(repetition, texts(values), Encoding::PLAIN)
    }

    fn dictionary(values: &[&str]) -> Page {
        Page::DictionaryPage {
            buf: texts(values).into(),
            num_values: values.len() as u32,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        }
    }

    fn search(
        keys: &[Page],
        values: &[Page],
        row_count: usize,
        wanted: &[&[(&str, &str)]],
    ) -> Result<Option<Vec<usize>>> {
        let wanted = Wanted::new(&conjuncts(wanted));
        let levels_max = LevelsMax { definition: 2, repetition: 1 };
        let pages = |pages: &[Page]| Pages(pages.iter().cloned().collect());
        let keys = Column::new(&wanted.keys, pages(keys), levels_max, Vec::new())?;
        let values = Column::new(&wanted.values, pages(values), levels_max, Vec::new())?;
        let (asked, is_over) = ([0..row_count / 2, row_count / 2..row_count], AtomicBool::new(false));
        let search = Search { wanted: &wanted, asked: &asked, row_count, found_max: 100, is_over: &is_over };
        search.rows(values, keys)
    }

    /// Rows `k=a l=b | k=b | l=a k=b l=b | k=a`: `l` is `a` in the third.
    #[test]
    fn keys_are_found_whatever_pages_they_are_in() {
        let repetition = [0, 1, 0, 0, 1, 1, 0];
        let (keys, values) = (["k", "l", "k", "l", "k", "l", "k"], ["a", "b", "b", "a", "b", "b", "a"]);
        // 0 1 0 1 0 1 0 in 1 bit each.
        let indices = vec![1, 0x03, 0b0010_1010];
        let whole = |texts: &[&str]| vec![plain(&repetition, texts)];
        let halves =
            |texts: &[&str]| vec![plain(&repetition[..3], &texts[..3]), plain(&repetition[3..], &texts[3..])];
        let uneven =
            |texts: &[&str]| vec![plain(&repetition[..2], &texts[..2]), plain(&repetition[2..], &texts[2..])];
        let indexed = |version: u32| match version {
            1 => vec![dictionary(&["k", "l"]), page(&repetition, indices.clone(), Encoding::RLE_DICTIONARY)],
            _ => vec![
                dictionary(&["k", "l"]),
                page_2(&repetition, indices.clone(), Encoding::PLAIN_DICTIONARY, 4),
            ],
        };
        for keys in [whole(&keys), halves(&keys), uneven(&keys), indexed(1), indexed(2)] {
            for values in [whole(&values), halves(&values), uneven(&values)] {
                let check = |wanted: &[&[(&str, &str)]], want: &[usize]| {
                    let found = search(&keys, &values, 4, wanted).expect("whole pages");
                    assert_eq!(found.as_deref(), Some(want), "{wanted:?}");
                };
                check(&[&[("k", "a")]], &[0, 3]);
                check(&[&[("l", "a")]], &[2]);
                check(&[&[("k", "b")]], &[1, 2]);
                check(&[&[("l", "b")]], &[0]);
                check(&[&[("k", "b"), ("l", "b")]], &[0, 1, 2]);
                check(&[&[("k", "b")], &[("l", "b")]], &[]);
                check(&[&[("k", "b")], &[("l", "a")]], &[2]);
                check(&[&[("k", "a")], &[("l", "b")]], &[0]);
                check(&[&[("m", "a")]], &[]);
                check(&[&[("k", "c")]], &[]);
            }
        }
    }

    /// `x` has the indices 0 and 2. Rows `k=x k=y | k=x | k=y`, 3 bits an index for the sake of the padding.
    #[test]
    fn a_dictionary_may_have_a_value_twice() {
        // 0 1 2 1 and zeros: 10 001 000, 0 001 0, the lowest last.
        let indices = vec![3, 0x03, 0b1000_1000, 0b0000_0010, 0];
        let keys = [plain(&[0, 1, 0, 0], &["k"; 4])];
        for data in [
            page(&[0, 1, 0, 0], indices.clone(), Encoding::RLE_DICTIONARY),
            page_2(&[0, 1, 0, 0], indices, Encoding::PLAIN_DICTIONARY, 3),
        ] {
            let values = [dictionary(&["x", "y", "x"]), data];
            let found = |value| search(&keys, &values, 3, &[&[("k", value)]]).expect("whole pages");
            assert_eq!(
                [found("x"), found("y"), found("z")].map(Option::unwrap),
                [vec![0, 1], vec![2], vec![]]
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let keys = plain(&[0, 0], &["k", "k"]);
        let check = |why: &str, values: &[Page], row_count: usize| {
            let found = search(std::slice::from_ref(&keys), values, row_count, &[&[("k", "a")]]);
            assert!(found.is_err(), "{why}: {found:?}");
        };
        let (ab, indices) = (texts(&["a", "b"]), vec![1, 0x03, 0b10]);
        let good = plain(&[0, 0], &["a", "b"]);
        check("fewer rows than the group has", std::slice::from_ref(&good), 3);
        check("more rows than the group has", std::slice::from_ref(&good), 1);
        let three = texts(&["b", "b", "a"]);
        check("more rows than the page says", &[page_2(&[0, 0, 0], three, Encoding::PLAIN, 2)], 2);
        check("a page that begins within a row", &[plain(&[0], &["b"]), plain(&[1, 0], &["b", "a"])], 2);
        check("another encoding", &[page(&[0, 0], ab.clone(), Encoding::DELTA_BYTE_ARRAY)], 2);
        check("no dictionary", &[page(&[0, 0], indices.clone(), Encoding::RLE_DICTIONARY)], 2);
        let a = || dictionary(&["a", "b"]);
        check("two dictionaries", &[a(), a(), page(&[0, 0], indices, Encoding::RLE_DICTIONARY)], 2);
        check("a text that is cut off", &[page(&[0, 0], ab[..9].to_vec(), Encoding::PLAIN)], 2);
        check("wide indices", &[a(), page(&[0, 0], vec![33, 0x03, 0, 0], Encoding::RLE_DICTIONARY)], 2);
        // Levels end after two lengths and two groups, at 4 + 2 + 4 + 3, and then texts begin.
        for end in (0..13).chain(14..18) {
            let mut cut = good.clone();
            let Page::DataPage { buf, .. } = &mut cut else { panic!("a data page") };
            buf.truncate(end);
            check(&format!("{end} bytes"), &[cut], 2);
        }
    }

    #[test]
    fn keys_that_do_not_fit_are_an_error() {
        let values = [plain(&[0, 1, 0], &["a", "b", "a"])];
        let check = |why: &str, keys: &[Page]| {
            let found = search(keys, &values, 2, &[&[("k", "a")], &[("k", "b")]]);
            assert!(found.is_err(), "{why}: {found:?}");
        };
        check("no keys", &[]);
        check("fewer rows", &[plain(&[0, 1], &["k", "k"])]);
        check("fewer keys in the row", &[plain(&[0, 0, 1], &["k", "k", "k"])]);
        check("a page that begins within the row", &[plain(&[0], &["k"]), plain(&[1, 0], &["k", "k"])]);
        check("a key that is null", &[page(&[0, 1, 0], texts(&["k", "k"]), Encoding::PLAIN)]);
        check("another encoding", &[page(&[0, 1, 0], texts(&["k", "k", "k"]), Encoding::DELTA_BYTE_ARRAY)]);
        check("no dictionary", &[page(&[0, 1, 0], vec![1, 0x03, 0], Encoding::RLE_DICTIONARY)]);
    }
}

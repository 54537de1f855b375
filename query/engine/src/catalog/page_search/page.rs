//! Searches the pages of one column of texts for texts by number, encoded as they are.
//!
//! The dictionary says which index a text has, and pages are searched for the index; pages without a
//! dictionary hold texts behind their lengths, and are walked. Levels are looked at only where something was
//! found, or where nothing else says how many rows a page has.
//! Source: Apache Parquet format, README.md, "Data Pages", and Encodings.md, "Plain" and "Dictionary
//! Encoding".
//!
//! Limits: at most one repetition level, as the entries of a map have it, and the encodings PLAIN and
//! RLE_DICTIONARY. Anything else is an error.

use std::ops::Range;

use datafusion::parquet::basic::Encoding;
use datafusion::parquet::column::page::{Page, PageReader};
use datafusion::parquet::errors::{ParquetError, Result};

use super::hybrid::{self, Match, Needles};
use super::levels::Levels;
use super::wanted::Texts;

/// The greatest levels of a column: of a value that is not null, and of an entry behind the first one of its
/// row. 0 when there are no levels, because no value is null or every row has one.
#[derive(Debug, Clone, Copy)]
pub struct LevelsMax {
    pub definition: i16,
    pub repetition: i16,
}

/// A column chunk that is read from front to back.
pub struct Column<'a, P> {
    texts: &'a Texts,
    pages: P,
    levels_max: LevelsMax,
    /// Rows of each page that is still to come, none for a dictionary; empty if the file does not tell.
    row_counts: std::vec::IntoIter<Option<usize>>,
    /// The indices that the texts have.
    pub dictionary: Option<Needles>,
    /// Rows before the next page.
    pub next_row: usize,
}

impl<'a, P: PageReader> Column<'a, P> {
    /// # Errors
    /// When rows have entries of entries.
    pub fn new(
        texts: &'a Texts,
        pages: P,
        levels_max: LevelsMax,
        row_counts: Vec<Option<usize>>,
    ) -> Result<Self> {
        if levels_max.repetition > 1 {
            return unexpected("a column of entries of entries");
        }
        let row_counts = row_counts.into_iter();
        Ok(Column { texts, pages, levels_max, row_counts, dictionary: None, next_row: 0 })
    }

    /// Whether a row may have several values, as of a map, or is of one, null perhaps.
    pub fn has_entries(&self) -> bool {
        self.levels_max.repetition > 0
    }

    /// The next data page and its rows. Pages without rows that `is_asked` are passed over, where the file
    /// tells rows before pages are read.
    ///
    /// # Errors
    /// When pages are damaged or of a kind that is not understood; trying again cannot help.
    pub fn next(&mut self, is_asked: impl Fn(&Range<usize>) -> bool) -> Result<Option<(Page, Range<usize>)>> {
        loop {
            // The reader could be asked what comes next, but panics at some headers then.
            let row_count = self.row_counts.next().flatten();
            if let Some(count) = row_count.filter(|count| !is_asked(&self.next_rows(*count))) {
                self.pages.skip_next_page()?;
                self.next_row += count;
                continue;
            }
            let Some(page) = self.pages.get_next_page()? else { return Ok(None) };
            if let Page::DictionaryPage { buf, num_values, encoding, .. } = &page {
                let is_plain = matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY);
                if self.dictionary.is_some() || !is_plain {
                    return unexpected("another dictionary");
                }
                self.dictionary = Some(needles(self.texts, buf, *num_values as usize)?);
                continue;
            }
            let rows = self.next_rows(self.view(&page)?.count_rows(row_count)?);
            self.next_row = rows.end;
            return Ok(Some((page, rows)));
        }
    }

    pub fn view<'p>(&self, page: &'p Page) -> Result<DataPage<'p>> {
        DataPage::new(page, self.levels_max)
    }

    /// Where the texts are among the values of `page` that are not null.
    pub fn matches(&self, page: &DataPage<'_>) -> Result<Vec<Match>> {
        match (page.encoding, &self.dictionary) {
            (Encoding::PLAIN, _) => matching_texts(page.values, self.texts),
            (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, Some(needles)) => {
                match page.values.split_first() {
                    Some((width, indices)) if !needles.is_empty() => {
                        hybrid::find(indices, usize::from(*width), page.level_count, needles)
                    }
                    _ => Ok(Vec::new()),
                }
            }
            (encoding, _) => unexpected(&format!("values of encoding {encoding}")),
        }
    }

    /// The numbers of the values of `page`, for single ones.
    pub fn numbers<'p>(&'p self, page: &DataPage<'p>) -> Result<Numbers<'p>> {
        match (page.encoding, &self.dictionary) {
            (Encoding::PLAIN, _) => Ok(Numbers::Plain { texts: self.texts, rest: page.values, next: 0 }),
            (Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY, Some(needles)) => {
                let (width, indices) = page.values.split_first().unwrap_or((&0, &[]));
                let indices = hybrid::Values::new(indices, usize::from(*width))?;
                Ok(Numbers::Dictionary { needles, indices })
            }
            (encoding, _) => unexpected(&format!("values of encoding {encoding}")),
        }
    }

    fn next_rows(&self, count: usize) -> Range<usize> {
        self.next_row..self.next_row + count
    }
}

/// The parts of a data page.
pub struct DataPage<'a> {
    levels_max: LevelsMax,
    /// None when the page does not say, as of version 1.
    row_count: Option<usize>,
    /// Values, null ones and empty maps counted.
    pub level_count: usize,
    pub repetition_levels: &'a [u8],
    definition_levels: &'a [u8],
    values: &'a [u8],
    encoding: Encoding,
}

impl<'a> DataPage<'a> {
    fn new(page: &'a Page, levels_max: LevelsMax) -> Result<Self> {
        let mut rest: &[u8] = page.buffer();
        let (row_count, repetition_levels, definition_levels) = match page {
            Page::DataPage { rep_level_encoding, def_level_encoding, .. } => {
                if (*rep_level_encoding, *def_level_encoding) != (Encoding::RLE, Encoding::RLE) {
                    return unexpected("levels of another encoding");
                }
                // Levels have their length in front of them, as texts do, and are left out if all are 0.
                let mut levels = |max| if max > 0 { next_text(&mut rest) } else { Ok(&[][..]) };
                (None, levels(levels_max.repetition)?, levels(levels_max.definition)?)
            }
            Page::DataPageV2 { num_rows, rep_levels_byte_len, def_levels_byte_len, .. } => {
                let repetition_levels = next_bytes(&mut rest, *rep_levels_byte_len)?;
                let definition_levels = next_bytes(&mut rest, *def_levels_byte_len)?;
                (Some(*num_rows as usize), repetition_levels, definition_levels)
            }
            Page::DictionaryPage { .. } => return unexpected("not a data page"),
        };
        let level_count = page.num_values() as usize;
        let encoding = page.encoding();
        Ok(DataPage {
            levels_max,
            row_count,
            level_count,
            repetition_levels,
            definition_levels,
            values: rest,
            encoding,
        })
    }

    /// Entries that begin a row.
    pub fn row_starts(&self) -> Result<Levels<'a>> {
        Levels::new(self.repetition_levels, self.levels_max.repetition, 0, self.level_count)
    }

    /// Entries whose value is not null.
    pub fn present(&self) -> Result<Levels<'a>> {
        let present = self.levels_max.definition;
        Levels::new(self.definition_levels, present, present, self.level_count)
    }

    /// Whether the first entry begins a row. The format asks for it where rows are told without levels, and
    /// our writers always do it.
    pub fn begins_with_row(&self) -> Result<bool> {
        Ok(self.row_starts()?.equal_through(0)? == 1)
    }

    /// `told` is what the file says.
    fn count_rows(&self, told: Option<usize>) -> Result<usize> {
        match (told.or(self.row_count), self.level_count) {
            (Some(count), _) => Ok(count),
            (None, 0) => Ok(0),
            (None, count) => self.row_starts()?.equal_through(count - 1),
        }
    }
}

/// The numbers of a page's values, asked for from front to back.
pub enum Numbers<'a> {
    Dictionary {
        needles: &'a Needles,
        indices: hybrid::Values<'a>,
    },
    /// What follows the texts before the `next` one.
    Plain {
        texts: &'a Texts,
        rest: &'a [u8],
        next: usize,
    },
}

impl Numbers<'_> {
    /// None for a text that is not searched.
    ///
    /// # Errors
    /// When there is no such value, or it was passed.
    pub fn at(&mut self, ordinal: usize) -> Result<Option<u32>> {
        match self {
            Numbers::Dictionary { needles, indices } => Ok(needles.number_of(indices.at(ordinal)?)),
            Numbers::Plain { texts, rest, next } => {
                if ordinal < *next {
                    return unexpected("a text that was passed");
                }
                for _ in *next..ordinal {
                    next_text(rest)?;
                }
                *next = ordinal + 1;
                Ok(texts.number_of(next_text(rest)?))
            }
        }
    }
}

/// The indices of `texts` in a dictionary. It may have a text twice.
fn needles(texts: &Texts, mut dictionary: &[u8], count: usize) -> Result<Needles> {
    let mut numbers = Vec::new();
    for index in 0..count {
        if let Some(number) = texts.number_of(next_text(&mut dictionary)?) {
            numbers.push((u32::try_from(index)?, number));
        }
    }
    Ok(Needles::new(numbers))
}

fn matching_texts(mut values: &[u8], texts: &Texts) -> Result<Vec<Match>> {
    let mut matches = Vec::new();
    let mut ordinal = 0;
    while !values.is_empty() {
        if let Some(number) = texts.number_of(next_text(&mut values)?) {
            matches.push(Match { ordinals: ordinal..ordinal + 1, number });
        }
        ordinal += 1;
    }
    Ok(matches)
}

/// Takes the first text off `bytes`: its length in 4 bytes, little-endian, then its bytes.
fn next_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, rest) = bytes.split_first_chunk().ok_or_else(cut_off)?;
    *bytes = rest;
    next_bytes(bytes, u32::from_le_bytes(*length))
}

fn next_bytes<'a>(bytes: &mut &'a [u8], length: u32) -> Result<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(length as usize).ok_or_else(cut_off)?;
    *bytes = rest;
    Ok(first)
}

fn cut_off() -> ParquetError {
    ParquetError::EOF("a page is cut off".to_owned())
}

/// The error of pages that are not searched.
pub fn unexpected<T>(what: &str) -> Result<T> {
    Err(ParquetError::General(what.to_owned()))
}

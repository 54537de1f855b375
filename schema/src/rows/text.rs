//! Columns of text, in each encoding that they come in.

use std::fmt;

use arrow::array::{Array, AsArray as _, Int32Array, StringArray, StringViewArray};
use arrow::datatypes::Int32Type;
use hashbrown::HashMap;

use super::{ColumnReader, are_alike};
use crate::tables::Kind;

/// A column of text: dictionary, views or plain strings.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// Of a dictionary: where each row's value is.
    keys: Option<&'a Int32Array>,
    values: Values<'a>,
}

#[derive(Clone, Copy)]
enum Values<'a> {
    Plain(&'a StringArray),
    View(&'a StringViewArray),
    Absent,
}

impl<'a> Text<'a> {
    /// The text of `row`; none when it is null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        self.values.get(self.place(row)?)
    }

    /// The text of `row`; none when it is null or empty, neither of which names anything.
    #[inline]
    pub fn named(&self, row: usize) -> Option<&'a str> {
        self.get(row).filter(|text| !text.is_empty())
    }

    /// Whether any row may have a text: false for a column that is absent, or null in every row.
    pub fn has_values(&self) -> bool {
        let is_all_null = |array: &dyn Array| array.null_count() == array.len();
        match (self.keys, self.values) {
            (_, Values::Absent) => false,
            (Some(keys), _) => !is_all_null(keys),
            (None, Values::Plain(values)) => !is_all_null(values),
            (None, Values::View(values)) => !is_all_null(values),
        }
    }

    /// Two numbers for the text of `row`, without reading it where the encoding allows: among the rows of one batch,
    /// equal numbers are equal texts. Equal texts may have several numbers. 0 and 0 is null; so may be an empty text.
    #[inline]
    pub fn code(&self, row: usize) -> (u64, u64) {
        let Some(place) = self.place(row) else { return (0, 0) };
        match self.values {
            Values::Absent => (0, 0),
            _ if self.keys.is_some() => (place as u64 + 1, 0),
            // A view is the length, the text's start, and the text or its place: equal views are equal texts.
            Values::View(views) => {
                let view = if views.is_valid(place) { views.views()[place] } else { 0 };
                (view as u64, (view >> 64) as u64)
            }
            Values::Plain(texts) => (if texts.is_valid(place) { place as u64 + 1 } else { 0 }, 0),
        }
    }

    /// Whether all rows have the same text, as far as that is told without reading any.
    pub fn is_uniform(&self) -> bool {
        match (self.keys, self.values) {
            (_, Values::Absent) => true,
            (Some(keys), _) => keys.null_count() == 0 && are_alike(keys.values()),
            (None, Values::View(views)) => views.null_count() == 0 && are_alike(views.views()),
            (None, Values::Plain(values)) => values.null_count() == values.len(),
        }
    }

    #[inline]
    fn place(&self, row: usize) -> Option<usize> {
        let Some(keys) = self.keys else { return Some(row) };
        keys.is_valid(row).then(|| {
            usize::try_from(keys.value(row)).expect("Arrow checks that keys are places among the values")
        })
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoding = match self.values {
            Values::Plain(_) => "plain",
            Values::View(_) => "views",
            Values::Absent => "absent",
        };
        let is_dictionary = self.keys.is_some();
        f.debug_struct("Text").field("values", &encoding).field("is_dictionary", &is_dictionary).finish()
    }
}

impl<'a> ColumnReader<'a> for Text<'a> {
    const KINDS: &'static [Kind] = &[Kind::Text, Kind::Dictionary];

    fn absent() -> Self {
        Text { keys: None, values: Values::Absent }
    }

    fn of(array: &'a dyn Array) -> Option<Self> {
        let Some(dictionary) = array.as_dictionary_opt::<Int32Type>() else {
            return Values::of(array).map(|values| Text { keys: None, values });
        };
        let values = Values::of(dictionary.values().as_ref())?;
        Some(Text { keys: Some(dictionary.keys()), values })
    }
}

impl<'a> Values<'a> {
    fn of(array: &'a dyn Array) -> Option<Self> {
        if let Some(views) = array.as_string_view_opt() {
            return Some(Values::View(views));
        }
        array.as_string_opt::<i32>().map(Values::Plain)
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&'a str> {
        match self {
            Values::Plain(array) => array.is_valid(place).then(|| array.value(place)),
            Values::View(array) => array.is_valid(place).then(|| array.value(place)),
            Values::Absent => None,
        }
    }
}

/// A column of text that repeats, with what each text stands for: a number in a table of names, say.
///
/// The meaning is asked for once per dictionary entry that a row has. Views of one dictionary entry of a file
/// are equal as numbers, so views are told apart by them, and a text is hashed once per distinct view. Plain
/// strings are compared with the row before, which helps where rows are sorted. An entry may come twice, as
/// two entries of a dictionary may hold the same text: what is asked for must then answer the same.
pub struct Interned<'a, T> {
    text: Text<'a>,
    /// Of a dictionary, by place among its values.
    by_place: Vec<Option<T>>,
    /// Of views without a dictionary. At most one entry per row of the batch.
    by_view: HashMap<u128, T>,
    last_view: Option<(u128, T)>,
    last_text: Option<(&'a str, T)>,
}

impl<T> fmt::Debug for Interned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interned").field("text", &self.text).finish_non_exhaustive()
    }
}

impl<'a, T: Copy> Interned<'a, T> {
    pub fn new(text: Text<'a>) -> Self {
        let entries = match (text.keys, text.values) {
            (None, _) | (_, Values::Absent) => 0,
            (_, Values::Plain(values)) => values.len(),
            (_, Values::View(values)) => values.len(),
        };
        Interned {
            text,
            by_place: vec![None; entries],
            by_view: HashMap::new(),
            last_view: None,
            last_text: None,
        }
    }

    /// What the text of `row` stands for; none when it is null. `meaning` is called for a text that was not
    /// met yet.
    pub fn get(&mut self, row: usize, meaning: impl FnOnce(&'a str) -> T) -> Option<T> {
        let place = self.text.place(row)?;
        if let Some(known) = self.by_place.get(place).copied().flatten() {
            return Some(known);
        }
        let text = self.text.values.get(place)?;
        if self.text.keys.is_some() {
            return Some(*self.by_place[place].insert(meaning(text)));
        }
        match self.text.values {
            Values::View(views) => Some(self.of_view(views.views()[place], || meaning(text))),
            Values::Plain(_) | Values::Absent => Some(self.of_text(text, meaning)),
        }
    }

    fn of_view(&mut self, view: u128, meaning: impl FnOnce() -> T) -> T {
        if let Some((last, known)) = self.last_view
            && last == view
        {
            return known;
        }
        let known = *self.by_view.entry(view).or_insert_with(meaning);
        self.last_view = Some((view, known));
        known
    }

    fn of_text(&mut self, text: &'a str, meaning: impl FnOnce(&'a str) -> T) -> T {
        if let Some((last, known)) = self.last_text
            && last == text
        {
            return known;
        }
        let known = meaning(text);
        self.last_text = Some((text, known));
        known
    }
}

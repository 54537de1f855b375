//! Attributes of spans as they were sent, told from rows.
//!
//! A row holds an attribute in the map, or in a column of its own; a column may also have been filled from another
//! spelling, which then is in the map. Whoever hands spans out again (a trace by id, a trace language) must tell these
//! alike, so it is told here: a column was the attribute of its own key if no attribute in the map belongs to it.
//! That is the promise that the collector keeps when it fills columns (`tables::OTHER_SPAN_KEYS`).

mod value;

use crate::attributes::Types;
use crate::rows::{Attributes, Integers, Rows, RowsError, Text};
use crate::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};

pub use value::{SentValue, object};

/// The columns that hold what has none of its own.
const MAP_COLUMNS: [&str; 2] = ["attributes", "attribute_types"];

/// Attributes of the rows of a batch of `spans`.
#[derive(Debug)]
pub struct SentAttributes<'a> {
    map: Attributes<'a>,
    types: Text<'a>,
    promoted: Vec<Promoted<'a>>,
}

#[derive(Debug)]
struct Promoted<'a> {
    key: &'static str,
    column: &'static str,
    values: Values<'a>,
}

#[derive(Debug)]
enum Values<'a> {
    Texts(Text<'a>),
    Integers(Integers<'a>),
}

impl<'a> Values<'a> {
    fn get(&self, row: usize) -> Option<SentValue<'a>> {
        match self {
            Values::Texts(texts) => texts.get(row).map(SentValue::text),
            Values::Integers(integers) => integers.get(row).map(SentValue::Integer),
        }
    }
}

impl<'a> SentAttributes<'a> {
    /// The columns that an attribute is told from.
    pub fn columns_of(key: &str) -> impl Iterator<Item = &'static str> {
        let own = PROMOTED_SPAN_KEYS.iter().find(|(promoted, ..)| *promoted == key);
        MAP_COLUMNS.into_iter().chain(own.map(|(_, column, _)| *column))
    }

    /// The columns that all attributes are told from.
    pub fn columns() -> impl Iterator<Item = &'static str> {
        MAP_COLUMNS.into_iter().chain(PROMOTED_SPAN_KEYS.iter().map(|(_, column, _)| *column))
    }

    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn of(rows: Rows<'a>) -> Result<Self, RowsError> {
        let promoted = PROMOTED_SPAN_KEYS.iter().map(|(key, column, kind)| {
            let values = match kind {
                PromotedType::String => Values::Texts(rows.read(column)?),
                PromotedType::Int => Values::Integers(rows.read(column)?),
            };
            Ok(Promoted { key, column, values })
        });
        let promoted = promoted.collect::<Result<_, RowsError>>()?;
        Ok(SentAttributes { map: rows.read("attributes")?, types: rows.read("attribute_types")?, promoted })
    }

    /// The attribute of that key; none if the span was sent without it.
    pub fn get(&self, row: usize, key: &str) -> Option<SentValue<'a>> {
        entry(&self.map, &self.types, row, key).or_else(|| {
            let promoted = self.promoted.iter().find(|promoted| promoted.key == key)?;
            let value = promoted.values.get(row)?;
            (!self.is_filled_from_map(row, promoted.column)).then_some(value)
        })
    }

    /// All attributes: those in the map in the order sent, then those of columns.
    pub fn entries(&self, row: usize) -> Vec<(&'a str, SentValue<'a>)> {
        let mut all: Vec<_> = entries(&self.map, &self.types, row).collect();
        let in_map = all.len();
        for promoted in &self.promoted {
            let Some(value) = promoted.values.get(row) else { continue };
            let is_in_map = all[..in_map].iter().any(|(key, _)| *key == promoted.key);
            if !is_in_map && !self.is_filled_from_map(row, promoted.column) {
                all.push((promoted.key, value));
            }
        }
        all
    }

    /// Whether another spelling of a column's key is in the map, and so the column's value with it.
    fn is_filled_from_map(&self, row: usize, column: &str) -> bool {
        let spells = |key: &str| OTHER_SPAN_KEYS.iter().any(|(other, of)| *other == key && *of == column);
        self.map.entries(row).any(|(key, _)| spells(key))
    }
}

/// The entry of that key of one map, and what it was.
pub fn entry<'a>(map: &Attributes<'a>, types: &Text<'a>, row: usize, key: &str) -> Option<SentValue<'a>> {
    let (at, (_, text)) = map.entries(row).enumerate().find(|(_, (own, _))| *own == key)?;
    let value_type = types.get(row).and_then(|types| Types::new(types).nth(at));
    Some(SentValue::parse(text, value_type.unwrap_or("s")))
}

/// All entries of one map, and what they were.
pub fn entries<'a>(
    map: &Attributes<'a>,
    types: &Text<'a>,
    row: usize,
) -> impl Iterator<Item = (&'a str, SentValue<'a>)> + use<'a> {
    let mut types = Types::new(types.get(row).unwrap_or_default());
    map.entries(row).map(move |(key, text)| (key, SentValue::parse(text, types.next().unwrap_or("s"))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, MapBuilder, RecordBatch, StringArray, StringBuilder};
    use arrow::datatypes::{Field, Fields, Schema};

    use super::*;
    use crate::tables::Table;

    /// One span with these entries of the map, a route and a status in columns.
    fn batch(map: &[(&str, &str)], types: &str, route: Option<&str>, status: Option<i64>) -> RecordBatch {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for (key, value) in map {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(true).expect("as many keys as values");
        let columns: [(&str, ArrayRef); 4] = [
            ("attributes", Arc::new(builder.finish())),
            ("attribute_types", Arc::new(StringArray::from(vec![types]))),
            ("http_route", Arc::new(StringArray::from(vec![route]))),
            ("http_response_status_code", Arc::new(Int64Array::from(vec![status]))),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let schema = Schema::new(Fields::from(fields));
        RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())
            .expect("columns of one row")
    }

    fn sent(batch: &RecordBatch) -> Vec<(String, SentValue<'static>)> {
        let sent = SentAttributes::of(Rows::of(Table::Spans, batch)).expect("columns of spans");
        let all = sent.entries(0);
        for (key, value) in &all {
            assert_eq!(sent.get(0, key).as_ref(), Some(value), "{key} alone is as among all");
        }
        all.into_iter().map(|(key, value)| (key.to_owned(), value.into_owned())).collect()
    }

    fn owned(key: &str, value: SentValue<'static>) -> (String, SentValue<'static>) {
        (key.to_owned(), value)
    }

    #[test]
    fn a_column_is_the_attribute_of_its_key() {
        let batch = batch(&[("a", "5")], "i", Some("/x"), Some(200));
        let want = [
            owned("a", SentValue::Integer(5)),
            owned("http.response.status_code", SentValue::Integer(200)),
            owned("http.route", SentValue::text("/x")),
        ];
        assert_eq!(sent(&batch), want);
    }

    #[test]
    fn a_column_that_the_map_has_filled_is_no_attribute() {
        let other = batch(&[("http.status_code", "200")], "s", None, Some(200));
        assert_eq!(sent(&other), [owned("http.status_code", SentValue::text("200"))]);
        let both = batch(
            &[("http.response.status_code", "500"), ("http.status_code", "200")],
            "si",
            None,
            Some(500),
        );
        let want = [
            owned("http.response.status_code", SentValue::text("500")),
            owned("http.status_code", SentValue::Integer(200)),
        ];
        assert_eq!(sent(&both), want);
    }

    #[test]
    fn what_was_not_sent_is_not_there() {
        let batch = batch(&[("a", "")], "n", None, None);
        let sent = SentAttributes::of(Rows::of(Table::Spans, &batch)).expect("columns of spans");
        assert_eq!((sent.get(0, "b"), sent.get(0, "http.route")), (None, None));
        assert_eq!(sent.get(0, "a"), Some(SentValue::Nothing));
    }
}

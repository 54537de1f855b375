//! What a span says under the key that calls are grouped by.
//!
//! A key that has a column is read there, and any other as one of the resource's: attributes of spans without a column lie
//! in a map that is most of a span's bytes, and grouping by one of them would read it for every span. What a resource says
//! is said of who made the span, so the caller's side of a call does not tell it of the callee.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use arrow::array::RecordBatch;
use meshlake_schema::Table;
use meshlake_schema::attributes::resource_value;
use meshlake_schema::rows::{Integers, Rows, RowsError, Text};
use meshlake_schema::tables::{PROMOTED_SPAN_KEYS, PromotedType};

use super::mixing::{mix_meanings, mix_numbers, mix_texts};
use crate::attribute::{AttributeKey, CLUSTER_KEY};
use crate::grouping::Grain;

/// Resource attributes with a column of their own. Source: `schema/src/tables/mod.rs`.
const RESOURCE_COLUMNS: [(&str, &str); 4] = [
    ("service.name", "service_name"),
    ("service.namespace", "service_namespace"),
    ("service.version", "service_version"),
    ("service.instance.id", "service_instance_id"),
];

/// The column of all that a resource says.
const RESOURCE: &str = "resource";

/// The values of one key in a batch.
pub struct Asked<'a> {
    key: AttributeKey,
    values: Values<'a>,
}

enum Values<'a> {
    Text(Text<'a>),
    Number(Integers<'a>),
    /// Of the resource, in a column or in the text of all it says.
    Own(Text<'a>),
    Resource(Text<'a>),
}

/// The key that a question with this grain reads; none where it reads none.
fn key(grain: Grain) -> Option<AttributeKey> {
    match grain {
        Grain::Node | Grain::Operation | Grain::Instance | Grain::InstanceAndProxy | Grain::Told(_) => None,
        Grain::Cluster | Grain::Whole | Grain::Labels { .. } => AttributeKey::new(CLUSTER_KEY),
        Grain::Attribute(key) => Some(key),
    }
}

fn promoted(key: &str) -> Option<(&'static str, PromotedType)> {
    let known = PROMOTED_SPAN_KEYS.into_iter().find(|(known, ..)| *known == key);
    known.map(|(_, column, kind)| (column, kind))
}

fn own_column(key: &str) -> Option<&'static str> {
    RESOURCE_COLUMNS.into_iter().find(|(known, _)| *known == key).map(|(_, column)| column)
}

/// The column that a question with this grain reads beside those of every question.
pub fn column(grain: Grain) -> Option<&'static str> {
    let key = key(grain)?;
    let text = key.text();
    Some(promoted(text).map(|(column, _)| column).or_else(|| own_column(text)).unwrap_or(RESOURCE))
}

impl<'a> Asked<'a> {
    /// The values in `batch`; none where a question with this grain reads none.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of `spans`.
    pub fn of(grain: Grain, batch: &'a RecordBatch) -> Result<Option<Asked<'a>>, RowsError> {
        let Some(key) = key(grain) else { return Ok(None) };
        let rows = Rows::of(Table::Spans, batch);
        let values = match (promoted(key.text()), own_column(key.text())) {
            (Some((column, PromotedType::String)), _) => Values::Text(rows.read(column)?),
            (Some((column, PromotedType::Int)), _) => Values::Number(rows.read(column)?),
            (None, Some(column)) => Values::Own(rows.read(column)?),
            (None, None) => Values::Resource(rows.read(RESOURCE)?),
        };
        Ok(Some(Asked { key, values }))
    }

    /// What the span of `row` tells of the callee; `is_received` on the callee's own side.
    pub fn of_callee(&self, row: usize, is_received: bool) -> Option<Cow<'a, str>> {
        match &self.values {
            Values::Text(texts) => texts.named(row).map(Cow::Borrowed),
            Values::Number(numbers) => numbers.get(row).map(|number| Cow::Owned(number.to_string())),
            Values::Own(_) | Values::Resource(_) => self.own(row).filter(|_| is_received),
        }
    }

    /// What the span says of who made it.
    pub fn own(&self, row: usize) -> Option<Cow<'a, str>> {
        match &self.values {
            Values::Text(_) | Values::Number(_) => None,
            Values::Own(texts) => texts.named(row).map(Cow::Borrowed),
            Values::Resource(resources) => self.in_resource(resources.named(row)?).map(Cow::Owned),
        }
    }

    fn in_resource(&self, resource: &str) -> Option<String> {
        resource_value(resource, self.key.text()).filter(|value| !value.is_empty())
    }

    /// Mixes the values into the numbers of rows.
    pub fn mix(&self, codes: &mut [u64]) {
        match &self.values {
            Values::Text(texts) | Values::Own(texts) => mix_texts(texts, codes),
            Values::Number(numbers) => mix_numbers(numbers, codes),
            Values::Resource(resources) => {
                let hasher = RandomState::new();
                mix_meanings(resources, codes, |text| hasher.hash_one(self.in_resource(text)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_column_of_spans_that_reads() {
        let keys = PROMOTED_SPAN_KEYS.into_iter().map(|(key, ..)| key);
        let keys = keys.chain(RESOURCE_COLUMNS.map(|(key, _)| key)).chain(["deployment.environment.name"]);
        for key in keys {
            let grain = Grain::Attribute(AttributeKey::new(key).expect("a short key"));
            let batch = RecordBatch::new_empty(Table::Spans.schema().clone());
            assert!(Asked::of(grain, &batch).is_ok(), "{key}");
            assert!(column(grain).is_some_and(|column| batch.column_by_name(column).is_some()), "{key}");
        }
    }

    #[test]
    fn what_no_grouping_asks_for_is_not_read() {
        assert_eq!([Grain::Node, Grain::Operation, Grain::Instance].map(column), [None; 3]);
        assert_eq!([Grain::Cluster, Grain::Whole].map(column), [Some("resource"); 2]);
    }
}

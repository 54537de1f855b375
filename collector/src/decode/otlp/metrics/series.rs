//! The series that a data point belongs to.
//!
//! Of entries with one key the last counts, as in the row. Else the attributes are those that were sent: where a point has
//! more than are kept, or longer ones, its series must not become one with another that differs in what was cut.
//!
//! Limits: a list or map is hashed as it is kept.

use crate::decode::otlp::any_value::{AnyValue, KeyValue};
use crate::decode::otlp::value_writer::ValueWriter;
use crate::metric_rows::series::SeriesHasher;
use crate::protobuf::wire::WireError;

/// Finds the series of the points of one metric after another.
#[derive(Default)]
pub(super) struct PointSeries {
    hasher: SeriesHasher,
    /// One of its own: what it has to mend or cut is counted where the attribute is stored.
    writer: ValueWriter,
}

impl PointSeries {
    /// Starts a scope of a resource.
    pub(super) fn begin_scope(&mut self, resource_id: i64, scope_name: &str) {
        self.hasher.begin_scope(resource_id, scope_name);
    }

    /// Starts a metric of the scope.
    pub(super) fn begin_metric(&mut self, name: &str) {
        self.hasher.begin_metric(name.as_bytes());
    }

    /// The series of a point of the metric; sorts the point's attributes by key.
    ///
    /// # Errors
    /// A nested value that cannot be read.
    pub(super) fn series_id(&mut self, entries: &mut [KeyValue<'_>]) -> Result<i64, WireError> {
        self.hasher.begin_series();
        // The sort is stable, so that the last of equal keys is the last one sent.
        entries.sort_by(|a, b| a.key.cmp(b.key));
        for (at, entry) in entries.iter().enumerate() {
            if entries.get(at + 1).is_some_and(|next| next.key == entry.key) {
                continue;
            }
            if let AnyValue::String(text) = entry.value {
                self.hasher.push(entry.key, "s", text);
                continue;
            }
            let (text, value_type) = self.writer.single(entry.value)?;
            self.hasher.push(entry.key, value_type, text.as_bytes());
        }
        Ok(self.hasher.series_id())
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::metric_rows::series::PREFIX_BYTES_MAX;

    fn id(resource_id: i64, scope: &str, metric: &str, entries: &[(&str, AnyValue<'_>)]) -> i64 {
        let mut hasher = PointSeries::default();
        hasher.begin_scope(resource_id, scope);
        hasher.begin_metric(metric);
        let mut entries: Vec<_> =
            entries.iter().map(|(key, value)| KeyValue { key: key.as_bytes(), value: *value }).collect();
        hasher.series_id(&mut entries).expect("scalars always fit")
    }

    #[test]
    fn the_hashed_bytes_are_those_documented() {
        let bytes = b"\x05\0\0\0\0\0\0\0\x01\0\0\0s\x01\0\0\0m\x01\0\0\0k\x01\0\0\0i\x02\0\0\0-7";
        assert_eq!(id(5, "s", "m", &[("k", AnyValue::Int(-7))]), xxh3_64(bytes) as i64);
    }

    /// The id does not depend on how the hash was reached.
    #[test]
    fn long_names_are_hashed_once_to_the_same_id() {
        let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
        let lengths = [0, 1, PREFIX_BYTES_MAX - 8, PREFIX_BYTES_MAX, 3 * PREFIX_BYTES_MAX];
        for (scope, metric) in lengths.iter().flat_map(|scope| lengths.map(|metric| (*scope, metric))) {
            let (scope, metric) = ("s".repeat(scope), "m".repeat(metric));
            let bytes =
                [5_i64.to_le_bytes().to_vec(), text(&scope), text(&metric), text("k"), text("s"), text("v")];
            let want = xxh3_64(&bytes.concat()) as i64;
            let mut hasher = PointSeries::default();
            hasher.begin_scope(5, &scope);
            for name in [&metric, "another", &metric] {
                hasher.begin_metric(name);
                for _ in 0..2 {
                    let mut entries = [KeyValue { key: b"k", value: AnyValue::String(b"v") }];
                    let id = hasher.series_id(&mut entries).expect("scalars always fit");
                    assert_eq!(id == want, *name == metric, "{} and {}", scope.len(), name.len());
                }
            }
        }
    }

    #[test]
    fn the_order_of_attributes_is_no_part_of_a_series() {
        let (a, b) = (("a", AnyValue::String(b"1")), ("b", AnyValue::Bool(true)));
        assert_eq!(id(1, "s", "m", &[a, b]), id(1, "s", "m", &[b, a]));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let (a, b, c) = (("k", AnyValue::Int(1)), ("k", AnyValue::Int(2)), ("z", AnyValue::Int(3)));
        assert_eq!(id(1, "s", "m", &[a, c, b]), id(1, "s", "m", &[b, c]));
        assert_ne!(id(1, "s", "m", &[b, c, a]), id(1, "s", "m", &[b, c]));
    }

    #[test]
    fn all_else_is() {
        let one = ("a", AnyValue::String(b"1"));
        let base = id(1, "s", "m", &[one]);
        assert_ne!(base, id(2, "s", "m", &[one]), "resource");
        assert_ne!(base, id(1, "t", "m", &[one]), "scope");
        assert_ne!(base, id(1, "s", "n", &[one]), "metric");
        assert_ne!(base, id(1, "s", "m", &[("a", AnyValue::Int(1))]), "type of a value");
        assert_ne!(base, id(1, "s", "m", &[]), "attributes");
        assert_ne!(id(1, "sm", "", &[]), id(1, "s", "m", &[]), "where a text ends");
    }
}

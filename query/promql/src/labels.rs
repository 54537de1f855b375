//! Label sets: what tells one series from another.
//!
//! Sets are immutable and shared: one is made where a series is read, and every operator that keeps its labels
//! keeps the pointer. A label without a value is none, as everywhere in Prometheus.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::text;

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";
/// The labels of a metric's type and unit, which are dropped together with its name.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];
/// The upper bound of a bucket of a classic histogram.
pub(crate) const BUCKET_BOUND: &str = "le";

/// One label. Ordered by name, then value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

impl Ord for Label {
    /// Texts of one place are not read: series that are sorted share most of theirs.
    fn cmp(&self, other: &Self) -> Ordering {
        let compared =
            |a: &Arc<str>, b: &Arc<str>| if Arc::ptr_eq(a, b) { Ordering::Equal } else { a.cmp(b) };
        compared(&self.name, &other.name).then_with(|| compared(&self.value, &other.value))
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Labels sorted by name, each name once, none with an empty value.
///
/// ```
/// use meshlake_promql::Labels;
/// let labels = Labels::from_pairs([("job", "api"), ("__name__", "up"), ("zone", "")]);
/// assert_eq!(labels.to_string(), r#"{__name__="up", job="api"}"#);
/// assert_eq!((labels.get("job"), labels.get("zone")), ("api", ""));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Default for Labels {
    fn default() -> Self {
        Labels(Arc::new([]))
    }
}

impl Labels {
    /// The labels of these pairs; of two with one name the last counts.
    pub fn from_pairs<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let pairs = pairs.into_iter().map(|(name, value)| Label { name: name.into(), value: value.into() });
        let mut labels: Vec<Label> = pairs.collect();
        labels.sort_by(|a, b| a.name.cmp(&b.name));
        labels.reverse();
        labels.dedup_by(|later, kept| later.name == kept.name);
        labels.reverse();
        labels.retain(|label| !label.value.is_empty());
        Labels(labels.into())
    }

    /// These labels, which are sorted by name, each name once and none with an empty value.
    pub fn of_sorted(labels: Vec<Label>) -> Labels {
        debug_assert!(labels.is_sorted_by(|a, b| a.name < b.name), "{labels:?}");
        debug_assert!(labels.iter().all(|label| !label.value.is_empty()), "{labels:?}");
        Labels(labels.into())
    }

    /// The value of a label; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|label| &*label.name == name).map_or("", |label| &label.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Label> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes that this set takes, about: its names and values are mostly shared.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|label| size_of::<Label>() + label.value.len()).sum()
    }

    pub(crate) fn metric_name(&self) -> &str {
        self.get(METRIC_NAME)
    }

    /// The labels whose names are wanted.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&str) -> bool) -> Labels {
        if self.0.iter().all(|label| is_wanted(&label.name)) {
            return self.clone();
        }
        Labels(self.0.iter().filter(|label| is_wanted(&label.name)).cloned().collect())
    }

    /// The labels without the metric's name, type and unit.
    pub(crate) fn without_metadata(&self) -> Labels {
        self.keep(|name| !METADATA.contains(&name))
    }

    /// The labels with one of them set, or taken away if the value is empty.
    pub(crate) fn with(&self, name: &str, value: &str) -> Labels {
        self.with_all([(name, value)])
    }

    pub(crate) fn with_all<'a>(&'a self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut labels = self.0.to_vec();
        for (name, value) in pairs {
            labels.retain(|label| &*label.name != name);
            if !value.is_empty() {
                labels.push(Label { name: name.into(), value: value.into() });
            }
        }
        labels.sort();
        Labels(labels.into())
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes a label set: `{__name__="up", job="api"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, label) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            let name =
                if is_plain_name(&label.name) { label.name.to_string() } else { text::quoted(&label.name) };
            write!(f, "{comma}{name}={}", text::quoted(&label.value))?;
        }
        f.write_str("}")
    }
}

/// Whether a label's name needs no quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_values_counts_and_an_empty_one_is_none() {
        let labels = Labels::from_pairs([("a", "1"), ("b", "2"), ("a", "3"), ("b", "")]);
        assert_eq!(labels.to_string(), r#"{a="3"}"#);
    }

    #[test]
    fn labels_are_ordered_by_their_texts_wherever_those_are() {
        let of = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        let shared = of("a", "b");
        assert_eq!(shared.cmp(&shared.clone()), Ordering::Equal);
        assert_eq!(shared.cmp(&of("a", "b")), Ordering::Equal);
        let value = Label { name: Arc::clone(&shared.name), value: "c".into() };
        assert!(shared < value && value < of("aa", "a"));
    }

    #[test]
    fn labels_are_set_and_taken_away() {
        let labels = Labels::from_pairs([("__name__", "m"), ("__type__", "gauge"), ("a", "1")]);
        assert_eq!(labels.without_metadata().to_string(), r#"{a="1"}"#);
        let changed = labels.with("a", "").with("Z", "2").with("a.b", "\"");
        assert_eq!(changed.to_string(), r#"{Z="2", __name__="m", __type__="gauge", "a.b"="\""}"#);
    }
}

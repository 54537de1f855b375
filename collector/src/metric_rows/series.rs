//! The id of the series that a row belongs to.
//!
//! ```text
//! hashed = resource id (8 bytes) | scope name | metric name | (key | type | text)*   entries sorted by key
//! each text = its length (4 bytes) | its bytes; all numbers little endian
//! ```
//! xxh3-64 of that. Lengths stand before texts so that no two series join to the same bytes. Type and text
//! of a value are those of `meshlake_schema::attributes`. Whoever pushes entries pushes them in order, each key once.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// What points share is hashed once where it is longer than this: a name may be as large as a request. Where it is
/// shorter, hashing it anew is faster than to go on with a copy of a half-finished hash.
pub(crate) const PREFIX_BYTES_MAX: usize = 1 << 10;

/// Hashes the points of one metric after another; keeps the bytes that points share, or their hash.
#[derive(Default)]
pub(crate) struct SeriesHasher {
    bytes: Vec<u8>,
    scope_end: usize,
    metric_end: usize,
    /// The hash up to `scope_end` and `metric_end`, where that is far.
    scope: Option<Xxh3>,
    metric: Option<Xxh3>,
}

impl SeriesHasher {
    /// Starts a scope of a resource.
    pub(crate) fn begin_scope(&mut self, resource_id: i64, scope_name: &str) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&resource_id.to_le_bytes());
        push_text(&mut self.bytes, scope_name.as_bytes());
        self.scope = hash_if_long(&self.bytes);
        self.scope_end = self.bytes.len();
    }

    /// Starts a metric of the scope.
    pub(crate) fn begin_metric(&mut self, name: &[u8]) {
        self.bytes.truncate(self.scope_end);
        push_text(&mut self.bytes, name);
        self.metric = match &self.scope {
            Some(scope) => Some(hash_on(scope, &self.bytes[self.scope_end..])),
            None => hash_if_long(&self.bytes),
        };
        self.metric_end = self.bytes.len();
    }

    /// Starts a series of the metric.
    pub(crate) fn begin_series(&mut self) {
        self.bytes.truncate(self.metric_end);
    }

    /// Adds the next attribute of the series.
    pub(crate) fn push(&mut self, key: &[u8], value_type: &str, text: &[u8]) {
        push_text(&mut self.bytes, key);
        push_text(&mut self.bytes, value_type.as_bytes());
        push_text(&mut self.bytes, text);
    }

    /// The id of the series that was begun last.
    pub(crate) fn series_id(&self) -> i64 {
        let hash = match &self.metric {
            None => xxh3_64(&self.bytes),
            Some(metric) => hash_on(metric, &self.bytes[self.metric_end..]).digest(),
        };
        hash as i64
    }
}

fn hash_if_long(bytes: &[u8]) -> Option<Xxh3> {
    (bytes.len() > PREFIX_BYTES_MAX).then(|| hash_on(&Xxh3::new(), bytes))
}

/// The hash of what was hashed `before` and then of `bytes`.
fn hash_on(before: &Xxh3, bytes: &[u8]) -> Xxh3 {
    let mut hash = before.clone();
    hash.update(bytes);
    hash
}

fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    let length = u32::try_from(text.len()).expect("a payload is far smaller than 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text);
}

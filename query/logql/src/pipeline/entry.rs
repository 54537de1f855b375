//! One line with its time and labels.

use std::borrow::Cow;

use meshlake_schema::UnixNanos;

use super::labels::LabelSet;

/// A line on its way through a pipeline.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub time: UnixNanos,
    pub line: Cow<'a, str>,
    pub labels: LabelSet<'a>,
}

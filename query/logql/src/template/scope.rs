//! What a template is rendered over, and how much it may make.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;

/// Bytes that one line may become, and any value on the way: lines are stored up to 256 KiB.
pub const BYTES_MAX: usize = 1 << 20;

/// What a template is rendered over.
pub trait Scope {
    /// The value of a label; empty without one.
    fn label(&self, name: &str) -> String;

    /// All labels.
    fn labels(&self) -> BTreeMap<String, String>;

    /// `__line__`.
    fn line(&self) -> &str;

    /// `__timestamp__`.
    fn time(&self) -> UnixNanos;

    /// When the question was asked.
    fn now(&self) -> UnixNanos;
}

//! What a page of a file is, whichever writer makes it.

/// Rows per data page: the unit that a lookup by id must decode.
pub(super) const PAGE_ROWS_MAX: usize = 20_000;

/// Higher levels gain under 1 %.
pub(super) const ZSTD_LEVEL: i32 = 1;

/// Bytes of a text minimum or maximum in page indexes: long enough for names, short enough for bodies.
pub(super) const INDEX_TEXT_BYTES_MAX: usize = 64;

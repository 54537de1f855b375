//! Cuts what is read of a file into parts of whole lines, within bounds, whatever the file holds.
//!
//! Whoever follows a file, posts one or imports one reads it here, so that the same bytes make the same lines on every
//! way in. A part is what becomes durable together.
//!
//! Modules are listed in the order data meets them.

mod packed;
mod parts;
mod fields;
mod container;

pub use container::unwrap_container;
pub use fields::{FIELDS_BYTES_MAX, has_directives, last_fields};
pub use packed::{Packing, inflating, packing_of};
pub use parts::{Part, PartReader};

/// The most bytes of a part: as much as a group is worth its fdatasync for, so that a part is stored alone and at once
/// under load. A line that is longer is kept cut.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// What is kept of a line that is longer than a part: as much as of any text that is kept as it came, and a byte that tells
/// whoever reads it that it was cut.
pub const CUT_LINE_BYTES: usize = crate::limits::BODY_BYTES_MAX + 1;

const _: () = assert!(CUT_LINE_BYTES < PART_BYTES_MAX);

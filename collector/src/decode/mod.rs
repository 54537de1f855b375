//! Bytes to columns: one module a format, all of them ending in the builders of the tables.
//!
//! A payload has been validated before it comes here, because column builders cannot roll back: decoding
//! then pushes each record in one pass. A record that is refused (see `RejectReason`) is refused before
//! its first push, so a builder only ever holds whole rows. A `WireError` from a decoder means that its
//! payload was not validated; the builder may then hold part of a row and must be dropped.
//!
//! Formats never import one another; what they share lies below: the rows of `requests` in
//! `request_rows`, columns in `columns`, the wire in `protobuf`.

pub mod envoy_als;
pub mod otlp;

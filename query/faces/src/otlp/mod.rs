//! Rows of `spans` as the messages of OTLP that they were decoded from: what faces give out that hand on whole spans.
//!
//! The table keeps all that a sender said, so that what comes out is what went in, attribute for attribute. Spans of one
//! resource and scope are put together again, in the order in which the first of each comes.
//!
//! Source: opentelemetry/proto/trace/v1/trace.proto; `docs/formats.md` for what a row holds. Limits: attributes of a
//! span that have columns of their own come last; of attributes that came twice under one key
//! one is kept; a span that came without an end ends where it starts.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod json;
mod group;
mod span;
mod value;

pub use group::resource_spans;
pub use json::to_json;

//! What a record means, whatever format it came in: pure functions from observed facts to the columns that
//! golden metrics and the graph are computed from.
//!
//! Decoders call these for every row. They take plain values, not wire types, so that a call seen by Envoy's
//! log stream, by a text log or by a span is judged by the same code.

pub mod spans;
pub mod rpc_status;
pub mod requests;

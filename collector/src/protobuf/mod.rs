//! Protobuf without generated code: the messages as tables, a first pass that proves a payload well-formed,
//! and the reader that decoders walk a proven payload with.

pub mod validate;
pub mod messages;
pub mod wire;

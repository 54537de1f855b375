//! Requests that are described by data files: sent to a running server, and judged.
//!
//! What the conformance suite and the hostile corpus have in common. A case says what is sent, over which
//! transports, and what must be answered and stored (`case`); it becomes one check for each transport and
//! signal. A case is written as OTLP/JSON, which `opentelemetry-proto` turns into protobuf, or as a recipe for
//! bytes. Nothing of the collector's own code is used, so that its reading of OTLP meets another one.

pub mod run;
pub mod judge;
pub mod reply;
pub mod overload;
pub mod send;
pub mod payload;
pub mod case;
pub mod recipe;
pub mod zstd;
pub mod mark;
pub mod signal;

use std::path::PathBuf;

/// The directory of the data files.
pub fn cases_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

//! Statements as PostgreSQL's clients write them: what they ask for, in which types, and of which catalogue.
//!
//! ```text
//! text -> commands (transactions, settings, cursors, COPY) -> question -> rewrite -> the engine's own road
//! ```
//! Tools ask a server about its tables before anybody asks it about rows, by joins over `pg_catalog` that are written
//! for PostgreSQL alone. They are answered by a catalogue of its own, in sessions of its own: nothing of it can be read
//! beside telemetry, and the list of what a question may read stays as tight as it is over HTTP.
//! Nothing here knows the protocol; that is the face's.

mod commands;
mod by_name;
mod copy_format;
mod words;
mod question;
mod rewrite;
mod ordering;
mod existing;
mod sets;
mod json_access;
mod spellings;
mod type_questions;
mod time_patterns;
mod operators;
mod casts;
mod emptied;
mod named_apart;
mod labels;
mod session;
mod literals;
mod functions;
mod relations;
mod known;
mod cell;
mod array_text;
mod misread;
mod postgres_type;

pub use commands::{Command, read};
pub use copy_format::CopyFormat;
pub use known::{Identity, Known};
pub use misread::Misread;
pub use named_apart::{Shown, shown_name, tell_apart};
pub use postgres_type::{PostgresType, Scalar};
pub use question::Question;
pub use relations::{Catalogue, allowed};
pub use session::session;

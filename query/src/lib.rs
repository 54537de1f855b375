//! Answers go out: golden metrics, the service graph, traces, services and the ledger, over one snapshot, as structs and
//! as tables of SQL.
//!
//! ```text
//! face -> an answer of this crate -> Engine (rows of one snapshot, one tenant) -> a fold of `meshlake_calls`
//! ```
//! A function here takes what is asked and returns structs: how they look on a wire is the business of the faces,
//! and two faces that show the same thing call the same function. Nothing here writes.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

pub mod functions;
pub mod settling;
pub mod operate;
pub mod prometheus;
pub mod logs;
pub mod explore;
pub mod watch;
pub mod synthesis;
pub mod dependencies;
pub mod calls;
pub mod analysis;
pub mod traceql;
pub mod trace;
pub mod tree;
pub mod services;
pub mod operations;
pub mod samples;
pub mod series;
mod asker;
pub mod alerts;
pub mod ledger;
pub mod status;

/// What the answers of [`operate`] are made of.
pub use meshlake_calls::operate as answers;
pub use meshlake_calls::{
    By, EdgeCell, Evidence, Figures, Frame, GoldenBy, Grain, NodeCell, NodeIdentity, NodeKind, Picture,
    Question, Range, RangeError, Source, exemplars, golden, graph, list, measure, shown,
};
pub use meshlake_engine::{
    Bound, Engine, EngineConfig, Exports, Fault, InFlight, Prepared, Query, QueryError, QueryStatus,
    RowStream, Sender, Status, TableStats, postgres,
};
/// The language of the questions of [`logs`].
pub use meshlake_logql as logql;
/// The language of the questions of [`prometheus`].
pub use meshlake_promql as promql;
pub use meshlake_schema::filter::Value;
/// The language of the questions of [`traceql`].
pub use meshlake_traceql as traceql_language;

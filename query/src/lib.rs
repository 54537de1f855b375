//! Answers go out: SQL, golden metrics, the service graph, traces, services and the ledger, over one snapshot.
//!
//! A request enters at `api`, is computed by one of the modules below it, and reads rows through the
//! [`engine`], which alone knows DataFusion's session and its limits; the `catalog` turns a snapshot into
//! tables. Nothing here writes: the crate sees the store only as a `Reader`.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

pub mod api;
pub mod page;
pub mod golden;
pub mod graph;
pub mod calls;
pub mod trace;
pub mod engine;
mod catalog;
#[cfg(test)]
mod fixture;

pub use engine::{Engine, EngineConfig, Query, QueryError, SqlAnswer};

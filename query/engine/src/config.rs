//! What one query, and all of them together, may use.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of the query engine. Every value applies to the whole engine unless it says "one query".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Memory that sorts, joins and aggregates of all queries may hold, bytes. Default 1 GiB, which leaves
    /// a 2 GiB machine room for the collector. A query that wants more spills to disk or fails.
    pub memory_bytes_max: usize,
    /// Where spilled data goes; the operating system's directory for temporary files when not set.
    pub spill_dir: Option<PathBuf>,
    /// Spilled data of all queries, bytes. Default 4 GiB.
    pub spill_bytes_max: u64,
    /// Footers of Parquet files kept in memory, bytes. Default 64 MiB: about 1,000 files of 60 columns.
    pub footer_cache_bytes_max: usize,
    /// How long one query may take from its arrival to its last row, seconds. Default 30.
    pub timeout_seconds: u64,
    /// Rows that one SQL answer may have. Default 100,000.
    pub rows_max: usize,
    /// Bytes that the rows of one SQL answer may take in memory. Default 256 MiB.
    pub answer_bytes_max: usize,
    /// Queries that run at once; further ones wait. Default: twice the cores.
    pub concurrent_queries_max: usize,
    /// Parallel parts of one query. Default: all cores but one, which is left to the collector.
    pub parallelism: usize,
}

impl EngineConfig {
    /// How long one query may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        EngineConfig {
            memory_bytes_max: 1 << 30,
            spill_dir: None,
            spill_bytes_max: 4 << 30,
            footer_cache_bytes_max: 64 << 20,
            timeout_seconds: 30,
            rows_max: 100_000,
            answer_bytes_max: 256 << 20,
            concurrent_queries_max: 2 * cores,
            parallelism: cores.saturating_sub(1).max(1),
        }
    }
}

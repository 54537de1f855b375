//! What each part is told of the configuration: its own values, in its own types.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use meshlake_query::EngineConfig;
use meshlake_store::StoreConfig;

use crate::config::Config;

/// How the store is run, also by `meshlake maintain`.
///
/// # Errors
/// A size that this machine cannot address.
pub fn store_config(config: &Config) -> Result<StoreConfig> {
    Ok(StoreConfig {
        data_dir: config.store.data_dir.clone(),
        buffer_bytes_max: usize::try_from(config.store.buffer_bytes_max).context("store.buffer_bytes_max")?,
        flush_age_max: Duration::from_secs(config.store.flush_age_max_seconds),
        free_bytes_min: config.store.free_bytes_min,
        maintain: config.maintain.store_config(),
        ..StoreConfig::default()
    })
}

/// How queries are run; what they spill goes to `spill_dir`, or to a directory of the system's.
///
/// # Errors
/// A size that this machine cannot address.
pub fn engine_config(config: &Config, spill_dir: Option<&Path>) -> Result<EngineConfig> {
    Ok(EngineConfig {
        spill_dir: spill_dir.map(Path::to_owned),
        memory_bytes_max: usize::try_from(config.query.memory_bytes_max).context("query.memory_bytes_max")?,
        timeout_seconds: config.query.timeout_seconds,
        rows_max: usize::try_from(config.query.rows_max).context("query.rows_max")?,
        ..EngineConfig::default()
    })
}

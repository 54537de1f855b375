//! Reads how much of the calls of each edge came by mutual TLS; see `meshlake_calls::operate::protection`.

use std::collections::BTreeMap;

use meshlake_calls::Range;
use meshlake_calls::operate::protection::{protection, question};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_parts};

/// By the ids of caller and callee the share that came by mutual TLS, where a proxy told.
///
/// # Errors
/// As [`load_parts`].
pub async fn load(query: &Query, range: Range) -> Result<BTreeMap<(String, String), f64>, LoadError> {
    Ok(protection(&load_parts(query, question(range)).await?))
}

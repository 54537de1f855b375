//! Reads what came in at the gateways; see `meshlake_calls::operate::gateways`.

use meshlake_calls::Range;
use meshlake_calls::operate::gateways::{Gateways, gateways, question, wanted};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_parts};

/// Hosts and routes of all gateways, or of one, by id or by name, or of one host.
///
/// # Errors
/// As [`load_parts`].
pub async fn load(
    query: &Query,
    range: Range,
    gateway: Option<&str>,
    host: Option<&str>,
) -> Result<Gateways, LoadError> {
    Ok(gateways(&load_parts(query, question(range), wanted(gateway)).await?, gateway, host))
}

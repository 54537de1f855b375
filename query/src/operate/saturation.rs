//! Reads how full a service is; see `meshlake_calls::operate::saturation`.

use meshlake_calls::Range;
use meshlake_calls::operate::saturation::{Saturation, Waiting, question, saturation, wanted};
use meshlake_engine::Query;

use super::gauges;
use crate::calls::{LoadError, load_parts};

/// How full a service is, by id or by name, with what metrics tell of it and of its instances.
///
/// # Errors
/// As [`load_parts`].
pub async fn load(query: &Query, service: &str, range: Range) -> Result<Saturation, LoadError> {
    let mut answer = saturation(&load_parts(query, question(range), wanted(service)).await?, service);
    if let Some(id) = &answer.service {
        let instances = answer.instances.iter().filter_map(|row| row.name.as_deref());
        let (gauges, told) = gauges::load(query, id, instances, answer.range).await?;
        answer.gauges = gauges;
        answer.warnings.extend(told);
    }
    Ok(answer)
}

/// How long calls to a service, by id or by name, were on their way from each of its callers, where both sides' proxies told.
///
/// # Errors
/// As [`load_parts`].
pub async fn waiting(query: &Query, service: &str, range: Range) -> Result<Vec<Waiting>, LoadError> {
    Ok(saturation(&load_parts(query, question(range), wanted(service)).await?, service).waiting)
}

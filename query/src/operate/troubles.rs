//! Reads what is wrong in the mesh; see `meshlake_calls::operate::troubles`.

use std::time::Duration;

use futures::try_join;
use meshlake_calls::graph::{Graph, graph};
use meshlake_calls::operate::troubles::{Seen, Trouble, troubles};
use meshlake_calls::operate::versions;
use meshlake_calls::operate::worse_versions::worse_versions;
use meshlake_calls::shown::Wanted;
use meshlake_calls::{By, Frame, Grain, Question, Range, Source};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_from};
use crate::ledger;

/// How long before the range is what its latencies and rates are compared with.
pub const BEFORE: Duration = Duration::from_secs(3_600);

/// What is wrong in a range whose whole graph by service is `now`, worst first.
///
/// # Errors
/// As [`load_from`].
pub async fn load(query: &Query, range: Range, now: &Graph) -> Result<Vec<Trouble>, LoadError> {
    let earlier =
        Range::new(range.from().minus(BEFORE), range.from(), None).map_err(|error| LoadError::bug(&error))?;
    let by_service = Question { range: earlier, by: By::Service, grain: Grain::Node, source: Source::Auto };
    let by_subset = versions::question(range, Source::Auto);
    let (before, subsets, lost) = try_join!(
        load_from(query, by_service, Frame::whole()),
        load_from(query, by_subset, Frame::nodes(None)),
        async { ledger::lost(query, range).await.map_err(LoadError::from) },
    )?;
    let before = graph(&before, &Wanted::default());
    let seconds = subsets.range.bucket_seconds(0);
    Ok(troubles(Seen { now, seconds, before: &before, worse_versions: worse_versions(&subsets), lost }))
}

//! Reads which instances of a service came and went; see `meshlake_calls::operate::rollouts`.

use meshlake_calls::operate::rollouts::{
    COARSER_MAX, Rollouts, losses_question, losses_wanted, question, range_of, rollouts,
};
use meshlake_calls::{Frame, Range, Source};
use meshlake_engine::Query;

use crate::calls::{LoadError, load_from, load_parts};

/// The service, by id or by name, and the range on the finest steps there are for it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub service: &'a str,
    pub range: Range,
    pub source: Source,
}

/// Instances and rollouts of a service. Where there are too many instances to tell them apart in so many steps, steps are
/// wider than asked for.
///
/// # Errors
/// As [`load_from`].
pub async fn load(query: &Query, asked: &Asked<'_>) -> Result<Rollouts, LoadError> {
    let mut coarser = 0;
    loop {
        let range = range_of(asked.range.from(), asked.range.to(), coarser).unwrap_or(asked.range);
        match read(query, asked, range).await {
            Err(LoadError::TooManyCells(_)) if coarser < COARSER_MAX => coarser += 1,
            answer => return answer,
        }
    }
}

async fn read(query: &Query, asked: &Asked<'_>, range: Range) -> Result<Rollouts, LoadError> {
    let picture = load_from(query, question(range, asked.source), Frame::nodes(Some(asked.service))).await?;
    // Where nothing finer is kept the range was widened: both are to be of the same steps.
    let parts =
        load_parts(query, losses_question(picture.range, asked.source), losses_wanted(asked.service)).await?;
    Ok(rollouts(&picture, &parts, asked.service))
}

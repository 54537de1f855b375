//! Lines as people look through them: how many over time by level, which streams they are of, and the newest, page by page.
//!
//! One pass counts all lines that pass the query and learns how far back those of the page reach; another reads these with all
//! that is told of them. Facets are of the labels of streams, which every line of a stream has.

use std::collections::HashMap;

use meshlake_engine::{Engine, QueryError};
use meshlake_logql::pipeline::{Wanted, wanted};
use meshlake_logql::tree::log::{Log, Stage};
use meshlake_logql::{Entry, Pipeline};
use meshlake_promql::Labels;
use meshlake_schema::UnixNanos;
use meshlake_schema::budget::Holding;

use super::asking::{At, asked};
use super::error::LogsError;
use super::lines::{Direction, Found, LINES_MAX, Lines, found};
use super::reading::fold;
use super::rows::Needs;
use crate::explore::bars::Bars;
use crate::explore::cursor::Cursor;
use crate::explore::facets::{Facet, Tally};
use crate::explore::newest::Newest;

/// The bands of bars; lines of any other level, or of none, are of the first.
pub const LEVELS: [&str; 7] = ["unknown", "trace", "debug", "info", "warn", "error", "fatal"];

/// Labels of streams that make facets.
pub const FACETS: [&str; 7] =
    ["level", "service_name", "namespace", "pod", "container", "cluster", "deployment_environment_name"];

/// Bytes of a stream beside its texts, about.
const STREAM_BYTES: usize = 256;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Exploring {
    pub log: Log,
    /// Included.
    pub from: UnixNanos,
    /// Not included.
    pub to: UnixNanos,
    /// Where the page begins.
    pub cursor: Cursor,
    /// Lines of the page.
    pub lines_max: usize,
    /// Values of each facet.
    pub values_max: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Explored {
    /// All lines that pass, over time, by [`LEVELS`].
    pub bars: Bars<{ LEVELS.len() }>,
    /// Of all lines that pass, by [`FACETS`].
    pub facets: Vec<(&'static str, Facet)>,
    /// Newest first, with the place of each.
    pub lines: Vec<(Cursor, Found)>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// A page of lines, and what all lines of the range are like.
///
/// # Errors
/// Those of the query and of reading; a page that begins behind more than about [`LINES_MAX`] lines of one instant is
/// refused.
pub async fn explored(engine: &Engine, tenant: &str, question: Exploring) -> Result<Explored, LogsError> {
    asked(engine, tenant, move |at| explore(at, &question)).await
}

fn explore(at: &At, question: &Exploring) -> Result<Explored, LogsError> {
    // One more says whether there are others.
    let limit = question.cursor.skip + question.lines_max + 1;
    if limit > LINES_MAX {
        let text = "too many lines begin in the same nanosecond: narrow the search";
        return Err(QueryError::Refused(text.to_owned()).into());
    }
    let survey = survey(at, question, limit)?;
    let to = UnixNanos(question.cursor.time.0.saturating_add(1)).min(question.to);
    let lines = match survey.newest.oldest() {
        None => Vec::new(),
        Some(from) => {
            let log = question.log.clone();
            found(at, &Lines { log, from, to, limit, direction: Direction::Backward })?
        }
    };
    let skipped = lines.iter().take(question.cursor.skip);
    let skipped = skipped.take_while(|line| line.time == question.cursor.time).count();
    let has_more = lines.len() > skipped + question.lines_max;
    let shown: Vec<Found> = lines.into_iter().skip(skipped).take(question.lines_max).collect();
    let places = question.cursor.places(shown.iter().map(|line| line.time));
    let next = places.last().filter(|_| has_more).map(|place| place.next());
    Ok(Explored {
        facets: survey.facets(question.values_max),
        bars: survey.bars,
        lines: places.into_iter().zip(shown).collect(),
        next,
    })
}

/// What one thread has counted.
struct Survey<'b> {
    bars: Bars<{ LEVELS.len() }>,
    newest: Newest,
    /// The streams that were met: their bands and lines.
    streams: HashMap<Labels, (usize, u64)>,
    /// The stream of the line before, its band, and how many lines of it came one after the other.
    run: Option<(Labels, usize, u64)>,
    holding: Holding<'b>,
}

fn survey<'b>(at: &'b At, question: &Exploring, newest: usize) -> Result<Survey<'b>, LogsError> {
    let of_labels = |stage: &Stage| matches!(stage, Stage::Labels(_) | Stage::Drop(_) | Stage::Keep(_));
    let needs = Needs {
        pipeline: Pipeline::new(&question.log, at.now),
        lines: !question.log.stages.iter().all(of_labels),
        metadata: !matches!(wanted(&question.log), Wanted::Names(names) if names.is_empty()),
        times: (question.from, question.to),
    };
    let new = || Survey {
        bars: Bars::new(question.from, question.to),
        newest: Newest::new(newest, question.cursor.time),
        streams: HashMap::new(),
        run: None,
        holding: Holding::new(at.budget.as_ref()),
    };
    let mut whole = new();
    for (part, _) in fold(at, &needs, new, |survey, entry| survey.add(entry))? {
        whole.merge(part)?;
    }
    Ok(whole)
}

impl Survey<'_> {
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), LogsError> {
        let stream = entry.labels.stream();
        let band = match &mut self.run {
            Some((labels, band, lines)) if labels == stream => {
                *lines += 1;
                *band
            }
            _ => {
                self.end_run()?;
                let level = stream.get("level");
                let band = LEVELS.iter().position(|known| *known == level).unwrap_or_default();
                self.run = Some((stream.clone(), band, 1));
                band
            }
        };
        self.bars.add(entry.time, band);
        self.newest.offer(entry.time);
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), LogsError> {
        let Some((labels, band, lines)) = self.run.take() else { return Ok(()) };
        self.count(labels, band, lines)
    }

    fn count(&mut self, labels: Labels, band: usize, lines: u64) -> Result<(), LogsError> {
        if let Some((_, known)) = self.streams.get_mut(&labels) {
            *known += lines;
            return Ok(());
        }
        let texts: usize = labels.iter().map(|label| label.name.len() + label.value.len()).sum();
        self.holding.resize(self.holding.bytes() + texts + STREAM_BYTES)?;
        self.streams.insert(labels, (band, lines));
        Ok(())
    }

    fn merge(&mut self, mut other: Survey<'_>) -> Result<(), LogsError> {
        other.end_run()?;
        self.bars.merge(&other.bars);
        self.newest.merge(other.newest);
        other.streams.into_iter().try_for_each(|(labels, (band, lines))| self.count(labels, band, lines))
    }

    fn facets(&self, values_max: usize) -> Vec<(&'static str, Facet)> {
        let facet = |name: &'static str| {
            let mut tally = Tally::default();
            for (labels, (_, lines)) in &self.streams {
                let place = tally.place(labels.get(name));
                tally.add(place, *lines);
            }
            (name, tally.facet(values_max))
        };
        FACETS.into_iter().map(facet).collect()
    }
}

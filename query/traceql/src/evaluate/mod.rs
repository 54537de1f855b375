//! A pipeline over one trace: which spansets are left of it.
//!
//! A spanset is a list of places of spans, in the order of the trace's. Each stage makes new lists of the old ones, in time
//! linear in them but for sorting: structural operators too, however deep the trace is, and with many groups.

mod structure;
mod aggregate;
mod group;

use std::cell::Cell;

use meshlake_schema::Budget;

use crate::error::Error;
use crate::trace::Trace;
use crate::tree::{Pipeline, Spansets, Stage};
use crate::value::Value;

/// Spans of one trace that belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Spanset<'a> {
    /// Places of spans, ascending; never empty in an answer.
    pub spans: Vec<usize>,
    /// What `by()` parted it by, and numbers that it was compared by, as they are written: `by(name)`, `count()`.
    pub attributes: Vec<(String, Value<'a>)>,
}

/// What a pipeline leaves of a trace; nothing if the trace does not match.
///
/// # Errors
/// [`Error::Spent`] when the time is up.
pub fn evaluate<'a>(
    pipeline: &Pipeline,
    trace: &Trace<'a>,
    budget: &dyn Budget,
) -> Result<Vec<Spanset<'a>>, Error> {
    let evaluation = Evaluation { trace, budget, steps: Cell::new(0) };
    evaluation.pipeline(pipeline, (0..trace.count()).collect())
}

struct Evaluation<'e, 'a> {
    trace: &'e Trace<'a>,
    budget: &'e dyn Budget,
    steps: Cell<usize>,
}

type Selected = Result<Vec<usize>, Error>;

impl<'a> Evaluation<'_, 'a> {
    fn pipeline(&self, pipeline: &Pipeline, spans: Vec<usize>) -> Result<Vec<Spanset<'a>>, Error> {
        let mut spansets = vec![Spanset { spans, attributes: Vec::new() }];
        for stage in &pipeline.stages {
            spansets = match stage {
                Stage::Spansets(spansets_of) => self.selected(spansets_of, spansets)?,
                Stage::By(expr) => self.grouped(expr, spansets)?,
                Stage::Coalesce => vec![Spanset { spans: joined(spansets), attributes: Vec::new() }],
                Stage::Select(_) => spansets,
            };
            spansets.retain(|spanset| !spanset.spans.is_empty());
        }
        Ok(spansets)
    }

    fn selected(&self, by: &Spansets, spansets: Vec<Spanset<'a>>) -> Result<Vec<Spanset<'a>>, Error> {
        let mut selected = Vec::with_capacity(spansets.len());
        for mut spanset in spansets {
            spanset.spans = self.select(by, &spanset.spans, &mut spanset.attributes)?;
            selected.push(spanset);
        }
        Ok(selected)
    }

    /// The spans of `spans` that are selected.
    fn select(&self, by: &Spansets, spans: &[usize], told: &mut Vec<(String, Value<'a>)>) -> Selected {
        match by {
            Spansets::Filter(None) => Ok(spans.to_vec()),
            Spansets::Filter(Some(condition)) => {
                let mut selected = Vec::new();
                for at in spans {
                    self.step()?;
                    if self.trace.holds(condition, *at) {
                        selected.push(*at);
                    }
                }
                Ok(selected)
            }
            Spansets::Compare { comparison, left, right } => {
                let holds =
                    comparison.holds(&self.scalar(left, spans, told)?, &self.scalar(right, spans, told)?);
                Ok(if holds { spans.to_vec() } else { Vec::new() })
            }
            Spansets::Pipeline(pipeline) => Ok(joined(self.pipeline(pipeline, spans.to_vec())?)),
            Spansets::And(left, right) => {
                let left = self.select(left, spans, told)?;
                let right = if left.is_empty() { Vec::new() } else { self.select(right, spans, told)? };
                Ok(if right.is_empty() { right } else { union(&left, &right) })
            }
            Spansets::Or(left, right) => {
                Ok(union(&self.select(left, spans, told)?, &self.select(right, spans, told)?))
            }
            Spansets::Structure(structure, left, right) => {
                let right = self.select(right, spans, told)?;
                let left = if right.is_empty() { Vec::new() } else { self.select(left, spans, told)? };
                Ok(structure::related(self.trace, *structure, &left, &right))
            }
        }
    }

    /// To be called for every span that is looked at.
    fn step(&self) -> Result<(), Error> {
        /// Looking at a span takes some hundred nanoseconds, so that time is looked at about every millisecond.
        const STEPS_BETWEEN_CHECKS: usize = 4_096;
        self.steps.set(self.steps.get() + 1);
        if self.steps.get().is_multiple_of(STEPS_BETWEEN_CHECKS) {
            self.budget.check_time()?;
        }
        Ok(())
    }
}

/// The spans of several spansets, each once.
fn joined(spansets: Vec<Spanset<'_>>) -> Vec<usize> {
    let mut spans: Vec<usize> = spansets.into_iter().flat_map(|spanset| spanset.spans).collect();
    spans.sort_unstable();
    spans.dedup();
    spans
}

/// All of two ascending lists, each once.
fn union(left: &[usize], right: &[usize]) -> Vec<usize> {
    let mut all = Vec::with_capacity(left.len().max(right.len()));
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    while let Some(next) = left.peek().into_iter().chain(right.peek()).min().copied() {
        left.next_if_eq(&next);
        right.next_if_eq(&next);
        all.push(next);
    }
    all
}

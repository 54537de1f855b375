//! Series of some traces, which others can be added to.

use std::collections::HashMap;

use meshlake_schema::Budget;
use meshlake_schema::budget::Holding;

use super::cells::Cells;
use super::compared::Compared;
use super::lines::{Exemplar, Line, finished, thinned};
use super::steps::Steps;
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::trace::Trace;
use crate::tree::{Function, OverTime, Query, Series, Type};
use crate::value::{Key, Value};

/// Exemplars of an answer that asks for them without saying how many: Tempo's default.
const EXEMPLARS: usize = 100;

/// Series of one function over time, before those of other functions are beside them. Grafana draws some hundreds; each
/// costs its steps.
const SERIES_MAX: usize = 10_000;

/// Bytes of a series beside its cells: guess, not measured.
const SERIES_BYTES: usize = 256;

const NANOS_PER_SECOND: f64 = 1e9;

/// What the traces that were added come to.
#[derive(Debug)]
pub struct Partial<'q> {
    series: &'q Series,
    steps: Steps,
    /// Of each function over time, in the order written.
    parts: Vec<Part<'q>>,
    exemplars_max: usize,
    budget: &'q dyn Budget,
    holding: Holding<'q>,
}

#[derive(Debug)]
struct Part<'q> {
    over_time: &'q OverTime,
    kept: Vec<Kept>,
    /// Where the series of a key is kept.
    places: HashMap<Vec<Key<'static>>, usize>,
    /// The series of the span before, which is mostly this one's too: files are sorted by service and name.
    last: usize,
    compared: Compared,
}

/// One series.
#[derive(Debug)]
struct Kept {
    key: Vec<Key<'static>>,
    cells: Cells,
    /// The span with the greatest value of each step; empty if they are not asked for.
    exemplars: Vec<Option<Exemplar>>,
}

impl<'q> Partial<'q> {
    /// Of no traces; none if the query asks for spans.
    pub fn new(query: &'q Query, steps: Steps, budget: &'q dyn Budget) -> Option<Partial<'q>> {
        let crate::tree::Body::Series(series) = &query.body else { return None };
        let exemplars_max = match query.hint("exemplars") {
            Some(Value::Boolean(true)) => EXEMPLARS,
            Some(Value::Integer(most)) => usize::try_from(*most).unwrap_or_default(),
            _ => 0,
        };
        let part = |over_time| Part {
            over_time,
            kept: Vec::new(),
            places: HashMap::new(),
            last: 0,
            compared: Compared::default(),
        };
        let parts = series.over_time().into_iter().map(part).collect();
        Some(Partial { series, steps, parts, exemplars_max, budget, holding: Holding::new(budget) })
    }

    /// Adds a trace, which must not have been added before; or rows of many ([`Trace::of_rows`]) where the query counts
    /// each span whatever the others are.
    ///
    /// # Errors
    /// [`Error::Spent`] and [`Error::TooManySeries`]; what was added is of no use then.
    pub fn add(&mut self, trace: &Trace<'_>) -> Result<(), Error> {
        for part in &mut self.parts {
            for spanset in evaluate(&part.over_time.spans, trace, self.budget)? {
                for at in spanset.spans {
                    let Some(step) = self.steps.place(trace.span(at).start_nano) else { continue };
                    let bytes = part.add(trace, at, step, self.steps.count(), self.exemplars_max > 0)?;
                    if bytes > 0 {
                        self.holding.resize(self.holding.bytes() + bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds what other traces came to, for the same query and steps.
    ///
    /// # Errors
    /// As [`Partial::add`].
    ///
    /// # Panics
    /// If the other is of another query or other steps: a bug of whoever has them.
    pub fn merge(&mut self, other: Partial<'_>) -> Result<(), Error> {
        assert!(*self.series == *other.series && self.steps == other.steps, "parts of one question");
        let Partial { parts, holding, .. } = other;
        for (own, other) in self.parts.iter_mut().zip(parts) {
            let bytes = own.merge(other)?;
            self.holding.resize(self.holding.bytes() + bytes)?;
        }
        drop(holding);
        Ok(())
    }

    /// The series, sorted by their labels.
    pub fn finish(self) -> Vec<Line> {
        let steps = self.steps;
        let mut over_time = self.parts.into_iter().map(|part| part.lines(&steps));
        let mut lines = finished(self.series, &mut over_time);
        thinned(&mut lines, self.exemplars_max);
        lines
    }
}

impl Part<'_> {
    /// Counts or measures a span; gives bytes that this takes more.
    fn add(
        &mut self,
        trace: &Trace<'_>,
        at: usize,
        step: usize,
        steps: usize,
        with_exemplars: bool,
    ) -> Result<usize, Error> {
        let function = &self.over_time.function;
        if let Function::Compare { selection, within, .. } = function {
            let start = trace.span(at).start_nano;
            let is_within = within.is_none_or(|(from, to)| (from..to).contains(&start));
            let is_selected = is_within && selection.as_ref().is_none_or(|expr| trace.holds(expr, at));
            return Ok(self.compared.add(trace, at, is_selected, step, steps));
        }
        let measured = function.measured().map_or(Value::Nil, |expr| trace.value(expr, at));
        if function.measured().is_some() && measured.number().is_none() {
            return Ok(0);
        }
        let by = &self.over_time.by;
        let is_same =
            |kept: &Kept| by.iter().zip(&kept.key).all(|(field, key)| Key(trace.field(field, at)) == *key);
        let mut bytes = 0;
        if !self.kept.get(self.last).is_some_and(is_same) {
            let key = by.iter().map(|field| Key(trace.field(field, at).into_owned())).collect();
            bytes += self.turn_to(key, steps, with_exemplars)?;
        }
        let kept = &mut self.kept[self.last];
        bytes += kept.cells.add(step, &measured);
        if with_exemplars {
            let value = self.over_time.exemplar_value(trace, at, &measured);
            kept.show(step, || exemplar(trace, at, value), value);
        }
        Ok(bytes)
    }

    /// Makes the series of a key the last one; gives bytes that this takes more.
    fn turn_to(
        &mut self,
        key: Vec<Key<'static>>,
        steps: usize,
        with_exemplars: bool,
    ) -> Result<usize, Error> {
        if let Some(place) = self.places.get(&key) {
            self.last = *place;
            return Ok(0);
        }
        let cells = Cells::new(&self.over_time.function, steps);
        let exemplars = vec![None; if with_exemplars { steps } else { 0 }];
        self.keep(Kept { key, cells, exemplars })
    }

    /// Keeps a series that is new; gives its bytes.
    fn keep(&mut self, kept: Kept) -> Result<usize, Error> {
        if self.kept.len() >= SERIES_MAX {
            return Err(Error::TooManySeries(SERIES_MAX));
        }
        self.last = self.kept.len();
        self.places.insert(kept.key.clone(), self.last);
        let bytes = kept.bytes();
        self.kept.push(kept);
        Ok(bytes)
    }

    fn merge(&mut self, other: Part<'_>) -> Result<usize, Error> {
        let mut bytes = self.compared.merge(other.compared);
        for others in other.kept {
            let Some(place) = self.places.get(&others.key) else {
                bytes += self.keep(others)?;
                continue;
            };
            let own = &mut self.kept[*place];
            let before = own.bytes();
            own.cells.merge(&others.cells);
            bytes += own.bytes() - before;
            for (step, exemplar) in others.exemplars.into_iter().enumerate() {
                if let Some(exemplar) = exemplar {
                    let value = exemplar.value;
                    own.show(step, || exemplar, value);
                }
            }
        }
        Ok(bytes)
    }

    fn lines(self, steps: &Steps) -> Vec<Line> {
        let function = &self.over_time.function;
        if let Function::Compare { values_max, .. } = function {
            return self.compared.lines(*values_max);
        }
        let unit = self.over_time.unit();
        let of_series = |kept: Kept| {
            let names = self.over_time.by.iter().map(ToString::to_string);
            let labels: Vec<_> = names.zip(kept.key.into_iter().map(|key| key.0)).collect();
            let exemplars: Vec<Exemplar> = kept.exemplars.into_iter().flatten().collect();
            kept.cells.lines(function, &labels, &exemplars, steps, unit)
        };
        self.kept.into_iter().flat_map(of_series).collect()
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        SERIES_BYTES + self.cells.bytes() + self.exemplars.len() * size_of::<Option<Exemplar>>()
    }

    /// Keeps an exemplar if its value is the greatest of its step, of equal ones that of the first ids.
    fn show(&mut self, step: usize, exemplar: impl FnOnce() -> Exemplar, value: f64) {
        let held = &mut self.exemplars[step];
        if held.as_ref().is_some_and(|held| held.value > value) {
            return;
        }
        let exemplar = exemplar();
        let ids = |exemplar: &Exemplar| (exemplar.trace_id.clone(), exemplar.span_id.clone());
        let is_better = held.as_ref().is_none_or(|held| held.value < value || ids(&exemplar) < ids(held));
        if is_better {
            *held = Some(exemplar);
        }
    }
}

fn exemplar(trace: &Trace<'_>, at: usize, value: f64) -> Exemplar {
    let span = trace.span(at);
    Exemplar {
        trace_id: trace.trace_id(at).to_owned(),
        span_id: span.id.to_owned(),
        time_nano: span.start_nano,
        value,
    }
}

impl OverTime {
    /// What a measured number is divided by: durations are told in seconds.
    fn unit(&self) -> f64 {
        let is_duration = self.function.measured().is_some_and(|expr| expr.kind() == Type::Duration);
        if is_duration { NANOS_PER_SECOND } else { 1.0 }
    }

    fn exemplar_value(&self, trace: &Trace<'_>, at: usize, measured: &Value<'_>) -> f64 {
        match measured.number() {
            Some(number) => number / self.unit(),
            None => trace.span(at).duration_nano as f64 / NANOS_PER_SECOND,
        }
    }
}

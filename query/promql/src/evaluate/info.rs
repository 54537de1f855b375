//! `info`: labels that other metrics know of the same instance.
//!
//! An info metric says by its labels what a target is, as `target_info` does. Series get its data labels, those that
//! are asked for, if job and instance agree. Where a target has had several, the one with the latest sample counts.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/functions/#info>.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Columns, Evaluator};
use crate::error::Error;
use crate::labels::{Labels, METADATA, METRIC_NAME};
use crate::matcher::{Comparison, Matcher};
use crate::plan::{Plan, Select, Work};
use crate::series::{Grid, Point, Series};

/// The labels that say whose information it is.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
/// The info metric that is meant if none is named.
const DEFAULT_METRIC: &str = "target_info";

/// Whom a series is of.
type Identity = [String; 2];

/// What is asked of info metrics.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Wanted {
    fn of(argument: Option<&Plan>) -> Result<Wanted, Error> {
        let matchers = match argument.map(|argument| &argument.work) {
            Some(Work::Select(select)) => select.matchers.as_slice(),
            _ => &[],
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|matcher| matcher.name == METRIC_NAME);
        let is_positive =
            |matcher: &Matcher| matches!(matcher.comparison, Comparison::Equal | Comparison::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if !names.iter().any(is_positive) {
            names.push(Matcher::new(METRIC_NAME, Comparison::Regex, ".+_info").map_err(Error::Execution)?);
        }
        Ok(Wanted { names, data })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }

    /// Whether a label of an info metric is asked for.
    fn takes(&self, name: &str) -> bool {
        !METADATA.contains(&name)
            && (self.data.is_empty() || self.data.iter().any(|matcher| matcher.name == name))
    }

    /// Whether a series without any information answers the matchers too.
    fn allows_none(&self) -> bool {
        self.data.iter().all(|matcher| matcher.matches(""))
    }
}

impl Evaluator<'_> {
    pub(super) fn info(&self, arguments: &[Plan], grid: Grid) -> Columns<'_> {
        let wanted = Wanted::of(arguments.get(1))?;
        let (columns, held) = self.columns(&arguments[0], grid)?;
        let known = self.known(&columns, &wanted, &arguments[0], grid)?;
        let mut results = Vec::new();
        let mut held_results = self.meter.hold(0)?;
        for column in columns {
            self.meter.check_time()?;
            if wanted.is_info(&column.labels) {
                results.push(column);
                continue;
            }
            held_results.grow(grid.count)?;
            results.extend(enriched(&column, &known, &wanted, grid.count)?);
        }
        drop(held);
        Ok((self.finished(results)?, held_results))
    }

    /// The info series of all instances, by whom they are of; their values are the times of their samples.
    fn known(
        &self,
        columns: &[Series],
        wanted: &Wanted,
        operand: &Plan,
        grid: Grid,
    ) -> Result<HashMap<Identity, Vec<Series>>, Error> {
        let (at, offset) = shared_reference(operand).unwrap_or((None, 0));
        // By which of the two labels are there, values of each.
        let mut present: BTreeMap<[bool; 2], [BTreeSet<&str>; 2]> = BTreeMap::new();
        for column in columns.iter().filter(|column| !wanted.is_info(&column.labels)) {
            let values = IDENTIFYING.map(|name| column.labels.get(name));
            let group = present.entry(values.map(|value| !value.is_empty())).or_default();
            group.iter_mut().zip(values).for_each(|(group, value)| {
                group.insert(value);
            });
        }
        present.remove(&[false; 2]);
        let mut known: HashMap<Identity, Vec<Series>> = HashMap::new();
        for values in present.values() {
            let mut matchers: Vec<Matcher> = wanted.names.iter().chain(&wanted.data).cloned().collect();
            for (name, values) in IDENTIFYING.iter().zip(values) {
                let escaped: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
                let matcher = Matcher::new(*name, Comparison::Regex, escaped.join("|"));
                matchers.push(matcher.map_err(Error::Execution)?);
            }
            let select = Select { matchers, offset, at, edges: None };
            let (series, _held) = self.latest(&select, grid, |latest, _| match latest.point {
                Point::Histogram(_) => latest.point,
                _ => Point::Float(latest.time as f64),
            })?;
            if let Some(other) = series.iter().find(|series| series.points.iter().any(Point::is_histogram)) {
                let text = format!("this should be an info metric, with float samples: {}", other.labels);
                return Err(Error::execution(text));
            }
            for info in series {
                known.entry(identity(&info.labels)).or_default().push(info);
            }
        }
        Ok(known)
    }
}

fn identity(labels: &Labels) -> Identity {
    IDENTIFYING.map(|name| labels.get(name).to_owned())
}

/// A series with what is known of its instance, which may change from step to step.
fn enriched(
    column: &Series,
    known: &HashMap<Identity, Vec<Series>>,
    wanted: &Wanted,
    count: usize,
) -> Result<Vec<Series>, Error> {
    let infos = known.get(&identity(&column.labels)).map(Vec::as_slice).unwrap_or_default();
    let mut results: Vec<Series> = Vec::new();
    for step in (0..count).filter(|step| !column.points[*step].is_none()) {
        let latest = latest_of_each_name(infos, step)?;
        if latest.is_empty() && !wanted.allows_none() {
            continue;
        }
        let labels = with_data(&column.labels, &latest, wanted)?;
        let place = results.iter().position(|result| result.labels == labels).unwrap_or_else(|| {
            let points = vec![Point::None; count];
            results.push(Series { labels, drops_name: column.drops_name, points });
            results.len() - 1
        });
        results[place].points[step] = column.points[step].clone();
    }
    Ok(results)
}

fn latest_of_each_name(infos: &[Series], step: usize) -> Result<Vec<&Labels>, Error> {
    let mut latest: BTreeMap<&str, (f64, &Labels)> = BTreeMap::new();
    for info in infos {
        let Some(time) = info.points[step].float() else { continue };
        let name = info.labels.metric_name();
        match latest.get(name) {
            Some((other, labels)) if *other == time => {
                return Err(Error::execution(format!(
                    "found duplicate series for info metric: existing {labels} @ {other}, new {} @ {time}",
                    info.labels
                )));
            }
            Some((other, _)) if *other > time => {}
            _ => {
                latest.insert(name, (time, &info.labels));
            }
        }
    }
    Ok(latest.into_values().map(|(_, labels)| labels).collect())
}

fn with_data(labels: &Labels, infos: &[&Labels], wanted: &Wanted) -> Result<Labels, Error> {
    let mut data: BTreeMap<&str, &str> = BTreeMap::new();
    for label in infos.iter().flat_map(|info| info.iter()).filter(|label| wanted.takes(&label.name)) {
        if !labels.get(&label.name).is_empty() {
            continue;
        }
        if data.insert(&label.name, &label.value).is_some_and(|before| before != &*label.value) {
            return Err(Error::execution(format!("conflicting label: {}", label.name)));
        }
    }
    Ok(labels.with_all(data))
}

/// The instant that all selectors of an operand look at, as `@` and offset; none if they differ, or if a part of it
/// hangs on no selector.
fn shared_reference(plan: &Plan) -> Option<(Option<i64>, i64)> {
    let mut references = Vec::new();
    let is_whole = collect_references(plan, &[], &mut references);
    let first = *references.first()?;
    let same = |other: &(Option<i64>, i64)| match (first.0, other.0) {
        (Some(a), Some(b)) => a - first.1 == b - other.1,
        (None, None) => first.1 == other.1,
        _ => false,
    };
    (is_whole && references.iter().all(same)).then_some(first)
}

/// Adds the references of all selectors, shifted by the subqueries around them; false if a vector has none.
fn collect_references(
    plan: &Plan,
    around: &[(Option<i64>, i64)],
    references: &mut Vec<(Option<i64>, i64)>,
) -> bool {
    let mut shifted = |select: &Select| {
        let mut reference = (select.at, select.offset);
        for (at, offset) in around.iter().rev() {
            if reference.0.is_none() {
                reference = (*at, reference.1 + offset);
            }
        }
        references.push(reference);
        true
    };
    let operands: Vec<&Plan> = match &plan.work {
        Work::Number(_) | Work::Text(_) => return true,
        Work::Select(select) | Work::Window(select, _) => return shifted(select),
        Work::Subquery(subquery) => {
            let mut around = around.to_vec();
            around.push((subquery.at, subquery.offset));
            return collect_references(&subquery.operand, &around, references);
        }
        Work::Call(function, arguments) if function.name == "info" => vec![&arguments[0]],
        Work::Call(_, arguments) => arguments.iter().collect(),
        Work::Aggregate(aggregate) => vec![&aggregate.operand],
        Work::Binary(pair) => vec![&pair.left, &pair.right],
        Work::Signed(_, operand) => vec![operand],
    };
    let is_vector = |plan: &&&Plan| !matches!(plan.kind, crate::tree::Kind::Scalar | crate::tree::Kind::Text);
    let vectors: Vec<&&Plan> = operands.iter().filter(is_vector).collect();
    // A vector made of scalars is of the time of evaluation.
    let mut is_whole = !vectors.is_empty();
    for operand in vectors {
        is_whole &= collect_references(operand, around, references);
    }
    is_whole
}

//! Numbers of lines over time.

use std::collections::BTreeSet;

use meshlake_engine::Engine;
use meshlake_logql::metrics::Line;
use meshlake_logql::pipeline::{Wanted, wanted};
use meshlake_logql::tree::log::Condition;
use meshlake_logql::tree::metric::{Function, Grouping, Metric, OverTime};
use meshlake_logql::{Answer, Partial, Pipeline, Steps};
use meshlake_schema::UnixNanos;

use super::asking::{At, asked};
use super::error::LogsError;
use super::reading::fold;
use super::rows::Needs;
use super::streams::{Stream, Streams};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub metric: Metric,
    pub steps: Steps,
}

/// The value at all instants.
///
/// # Errors
/// Those of the query and of reading.
pub async fn numbers(engine: &Engine, tenant: &str, question: Numbers) -> Result<Answer, LogsError> {
    asked(engine, tenant, move |at| {
        let found = question.metric.over_time().into_iter();
        let series = found.map(|(over_time, grouping)| series(at, over_time, grouping, question.steps));
        let series = series.collect::<Result<Vec<_>, _>>()?;
        Ok(meshlake_logql::evaluate(&question.metric, series, question.steps, at.budget.as_ref())?)
    })
    .await
}

/// The series of one range aggregation.
fn series(
    at: &At,
    over_time: &OverTime,
    grouping: Option<&Grouping>,
    steps: Steps,
) -> Result<Vec<Line>, LogsError> {
    let names = names(over_time, grouping);
    if let Wanted::Names(names) = &names
        && names.iter().all(|name| OF_STREAMS.contains(name))
        && let Some(series) = of_streams(at, over_time, grouping, steps, names)?
    {
        return Ok(series);
    }
    let metadata = names != Wanted::Names(BTreeSet::new());
    Ok(folded(at, over_time, grouping, steps, metadata)?.0.finish())
}

/// The series if streams alone tell the labels that count; none if a stream lacks one of them, as what is stored beside its
/// lines may have it.
fn of_streams(
    at: &At,
    over_time: &OverTime,
    grouping: Option<&Grouping>,
    steps: Steps,
    names: &BTreeSet<&str>,
) -> Result<Option<Vec<Line>>, LogsError> {
    let (whole, streams) = match folded(at, over_time, grouping, steps, false) {
        // A label that is not looked at may be what a line lacks.
        Err(LogsError::Query(_)) => return Ok(None),
        found => found?,
    };
    let has_all = |stream: &&Stream| names.iter().all(|name| !stream.labels.get(name).is_empty());
    let mut asked = streams.iter().flat_map(Streams::found).filter(|stream| stream.is_asked);
    Ok(asked.all(|stream| has_all(&stream)).then(|| whole.finish()))
}

/// All lines added, and the streams that were met.
fn folded<'a>(
    at: &'a At,
    over_time: &'a OverTime,
    grouping: Option<&'a Grouping>,
    steps: Steps,
    metadata: bool,
) -> Result<(Partial<'a>, Vec<Streams>), LogsError> {
    let new = || Partial::new(over_time, grouping, steps, at.budget.as_ref());
    let mut whole = new();
    let (after, until) = whole.covered();
    let needs = Needs {
        pipeline: Pipeline::new(&over_time.log, at.now),
        lines: looks_at_lines(over_time),
        metadata,
        times: (UnixNanos(after.saturating_add(1)), UnixNanos(until.saturating_add(1))),
    };
    let mut met = Vec::new();
    for (part, streams) in fold(at, &needs, new, |part, entry| Ok(part.add(entry)?))? {
        whole.merge(&part)?;
        met.push(streams);
    }
    Ok((whole, met))
}

fn looks_at_lines(over_time: &OverTime) -> bool {
    use meshlake_logql::tree::log::Stage;
    let of_labels = |stage: &Stage| matches!(stage, Stage::Labels(_) | Stage::Drop(_) | Stage::Keep(_));
    let is_of_bytes = matches!(over_time.function, Function::BytesRate | Function::BytesOverTime);
    is_of_bytes || !over_time.log.stages.iter().all(of_labels)
}

/// Labels that streams mostly have.
const OF_STREAMS: [&str; 10] =
    ["service_name", "namespace", "app", "pod", "container", "cluster", "job", "level", "source", "observer"];

/// Which labels besides those that selectors look at can change the series.
fn names<'q>(over_time: &'q OverTime, grouping: Option<&'q Grouping>) -> Wanted<'q> {
    let Wanted::Names(mut names) = wanted(&over_time.log) else { return Wanted::All };
    if let Some(unwrap) = &over_time.unwrap {
        names.insert(&unwrap.label);
        unwrap.filters.iter().for_each(|condition| of_condition(condition, &mut names));
    }
    match grouping {
        _ if over_time.function == Function::AbsentOverTime => {}
        Some(grouping) if !grouping.is_without => names.extend(grouping.labels.iter().map(String::as_str)),
        _ => return Wanted::All,
    }
    Wanted::Names(names)
}

fn of_condition<'q>(condition: &'q Condition, names: &mut BTreeSet<&'q str>) {
    match condition {
        Condition::And(left, right) | Condition::Or(left, right) => {
            of_condition(left, names);
            of_condition(right, names);
        }
        Condition::Text(matcher) => drop(names.insert(&matcher.name)),
        Condition::Quantity { label, .. } | Condition::Addresses { label, .. } => drop(names.insert(label)),
    }
}

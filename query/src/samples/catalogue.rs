//! Names and labels of series, without their samples.

use std::collections::BTreeSet;

use meshlake_engine::Part;
use meshlake_promql::{Error, Labels, METRIC_NAME, value_text};
use meshlake_schema::attributes::resource_value;
use meshlake_schema::budget::Holding;
use meshlake_schema::{Table, TimeRange};

use super::Stored;
use super::asked::Asked;
use super::known::Marks;
use super::names::{self, Names, TABLES};
use super::naming::unit;
use super::range;
use super::reading::{Found as FoundStem, stems};
use super::stems::{Shape, Stem};
use super::target_info;
use crate::series::{Found, Metadata, Wanted};

/// The types of Prometheus's, under which it knows metrics.
const TYPES: [&str; 8] =
    ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"];

/// Label sets of series that match, the first by their labels.
///
/// # Errors
/// As [`super::select::select`], and so of all here.
pub async fn series(stored: &Stored, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
    let mut series = BTreeSet::new();
    let is_cut = each_series(stored, wanted, |one| {
        series.insert(one.labels());
        drops_last(&mut series, wanted.limit)
    })
    .await?;
    Ok(Found { found: series.into_iter().collect(), is_cut })
}

/// Names of their labels.
pub async fn label_names(stored: &Stored, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
    let mut names = BTreeSet::new();
    let is_cut = each_series(stored, wanted, |one| {
        one.each_label(|name, _| {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        });
        drops_last(&mut names, wanted.limit)
    })
    .await?;
    Ok(Found { found: names, is_cut })
}

/// Values of one of their labels.
pub async fn label_values(
    stored: &Stored,
    label: &str,
    wanted: &Wanted<'_>,
) -> Result<Found<BTreeSet<String>>, Error> {
    let mut values = BTreeSet::new();
    let is_cut = each_series(stored, wanted, |one| {
        one.each_label(|name, value| {
            if name == label && !values.contains(value) {
                values.insert(value.to_owned());
            }
        });
        drops_last(&mut values, wanted.limit)
    })
    .await?;
    Ok(Found { found: values, is_cut })
}

/// What senders told of metrics, each once.
pub async fn metadata(stored: &Stored, metric: Option<&str>) -> Result<Vec<Metadata>, Error> {
    let query = &stored.query;
    let mut all = BTreeSet::new();
    for table in TABLES {
        let more = ["metric_description", "metric_metadata"];
        names::each_name(query, table, (TimeRange::ALL, Part::Whole), &more, |names, row| {
            let Some((family, shape)) = names.family(row) else { return };
            if metric.is_some_and(|metric| metric != family) {
                return;
            }
            let told = names.unit.get(row).unwrap_or_default();
            let unit = if names.is_remote_written(row) { told.to_owned() } else { unit::name(told) };
            let help = names.description.get(row).unwrap_or_default().to_owned();
            all.insert(Metadata { metric: family, kind: kind(table, shape, names, row), help, unit });
        })
        .await?;
    }
    let is_target = metric.is_none_or(|metric| metric == target_info::NAME);
    if is_target && !target_info::labels(query, &Asked::of(&[]), TimeRange::ALL).await?.is_empty() {
        let (metric, help) = (target_info::NAME.to_owned(), target_info::HELP.to_owned());
        all.insert(Metadata { metric, kind: "gauge", help, unit: String::new() });
    }
    Ok(all.into_iter().collect())
}

/// The type of a metric: what its sender said in Prometheus's words, else what its shape says.
fn kind(table: Table, shape: Shape, names: &Names<'_>, row: usize) -> &'static str {
    let told = names.metadata.get(row).and_then(|told| resource_value(told, "prometheus.type"));
    let told = told.and_then(|told| TYPES.into_iter().find(|known| *known == told));
    let of_shape = || match (shape, names.metric_type.get(row), names.is_monotonic.get(row)) {
        (Shape::Summary, ..) => "summary",
        (Shape::Classic | Shape::Native, ..) => "histogram",
        (Shape::Number, Some("sum"), Some(true)) => "counter",
        (Shape::Number, Some("sum" | "gauge"), _) if table == Table::MetricPoints => "gauge",
        (Shape::Number, ..) => "unknown",
    };
    told.unwrap_or_else(of_shape)
}

/// One series, before its labels are made.
enum One<'a> {
    OfStem { stem: &'a Stem, ending: &'static str, more: Option<(&'static str, &'a str)> },
    Target(&'a Labels),
}

impl One<'_> {
    fn labels(&self) -> Labels {
        match self {
            One::OfStem { stem, ending, more } => stem.labels(ending, *more),
            One::Target(labels) => (*labels).clone(),
        }
    }

    fn each_label(&self, mut told: impl FnMut(&str, &str)) {
        match self {
            One::OfStem { stem, ending, more } => {
                told(METRIC_NAME, &format!("{}{ending}", stem.family));
                let own = stem.labels.iter().map(|(name, value)| (&**name, &**value));
                let own = own.filter(|(name, _)| more.is_none_or(|(label, _)| label != *name));
                own.chain(*more).for_each(|(name, value)| told(name, value));
            }
            One::Target(labels) => labels.iter().for_each(|label| told(&label.name, &label.value)),
        }
    }
}

/// Calls `told` with every series that matches, with some several times. It says whether something was left out, and so does the
/// answer.
async fn each_series(
    stored: &Stored,
    wanted: &Wanted<'_>,
    mut told: impl FnMut(&One<'_>) -> bool,
) -> Result<bool, Error> {
    let query = &stored.query;
    let budget = query.budget();
    let mut held = Holding::new(&*budget);
    let asked = Asked::of(wanted.matchers);
    let range = range::from(wanted.from, wanted.to);
    let found = stems(stored, &asked, range, &mut held).await?;
    let mut is_cut = false;
    for FoundStem { stem, marks, .. } in &found.found {
        budget.check_time()?;
        each_of_stem(stem.shape, marks.as_deref(), |ending, more| {
            if asked.has_series(stem, ending, more) {
                is_cut |= told(&One::OfStem { stem, ending, more });
            }
        });
    }
    for labels in target_info::labels(query, &asked, range).await? {
        is_cut |= told(&One::Target(&labels));
    }
    Ok(is_cut)
}

/// The series of a stem: their endings, and the labels that tell them apart.
fn each_of_stem(
    shape: Shape,
    marks: Option<&Marks>,
    mut told: impl FnMut(&'static str, Option<(&'static str, &str)>),
) {
    let Some(marks) = marks else { return told("", None) };
    let (label, ending, infinite) = match shape {
        Shape::Classic => ("le", "_bucket", Some("+Inf")),
        _ => ("quantile", "", None),
    };
    let own = marks.lists.iter().flatten().filter(|mark| infinite.is_none() || **mark != f64::INFINITY);
    own.for_each(|mark| told(ending, Some((label, &value_text(*mark)))));
    infinite.into_iter().for_each(|infinite| told(ending, Some((label, infinite))));
    told("_count", None);
    if marks.has_sum {
        told("_sum", None);
    }
}

/// Keeps the first so many; whether there was one more.
fn drops_last<T: Ord>(all: &mut BTreeSet<T>, limit: usize) -> bool {
    let is_over = all.len() > limit;
    while all.len() > limit {
        all.pop_last();
    }
    is_over
}

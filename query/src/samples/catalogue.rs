//! Names and labels of series, without their samples.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};

use meshlake_engine::Part;
use meshlake_promql::{Error, Labels, METRIC_NAME};
use meshlake_schema::attributes::resource_value;
use meshlake_schema::budget::Holding;
use meshlake_schema::{Table, TimeRange};

use super::Stored;
use super::asked::Asked;
use super::known::Index;
use super::names::{self, Names, TABLES};
use super::naming::unit;
use super::range;
use super::reading::read;
use super::stems::Shape;
use super::survey::Survey;
use super::target_info;
use crate::series::{Found, Metadata, Wanted};

/// The types of Prometheus's, under which it knows metrics.
const TYPES: [&str; 8] =
    ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"];

/// Label sets of series that match; of more than are wanted any.
///
/// # Errors
/// As [`super::select::select`], and so of all here.
pub async fn series(stored: &Stored, wanted: &Wanted<'_>) -> Result<Found<Vec<Labels>>, Error> {
    let mut series = BTreeSet::new();
    let targets = survey(stored, wanted, |survey, index| {
        survey.each(index, |entry, asked| {
            let stem = index.stem(entry.stem);
            for (ending, more) in asked {
                let more = more.as_ref().map(|(label, value)| (*label, value.as_str()));
                series.insert(stem.labels(ending, more));
            }
            series.len() <= wanted.limit
        })
    })
    .await?;
    series.extend(targets);
    Ok(found(series, wanted))
}

/// Names of their labels.
pub async fn label_names(stored: &Stored, wanted: &Wanted<'_>) -> Result<Found<BTreeSet<String>>, Error> {
    let mut names = BTreeSet::new();
    let targets = survey(stored, wanted, |survey, index| {
        let pairs = vec![Cell::new(false); index.pair_count()];
        let has_any = Cell::new(false);
        let whole = |_, of_class: &[u32]| {
            has_any.set(true);
            of_class.iter().for_each(|pair| pairs[*pair as usize].set(true));
            true
        };
        survey.each_but(index, whole, |entry, asked| {
            has_any.set(true);
            index.labels_of(entry.stem).iter().for_each(|pair| pairs[*pair as usize].set(true));
            let more = asked.iter().filter_map(|(_, more)| more.as_ref());
            more.for_each(|(label, _)| add(&mut names, label));
            true
        })?;
        names.extend(has_any.get().then(|| METRIC_NAME.to_owned()));
        each_true(&pairs, |pair| add(&mut names, index.pair(pair).0));
        Ok(())
    })
    .await?;
    targets.iter().flat_map(Labels::iter).for_each(|label| add(&mut names, &label.name));
    Ok(found(names, wanted))
}

/// Values of one of their labels.
pub async fn label_values(
    stored: &Stored,
    label: &str,
    wanted: &Wanted<'_>,
) -> Result<Found<BTreeSet<String>>, Error> {
    let mut values = BTreeSet::new();
    let targets = survey(stored, wanted, |survey, index| {
        let pairs = vec![Cell::new(false); index.pair_count()];
        let names = RefCell::new(HashSet::new());
        let whole = |class, of_class: &[u32]| {
            names.borrow_mut().insert((class, ""));
            of_class.iter().for_each(|pair| pairs[*pair as usize].set(true));
            true
        };
        survey.each_but(index, whole, |entry, asked| {
            // A label that tells series apart stands for one of the stem's own.
            if asked.iter().any(|(_, more)| more.as_ref().is_none_or(|(own, _)| *own != label)) {
                index.labels_of(entry.stem).iter().for_each(|pair| pairs[*pair as usize].set(true));
            }
            for (ending, more) in asked {
                names.borrow_mut().insert((index.class_of(entry.stem), *ending));
                if let Some((_, value)) = more.as_ref().filter(|(own, _)| *own == label) {
                    add(&mut values, value);
                }
            }
            true
        })?;
        if label == METRIC_NAME {
            let name = |(class, ending)| format!("{}{ending}", index.family(class));
            values.extend(names.into_inner().into_iter().map(name));
        }
        each_true(&pairs, |pair| {
            let (name, value) = index.pair(pair);
            if **name == *label {
                add(&mut values, value);
            }
        });
        Ok(())
    })
    .await?;
    let of_targets = targets.iter().flat_map(Labels::iter).filter(|own| *own.name == *label);
    of_targets.for_each(|own| add(&mut values, &own.value));
    Ok(found(values, wanted))
}

fn add(all: &mut BTreeSet<String>, text: &str) {
    if !all.contains(text) {
        all.insert(text.to_owned());
    }
}

fn each_true(of: &[Cell<bool>], mut told: impl FnMut(u32)) {
    (0..).zip(of).filter(|(_, is_true)| is_true.get()).for_each(|(place, _)| told(place));
}

/// The first so many as are wanted.
fn found<C: FromIterator<T>, T: Ord>(mut all: BTreeSet<T>, wanted: &Wanted<'_>) -> Found<C> {
    let is_cut = all.len() > wanted.limit;
    while all.len() > wanted.limit {
        all.pop_last();
    }
    Found { found: all.into_iter().collect(), is_cut }
}

/// What senders told of metrics, each once.
pub async fn metadata(stored: &Stored, metric: Option<&str>) -> Result<Vec<Metadata>, Error> {
    let query = &stored.query;
    let mut all = BTreeSet::new();
    for table in TABLES {
        let told = names::told(query, table, TimeRange::ALL);
        let in_files = told.iter().map(|told| (told.table, Part::Files(&told.files)));
        for (told, part) in in_files.chain([(table, Part::Buffered)]) {
            let more = ["metric_description", "metric_metadata"];
            names::each_name(query, told, (TimeRange::ALL, part), &more, |names, row| {
                all.extend(
                    metadata_of(table, names, row).filter(|told| metric.is_none_or(|m| m == told.metric)),
                );
            })
            .await?;
        }
    }
    let is_target = metric.is_none_or(|metric| metric == target_info::NAME);
    if is_target && target_info::is_told(query).await? {
        let (metric, help) = (target_info::NAME.to_owned(), target_info::HELP.to_owned());
        all.insert(Metadata { metric, kind: "gauge", help, unit: String::new() });
    }
    Ok(all.into_iter().collect())
}

/// What a row tells of its metric; none of one that has no name in Prometheus.
fn metadata_of(table: Table, names: &Names<'_>, row: usize) -> Option<Metadata> {
    let (metric, shape) = names.family(row)?;
    let told = names.unit.get(row).unwrap_or_default();
    let unit = if names.is_remote_written(row) { told.to_owned() } else { unit::name(told) };
    let help = names.description.get(row).unwrap_or_default().to_owned();
    Some(Metadata { metric, kind: kind(table, shape, names, row), help, unit })
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

/// Asks the index for `stems`; the targets that match are the answer.
async fn survey(
    stored: &Stored,
    wanted: &Wanted<'_>,
    stems: impl FnOnce(&mut Survey<'_>, &Index) -> Result<(), Error>,
) -> Result<Vec<Labels>, Error> {
    let query = &stored.query;
    let budget = query.budget();
    let mut held = Holding::new(&*budget);
    let asked = Asked::of(wanted.matchers);
    let range = range::from(wanted.from, wanted.to);
    let read = read(stored, &asked, range, &mut held).await?;
    let mut targets = target_info::labels(query, &asked, range, &read.unlearnt).await?;
    if let Some(index) = read.generation.read().index(query.tenant()) {
        stems(&mut Survey::new(&asked, range, &read.entries, &*budget), index)?;
        targets.extend(target_info::resources(index, &asked, range, &read.entries));
    }
    Ok(targets)
}

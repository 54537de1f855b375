//! Reads which stems have rows in a time.
//!
//! Two scans a table: the first, of narrow columns, finds the metrics whose names are asked for; the second reads what makes
//! labels, and looks at a text only once a stem. Where all names are asked for there is no first.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_engine::{Lean, Query, Scan};
use meshlake_promql::Error;
use meshlake_schema::budget::Holding;
use meshlake_schema::filter::Value;
use meshlake_schema::rows::{Attributes, DoubleLists, Doubles, Integers, Quantiles, Rows, RowsError, Text};
use meshlake_schema::{Filter, Table, TimeRange};

use super::asked::Asked;
use super::error::{of_query, of_rows};
use super::names::{Names, TABLES, metrics};
use super::naming::value;
use super::stems::{Keys, ResourceLabels, Scope, Shape, Stem, StemKey, Variants, labels, optional};

/// `aggregation_temporality` of points that tell of the time since the one before. Source: metrics.proto.
pub const DELTA: i64 = 1;

/// Stored series that a scan is asked for by id; of more all rows of their metrics are read. Guess, not measured.
const IDS_MAX: usize = 10_000;

/// Bytes that a stem takes, about, beside its texts.
const STEM_BYTES: usize = 256;

/// Columns that labels are made of, beside those of keys.
const LABEL_COLUMNS: [&str; 9] = [
    "time_unix_nano",
    "metric_name",
    "resource_id",
    "resource",
    "resource_types",
    "scope_name",
    "scope_attribute_types",
    "attributes",
    "attribute_types",
];
const DICTIONARIES: [&str; 6] =
    ["metric_name", "resource", "resource_types", "scope_name", "scope_attribute_types", "attribute_types"];

/// The stems that were found.
#[derive(Debug, Default)]
pub struct Stems {
    pub stems: Vec<Stem>,
    /// Labels whose values several attributes made.
    pub collisions: BTreeSet<String>,
    pub variants: Variants,
    places: HashMap<StemKey, Option<u32>>,
    resources: HashMap<i64, Arc<ResourceLabels>>,
    texts: HashSet<Arc<str>>,
}

impl Stems {
    /// The stem of a key; none if it is not asked for.
    pub fn place(&self, key: StemKey) -> Option<usize> {
        self.places.get(&key).copied().flatten().map(|place| place as usize)
    }

    /// The rows of a table that stems have; none if it has no stem that is asked for.
    pub fn filter(&self, table: Table, asked: &Asked<'_>) -> Option<Filter> {
        let of_table = self.stems.iter().filter(|stem| stem.table == table);
        let metrics: BTreeSet<&str> = of_table.map(|stem| &*stem.metric).collect();
        if metrics.is_empty() {
            return None;
        }
        let metrics = metrics.into_iter().map(|metric| Value::Text(metric.to_owned())).collect();
        let filter = asked.filter().and(Filter::is_in("metric_name", metrics));
        let mut others = false;
        let mut ids = BTreeSet::new();
        for (key, place) in self.places.iter().filter(|(key, _)| key.table == table) {
            others |= place.is_none();
            ids.extend(place.map(|_| key.series_id));
        }
        if !others || ids.len() > IDS_MAX {
            return Some(filter);
        }
        Some(filter.and(Filter::is_in("series_id", ids.into_iter().map(Value::Integer).collect())))
    }

    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&text));
        text
    }
}

/// The stems of rows in `range` that are asked for, and of `tables`. What they take is held by `held`.
///
/// # Errors
/// Of the query; [`Error::Execution`] when the budget ends.
pub async fn stems(
    query: &Query,
    asked: &Asked<'_>,
    range: TimeRange,
    held: &mut Holding<'_>,
) -> Result<Stems, Error> {
    let mut stems = Stems::default();
    for table in TABLES {
        let mut filter = asked.filter();
        if !asked.is_of_all_names() {
            let metrics = metrics(query, table, asked, range).await?;
            if metrics.is_empty() {
                continue;
            }
            let metrics = metrics.into_iter().map(Value::Text).collect();
            filter = filter.and(Filter::is_in("metric_name", metrics));
        }
        let columns = columns(table);
        let dictionaries: Vec<&str> = DICTIONARIES.into_iter().chain(Keys::dictionaries(table)).collect();
        let lean = Some(Lean { dictionaries: &dictionaries, nested: &[] });
        let scan = Scan { columns: Some(&columns), filter, range, lean, ..Scan::of(table) };
        let mut rows = query.scan(&scan).await.map_err(|error| of_query(&error))?;
        while let Some(batch) = rows.try_next().await.map_err(|error| of_query(&error))? {
            stems.add(table, &batch, asked).map_err(|error| of_rows(&error))?;
            held.resize(stems.bytes())?;
        }
    }
    Ok(stems)
}

fn columns(table: Table) -> Vec<&'static str> {
    let own: &[&str] = match table {
        Table::MetricHistograms => &["explicit_bounds", "sum"],
        Table::MetricSummaries => &["quantiles", "sum"],
        _ => &[],
    };
    LABEL_COLUMNS.into_iter().chain(Keys::columns(table)).chain(own.iter().copied()).collect()
}

/// What makes the labels of a row's series.
struct Labelled<'a> {
    names: Names<'a>,
    temporality: Integers<'a>,
    resource_id: Integers<'a>,
    resource: Text<'a>,
    resource_types: Text<'a>,
    version: Text<'a>,
    schema_url: Text<'a>,
    scope_attributes: Text<'a>,
    scope_attribute_types: Text<'a>,
    attributes: Attributes<'a>,
    attribute_types: Text<'a>,
    bounds: DoubleLists<'a>,
    quantiles: Quantiles<'a>,
    sum: Doubles<'a>,
}

impl<'a> Labelled<'a> {
    fn of(table: Table, batch: &'a RecordBatch) -> Result<Self, RowsError> {
        let rows = Rows::of(table, batch);
        Ok(Labelled {
            names: Names::of(table, batch)?,
            temporality: optional(table, &rows, "aggregation_temporality")?,
            resource_id: rows.read("resource_id")?,
            resource: rows.read("resource")?,
            resource_types: rows.read("resource_types")?,
            version: rows.read("scope_version")?,
            schema_url: rows.read("scope_schema_url")?,
            scope_attributes: rows.read("scope_attributes")?,
            scope_attribute_types: rows.read("scope_attribute_types")?,
            attributes: rows.read("attributes")?,
            attribute_types: rows.read("attribute_types")?,
            bounds: optional(table, &rows, "explicit_bounds")?,
            quantiles: optional(table, &rows, "quantiles")?,
            sum: optional(table, &rows, "sum")?,
        })
    }

    fn scope(&self, row: usize) -> Scope<'a> {
        let text = |text: Text<'a>| text.get(row).unwrap_or_default();
        Scope {
            name: text(self.names.scope),
            version: text(self.version),
            schema_url: text(self.schema_url),
            attributes: text(self.scope_attributes),
            attribute_types: text(self.scope_attribute_types),
        }
    }

    fn own_attributes(&self, row: usize) -> Vec<(String, String)> {
        let types = self.attribute_types.get(row).unwrap_or_default();
        let mut types = meshlake_schema::attributes::Types::new(types);
        let entries = self.attributes.entries(row);
        entries
            .map(|(key, text)| (key.to_owned(), value::of_attribute(text, types.next().unwrap_or("s"))))
            .collect()
    }

    /// What tells apart the series of a row's stem.
    fn marks(&self, row: usize) -> Vec<f64> {
        let quantiles = self.quantiles.places(row).filter_map(|place| self.quantiles.quantile.get(place));
        self.bounds.get(row).iter().copied().chain(quantiles).collect()
    }
}

impl Stems {
    fn add(&mut self, table: Table, batch: &RecordBatch, asked: &Asked<'_>) -> Result<(), RowsError> {
        let labelled = Labelled::of(table, batch)?;
        let mut keys = Keys::of(table, batch)?;
        let mut last = None;
        for row in 0..batch.num_rows() {
            let key = keys.get(row, &mut self.variants);
            if last == Some(key) && table != Table::MetricHistograms && table != Table::MetricSummaries {
                continue;
            }
            last = Some(key);
            let place = match self.places.get(&key) {
                Some(place) => *place,
                None => {
                    let stem = self.stem(table, &labelled, row).filter(|stem| asked.has_stem(stem));
                    let next =
                        u32::try_from(self.stems.len()).expect("a stem takes more than a byte of memory");
                    let place = stem.map(|stem| {
                        self.stems.push(stem);
                        next
                    });
                    self.places.insert(key, place);
                    place
                }
            };
            if let Some(place) = place {
                self.mark(place, &labelled, row);
            }
        }
        Ok(())
    }

    fn mark(&mut self, place: u32, labelled: &Labelled<'_>, row: usize) {
        let stem = &mut self.stems[place as usize];
        if !matches!(stem.shape, Shape::Classic | Shape::Summary) {
            return;
        }
        let marks = labelled.marks(row);
        if !stem.marks.contains(&marks) {
            stem.marks.push(marks);
        }
        stem.has_sum |= labelled.sum.get(row).is_some();
    }

    /// The stem of a row; none if it has no name in Prometheus.
    fn stem(&mut self, table: Table, labelled: &Labelled<'_>, row: usize) -> Option<Stem> {
        let (family, shape) = labelled.names.family(row)?;
        let resource = self.resource(labelled, row);
        let mut collisions = Vec::new();
        let labels = labels(&resource, labelled.scope(row), labelled.own_attributes(row), &mut collisions);
        self.collisions.extend(collisions);
        let labels = labels.iter().map(|(name, value)| (self.text(name), self.text(value))).collect();
        Some(Stem {
            table,
            metric: self.text(labelled.names.metric.get(row).unwrap_or_default()),
            family: self.text(&family),
            labels,
            shape,
            is_delta: labelled.temporality.get(row) == Some(DELTA),
            marks: Vec::new(),
            has_sum: false,
        })
    }

    fn resource(&mut self, labelled: &Labelled<'_>, row: usize) -> Arc<ResourceLabels> {
        let of = || {
            let text = |text: Text<'_>| text.get(row).unwrap_or_default().to_owned();
            ResourceLabels::of(&text(labelled.resource), &text(labelled.resource_types))
        };
        let id = labelled.resource_id.or_zero(row);
        Arc::clone(self.resources.entry(id).or_insert_with(|| Arc::new(of())))
    }

    /// Bytes that the stems take, about: labels are shared texts.
    fn bytes(&self) -> usize {
        let labels =
            self.stems.last().map_or(0, |stem| stem.labels.len()) * size_of::<(Arc<str>, Arc<str>)>();
        self.places.len() * (STEM_BYTES / 2)
            + self.stems.len() * (STEM_BYTES + labels)
            + self.texts.len() * 64
    }
}

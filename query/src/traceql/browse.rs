//! Names and values of what spans can be asked for: what an editor offers while a query is typed.
//!
//! Files tell most of it by themselves ([`by_files`]). What they do not tell, and what is asked of certain spans only, is looked for
//! in rows from the newest on, until there are as many as asked for or as many rows were looked at as are worth the wait, and
//! the answer says which.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use meshlake_engine::{DataFile, Lean, Part, Query, Scan};
use meshlake_schema::rows::{Rows, RowsError, Text};
use meshlake_schema::sent::SentAttributes;
use meshlake_schema::{Table, TimeRange};
use meshlake_traceql::tree::{self, Field, Intrinsic, Scope};
use meshlake_traceql::{Selected, Trace, Value};

use super::aside::aside;
use super::by_files::{self, ByFiles};
use super::error::{Error, of_rows};
use super::needs::Needs;
use super::rows::SpanRows;
use super::search::files;
use super::selecting::selected_rows;
use super::slices::slices;

/// Rows that one question looks at. A second's work where each has a map of attributes; an hour of a thousand spans a
/// second has four million.
pub const ROWS_MAX: usize = 1_000_000;

/// Scopes whose attributes have names, in the order told.
pub const SCOPES: [Scope; 5] =
    [Scope::Span, Scope::Resource, Scope::Event, Scope::Link, Scope::Instrumentation];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Browse {
    pub range: TimeRange,
    /// Of spans that this query can select; of all without one.
    pub query: Option<tree::Query>,
    /// Names of each scope, or values, at most.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Browsed<T> {
    pub found: T,
    /// Whether all rows of the range were looked at, and all is told that they have.
    pub is_complete: bool,
    pub inspected_spans: usize,
}

/// Names of attributes by scope, of those scopes, sorted.
///
/// # Errors
/// Those of scans.
pub async fn names(
    query: &Query,
    asked: &Browse,
    scopes: &[Scope],
) -> Result<Browsed<BTreeMap<Scope, BTreeSet<String>>>, Error> {
    let columns = scopes.iter().flat_map(|scope| -> Vec<&'static str> {
        match scope {
            Scope::Any => Vec::new(),
            Scope::Span => SentAttributes::columns().collect(),
            Scope::Resource => vec!["resource", "resource_types"],
            Scope::Instrumentation => vec!["scope_attributes", "scope_attribute_types"],
            Scope::Event => vec!["events"],
            Scope::Link => vec!["links"],
        }
    });
    let looking = Looking::new(asked, Needs::of_rows([]).with(columns.collect::<Vec<_>>()));
    let limit = asked.limit;
    let told = match asked.query {
        None => by_files::names(query, asked.range, scopes).await?,
        Some(_) => ByFiles::default(),
    };
    let all = scopes.to_vec();
    let of_batch = move |rows: &SpanRows<'_>, passing: &[usize]| {
        all.iter().map(|scope| (*scope, names_of(rows, passing, *scope))).collect::<Vec<_>>()
    };
    let add = |found: &mut BTreeMap<Scope, BTreeSet<String>>, names: Vec<(Scope, BTreeSet<String>)>| {
        for (scope, names) in names {
            found.entry(scope).or_default().extend(names);
        }
        found.values().any(|names| names.len() > limit)
    };
    let mut browsed = looking.through(query, told, of_batch, add).await?;
    for names in browsed.found.values_mut() {
        browsed.is_complete &= names.len() <= limit;
        while names.len() > limit {
            names.pop_last();
        }
    }
    Ok(browsed)
}

fn names_of(rows: &SpanRows<'_>, passing: &[usize], scope: Scope) -> BTreeSet<String> {
    let mut names: HashSet<&str> = HashSet::new();
    let mut seen = HashSet::new();
    for row in passing {
        if rows.object(*row, scope).is_none_or(|object| seen.insert(object)) {
            rows.for_each_attribute(*row, scope, &mut |key, _| {
                names.insert(key);
            });
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Values of a field, sorted by kind and value. Of what depends on where a span stands in its trace there are those of
/// roots alone.
///
/// # Errors
/// Those of scans.
pub async fn values(query: &Query, asked: &Browse, field: &Field) -> Result<Browsed<BTreeSet<Told>>, Error> {
    match field {
        Field::Intrinsic { intrinsic: Intrinsic::RootName, .. } => of_roots(query, asked, "root_name").await,
        Field::Intrinsic { intrinsic: Intrinsic::RootService, .. } => {
            of_roots(query, asked, "root_service").await
        }
        field => of_spans(query, asked, field).await,
    }
}

/// Of all traces, whatever is asked of spans.
async fn of_roots(query: &Query, asked: &Browse, column: &str) -> Result<Browsed<BTreeSet<Told>>, Error> {
    let columns = [column];
    let lean = Some(Lean { dictionaries: &columns, nested: &[] });
    let scan = Scan { columns: Some(&columns), range: asked.range, lean, ..Scan::of(Table::Traces) };
    let mut rows = query.scan(&scan).await?;
    let mut browsed = Browsed { found: BTreeSet::new(), is_complete: true, inspected_spans: 0 };
    while let Some(batch) = rows.try_next().await? {
        let texts: Text<'_> =
            Rows::of(Table::Traces, &batch).read(column).map_err(|error| of_rows(&error))?;
        let distinct: HashSet<&str> = (0..batch.num_rows()).filter_map(|row| texts.get(row)).collect();
        browsed.found.extend(distinct.into_iter().map(|text| Told(Value::Text(text.to_owned().into()))));
        if browsed.found.len() > asked.limit {
            browsed.is_complete = false;
            break;
        }
    }
    while browsed.found.len() > asked.limit {
        browsed.found.pop_last();
    }
    Ok(browsed)
}

async fn of_spans(query: &Query, asked: &Browse, field: &Field) -> Result<Browsed<BTreeSet<Told>>, Error> {
    let looking = Looking::new(asked, Needs::of_rows([field]));
    let (field, limit) = (field.clone(), asked.limit);
    let told = match asked.query {
        None => by_files::values(query, asked.range, &field).await?,
        Some(_) => ByFiles::default(),
    };
    let mut found = BTreeSet::new();
    told.found.into_iter().for_each(|value| add_value(&mut found, value));
    let told = ByFiles { found, untold: told.untold };
    let of_batch = move |rows: &SpanRows<'_>, passing: &[usize]| {
        let all = rows.all();
        let spans = Trace::of_rows(&all);
        let mut found = BTreeSet::new();
        for row in passing {
            add_value(&mut found, spans.field(&field, *row));
        }
        found
    };
    let add = |found: &mut BTreeSet<Told>, more: BTreeSet<Told>| {
        found.extend(more);
        found.len() > limit
    };
    let mut browsed = looking.through(query, told, of_batch, add).await?;
    browsed.is_complete &= browsed.found.len() <= limit;
    while browsed.found.len() > limit {
        browsed.found.pop_last();
    }
    Ok(browsed)
}

fn add_value(found: &mut BTreeSet<Told>, value: Value<'_>) {
    match value {
        Value::Nil => {}
        Value::List(items) => found.extend(items.into_iter().map(|item| Told(item.into_owned()))),
        value => {
            found.insert(Told(value.into_owned()));
        }
    }
}

/// A value in the order of all values.
#[derive(Debug, Clone, PartialEq)]
pub struct Told(pub Value<'static>);

impl Eq for Told {}

impl PartialOrd for Told {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Told {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_order(&other.0)
    }
}

/// A look through rows, newest first.
struct Looking {
    range: TimeRange,
    selected: Option<Arc<Selected>>,
    columns: Vec<&'static str>,
}

impl Looking {
    fn new(asked: &Browse, needs: Needs) -> Looking {
        let selected = asked.query.as_ref().map(Selected::of);
        let condition = selected.as_ref().and_then(|selected| selected.condition.as_ref());
        let columns = needs.with(Needs::of_condition(condition).columns()).columns();
        Looking { range: asked.range, selected: selected.map(Arc::new), columns }
    }

    /// Has what is in each batch of rows that files did not tell added to what they told, until `add` says that it is enough, or
    /// enough rows were looked at.
    async fn through<T, P: Send + 'static>(
        &self,
        query: &Query,
        told: ByFiles<T>,
        of_batch: impl Fn(&SpanRows<'_>, &[usize]) -> P + Clone + Send + 'static,
        mut add: impl FnMut(&mut T, P) -> bool,
    ) -> Result<Browsed<T>, Error> {
        let mut browsed = Browsed { found: told.found, is_complete: true, inspected_spans: 0 };
        let dictionaries: Vec<&str> =
            super::series::DICTIONARIES.into_iter().filter(|name| self.columns.contains(name)).collect();
        let untold: Option<Vec<&DataFile>> = told.untold.as_ref().map(|files| files.iter().collect());
        let slices = slices(self.range, files(query), query.began());
        let slices: Vec<(TimeRange, Part<'_>)> = match &untold {
            None => slices.into_iter().map(|slice| (slice, Part::Whole)).collect(),
            Some(untold) => {
                let in_files = slices.into_iter().map(|slice| (slice, Part::Files(untold)));
                let in_files = in_files.filter(|_| !untold.is_empty());
                [(self.range, Part::Buffered)].into_iter().chain(in_files).collect()
            }
        };
        for (slice, part) in slices {
            let scan = Scan {
                part,
                columns: Some(&self.columns),
                range: slice,
                lean: Some(Lean { dictionaries: &dictionaries, nested: &[] }),
                ..Scan::of(Table::Spans)
            };
            let mut rows = match &self.selected {
                Some(selected) => selected_rows(query, selected, scan).await?,
                None => query.scan(&scan).await?.boxed(),
            };
            while let Some(batch) = rows.try_next().await? {
                browsed.inspected_spans += batch.num_rows();
                let (of_batch, selected) = (of_batch.clone(), self.selected.clone());
                let part = aside(move || looked_at(&batch, selected.as_deref(), of_batch)).await?;
                let is_enough = add(&mut browsed.found, part.map_err(|error| of_rows(&error))?);
                if is_enough || browsed.inspected_spans >= ROWS_MAX {
                    browsed.is_complete = false;
                    return Ok(browsed);
                }
            }
        }
        Ok(browsed)
    }
}

fn looked_at<P>(
    batch: &RecordBatch,
    selected: Option<&Selected>,
    of_batch: impl Fn(&SpanRows<'_>, &[usize]) -> P,
) -> Result<P, RowsError> {
    let rows = SpanRows::of(batch)?;
    let passing = rows.passing(selected.and_then(|selected| selected.condition.as_ref()));
    Ok(of_batch(&rows, &passing))
}

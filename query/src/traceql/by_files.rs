//! What files tell of names and values without a look at their rows: see [`Texts`].
//!
//! Names are keys of maps, columns of their own, and keys of resources and scopes, each of which is a text for millions of
//! rows. Values are told of resources, of spans' names and of attributes that have a column of texts; those of another attribute lie
//! with all others' in one column.
//!
//! Limits: a row group counts whole. A well-known attribute that was sent under an older spelling has its newest one's name told, too.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_engine::{DataFile, Query, QueryError, Texts};
use meshlake_schema::sent;
use meshlake_schema::tables::{OTHER_SPAN_KEYS, PROMOTED_SPAN_KEYS, PromotedType};
use meshlake_schema::{Table, TimeRange};
use meshlake_traceql::Value;
use meshlake_traceql::tree::{Attribute, Field, Intrinsic, Scope};

use super::rows::of_sent;

/// Types of values that JSON tells from one another by itself: texts, integers, truth values, lists of them.
const PLAIN_TYPES: &str = "sib[]";

/// What files told, and where there may be more.
#[derive(Debug, Default)]
pub struct ByFiles<T> {
    pub found: T,
    /// Files that did not tell; none if nothing was told of any.
    pub untold: Option<Vec<DataFile>>,
}

/// Names of attributes of those scopes.
///
/// # Errors
/// Those of [`Query::told`].
pub async fn names(
    query: &Query,
    range: TimeRange,
    scopes: &[Scope],
) -> Result<ByFiles<BTreeMap<Scope, BTreeSet<String>>>, QueryError> {
    let places = Places::of(scopes);
    let told = query.told(Table::Spans, &places.texts(), range).await?;
    Ok(ByFiles { found: places.names(told.texts), untold: Some(told.untold) })
}

/// Where the names of attributes of some scopes are.
pub struct Places(Vec<(Scope, Texts)>);

impl Places {
    pub fn of(scopes: &[Scope]) -> Places {
        let of_scope = |scope: &Scope| {
            let scope = *scope;
            names_in(scope).into_iter().map(move |texts| (scope, texts))
        };
        Places(scopes.iter().flat_map(of_scope).collect())
    }

    /// What is to be told.
    pub fn texts(&self) -> Vec<Texts> {
        self.0.iter().map(|(_, texts)| *texts).collect()
    }

    /// The names in what was told of each.
    pub fn names(&self, told: Vec<BTreeSet<String>>) -> BTreeMap<Scope, BTreeSet<String>> {
        let mut found: BTreeMap<Scope, BTreeSet<String>> = BTreeMap::new();
        for ((scope, place), texts) in self.0.iter().zip(told) {
            let known = found.entry(*scope).or_default();
            match place {
                Texts::Keys(_) => known.extend(texts),
                Texts::Column(_) => {
                    known.extend(texts.iter().flat_map(|text| sent::object(text, "")).map(|(key, _)| key));
                }
                Texts::Named(column) => {
                    let promoted =
                        PROMOTED_SPAN_KEYS.iter().filter(|(_, own, _)| own == column && !texts.is_empty());
                    known.extend(promoted.map(|(key, ..)| (*key).to_owned()));
                }
            }
        }
        found
    }
}

fn names_in(scope: Scope) -> Vec<Texts> {
    match scope {
        Scope::Any => Vec::new(),
        Scope::Span => {
            let promoted = PROMOTED_SPAN_KEYS.iter().map(|(_, column, _)| Texts::Named(column));
            [Texts::Keys(&["attributes"])].into_iter().chain(promoted).collect()
        }
        Scope::Resource => vec![Texts::Column("resource")],
        Scope::Instrumentation => vec![Texts::Column("scope_attributes")],
        Scope::Event => vec![Texts::Keys(&["events", "attributes"])],
        Scope::Link => vec![Texts::Keys(&["links", "attributes"])],
    }
}

/// Values of a field; nothing where no column of texts has them.
///
/// # Errors
/// Those of [`Query::told`].
pub async fn values(
    query: &Query,
    range: TimeRange,
    field: &Field,
) -> Result<ByFiles<Vec<Value<'static>>>, QueryError> {
    match field {
        Field::Attribute(Attribute { scope, of_parent: false, key }) => match scope {
            Scope::Resource => of_resource(query, range, key).await,
            Scope::Span => of_spans(query, range, key).await,
            Scope::Any => {
                Ok(of_either(of_spans(query, range, key).await?, of_resource(query, range, key).await?))
            }
            _ => Ok(ByFiles::default()),
        },
        Field::Intrinsic { intrinsic: Intrinsic::Name, of_parent: false } => {
            let told = query.told(Table::Spans, &[Texts::Column("name")], range).await?;
            let texts = told.texts.into_iter().flatten();
            let found = texts.map(|text| Value::Text(text.into())).collect();
            Ok(ByFiles { found, untold: Some(told.untold) })
        }
        _ => Ok(ByFiles::default()),
    }
}

/// Of spans: what the key's own column has, if nothing of that column is in the map, where all values lie together.
async fn of_spans(
    query: &Query,
    range: TimeRange,
    key: &str,
) -> Result<ByFiles<Vec<Value<'static>>>, QueryError> {
    let promoted = PROMOTED_SPAN_KEYS.iter().find(|(promoted, ..)| *promoted == key);
    let column = match promoted {
        Some((.., PromotedType::Int)) => return Ok(ByFiles::default()),
        promoted => promoted.map(|(_, column, _)| *column),
    };
    let asked: Vec<Texts> =
        [Texts::Keys(&["attributes"])].into_iter().chain(column.map(Texts::Column)).collect();
    let mut told = query.told(Table::Spans, &asked, range).await?;
    let in_column = if column.is_some() { told.texts.pop() } else { None }.unwrap_or_default();
    let fills =
        |other: &str| OTHER_SPAN_KEYS.iter().any(|(spelling, of)| *spelling == other && Some(*of) == column);
    if told.texts.iter().flatten().any(|own| own == key || fills(own)) {
        return Ok(ByFiles::default());
    }
    let found = in_column.into_iter().map(|text| Value::Text(text.into())).collect();
    Ok(ByFiles { found, untold: Some(told.untold) })
}

/// Of spans, and of resources where a span has none. Where both have some, rows have to tell which are seen.
fn of_either(
    spans: ByFiles<Vec<Value<'static>>>,
    resources: ByFiles<Vec<Value<'static>>>,
) -> ByFiles<Vec<Value<'static>>> {
    let (Some(mut untold), Some(more)) = (spans.untold, resources.untold) else { return ByFiles::default() };
    if !spans.found.is_empty() && !resources.found.is_empty() {
        return ByFiles::default();
    }
    untold.retain(|file| more.iter().all(|other| other.path != file.path));
    untold.extend(more);
    ByFiles { found: [spans.found, resources.found].concat(), untold: Some(untold) }
}

async fn of_resource(
    query: &Query,
    range: TimeRange,
    key: &str,
) -> Result<ByFiles<Vec<Value<'static>>>, QueryError> {
    let asked = [Texts::Column("resource"), Texts::Column("resource_types")];
    let told = query.told(Table::Spans, &asked, range).await?;
    let [resources, types] = told.texts.as_slice() else { return Ok(ByFiles::default()) };
    if !types.iter().all(|types| types.chars().all(|letter| PLAIN_TYPES.contains(letter))) {
        return Ok(ByFiles::default());
    }
    let all = resources.iter().flat_map(|text| sent::object(text, ""));
    let found = all.filter(|(own, _)| own == key).map(|(_, value)| of_sent(value)).collect();
    Ok(ByFiles { found, untold: Some(told.untold) })
}

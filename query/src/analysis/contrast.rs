//! Two sets of spans: which values of attributes are over-represented among the slow or failed ones.
//!
//! *Selected* are the spans of a range, a service and an operation that failed, or lasted at least so long; all others of them
//! are the *rest*. For each attribute and value there are two shares, that of the selected spans which have it and that of
//! the rest. A value is told if its share among the selected is higher, at least [`SELECTED_MIN`] selected spans have it, and
//! that much is no accident: Fisher's exact test with mid-p, corrected by Holm for as many values as were looked at. *Lift* is
//! the first share over the second.
//!
//! Every span is counted, none sampled, in one pass; an attribute of very many values, as ids are, tells nothing and is given up.
//! Limits: values that are texts, numbers or booleans, of at most [`VALUE_BYTES_MAX`]. As with all such tests, spans are
//! taken to be independent, and a burst that fails together counts as many.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use meshlake_calls::statistics::proportions::{Proportion, compare};
use meshlake_calls::statistics::{ALPHA, holm};
use meshlake_engine::{Query, QueryError, Scan};
use meshlake_schema::filter::Value;
use meshlake_schema::rows::{Integers, Rows, RowsError, Text};
use meshlake_schema::sent::{SentAttributes, SentValue, object};
use meshlake_schema::{Filter, Table, TimeRange, read_columns};

/// Selected spans that must have a value: fewer are an anecdote whatever their share.
pub const SELECTED_MIN: u64 = 5;

/// Distinct values after which an attribute is given up: it is an id, a time or an address, and none of its values is
/// frequent. Guess, not measured.
pub const VALUES_MAX: usize = 1_000;

/// Attributes of an answer, each at most as many values: together at most as many texts as fit in 100 MB.
pub const KEYS_MAX: usize = 400;

/// Bytes of a value; a longer one is a statement or a stack.
pub const VALUE_BYTES_MAX: usize = 256;

/// Values that are tested, those whose shares differ most: a test takes up to milliseconds.
const TESTS_MAX: usize = 1_000;

/// OTLP `StatusCode`.
const ERROR: i64 = 2;

/// Which spans are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked<'a> {
    pub range: TimeRange,
    pub service: Option<&'a str>,
    pub operation: Option<&'a str>,
    pub selected: Selected,
}

/// Which of them are selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// Outcome error, or status ERROR.
    Failed,
    /// Lasted at least so many nanoseconds.
    Slow(i64),
}

/// Values that are over-represented, by how much the shares differ, most first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contrast {
    pub selected: u64,
    pub rest: u64,
    pub values: Vec<OverRepresented>,
    pub warnings: Vec<String>,
}

/// One value of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct OverRepresented {
    /// With its scope before it, as TraceQL writes it: `span.http.route`, `resource.k8s.node.name`, `name`, `kind`.
    pub attribute: String,
    pub value: String,
    /// Selected spans that have it, and others.
    pub selected: u64,
    pub rest: u64,
    /// Of the selected and of the rest, 0..=1.
    pub selected_share: f64,
    pub rest_share: f64,
    /// The one over the other; none where no other span has it.
    pub lift: Option<f64>,
    /// After Holm's correction.
    pub p_value: f64,
}

read_columns! {
    struct Columns of Table::Spans {
        name: Text,
        kind: Integers,
        duration_nano: Integers,
        status_code: Integers,
        outcome: Text,
        resource: Text,
        resource_types: Text,
        resource_id: Integers,
    }
}

/// What is over-represented among the selected spans.
///
/// # Errors
/// Those of [`Query::scan`].
pub async fn contrast(query: &Query, asked: &Asked<'_>) -> Result<Contrast, QueryError> {
    let conditions = [("service_name", asked.service), ("name", asked.operation)];
    let conditions = conditions.into_iter().filter_map(|(column, text)| Some((column, text?)));
    let equals = |(column, text): (&str, &str)| Filter::equals(column, Value::Text(text.to_owned()));
    let filter = Filter::And(conditions.map(equals).collect());
    let columns: Vec<&str> = Columns::NAMES.iter().copied().chain(SentAttributes::columns()).collect();
    let scan = Scan { columns: Some(&columns), filter, range: asked.range, ..Scan::of(Table::Spans) };
    let mut counts = Counts::default();
    let mut rows = query.scan(&scan).await?;
    while let Some(batch) = rows.try_next().await? {
        let counted = counts.add(&batch, asked.selected);
        counted.map_err(|error| QueryError::Internal(format!("read spans: {error}")))?;
    }
    Ok(counts.contrast())
}

/// Spans by attribute and value.
#[derive(Debug, Default)]
struct Counts {
    selected: u64,
    rest: u64,
    keys: HashMap<String, Values>,
    /// Attributes of resources, by the id of the resource.
    resources: HashMap<i64, Vec<(String, String)>>,
    keys_left_out: bool,
}

/// Spans by value, selected and others; none of an attribute that was given up.
type Values = Option<HashMap<String, (u64, u64)>>;

impl Counts {
    fn add(&mut self, batch: &RecordBatch, selected: Selected) -> Result<(), RowsError> {
        let columns = Columns::of(batch)?;
        let attributes = SentAttributes::of(Rows::of(Table::Spans, batch))?;
        for row in 0..batch.num_rows() {
            let is_selected = columns.is_selected(row, selected);
            self.selected += u64::from(is_selected);
            self.rest += u64::from(!is_selected);
            self.count("name", columns.name.get(row).unwrap_or_default(), is_selected);
            self.count("kind", crate::trace::kind_name(columns.kind.get(row)), is_selected);
            for (key, value) in attributes.entries(row) {
                if let Some(text) = text_of(&value) {
                    self.count(&format!("span.{key}"), &text, is_selected);
                }
            }
            for (key, value) in self.resource(&columns, row) {
                self.count(&key, &value, is_selected);
            }
        }
        Ok(())
    }

    fn resource(&mut self, columns: &Columns<'_>, row: usize) -> Vec<(String, String)> {
        let read = || {
            let text = columns.resource.get(row).unwrap_or_default();
            let attributes = object(text, columns.resource_types.get(row).unwrap_or_default());
            let told = attributes
                .iter()
                .filter_map(|(key, value)| Some((format!("resource.{key}"), text_of(value)?)));
            told.collect()
        };
        // Ids are of the content; many resources that come once each are read again instead of kept.
        if self.resources.len() > VALUES_MAX {
            self.resources.clear();
        }
        self.resources.entry(columns.resource_id.or_zero(row)).or_insert_with(read).clone()
    }

    fn count(&mut self, key: &str, value: &str, is_selected: bool) {
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        if !self.keys.contains_key(key) {
            if self.keys.len() == KEYS_MAX {
                self.keys_left_out = true;
                return;
            }
            self.keys.insert(key.to_owned(), Some(HashMap::new()));
        }
        let Some(held) = self.keys.get_mut(key) else { return };
        let Some(values) = held else { return };
        if !values.contains_key(value) {
            if values.len() == VALUES_MAX {
                *held = None;
                return;
            }
            values.insert(value.to_owned(), (0, 0));
        }
        let Some(counts) = values.get_mut(value) else { return };
        if is_selected {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
    }

    fn contrast(self) -> Contrast {
        let (selected, rest) = (self.selected, self.rest);
        let share = |part: u64, all: u64| if all == 0 { 0.0 } else { part as f64 / all as f64 };
        let mut given_up: Vec<String> = Vec::new();
        let mut values: Vec<OverRepresented> = Vec::new();
        for (attribute, held) in self.keys {
            let Some(held) = held else {
                given_up.push(attribute);
                continue;
            };
            for (value, (of_selected, of_rest)) in held {
                let (selected_share, rest_share) = (share(of_selected, selected), share(of_rest, rest));
                if of_selected < SELECTED_MIN || selected_share <= rest_share {
                    continue;
                }
                let lift = (of_rest > 0).then(|| selected_share / rest_share);
                let attribute = attribute.clone();
                values.push(OverRepresented {
                    attribute,
                    value,
                    selected: of_selected,
                    rest: of_rest,
                    selected_share,
                    rest_share,
                    lift,
                    p_value: 1.0,
                });
            }
        }
        let difference = |value: &OverRepresented| value.selected_share - value.rest_share;
        values.sort_by(|a, b| {
            let order = difference(b).total_cmp(&difference(a));
            order.then_with(|| (&a.attribute, &a.value).cmp(&(&b.attribute, &b.value)))
        });
        values.truncate(TESTS_MAX);
        Contrast {
            selected,
            rest,
            values: significant(values, selected, rest),
            warnings: warnings(given_up, self.keys_left_out),
        }
    }
}

/// Those of which it is unlikely that they are over-represented by accident.
fn significant(mut values: Vec<OverRepresented>, selected: u64, rest: u64) -> Vec<OverRepresented> {
    let p_value = |value: &OverRepresented| {
        let base = Proportion { errors: value.rest, calls: rest };
        let other = Proportion { errors: value.selected, calls: selected };
        compare(base, other).map_or(1.0, |test| test.p_value)
    };
    let p_values: Vec<f64> = values.iter().map(p_value).collect();
    for (value, p_value) in values.iter_mut().zip(holm::adjusted(&p_values)) {
        value.p_value = p_value;
    }
    values.retain(|value| value.p_value < ALPHA);
    values
}

fn warnings(mut given_up: Vec<String>, keys_left_out: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if !given_up.is_empty() {
        given_up.sort_unstable();
        let attributes = given_up.join(", ");
        warnings.push(format!("more than {VALUES_MAX} values each, not compared: {attributes}"));
    }
    if keys_left_out {
        warnings.push(format!(
            "there are more than {KEYS_MAX} attributes; those that came later are not compared"
        ));
    }
    warnings
}

impl Columns<'_> {
    fn is_selected(&self, row: usize, selected: Selected) -> bool {
        match selected {
            Selected::Failed => {
                self.status_code.get(row) == Some(ERROR) || self.outcome.get(row) == Some("error")
            }
            Selected::Slow(nanos) => self.duration_nano.or_zero(row) >= nanos,
        }
    }
}

/// What can be compared as a text; none for lists, bytes and what came without a value.
fn text_of(value: &SentValue<'_>) -> Option<String> {
    match value {
        SentValue::Text(text) => Some(text.to_string()),
        SentValue::Integer(number) => Some(number.to_string()),
        SentValue::Double(number) => Some(number.to_string()),
        SentValue::Boolean(value) => Some(value.to_string()),
        SentValue::Nothing | SentValue::Bytes(_) | SentValue::List(_) | SentValue::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use meshlake_engine::{Engine, EngineConfig};
    use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
    use meshlake_schema::SystemClock;

    use super::*;

    fn span(number: i64, route: &str, outcome: &str, duration: i64) -> Row {
        row(
            number,
            [
                ("service_name", "web".into()),
                ("name", "GET".into()),
                ("http_route", route.into()),
                ("outcome", outcome.into()),
                ("duration_nano", Cell::Int(duration)),
                ("attributes", Cell::Attributes(vec![("request.id".to_owned(), number.to_string())])),
                ("resource_types", "".into()),
            ],
        )
    }

    async fn asked(rows: &[Row], selected: Selected) -> Contrast {
        let reader = SnapshotBuilder::new().hot(Table::Spans, 1, rows).reader();
        let engine =
            Engine::new(reader, EngineConfig::default(), Arc::new(SystemClock)).expect("no directory");
        let query = engine.begin("default").await.expect("a place is free");
        let asked = Asked { range: TimeRange::ALL, service: Some("web"), operation: None, selected };
        contrast(&query, &asked).await.expect("the rows are there")
    }

    /// 20 of 100 spans failed, 15 of them on /pay, where 10 others were: shares 0.75 and 0.125, lift 6.
    fn spans() -> Vec<Row> {
        let routes = |number: i64| match number {
            0..15 => ("/pay", "error"),
            15..20 => ("/", "error"),
            20..30 => ("/pay", "ok"),
            _ => ("/", "ok"),
        };
        (0..100)
            .map(|number| {
                let (route, outcome) = routes(number);
                span(number, route, outcome, if route == "/pay" { 900 } else { 100 })
            })
            .collect()
    }

    #[tokio::test]
    async fn what_failed_spans_have_in_common_is_told() {
        let found = asked(&spans(), Selected::Failed).await;
        assert_eq!((found.selected, found.rest), (20, 80));
        let told: Vec<_> =
            found.values.iter().map(|value| (value.attribute.as_str(), value.value.as_str())).collect();
        assert_eq!(told, [("span.http.route", "/pay")]);
        let pay = &found.values[0];
        assert_eq!((pay.selected, pay.rest, pay.selected_share, pay.rest_share), (15, 10, 0.75, 0.125));
        assert!(pay.lift.is_some_and(|lift| (lift - 6.0).abs() < 1e-12) && pay.p_value < 1e-5, "{pay:?}");
    }

    /// All slow spans are on /pay and no other is: the lift has no number.
    #[tokio::test]
    async fn slow_spans_are_selected_by_their_duration() {
        let found = asked(&spans(), Selected::Slow(900)).await;
        assert_eq!((found.selected, found.rest), (25, 75));
        assert_eq!((found.values[0].value.as_str(), found.values[0].lift), ("/pay", None));
        assert_eq!(asked(&spans(), Selected::Slow(901)).await.selected, 0);
    }

    /// Of so few nothing is told, however they differ; at the floor it is.
    #[tokio::test]
    async fn a_value_of_few_selected_spans_is_an_anecdote() {
        let spans = |failed: i64| -> Vec<Row> {
            let of = |number| {
                if number < failed { span(number, "/pay", "error", 1) } else { span(number, "/", "ok", 1) }
            };
            (0..100).map(of).collect()
        };
        let floor = SELECTED_MIN as i64;
        assert_eq!(asked(&spans(floor - 1), Selected::Failed).await.values, []);
        assert_eq!(asked(&spans(floor), Selected::Failed).await.values.len(), 1);
    }

    #[test]
    fn attributes_of_very_many_values_are_given_up() {
        let counted = |values: usize| {
            let mut counts = Counts { selected: 100_000, rest: 1, ..Counts::default() };
            for value in 0..values {
                (0..SELECTED_MIN).for_each(|_| counts.count("span.id", &value.to_string(), true));
            }
            counts.contrast().warnings
        };
        assert_eq!(counted(VALUES_MAX), [] as [&str; 0]);
        assert_eq!(counted(VALUES_MAX + 1), ["more than 1000 values each, not compared: span.id"]);
    }

    #[test]
    fn keys_and_values_have_bounds() {
        let mut counts = Counts::default();
        (0..KEYS_MAX).for_each(|key| counts.count(&key.to_string(), "v", true));
        assert!(!counts.keys_left_out);
        counts.count("one more", "v", true);
        assert!(counts.keys_left_out && counts.keys.len() == KEYS_MAX);
        let mut counts = Counts::default();
        counts.count("k", &"v".repeat(VALUE_BYTES_MAX), true);
        counts.count("k", &"v".repeat(VALUE_BYTES_MAX + 1), true);
        assert_eq!(counts.keys["k"].as_ref().map(HashMap::len), Some(1));
    }
}

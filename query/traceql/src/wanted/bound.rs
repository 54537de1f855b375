//! A condition as a filter over rows of `spans`.
//!
//! What a column holds says the same as the language, or less; each filter knows whether it passes exactly the rows that
//! the condition holds for, as only then its opposite is the filter of the opposite. An attribute is compared as text
//! there, so `"5"` and `5` look alike, and an array is one text: whatever may be an array passes. Attributes of resources
//! lie inside of one column, all but the service's name.

use std::ops::Bound;

use meshlake_schema::Filter;
use meshlake_schema::attributes::{push_double, push_int};
use meshlake_schema::filter::{Place, Test, Value as Stored};
use meshlake_schema::tables::PROMOTED_SPAN_KEYS;

use crate::pattern::Pattern;
use crate::tree::{Attribute, Expr, Field, Intrinsic, Scope};
use crate::value::{Comparison, Kind, Status, Value};

/// Passes at least the rows that a condition holds for.
pub(super) struct Passing {
    pub filter: Filter,
    /// And no others.
    is_exact: bool,
}

const SERVICE_NAME: &str = "service.name";

/// Passes every row.
const EVERYTHING: Filter = Filter::And(Vec::new());

/// Passes no row.
const NOTHING: Filter = Filter::Or(Vec::new());

impl Passing {
    /// Of which nothing is known.
    const ALL: Passing = Passing { filter: EVERYTHING, is_exact: false };

    fn exactly(filter: Filter) -> Passing {
        Passing { filter, is_exact: true }
    }

    fn among(filter: Filter) -> Passing {
        Passing { filter, is_exact: false }
    }

    fn opposite(self) -> Passing {
        match self.filter {
            _ if !self.is_exact => Passing::ALL,
            filter if filter == NOTHING => Passing::exactly(EVERYTHING),
            filter => Passing::exactly(filter.negated()),
        }
    }

    /// Its opposite if that is asked for.
    fn unless(self, is_negated: bool) -> Passing {
        if is_negated { self.opposite() } else { self }
    }
}

pub(super) fn bound(condition: &Expr) -> Passing {
    match condition {
        Expr::Literal(value) if *value == Value::Boolean(true) => Passing::exactly(EVERYTHING),
        Expr::Literal(_) => Passing::exactly(NOTHING),
        Expr::And(left, right) => {
            let [left, right] = [bound(left), bound(right)];
            Passing { is_exact: left.is_exact && right.is_exact, filter: left.filter.and(right.filter) }
        }
        Expr::Or(left, right) => {
            let [left, right] = [bound(left), bound(right)];
            Passing { is_exact: left.is_exact && right.is_exact, filter: either(left.filter, right.filter) }
        }
        Expr::Not(inner) => bound(inner).opposite(),
        // Nil compares with nothing, and is not there.
        Expr::Compare(_, left, right) if is_nil(left) || is_nil(right) => Passing::exactly(NOTHING),
        Expr::Matches { operand, .. } if is_nil(operand) => Passing::exactly(NOTHING),
        Expr::Exists { is_negated, operand } if is_nil(operand) => {
            Passing::exactly(NOTHING).unless(*is_negated)
        }
        Expr::Compare(comparison, left, right) => match (left.as_ref(), right.as_ref()) {
            (Expr::Field(field), Expr::Literal(value)) => compared(field, *comparison, value),
            (Expr::Literal(value), Expr::Field(field)) => compared(field, comparison.swapped(), value),
            _ => Passing::ALL,
        },
        Expr::Matches { is_negated, operand, pattern } => match operand.as_ref() {
            Expr::Field(field) => matched(field, *is_negated, pattern),
            _ => Passing::ALL,
        },
        Expr::Exists { is_negated, operand } => match operand.as_ref() {
            Expr::Field(field) => existing(field, *is_negated),
            _ => Passing::ALL,
        },
        Expr::Field(field) => compared(field, Comparison::Equal, &Value::Boolean(true)),
        Expr::Negative(_) | Expr::Arithmetic(..) => Passing::ALL,
    }
}

fn either(left: Filter, right: Filter) -> Filter {
    if left == NOTHING || right == EVERYTHING {
        return right;
    }
    if right == NOTHING || left == EVERYTHING {
        return left;
    }
    Filter::Or(vec![left, right])
}

fn is_nil(expr: &Expr) -> bool {
    *expr == Expr::Literal(Value::Nil)
}

fn is_null(column: &str) -> Filter {
    Filter::Is(Place::Column(column.to_owned()), Test::IsNull)
}

fn attribute_test(key: &str, test: Test) -> Filter {
    Filter::Is(Place::Attribute(key.to_owned()), test)
}

fn compared(field: &Field, comparison: Comparison, value: &Value<'static>) -> Passing {
    match field {
        Field::Attribute(attribute) => attribute_compared(attribute, comparison, value),
        Field::Intrinsic { of_parent: true, .. } => Passing::ALL,
        Field::Intrinsic { intrinsic, .. } => intrinsic_compared(*intrinsic, comparison, value),
    }
}

fn intrinsic_compared(intrinsic: Intrinsic, comparison: Comparison, value: &Value<'static>) -> Passing {
    let is_negated = comparison == Comparison::NotEqual;
    let is_equality = is_negated || comparison == Comparison::Equal;
    match (intrinsic, value) {
        (Intrinsic::Name, Value::Text(text)) => {
            ordered("name", comparison, Stored::Text(text.clone().into_owned()))
        }
        (Intrinsic::Duration, Value::Duration(nanos) | Value::Integer(nanos)) => {
            ordered("duration_nano", comparison, Stored::Integer(*nanos))
        }
        (Intrinsic::Status, Value::Status(status)) => {
            code_is("status_code", *status as i64, Status::ALL.len()).unless(is_negated)
        }
        (Intrinsic::Kind, Value::Kind(kind)) => {
            code_is("kind", *kind as i64, Kind::ALL.len()).unless(is_negated)
        }
        (intrinsic, Value::Text(text)) if is_equality => match text_column(intrinsic) {
            None => Passing::ALL,
            Some((column, empty)) => text_is(column, empty, text, is_negated),
        },
        _ => Passing::ALL,
    }
}

/// What a column's null stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    EmptyText,
    Nil,
}

fn text_column(intrinsic: Intrinsic) -> Option<(&'static str, Null)> {
    match intrinsic {
        Intrinsic::Name => Some(("name", Null::Nil)),
        Intrinsic::SpanId => Some(("span_id", Null::Nil)),
        Intrinsic::TraceId => Some(("trace_id", Null::Nil)),
        Intrinsic::ParentId => Some(("parent_span_id", Null::Nil)),
        Intrinsic::StatusMessage => Some(("status_message", Null::EmptyText)),
        Intrinsic::ScopeName => Some(("scope_name", Null::EmptyText)),
        Intrinsic::ScopeVersion => Some(("scope_version", Null::EmptyText)),
        _ => None,
    }
}

fn text_is(column: &str, null: Null, text: &str, is_negated: bool) -> Passing {
    let equals = Filter::equals(column, Stored::Text(text.to_owned()));
    if null == Null::EmptyText {
        let equals = if text.is_empty() { Filter::Or(vec![is_null(column), equals]) } else { equals };
        return Passing::exactly(equals).unless(is_negated);
    }
    // Nil is no other text.
    if is_negated {
        Passing::exactly(is_null(column).negated().and(equals.negated()))
    } else {
        Passing::exactly(equals)
    }
}

/// A column that is never null.
fn ordered(column: &str, comparison: Comparison, value: Stored) -> Passing {
    let (from, to) = match comparison {
        Comparison::Equal => return Passing::exactly(Filter::equals(column, value)),
        Comparison::NotEqual => return Passing::exactly(Filter::equals(column, value).negated()),
        Comparison::Less => (Bound::Unbounded, Bound::Excluded(value)),
        Comparison::LessOrEqual => (Bound::Unbounded, Bound::Included(value)),
        Comparison::Greater => (Bound::Excluded(value), Bound::Unbounded),
        Comparison::GreaterOrEqual => (Bound::Included(value), Bound::Unbounded),
    };
    Passing::exactly(Filter::Is(Place::Column(column.to_owned()), Test::IsWithin(from, to)))
}

/// A code of `count` known ones, of which the first stands for all others too.
fn code_is(column: &str, code: i64, count: usize) -> Passing {
    if code > 0 {
        return Passing::exactly(Filter::equals(column, Stored::Integer(code)));
    }
    let others = (1..count as i64).map(Stored::Integer).collect();
    Passing::exactly(Filter::is_in(column, others).negated())
}

fn attribute_compared(attribute: &Attribute, comparison: Comparison, value: &Value<'static>) -> Passing {
    let texts = texts_of(value);
    if attribute.of_parent || texts.is_empty() {
        return Passing::ALL;
    }
    match comparison {
        Comparison::Equal => attribute_is(attribute, &texts),
        // Whatever is compared is there.
        _ => existing(&Field::Attribute(attribute.clone()), false),
    }
}

/// How values that equal this one are written in `attributes`.
fn texts_of(value: &Value<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut add = |write: &dyn Fn(&mut String)| {
        let mut text = String::new();
        write(&mut text);
        texts.push(text);
    };
    match value {
        Value::Text(text) => add(&|out| out.push_str(text)),
        Value::Boolean(value) => add(&|out| out.push_str(if *value { "true" } else { "false" })),
        Value::Integer(_) | Value::Duration(_) | Value::Float(_) => {
            let double = value.number().unwrap_or_default();
            let whole = match value {
                Value::Integer(whole) | Value::Duration(whole) => Some(*whole),
                _ => Some(double as i64)
                    .filter(|whole| Comparison::Equal.holds(&Value::Integer(*whole), value)),
            };
            if let Some(whole) = whole {
                add(&|out| push_int(out, whole));
            }
            if Comparison::Equal.holds(&Value::Float(double), value) {
                add(&|out| push_double(out, double));
            }
            if double == 0.0 {
                add(&|out| push_double(out, 0.0));
                add(&|out| push_double(out, -0.0));
            }
        }
        Value::Nil | Value::Status(_) | Value::Kind(_) | Value::List(_) => {}
    }
    texts
}

/// An attribute that is one of these, or has one of them.
fn attribute_is(attribute: &Attribute, texts: &[String]) -> Passing {
    let key = attribute.key.as_str();
    match attribute.scope {
        Scope::Span => Passing::among(span_attribute_is(key, texts)),
        Scope::Resource if key == SERVICE_NAME => Passing::among(service_is(texts)),
        Scope::Any if key == SERVICE_NAME => {
            Passing::among(Filter::Or(vec![service_is(texts), span_attribute_is(key, texts)]))
        }
        _ => Passing::ALL,
    }
}

fn span_attribute_is(key: &str, texts: &[String]) -> Filter {
    let stored = |text: &str| Stored::Text(text.to_owned());
    let is_one = match texts {
        [text] => Test::Equals(stored(text)),
        texts => Test::IsIn(texts.iter().map(|text| stored(text)).collect()),
    };
    Filter::Or(vec![attribute_test(key, is_one), attribute_test(key, is_list())])
}

/// Lists are JSON: what begins with a bracket. The backslash is the next character behind it.
fn is_list() -> Test {
    let text = |text: &str| Stored::Text(text.to_owned());
    Test::IsWithin(Bound::Included(text("[")), Bound::Excluded(text("\\")))
}

/// What a filter of [`bound`] is of rows none of whose attributes is a list.
pub(super) fn without_lists(filter: &Filter) -> Filter {
    let is_of_lists = |part: &Filter| match part {
        Filter::Is(Place::Attribute(_), test) => *test == is_list(),
        _ => false,
    };
    match filter {
        Filter::And(parts) => Filter::And(parts.iter().map(without_lists).collect()),
        Filter::Or(parts) => {
            Filter::Or(parts.iter().filter(|part| !is_of_lists(part)).map(without_lists).collect())
        }
        // An opposite is taken only of what is exact, and has no lists in it.
        other => other.clone(),
    }
}

/// The column is null where the name is empty or no plain value.
fn service_is(texts: &[String]) -> Filter {
    let texts = texts.iter().cloned().map(Stored::Text).collect();
    Filter::Or(vec![Filter::is_in("service_name", texts), is_null("service_name")])
}

fn existing(field: &Field, is_negated: bool) -> Passing {
    match field {
        // A column may be filled from another spelling of its key, so it does not say that the key itself is missing.
        Field::Attribute(Attribute { scope: Scope::Span, of_parent: false, key })
            if is_negated && is_promoted(key) =>
        {
            Passing::ALL
        }
        Field::Attribute(Attribute { scope: Scope::Span, of_parent: false, key }) => {
            let is_missing = attribute_test(key, Test::IsNull);
            // An attribute that was sent without a value is there, as an empty text.
            let has_no_value = attribute_test(key, Test::Equals(Stored::Text(String::new())));
            Passing::among(if is_negated {
                Filter::Or(vec![is_missing, has_no_value])
            } else {
                is_missing.negated()
            })
        }
        Field::Intrinsic { intrinsic: Intrinsic::ParentId, of_parent: false } => {
            Passing::exactly(is_null("parent_span_id")).unless(!is_negated)
        }
        _ => Passing::ALL,
    }
}

fn is_promoted(key: &str) -> bool {
    PROMOTED_SPAN_KEYS.iter().any(|(promoted, ..)| *promoted == key)
}

fn matched(field: &Field, is_negated: bool, pattern: &Pattern) -> Passing {
    let Some(texts) = alternatives(pattern.text()) else {
        return match field {
            // Whatever matches or does not is there.
            Field::Attribute(_) => existing(field, false),
            Field::Intrinsic { .. } => Passing::ALL,
        };
    };
    match field {
        Field::Attribute(attribute) if attribute.of_parent => Passing::ALL,
        Field::Attribute(_) if is_negated => existing(field, false),
        Field::Attribute(attribute) => attribute_is(attribute, &texts),
        Field::Intrinsic { intrinsic: Intrinsic::Name, of_parent: false } => {
            let texts = texts.into_iter().map(Stored::Text).collect();
            Passing::exactly(Filter::is_in("name", texts)).unless(is_negated)
        }
        Field::Intrinsic { .. } => Passing::ALL,
    }
}

/// The texts of an expression that is a choice of plain texts, as Grafana writes several values: `a|b`.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let is_plain = pattern.chars().all(|c| c.is_alphanumeric() || " _-/:,;|".contains(c));
    is_plain.then(|| pattern.split('|').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;
    use crate::wanted::Selected;

    fn filter(query: &str) -> Filter {
        Selected::of(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}"))).filter
    }

    #[test]
    fn without_lists_a_value_is_the_one_that_is_asked_for() {
        let check = |query: &str, want: Option<Filter>| {
            let selected = Selected::of(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")));
            assert_eq!(selected.without_lists, want, "{query}");
        };
        let is_x = || Filter::Or(vec![attribute_test("a", Test::Equals(text("x")))]);
        check("{ span.a = \"x\" }", Some(is_x()));
        let named = Filter::equals("name", text("n"));
        check("{ name = \"n\" && span.a = \"x\" }", Some(named.and(is_x())));
        check("{ span.a != nil }", None);
        check("{ !(span.a = \"x\") }", None);
        check("{ resource.a = \"x\" }", None);
    }

    fn text(text: &str) -> Stored {
        Stored::Text(text.to_owned())
    }

    #[test]
    fn conditions_become_what_a_scan_can_use() {
        let check = |query: &str, want: Filter| assert_eq!(filter(query), want, "{query}");
        let is_error = Filter::equals("status_code", Stored::Integer(2));
        check("{ status = error }", is_error.clone());
        check("{ !(status = error) }", is_error.negated());
        let codes = (1..6).map(Stored::Integer).collect();
        check("{ kind = unspecified }", Filter::is_in("kind", codes).negated());
        let longer = Test::IsWithin(Bound::Excluded(Stored::Integer(1_000_000_000)), Bound::Unbounded);
        let place = Place::Column("duration_nano".to_owned());
        check("{ 1s < duration }", Filter::Is(place, longer));
        check("{ trace:id = \"AB\" }", Filter::equals("trace_id", text(&format!("{:0>32}", "ab"))));
        let null = is_null("service_name");
        let either = Filter::is_in("service_name", vec![text("a"), text("b")]);
        check("{ resource.service.name =~ \"a|b\" }", Filter::Or(vec![either, null]));
        check("{ name =~ \"a|b\" }", Filter::is_in("name", vec![text("a"), text("b")]));
        let one = attribute_test("a", Test::Equals(text("x")));
        let list = attribute_test("a", is_list());
        check("{ span.a = \"x\" }", Filter::Or(vec![one, list]));
        // No row has the resource's key: the span's is left, and nothing of an event's.
        let lacking = |query: &str, want: Filter| {
            let selected = Selected::of(&parse(query).unwrap_or_else(|error| panic!("{query}: {error}")));
            assert_eq!(selected.lacking(&|_, _| true).filter, want, "{query}");
        };
        lacking("{ .a = \"x\" }", filter("{ span.a = \"x\" }"));
        lacking("{ resource.a = 1 || span.a = \"x\" || event.a =~ \"x\" }", filter("{ span.a = \"x\" }"));
        lacking("{ resource.a != \"x\" || link.a != nil }", NOTHING);
        lacking("{ !(resource.a = \"x\") || link.a = nil }", EVERYTHING);
        // Its column may hold what was sent as `http.method`.
        check("{ span.http.request.method = nil }", Filter::And(Vec::new()));
    }
}
